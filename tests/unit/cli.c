/* cli: the command line, near words, forms of settings, and where each setting comes from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/formats.h"
#include "support/mem_fail.h"

static const struct nx_option test_options[] = {
        {.name = "url", .kind = NX_OPTION_TEXT, .value_name = "URL"},
        {.name = "ttl", .kind = NX_OPTION_INT, .min = 1, .max = 60},
        {.name = "size", .kind = NX_OPTION_BYTES, .min = 1, .max = (int64_t)1 << 40},
        {.name = "strict", .kind = NX_OPTION_FLAG, .fallback = "false"},
        {.name = "no-wait", .kind = NX_OPTION_FLAG},
};
static const struct nx_verb test_verb = {
        .name = "send",
        .arguments = "SESSION [TEXT]",
        .summary = "send",
        .options = test_options,
        .option_count = sizeof(test_options) / sizeof(test_options[0]),
};

/* What the code under test says on stderr. */
static char said[2048];
static int stderr_kept;
static FILE *stderr_file;

static void listen_to_stderr(void)
{
    fflush(stderr);
    stderr_kept = dup(STDERR_FILENO);
    stderr_file = tmpfile();
    assert_non_null(stderr_file);
    dup2(fileno(stderr_file), STDERR_FILENO);
}

static void heard_stderr(void)
{
    size_t len;

    fflush(stderr);
    dup2(stderr_kept, STDERR_FILENO);
    close(stderr_kept);
    rewind(stderr_file);
    len = fread(said, 1, sizeof(said) - 1, stderr_file);
    said[len] = '\0';
    fclose(stderr_file);
}

/* Splits a line at '|' and parses the words. The words stay in `line`. */
static int parse(char *line, struct nx_args *args)
{
    static char *words[16];
    int count = 0, r;
    bool help;

    for (char *word = line; word; count++) {
        char *bar = strchr(word, '|');
        words[count] = word;
        if (bar)
            *bar++ = '\0';
        word = bar;
    }
    listen_to_stderr();
    r = nx_args_parse(&test_verb, "nexus send", count, words, args, &help);
    if (r == 0)
        r = nx_args_check_operands(args, "nexus send");
    heard_stderr();
    return r;
}

static void options_stand_anywhere(void **state)
{
    static const char *const lines[] = {
            "--url|u|--ttl|5|s|t",
            "s|--url=u|t|--ttl=5",
            "s|t|--ttl|9|--ttl|5|--url|u",
            "--url|u|--ttl=5|--|s|t",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char line[128];
        struct nx_args args;
        snprintf(line, sizeof(line), "%s", lines[i]);
        assert_int_equal(parse(line, &args), 0);
        assert_string_equal(said, "");
        assert_string_equal(nx_args_get(&args, "url"), "u");
        assert_string_equal(nx_args_get(&args, "ttl"), "5");
        assert_null(nx_args_get(&args, "strict"));
        assert_int_equal(args.operand_count, 2);
        assert_string_equal(args.operands[0], "s");
        assert_string_equal(args.operands[1], "t");
    }
}

static void flags_can_be_taken_back(void **state)
{
    char line[] = "s|--strict|--no-strict|--no-wait";
    char again[] = "s|--no-strict|--strict|--no-no-wait";
    struct nx_args args;

    (void)state;
    assert_int_equal(parse(line, &args), 0);
    assert_string_equal(nx_args_get(&args, "strict"), "false");
    assert_false(nx_args_flag(&args, "strict"));
    assert_true(nx_args_flag(&args, "no-wait"));
    assert_int_equal(parse(again, &args), 0);
    assert_true(nx_args_flag(&args, "strict"));
    assert_string_equal(nx_args_get(&args, "no-wait"), "false");
}

static void text_with_dashes_is_text(void **state)
{
    static const char *const texts[] = {"-", "-- a list", "---", "-5", "-- ", "--1", "-ab"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char line[64];
        struct nx_args args;
        snprintf(line, sizeof(line), "s|%s", texts[i]);
        assert_int_equal(parse(line, &args), 0);
        assert_string_equal(args.operands[1], texts[i]);
        snprintf(line, sizeof(line), "s|--url|%s", texts[i]);
        assert_int_equal(parse(line, &args), 0);
        assert_string_equal(nx_args_get(&args, "url"), texts[i]);
    }
}

static void faults_are_one_line(void **state)
{
    static const struct {
        const char *line, *said;
    } cases[] = {
            {"s|--urll=x", "nexus send: unknown option '--urll'; did you mean '--url'?\n"},
            {"s|--tlt|5", "nexus send: unknown option '--tlt'; did you mean '--ttl'?\n"},
            {"s|--STRICT", "nexus send: unknown option '--STRICT'; did you mean '--strict'?\n"},
            {"s|--strict=1", "nexus send: --strict takes no value\n"},
            {"s|--no-strict=1", "nexus send: --no-strict takes no value\n"},
            {"s|--zebra", "nexus send: unknown option '--zebra'; 'nexus send --help' lists them\n"},
            {"s|--no-url", "nexus send: unknown option '--no-url'; 'nexus send --help' lists "
                           "them\n"},
            {"s|-x", "nexus send: unknown option '-x'; options are long, 'nexus send --help' "
                     "lists them\n"},
            {"s|--url", "nexus send: --url needs a value: --url URL\n"},
            {"s|--url|--ttl|5", "nexus send: --url needs a value: --url URL\n"},
            {"s|--url|--", "nexus send: --url needs a value: --url URL\n"},
            {"s|--ttl=0", "nexus send: --ttl: '0' is not a number from 1 to 60\n"},
            {"s|--ttl=61", "nexus send: --ttl: '61' is not a number from 1 to 60\n"},
            {"s|--ttl=", "nexus send: --ttl: '' is not a number from 1 to 60\n"},
            {"s|--ttl=5K", "nexus send: --ttl: '5K' is not a number from 1 to 60\n"},
            {"s|--ttl=\x1b[31m", "nexus send: --ttl: '?[31m' is not a number from 1 to 60\n"},
            {"s|--ttl=\xff", "nexus send: --ttl: '?' is not a number from 1 to 60\n"},
            {"--strict", "nexus send: SESSION is missing; usage: nexus send SESSION [TEXT]\n"},
            {"s|t|u", "nexus send: unexpected argument 'u'; 'nexus send --help' tells what it "
                      "takes\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[128];
        struct nx_args args;
        snprintf(line, sizeof(line), "%s", cases[i].line);
        assert_int_equal(parse(line, &args), NX_EXIT_USAGE);
        assert_string_equal(said, cases[i].said);
    }
}

static void bytes_take_suffixes(void **state)
{
    static const struct {
        const char *text;
        int64_t value; /* -1: refused */
    } cases[] = {
            {"1", 1},
            {"2k", 2048},
            {"2K", 2048},
            {"3M", 3 << 20},
            {"1g", 1 << 30},
            {"1024G", (int64_t)1 << 40},
            {"1025G", -1},
            {"99999999999999999999", -1},
            {"9223372036854775807G", -1},
            {"18446744073709551615", -1},
            {"0", -1},
            {"", -1},
            {"K", -1},
            {"1KB", -1},
            {"1.5M", -1},
            {" 1", -1},
            {"+1", -1},
            {"-1", -1},
            {"0x10", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t value = -1;
        bool read = nx_option_int(&test_options[2], cases[i].text, &value);
        assert_int_equal(read, cases[i].value >= 0);
        assert_true(value == cases[i].value);
    }
}

static void near_words(void **state)
{
    static const struct {
        const char *word, *near; /* NULL: none */
    } cases[] = {
            {"serv", "serve"},
            {"sevre", "serve"},
            {"Serve", "serve"},
            {"sess", "session"},
            {"sesion", "session"},
            {"confg", "config"},
            {"versoin", "version"},
            {"complete", "completion"},
            {"mna", "man"},
            {"s", NULL},
            {"", NULL},
            {"x", NULL},
            {"run", NULL},
            {"frobnicate", NULL},
            {"serveserveserveserveserveserveserveserveserveserveserveserve", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct nx_verb *near = nx_verb_nearest(&nx_verb_root, cases[i].word);
        if (!cases[i].near)
            assert_null(near);
        else {
            assert_non_null(near);
            assert_string_equal(near->name, cases[i].near);
        }
    }
}

static void quotes_are_safe(void **state)
{
    char quoted[NX_QUOTE_MAX], longer[400];

    (void)state;
    assert_string_equal(nx_quote("a\nb\x7f\x1b", quoted), "a?b??");
    assert_string_equal(nx_quote("\xc3\xa9\xe2\x82\xac", quoted), "\xc3\xa9\xe2\x82\xac");
    assert_string_equal(nx_quote("a\xc2\x9b"
                                 "b\xc2\xa9",
                                quoted),
            "a??b\xc2\xa9");
    assert_string_equal(nx_quote("\xc3", quoted), "?");
    assert_string_equal(nx_quote("\xc2", quoted), "?");
    for (size_t cut = 0; cut < 3; cut++) {
        size_t len;
        memset(longer, 'a', sizeof(longer));
        for (size_t i = cut; i + 2 < sizeof(longer); i += 2)
            memcpy(longer + i, "\xc3\xa9", 2);
        longer[sizeof(longer) - 1] = '\0';
        nx_quote(longer, quoted);
        len = strlen(quoted);
        assert_true(len < NX_QUOTE_MAX);
        assert_string_equal(quoted + len - 3, "...");
        assert_true(nx_utf8_valid(nx_bytes_str(quoted)));
        assert_null(strchr(quoted, '?'));
    }
}

static void forms(void **state)
{
    static const struct {
        const char *(*check)(const char *text);
        const char *good[8], *bad[20];
    } cases[] = {
            {nx_format_listen,
                    {"127.0.0.1:3000", "[::1]:0", ":3000", "localhost:80", "0.0.0.0:65535"},
                    {"", "3000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:80", "[::1]",
                            "[]:80", "[127.0.0.1]:80", "256.0.0.1:80", "host:80", "1:2:3",
                            "127.0.0.1:-1", "127.0.0.1:000080", " :80", "[::1]x:80"}},
            {nx_format_url,
                    {"http://a", "https://a.example:8443/x/y", "http://[::1]:80/",
                            "https://a_b/%20", "http://[::1]"},
                    {"", "a", "ftp://a", "http://", "https:///x", "http://a b", "http://a?x",
                            "http://a#x", "http://u@a", "http://a:x", "http://a:99999",
                            "http://a/\"", "http://a/\n", "http://[::1", "HTTP//a", "http://a/<b>",
                            "http://\xc3\xa9"}},
            {nx_format_networks,
                    {"10.0.0.1", "10.0.0.0/8,::1", "fd00::/8", "1.2.3.4/32, 5.6.7.8", "::/0"},
                    {"", ",", "10.0.0.1,", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0/8", "a",
                            "10.0.0.0/-1", "10.0.0.0/8/8", "/8"}},
            {nx_format_path, {"x", "/a b"}, {""}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t j = 0; j < 8 && cases[i].good[j]; j++)
            assert_null(cases[i].check(cases[i].good[j]));
        for (size_t j = 0; j < 20 && cases[i].bad[j]; j++)
            assert_non_null(cases[i].check(cases[i].bad[j]));
    }
}

/* An environment of NAME=VALUE lines; the last of a name counts. */
static const char *env_line(void *ctx, const char *name)
{
    const char *const *lines = ctx;
    const char *value = NULL;

    for (; *lines; lines++) {
        size_t len = strlen(name);
        if (strncmp(*lines, name, len) == 0 && (*lines)[len] == '=')
            value = *lines + len + 1;
    }
    return value;
}

#define ENV(...)                                                                                   \
    ((struct nx_settings_env){env_line, (const char *[]){"HOME=/nowhere", __VA_ARGS__, NULL}})

static int load(
        struct nx_settings *settings, struct nx_settings_env env, const struct nx_args *args)
{
    int r = nx_settings_load(settings, nx_mem_libc(), &nx_verb_serve, args, &env);

    return r == 0 ? nx_serve_check(settings, &env) : r;
}

static void assert_env_fault(struct nx_settings_env env, const char *fault)
{
    struct nx_settings settings;

    assert_int_equal(load(&settings, env, NULL), NX_EXIT_USAGE);
    assert_string_equal(settings.fault, fault);
    nx_settings_done(&settings);
}

static void table_and_server_agree_on_defaults(void **state)
{
    struct nx_session_server_options from_table, own;
    struct nx_settings settings;

    (void)state;
    assert_int_equal(load(&settings, ENV("X=y"), NULL), 0);
    nx_serve_options(&settings, &from_table);
    nx_session_server_defaults(&own);
    assert_string_equal(from_table.listen, own.listen);
    assert_string_equal(from_table.data_dir, "/nowhere/.local/state/nexus/sessions");
    assert_null(from_table.public_url);
    assert_null(from_table.trusted_proxies);
    assert_int_equal(from_table.loops, own.loops);
    assert_int_equal(from_table.rate_limit, own.rate_limit);
    assert_int_equal(from_table.claim_limit, own.claim_limit);
    assert_int_equal(from_table.ttl_default_s, own.ttl_default_s);
    assert_int_equal(from_table.ttl_max_s, own.ttl_max_s);
    assert_int_equal(from_table.agents_default_v1, own.agents_default_v1);
    assert_int_equal(from_table.agents_default_v2, own.agents_default_v2);
    assert_int_equal(from_table.agents_max, own.agents_max);
    assert_int_equal(from_table.inactivity_s, own.inactivity_s);
    assert_int_equal(from_table.durable_messages, own.durable_messages);
    assert_int_equal(from_table.sessions_max, own.sessions_max);
    assert_int_equal(from_table.body_bytes_max, own.body_bytes_max);
    assert_int_equal(from_table.session_bytes_max, own.session_bytes_max);
    assert_int_equal(from_table.memory_bytes_max, own.memory_bytes_max);
    assert_int_equal(from_table.store_bytes_max, own.store_bytes_max);
    assert_int_equal(from_table.connections_max, own.connections_max);
    assert_int_equal(from_table.log_requests, own.log_requests);
    assert_true(from_table.handle_signals);
    nx_settings_done(&settings);
}

static void environment_and_its_older_names(void **state)
{
    struct nx_settings settings;

    (void)state;
    assert_int_equal(load(&settings,
                             ENV("PORT=8080", "MAX_TTL_SECONDS=600", "MAX_AGENTS=9",
                                     "NEXUS_SERVE_MAX_AGENTS=10", "AGENT_INACTIVITY_SECONDS=30",
                                     "DATA_DIR=/d", "NEXUS_SERVE_MAX_BODY=2k",
                                     "NEXUS_SERVE_LOG_REQUESTS=Yes", "NEXUS_SERVE_LOOPS="),
                             NULL),
            0);
    assert_string_equal(nx_settings_get(&settings, "listen")->value, "127.0.0.1:8080");
    assert_string_equal(nx_settings_get(&settings, "listen")->origin, "PORT");
    assert_int_equal(nx_settings_int(&settings, "max-ttl"), 600);
    assert_int_equal(nx_settings_int(&settings, "ttl"), 600); /* the default follows the cap */
    assert_int_equal(nx_settings_int(&settings, "max-agents"), 10);
    assert_string_equal(nx_settings_get(&settings, "max-agents")->origin, "NEXUS_SERVE_MAX_AGENTS");
    assert_int_equal(nx_settings_int(&settings, "default-agents"), 10);
    assert_int_equal(nx_settings_int(&settings, "default-agents-v1"), 2);
    assert_int_equal(nx_settings_int(&settings, "agent-inactivity"), 30);
    assert_string_equal(nx_settings_get(&settings, "data-dir")->value, "/d");
    assert_string_equal(nx_settings_get(&settings, "max-body")->value, "2048");
    assert_string_equal(nx_settings_get(&settings, "log-requests")->value, "true");
    assert_int_equal(nx_settings_get(&settings, "loops")->source, NX_SETTING_DEFAULT);
    nx_settings_done(&settings);
}

static void environment_faults_name_the_variable(void **state)
{
    (void)state;
    assert_env_fault(ENV("MAX_TTL_SECONDS=x"),
            "MAX_TTL_SECONDS (environment): 'x' is not a number from 1 to 86400");
    assert_env_fault(
            ENV("PORT=65536"), "PORT (environment): '65536' is not a number from 0 to 65535");
    assert_env_fault(ENV("NEXUS_SERVE_IN_MEMORY=maybe"),
            "NEXUS_SERVE_IN_MEMORY (environment): 'maybe' is neither true nor false");
    assert_env_fault(ENV("NEXUS_SERVE_PUBLIC_URL=here"),
            "NEXUS_SERVE_PUBLIC_URL (environment): 'here' is not a URL such as "
            "https://messaging.example");
    assert_env_fault(ENV("NEXUS_SERVE_TTL=100", "MAX_TTL_SECONDS=99"),
            "ttl 100 (NEXUS_SERVE_TTL (environment)) is more than max-ttl 99 (MAX_TTL_SECONDS "
            "(environment))");
    assert_env_fault(ENV("HOME="),
            "no place for the data: HOME is not set; give --data-dir DIR or --in-memory");
    assert_env_fault(ENV("DATA_DIR=/d", "NEXUS_SERVE_IN_MEMORY=1"),
            "in-memory and data-dir exclude each other: give one of them");
}

static int load_text(struct nx_settings *settings, const char *text)
{
    const struct nx_settings_env env = ENV("X=y");
    int r = nx_settings_load(settings, nx_mem_libc(), &nx_verb_serve, NULL, &env);

    assert_int_equal(r, 0);
    return nx_settings_read_text(settings, "/f", text, strlen(text));
}

static void file_is_read(void **state)
{
    struct nx_settings settings;

    (void)state;
    assert_int_equal(load_text(&settings,
                             "{\"serve\": {\"listen\": \":1\", \"rate-limit\": 1e1,"
                             "\"in-memory\": true, \"max-body\": \"1M\", \"max-store\": 2000000,"
                             "\"\\u0074tl\": 7}}"),
            0);
    assert_string_equal(nx_settings_get(&settings, "listen")->value, ":1");
    assert_int_equal(nx_settings_get(&settings, "listen")->source, NX_SETTING_FILE);
    assert_int_equal(nx_settings_int(&settings, "rate-limit"), 10);
    assert_true(nx_settings_flag(&settings, "in-memory"));
    assert_int_equal(nx_settings_int(&settings, "max-body"), 1048576);
    assert_int_equal(nx_settings_int(&settings, "max-store"), 2000000);
    assert_int_equal(nx_settings_int(&settings, "ttl"), 7);
    nx_settings_done(&settings);
    assert_int_equal(load_text(&settings, " {} "), 0);
    nx_settings_done(&settings);
}

static void file_faults_name_the_place(void **state)
{
    static const struct {
        const char *text, *fault;
    } cases[] = {
            {"[]", "/f:1:1: an object is wanted here, this is an array"},
            {"{\"serv\": {}}", "/f:1:2: unknown section 'serv'; did you mean 'serve'?"},
            {"{\"x\": {}}", "/f:1:2: unknown section 'x'; the only one is 'serve'"},
            {"{\"serve\": 1}", "/f:1:11: serve: an object is wanted here, this is a number"},
            {"{\"serve\": {}, \"serve\": {}}", "/f:1:15: section 'serve' is there twice"},
            {"{\"serve\":\n {\"rate_limit\": 1}}",
                    "/f:2:3: unknown key 'rate_limit'; did you mean 'rate-limit'?"},
            {"{\"serve\": {\"config\": \"x\"}}",
                    "/f:1:12: unknown key 'config' in 'serve'; 'nexus config' lists them"},
            {"{\"serve\": {\"ttl\": 1,\n\n  \"ttl\": 2}}", "/f:3:3: serve.ttl is set twice"},
            {"{\"serve\": {\"ttl\": 1, \"t\\u0074l\": 2}}", "/f:1:22: serve.ttl is set twice"},
            {"{\"serve\": {\"ttl\": \"1\"}}",
                    "/f:1:19: serve.ttl: a number is wanted here, this is a string"},
            {"{\"serve\": {\"ttl\": 1.5}}",
                    "/f:1:19: serve.ttl: '1.5' is not a number from 1 to 86400"},
            {"{\"serve\": {\"ttl\": 86401}}",
                    "/f:1:19: serve.ttl: '86401' is not a number from 1 to 86400"},
            {"{\"serve\": {\"listen\": 3000}}",
                    "/f:1:22: serve.listen: a string is wanted here, this is a number"},
            {"{\"serve\": {\"in-memory\": 1}}",
                    "/f:1:25: serve.in-memory: true or false is wanted here, this is a number"},
            {"{\"serve\": {\"in-memory\": null}}",
                    "/f:1:25: serve.in-memory: true or false is wanted here, this is null"},
            {"{\"serve\": {\"max-body\": \"1T\"}}",
                    "/f:1:24: serve.max-body: '1T' is not a number of bytes from 1024 to 67108864"},
            {"{\"serve\": {\"data-dir\": \"a\\u0000b\"}}",
                    "/f:1:24: serve.data-dir: a string is wanted here, this is one that is too "
                    "long or holds a NUL"},
            {"{\"\xc3\xa9\xc3\xa9\": 1, \"b\": 2}",
                    "/f:1:2: unknown section '\xc3\xa9\xc3\xa9'; the only one is 'serve'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nx_settings settings;
        assert_int_equal(load_text(&settings, cases[i].text), NX_EXIT_USAGE);
        assert_string_equal(settings.fault, cases[i].fault);
        nx_settings_done(&settings);
    }
}

static void text_that_is_no_json(void **state)
{
    static const char *const texts[] = {
            "", "{", "{\"serve\":}", "\xef\xbb\xbf{}", "{}x", "{'a':1}"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct nx_settings settings;
        assert_int_equal(load_text(&settings, texts[i]), NX_EXIT_USAGE);
        assert_non_null(strstr(settings.fault, ": not JSON: "));
        assert_memory_equal(settings.fault, "/f:1:", 5);
        nx_settings_done(&settings);
    }
}

/* file < older variable < variable < flag, for every setting of the table. */
static void every_setting_has_its_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < nx_verb_serve.option_count; i++) {
        const struct nx_option *option = &nx_verb_serve.options[i];
        struct nx_args args = {.verb = &nx_verb_serve};
        bool port = option->env_old && strcmp(option->env_old, "PORT") == 0;
        bool flag = option->kind == NX_OPTION_FLAG;
        bool url = strcmp(option->name, "public-url") == 0;
        bool text = option->kind == NX_OPTION_TEXT && !port && !url;
        char values[3][32], lines[3][96];
        struct nx_settings settings;
        if (!nx_setting_is(option))
            continue;
        for (int k = 0; k < 3; k++) {
            if (flag)
                snprintf(values[k], sizeof(values[k]), "%s", k % 2 == 0 ? "true" : "false");
            else if (option->kind == NX_OPTION_TEXT)
                snprintf(values[k], sizeof(values[k]), "%s%d",
                        port   ? ":"
                        : url  ? "http://h"
                        : text ? "1.1.1."
                               : "",
                        k + 1);
            else
                snprintf(values[k], sizeof(values[k]), "%lld", (long long)option->max - k);
        }
        snprintf(lines[0], sizeof(lines[0]), "%s=%s", option->env_old ? option->env_old : "UNUSED",
                port ? "1" : values[0]);
        snprintf(lines[1], sizeof(lines[1]), "%s=%s", option->env, values[1]);
        if (option->env_old) {
            assert_int_equal(nx_settings_load(&settings, nx_mem_libc(), &nx_verb_serve, NULL,
                                     &ENV(lines[0])),
                    0);
            assert_string_equal(settings.items[i].value, port ? "127.0.0.1:1" : values[0]);
            assert_string_equal(settings.items[i].origin, option->env_old);
            nx_settings_done(&settings);
        }
        assert_int_equal(nx_settings_load(&settings, nx_mem_libc(), &nx_verb_serve, NULL,
                                 &ENV(lines[0], lines[1])),
                0);
        assert_string_equal(settings.items[i].value, values[1]);
        assert_string_equal(settings.items[i].origin, option->env);
        nx_settings_done(&settings);
        args.values[i] = values[2];
        assert_int_equal(nx_settings_load(&settings, nx_mem_libc(), &nx_verb_serve, &args,
                                 &ENV(lines[0], lines[1])),
                0);
        assert_string_equal(settings.items[i].value, values[2]);
        assert_int_equal(settings.items[i].source, NX_SETTING_FLAG);
        nx_settings_done(&settings);
    }
}

static void stronger_source_chooses_the_store(void **state)
{
    struct nx_args args = {.verb = &nx_verb_serve};
    const struct nx_option *dir = nx_option_find(&nx_verb_serve, "data-dir");
    const struct nx_option *memory = nx_option_find(&nx_verb_serve, "in-memory");
    struct nx_session_server_options options;
    struct nx_settings settings;

    (void)state;
    args.values[dir - nx_verb_serve.options] = "/flag";
    assert_int_equal(load(&settings, ENV("NEXUS_SERVE_IN_MEMORY=1"), &args), 0);
    nx_serve_options(&settings, &options);
    assert_string_equal(options.data_dir, "/flag");
    nx_settings_done(&settings);

    args.values[dir - nx_verb_serve.options] = NULL;
    args.values[memory - nx_verb_serve.options] = "true";
    assert_int_equal(load(&settings, ENV("DATA_DIR=/env"), &args), 0);
    nx_serve_options(&settings, &options);
    assert_null(options.data_dir);
    nx_settings_done(&settings);

    assert_int_equal(load(&settings, ENV("XDG_STATE_HOME=/s", "XDG_CONFIG_HOME=rel"), NULL), 0);
    assert_string_equal(nx_settings_get(&settings, "data-dir")->value, "/s/nexus/sessions");
    assert_string_equal(settings.path, "/nowhere/.config/nexus/config.json");
    nx_settings_done(&settings);
}

static void every_error_has_an_exit_code(void **state)
{
    (void)state;
    assert_int_equal(nx_serve_exit(0), NX_EXIT_OK);
    assert_int_equal(nx_serve_exit(NX_E_INVALID), NX_EXIT_USAGE);
    assert_int_equal(nx_serve_exit(NX_E_BUSY), NX_EXIT_UNAVAILABLE);
    assert_int_equal(nx_serve_exit(NX_E_FOREIGN), NX_EXIT_UNAVAILABLE);
    assert_int_equal(nx_serve_exit(NX_E_DAMAGED), NX_EXIT_UNAVAILABLE);
    assert_int_equal(nx_serve_exit(NX_E_FULL), NX_EXIT_UNAVAILABLE);
    assert_int_equal(nx_serve_exit(NX_E_NETWORK), NX_EXIT_FAILED);
    for (int error = -1; error >= -64; error--)
        assert_int_not_equal(nx_serve_exit(error), NX_EXIT_OK);
}

static void load_with(const struct nx_mem *mem, void *ctx)
{
    const struct nx_settings_env env =
            ENV("PORT=8080", "DATA_DIR=/d", "NEXUS_SERVE_MAX_BODY=2k", "MAX_TTL_SECONDS=60");
    static const char text[] = "{\"serve\":{\"public-url\":\"http://a\",\"max-memory\":\"1G\"}}";
    struct nx_settings settings;

    (void)ctx;
    if (nx_settings_load(&settings, mem, &nx_verb_serve, NULL, &env) == 0 &&
            nx_settings_read_text(&settings, "/f", text, strlen(text)) == 0)
        (void)nx_serve_check(&settings, &env);
    nx_settings_done(&settings);
}

static void settings_survive_failed_allocations(void **state)
{
    (void)state;
    assert_true(nx_mem_fail_each(load_with, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(options_stand_anywhere),
            cmocka_unit_test(flags_can_be_taken_back),
            cmocka_unit_test(text_with_dashes_is_text),
            cmocka_unit_test(faults_are_one_line),
            cmocka_unit_test(bytes_take_suffixes),
            cmocka_unit_test(near_words),
            cmocka_unit_test(quotes_are_safe),
            cmocka_unit_test(forms),
            cmocka_unit_test(table_and_server_agree_on_defaults),
            cmocka_unit_test(environment_and_its_older_names),
            cmocka_unit_test(environment_faults_name_the_variable),
            cmocka_unit_test(file_is_read),
            cmocka_unit_test(file_faults_name_the_place),
            cmocka_unit_test(text_that_is_no_json),
            cmocka_unit_test(every_setting_has_its_order),
            cmocka_unit_test(stronger_source_chooses_the_store),
            cmocka_unit_test(every_error_has_an_exit_code),
            cmocka_unit_test(settings_survive_failed_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
