/* Which server is asked, and what is kept of servers: the precedence (--url, the session's binding,
 * NEXUS_URL, config.json, the default), server-caps.json, server-generations.json. */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "cli/session/cmd.h"

#define SERVER_DEFAULT      "https://messaging.md"
#define CAPS_S              300
#define GENERATION_S        86400
#define HTTP_TIMEOUT_MS     10000
#define STATUS_TIMEOUT_MS   3000
#define TIMEOUT_SETTING_MAX 3600
#define CAPS_FILE           "server-caps.json"
#define GENERATIONS_FILE    "server-generations.json"
#define USER_AGENT          "nexus-session/0.1"

const char *nx_source_name(enum nx_source source)
{
    switch (source) {
    case NX_SOURCE_FLAG:
        return "flag";
    case NX_SOURCE_SESSION:
        return "session";
    case NX_SOURCE_ENV:
        return "env";
    case NX_SOURCE_CONFIG:
        return "config";
    case NX_SOURCE_DEFAULT:
        return "default";
    }
    return "default";
}

/* Writes the URL in normal form. Returns false, and says why, when it is none. */
static bool normalise(const struct nx_cmd *cmd, const char *text, char ret_url[NX_URL_BYTES],
        const char **ret_reason)
{
    struct nx_buf url;
    bool fine;

    nx_buf_init(&url, cmd->mem, NX_URL_BYTES);
    fine = nx_server_url_append(&url, nx_bytes_str(text), ret_reason) == 0 &&
           url.len < NX_URL_BYTES;
    if (fine) {
        memcpy(ret_url, url.ptr, url.len);
        ret_url[url.len] = '\0';
    }
    nx_buf_done(&url);
    return fine;
}

static int read_url(
        const struct nx_cmd *cmd, const char *name, const char *text, char ret_url[NX_URL_BYTES])
{
    const char *reason = "it is too long";
    char quoted[NX_QUOTE_MAX];

    ret_url[0] = '\0';
    if (!text || !text[0] || normalise(cmd, text, ret_url, &reason))
        return 0;
    nx_cmd_say(cmd, "%s: '%s' is no server's URL: %s", name, nx_quote(text, quoted), reason);
    return NX_EXIT_USAGE;
}

/* Seconds, with up to three decimals: "10", "0.5". */
static int read_timeout(const struct nx_cmd *cmd, const char *name, int64_t *ms)
{
    const char *text = getenv(name);
    struct nx_bytes whole = nx_bytes_trim(nx_bytes_str(text));
    struct nx_bytes part = {NULL, 0};
    uint64_t seconds = 0, thousandths = 0;
    char quoted[NX_QUOTE_MAX];
    const char *dot;

    if (whole.len == 0)
        return 0;
    dot = memchr(whole.ptr, '.', whole.len);
    if (dot) {
        part = nx_bytes_from(whole, (size_t)(dot - whole.ptr) + 1);
        whole.len = (size_t)(dot - whole.ptr);
    }
    if (nx_bytes_u64(whole, &seconds) && seconds <= TIMEOUT_SETTING_MAX &&
            (!dot || (part.len <= 3 && nx_bytes_u64(part, &thousandths)))) {
        for (size_t i = part.len; i < 3; i++)
            thousandths *= 10;
        if (seconds > 0 || thousandths > 0) {
            *ms = (int64_t)(seconds * 1000 + thousandths);
            return 0;
        }
    }
    nx_cmd_say(cmd, "%s: '%s' is no time limit in seconds, 0.001 to %d", name,
            nx_quote(text, quoted), TIMEOUT_SETTING_MAX);
    return NX_EXIT_USAGE;
}

static int read_config(struct nx_cmd *cmd)
{
    char text[NX_URL_BYTES] = "";
    struct nx_buf doc;
    int r, code = 0;

    nx_buf_init(&doc, cmd->mem, NX_STATE_DOCUMENT_MAX);
    r = nx_doc_read(cmd, "config.json", &doc);
    if (r == 0 && nx_doc_text(&doc, "serverUrl", text, sizeof(text)))
        code = read_url(cmd, "config.json", text, cmd->config_url);
    else if (r < 0 && r != NX_E_NOTFOUND)
        code = nx_cmd_state_result(cmd, r, "config.json");
    nx_buf_done(&doc);
    return code;
}

int nx_cmd_settings(struct nx_cmd *cmd)
{
    int r;

    cmd->http_timeout_ms = HTTP_TIMEOUT_MS;
    cmd->status_timeout_ms = STATUS_TIMEOUT_MS;
    r = read_url(cmd, "--url", nx_args_get(&cmd->args, "url"), cmd->flag_url);
    if (r == 0)
        r = read_url(cmd, "NEXUS_URL", getenv("NEXUS_URL"), cmd->env_url);
    if (r == 0)
        r = read_timeout(cmd, "NEXUS_HTTP_TIMEOUT", &cmd->http_timeout_ms);
    if (r == 0)
        r = read_timeout(cmd, "NEXUS_STATUS_TIMEOUT", &cmd->status_timeout_ms);
    if (r == 0)
        r = read_config(cmd);
    return r;
}

int nx_cmd_binding(const struct nx_cmd *cmd, const char *id, char ret_url[NX_URL_BYTES])
{
    char text[NX_STATE_VALUE_MAX];
    int r = nx_state_get(&cmd->state, id, NX_STATE_SERVER, text);

    if (r < 0)
        return r;
    return normalise(cmd, text, ret_url, NULL) ? 0 : NX_E_DAMAGED;
}

static void set_server(struct nx_server *server, const char *url, enum nx_source source)
{
    snprintf(server->url, sizeof(server->url), "%s", url);
    server->source = source;
}

int nx_cmd_server(struct nx_cmd *cmd, const char *id, struct nx_server *ret_server)
{
    char bound[NX_URL_BYTES];
    int r = NX_E_NOTFOUND;

    if (cmd->flag_url[0]) {
        set_server(ret_server, cmd->flag_url, NX_SOURCE_FLAG);
        return 0;
    }
    if (id)
        r = nx_cmd_binding(cmd, id, bound);
    if (r < 0 && r != NX_E_NOTFOUND)
        return nx_cmd_fail(cmd, "damaged_state",
                "the server this session is bound to cannot be read: %s; name it with --url",
                nx_error_text(r));
    if (r == 0)
        set_server(ret_server, bound, NX_SOURCE_SESSION);
    else if (cmd->env_url[0])
        set_server(ret_server, cmd->env_url, NX_SOURCE_ENV);
    else if (cmd->config_url[0])
        set_server(ret_server, cmd->config_url, NX_SOURCE_CONFIG);
    else
        set_server(ret_server, SERVER_DEFAULT, NX_SOURCE_DEFAULT);
    return 0;
}

void nx_cmd_announce(const struct nx_cmd *cmd, const struct nx_server *server, const char *id)
{
    struct nx_bytes host = nx_server_url_host(nx_bytes_str(server->url));
    char bound[NX_URL_BYTES];
    bool overrides = server->source == NX_SOURCE_FLAG || server->source == NX_SOURCE_ENV;
    const char *by = server->source == NX_SOURCE_FLAG ? "--url" : "NEXUS_URL";

    nx_cmd_hint("→ server: %.*s (%s)", (int)host.len, host.ptr, nx_source_name(server->source));
    if (!overrides)
        return;
    if (id && nx_cmd_binding(cmd, id, bound) == 0 && strcmp(bound, server->url) != 0)
        nx_cmd_hint("⚠ warning: %s %s differs from the server this session is bound to, %s", by,
                server->url, bound);
    else if (cmd->config_url[0] && strcmp(cmd->config_url, server->url) != 0)
        nx_cmd_hint("⚠ warning: %s %s differs from the configured server %s", by, server->url,
                cmd->config_url);
}

/* The entry of a server in one of the two caches, when it is fresh. A moment in the future is not:
 * the clock was wrong once. */
static bool cached(const struct nx_cmd *cmd, const char *file, const char *url, int64_t fresh_s,
        struct nx_buf *doc, struct nx_json *ret_entry)
{
    struct nx_json object, fetched_at;
    int64_t now_s = nx_cmd_wall_ms() / 1000;
    int64_t at_s;

    return nx_doc_read(cmd, file, doc) == 0 &&
           nx_json_parse(nx_buf_bytes(doc), &object, NULL) == 0 &&
           nx_json_get(&object, nx_bytes_str(url), ret_entry) &&
           ret_entry->kind == NX_JSON_OBJECT &&
           nx_json_get(ret_entry, NX_BYTES("fetchedAt"), &fetched_at) &&
           fetched_at.kind == NX_JSON_NUMBER && nx_json_int(&fetched_at, &at_s) && at_s <= now_s &&
           now_s - at_s < fresh_s;
}

/* A cache that cannot be read is thrown away, one that cannot be written does without. */
static void cache(struct nx_cmd *cmd, const char *file, const char *url, const char *entry)
{
    int r = nx_doc_set(cmd, file, url, entry);

    if (r == NX_E_DAMAGED && nx_state_remove(&cmd->state, file) == 0)
        r = nx_doc_set(cmd, file, url, entry);
    if (r < 0)
        nx_cmd_say(cmd, "%s could not be written: %s", file, nx_error_text(r));
}

static int remembered_generation(const struct nx_cmd *cmd, const char *url)
{
    struct nx_json entry, value;
    int64_t generation = 0;
    struct nx_buf doc;

    nx_buf_init(&doc, cmd->mem, NX_STATE_DOCUMENT_MAX);
    if (!cached(cmd, GENERATIONS_FILE, url, GENERATION_S, &doc, &entry) ||
            !nx_json_get(&entry, NX_BYTES("generation"), &value) || value.kind != NX_JSON_NUMBER ||
            !nx_json_int(&value, &generation) || generation != 1)
        generation = 0;
    nx_buf_done(&doc);
    return (int)generation;
}

/* Only generation 1 is worth keeping: 2 is tried first anyway. */
static void remember_generation(struct nx_cmd *cmd, const char *url, int generation)
{
    int before = remembered_generation(cmd, url);
    char entry[96];

    if (generation == 1 && before != 1) {
        snprintf(entry, sizeof(entry), "{\"generation\": 1, \"fetchedAt\": %lld}",
                (long long)(nx_cmd_wall_ms() / 1000));
        cache(cmd, GENERATIONS_FILE, url, entry);
    } else if (generation == 2 && before == 1) {
        cache(cmd, GENERATIONS_FILE, url, NULL);
    }
}

int nx_cmd_open(struct nx_cmd *cmd, const char *url, int64_t timeout_ms,
        struct nx_session_client **ret_client)
{
    struct nx_session_client *client;
    int r = nx_session_client_new(url, &client);

    if (r == 0) {
        r = nx_session_client_set_user_agent(client, USER_AGENT);
        if (r < 0)
            nx_session_client_free(client);
    }
    if (r < 0) {
        nx_cmd_say(cmd, "%s", nx_session_client_strerror(r));
        return NX_EXIT_FAILED;
    }
    nx_session_client_set_timeout(client, timeout_ms);
    nx_session_client_set_generation(client, remembered_generation(cmd, url));
    *ret_client = client;
    return 0;
}

void nx_cmd_close(struct nx_cmd *cmd, struct nx_session_client *client)
{
    if (!client)
        return;
    remember_generation(cmd, nx_session_client_url(client), nx_session_client_generation(client));
    nx_session_client_free(client);
}

void nx_cmd_adopt(struct nx_cmd *cmd, const char *id, const char *url)
{
    char bound[NX_STATE_VALUE_MAX];
    int r = nx_state_get(&cmd->state, id, NX_STATE_SERVER, bound);

    if (r == NX_E_NOTFOUND)
        (void)nx_cmd_state_result(
                cmd, nx_state_set(&cmd->state, id, NX_STATE_SERVER, url), "the session's server");
}

/* The capabilities object of an answer of /health, "{}" when it has none. */
static void append_capabilities(struct nx_buf *to, const struct nx_session_client_result *result)
{
    struct nx_json object, capabilities;

    if (nx_json_parse(nx_bytes_of(result->body, result->body_bytes), &object, NULL) == 0 &&
            nx_json_get(&object, NX_BYTES("capabilities"), &capabilities) &&
            capabilities.kind == NX_JSON_OBJECT)
        nx_json_append_compact(to, &capabilities);
    else
        NX_BUF_LIT(to, "{}");
}

static void cache_capabilities(
        struct nx_cmd *cmd, const char *url, const struct nx_session_client_result *result)
{
    struct nx_buf entry;

    nx_buf_init(&entry, cmd->mem, 65536);
    NX_BUF_LIT(&entry, "{\"capabilities\": ");
    append_capabilities(&entry, result);
    nx_buf_printf(&entry, ", \"fetchedAt\": %lld}", (long long)(nx_cmd_wall_ms() / 1000));
    (void)nx_buf_str(&entry);
    if (!entry.error)
        cache(cmd, CAPS_FILE, url, entry.ptr);
    nx_buf_done(&entry);
}

static bool lists_json(const struct nx_json *entry)
{
    struct nx_json capabilities, formats, format;
    struct nx_json_iter iter;

    if (!nx_json_get(entry, NX_BYTES("capabilities"), &capabilities) ||
            !nx_json_get(&capabilities, NX_BYTES("messageFormat"), &formats) ||
            formats.kind != NX_JSON_ARRAY)
        return false;
    nx_json_iter_init(&iter, &formats);
    while (nx_json_next(&iter, NULL, &format)) {
        if (format.kind == NX_JSON_STRING && nx_json_string_equal(&format, NX_BYTES("json")))
            return true;
    }
    return false;
}

bool nx_cmd_accepts_json(struct nx_cmd *cmd, struct nx_session_client *client)
{
    const char *url = nx_session_client_url(client);
    struct nx_session_client_result *result;
    struct nx_json entry;
    struct nx_buf doc;
    bool accepts = false;
    bool fresh;

    nx_buf_init(&doc, cmd->mem, NX_STATE_DOCUMENT_MAX);
    fresh = cached(cmd, CAPS_FILE, url, CAPS_S, &doc, &entry);
    if (fresh)
        accepts = lists_json(&entry);
    nx_buf_done(&doc);
    if (fresh)
        return accepts;
    nx_session_client_set_timeout(client, cmd->status_timeout_ms);
    if (nx_session_client_health(client, &result) == 0) {
        accepts = result->ok && result->accepts_json;
        if (result->ok)
            cache_capabilities(cmd, url, result);
        nx_session_client_result_free(result);
    }
    nx_session_client_set_timeout(client, cmd->http_timeout_ms);
    return accepts;
}
