/* `nexus config`: every setting in force and where it comes from. */
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "cli/commands.h"

#define OUTPUT_MAX ((size_t)1024 * 1024)
#define VALUE_MAX  8192

static const char *source_name(enum nx_setting_source source)
{
    switch (source) {
    case NX_SETTING_DEFAULT:
        return "default";
    case NX_SETTING_FILE:
        return "file";
    case NX_SETTING_ENVIRONMENT:
        return "environment";
    case NX_SETTING_FLAG:
        return "flag";
    }
    return "default";
}

/* Prints text and blanks up to a width in columns: %-*s counts bytes. */
static void cell(const char *text, size_t width)
{
    size_t columns = nx_help_width(text, strlen(text));

    fputs(text, stdout);
    for (; columns < width + 2; columns++)
        putchar(' ');
}

static void print_text(struct nx_settings *settings)
{
    const struct nx_verb *verb = settings->verb;
    const char *bold = nx_color(stdout) ? "\033[1m" : "", *plain = *bold ? "\033[0m" : "";
    char name[NX_QUOTE_MAX], value[VALUE_MAX], origin[NX_FAULT_TEXT_MAX];
    size_t widest[2] = {7, 5};

    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1)
            printf("%s%-*s%-*s%s%s\n", bold, (int)widest[0] + 2, "SETTING", (int)widest[1] + 2,
                    "VALUE", "FROM", plain);
        for (size_t i = 0; i < verb->option_count; i++) {
            const struct nx_setting *setting = &settings->items[i];
            size_t width[2];
            if (!nx_setting_is(setting->option))
                continue;
            snprintf(name, sizeof(name), "%s.%s", verb->name, setting->option->name);
            nx_quote_cut(setting->value ? setting->value : "-", value, sizeof(value));
            width[0] = strlen(name);
            width[1] = nx_help_width(value, strlen(value));
            for (int k = 0; k < 2; k++) {
                if (width[k] > widest[k])
                    widest[k] = width[k];
            }
            if (pass == 0)
                continue;
            cell(name, widest[0]);
            cell(value, widest[1]);
            puts(nx_setting_origin(settings, setting, origin));
        }
    }
}

static void json_text(struct nx_buf *out, const char *text)
{
    if (text)
        nx_json_append_string(out, nx_bytes_str(text));
    else
        NX_BUF_LIT(out, "null");
}

static void json_setting(
        struct nx_buf *out, const struct nx_settings *settings, const struct nx_setting *setting)
{
    const struct nx_option *option = setting->option;
    const char *origin = NULL;
    char flag[64];

    switch (setting->source) {
    case NX_SETTING_DEFAULT:
        break;
    case NX_SETTING_FILE:
        origin = settings->path;
        break;
    case NX_SETTING_ENVIRONMENT:
        origin = setting->origin;
        break;
    case NX_SETTING_FLAG:
        snprintf(flag, sizeof(flag), "--%s", option->name);
        origin = flag;
        break;
    }
    NX_BUF_LIT(out, "{\"verb\":");
    json_text(out, settings->verb->name);
    NX_BUF_LIT(out, ",\"name\":");
    json_text(out, option->name);
    NX_BUF_LIT(out, ",\"value\":");
    if (setting->value && option->kind != NX_OPTION_TEXT)
        nx_buf_append_str(out, setting->value);
    else
        json_text(out, setting->value);
    NX_BUF_LIT(out, ",\"source\":");
    json_text(out, source_name(setting->source));
    NX_BUF_LIT(out, ",\"origin\":");
    json_text(out, origin);
    NX_BUF_LIT(out, "}");
}

static int print_json(const struct nx_settings *settings)
{
    struct nx_buf out;
    bool first = true;
    int r;

    nx_buf_init(&out, settings->mem, OUTPUT_MAX);
    NX_BUF_LIT(&out, "{\"configPath\":");
    json_text(&out, settings->path);
    NX_BUF_LIT(&out, ",\"configRead\":");
    nx_buf_append_str(&out, settings->path_read ? "true" : "false");
    NX_BUF_LIT(&out, ",\"settings\":[");
    for (size_t i = 0; i < settings->verb->option_count; i++) {
        if (!nx_setting_is(settings->items[i].option))
            continue;
        nx_buf_append_str(&out, first ? "\n" : ",\n");
        json_setting(&out, settings, &settings->items[i]);
        first = false;
    }
    NX_BUF_LIT(&out, "\n]}\n");
    r = nx_buf_error(&out);
    if (r == 0)
        fwrite(out.ptr, 1, out.len, stdout);
    else
        fprintf(stderr, "nexus config: %s\n", nx_error_text(r));
    nx_buf_done(&out);
    return r == 0 ? NX_EXIT_OK : NX_EXIT_FAILED;
}

static int show(const struct nx_args *args, const char *path)
{
    const struct nx_settings_env env = nx_settings_environ();
    struct nx_settings settings;
    int r;

    r = nx_settings_load(&settings, nx_mem_libc(), &nx_verb_serve, args, &env);
    if (r == 0)
        r = nx_serve_check(&settings, &env);
    if (r != 0)
        fprintf(stderr, "%s: %s\n", path, settings.fault);
    else if (nx_args_flag(args, "json"))
        r = print_json(&settings);
    else
        print_text(&settings);
    nx_settings_done(&settings);
    return r;
}

static int show_path(const struct nx_args *args, const char *path)
{
    const struct nx_settings_env env = nx_settings_environ();
    struct nx_settings settings;
    int r;

    r = nx_settings_find(&settings, nx_mem_libc(), &env, nx_args_get(args, "config"));
    if (r == 0 && !settings.path) {
        snprintf(settings.fault, sizeof(settings.fault),
                "there is none: neither HOME nor XDG_CONFIG_HOME is set");
        r = NX_EXIT_UNAVAILABLE;
    }
    if (r == 0)
        puts(settings.path);
    else
        fprintf(stderr, "%s: %s\n", path, settings.fault);
    nx_settings_done(&settings);
    return r;
}

/* The verb below `nexus config` that the words name, at the first word that is no option. */
static const struct nx_verb *verb_below(
        const struct nx_verb *config, int argc, char **argv, int *at)
{
    for (int i = 0; i < argc; i++) {
        const struct nx_verb *verb = nx_verb_find(config, argv[i]);
        if (i > 0 && strcmp(argv[i - 1], "--config") == 0)
            continue;
        if (verb) {
            *at = i;
            return verb;
        }
    }
    return NULL;
}

int nx_command_config(int argc, char **argv)
{
    const struct nx_verb *config = nx_verb_find(&nx_verb_root, "config");
    const struct nx_verb *below;
    const char *path = "nexus config";
    struct nx_args args;
    bool help;
    int at = 0, r;

    below = verb_below(config, argc, argv, &at);
    if (below) {
        memmove(argv + at, argv + at + 1, (size_t)(argc - at - 1) * sizeof(*argv));
        argc--;
        path = strcmp(below->name, "serve") == 0 ? "nexus config serve" : "nexus config path";
    }
    r = nx_args_parse(below ? below : config, path, argc, argv, &args, &help);
    if (r != 0 || help)
        return r;
    if (!below && args.operand_count > 0)
        return nx_verb_unknown(config, path, args.operands[0]);
    r = nx_args_check_operands(&args, path);
    if (r != 0)
        return r;
    return below && strcmp(below->name, "path") == 0 ? show_path(&args, path) : show(&args, path);
}
