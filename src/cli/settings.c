/* Layers of settings: the table's defaults, the configuration file (settings_file.c), the
 * environment, flags. The environment's own names are those of the table: NEXUS_SERVE_TTL, and
 * older ones such as PORT. */
#include "cli/settings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "cli/settings_file.h"

static const char *environ_get(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

struct nx_settings_env nx_settings_environ(void)
{
    return (struct nx_settings_env){environ_get, NULL};
}

static const char *env_get(const struct nx_settings_env *env, const char *name)
{
    const char *value = name ? env->get(env->ctx, name) : NULL;

    return value && *value ? value : NULL;
}

bool nx_setting_is(const struct nx_option *option)
{
    return option->env && strcmp(option->name, "config") != 0;
}

static int out_of_memory(struct nx_settings *settings)
{
    snprintf(settings->fault, sizeof(settings->fault), "out of memory");
    return NX_EXIT_FAILED;
}

static bool has_home(const struct nx_settings_env *env, const char *variable)
{
    const char *base = env_get(env, variable);

    if (!base || base[0] != '/')
        base = env_get(env, "HOME");
    return base && base[0] == '/';
}

char *nx_settings_folder(const struct nx_mem *mem, const struct nx_settings_env *env,
        const char *variable, const char *home_rest, const char *rest)
{
    const char *base = env_get(env, variable);
    const char *middle = "";
    char *path;
    size_t size;

    if (!base || base[0] != '/') {
        base = env_get(env, "HOME");
        middle = home_rest;
    }
    if (!base || base[0] != '/')
        return NULL;
    size = strlen(base) + strlen(middle) + strlen(rest) + 3;
    path = nx_mem_alloc(mem, size);
    if (path)
        snprintf(path, size, "%s%s%s/%s", base, *middle ? "/" : "", middle, rest);
    return path;
}

int nx_settings_replace(struct nx_settings *settings, struct nx_setting *setting, const char *text)
{
    const struct nx_option *option = setting->option;
    char number[24];
    char *copy;
    int64_t value;
    bool flag;

    if (text && option->kind == NX_OPTION_FLAG && nx_option_bool(text, &flag))
        text = flag ? "true" : "false";
    if (text && (option->kind == NX_OPTION_INT || option->kind == NX_OPTION_BYTES) &&
            nx_option_int(option, text, &value)) {
        snprintf(number, sizeof(number), "%lld", (long long)value);
        text = number;
    }
    copy = text ? nx_mem_strndup(settings->mem, text, strlen(text)) : NULL;
    if (text && !copy)
        return out_of_memory(settings);
    nx_mem_free(settings->mem, setting->value);
    setting->value = copy;
    return 0;
}

int nx_settings_find(struct nx_settings *settings, const struct nx_mem *mem,
        const struct nx_settings_env *env, const char *given)
{
    *settings = (struct nx_settings){.mem = mem};
    if (!given)
        given = env_get(env, "NEXUS_CONFIG");
    settings->path_given = given != NULL;
    if (given)
        settings->path = nx_mem_strndup(mem, given, strlen(given));
    else
        settings->path =
                nx_settings_folder(mem, env, "XDG_CONFIG_HOME", ".config", "nexus/config.json");
    if (settings->path)
        return 0;
    /* Without a home there is no such file, which is no fault. */
    return given || has_home(env, "XDG_CONFIG_HOME") ? out_of_memory(settings) : 0;
}

/* PORT is the port of --listen: the host stays what it was. */
static int set_port(struct nx_settings *settings, struct nx_setting *setting, const char *port)
{
    static const struct nx_option port_option = {
            .name = "port", .kind = NX_OPTION_INT, .min = 0, .max = 65535};
    const char *host = setting->value;
    const char *colon = strrchr(host, ':');
    char fault[NX_FAULT_TEXT_MAX], listen[NX_FAULT_TEXT_MAX];
    int64_t number;

    assert(colon);
    if (!nx_option_check(&port_option, port, fault)) {
        snprintf(settings->fault, sizeof(settings->fault), "PORT (environment): %.400s", fault);
        return NX_EXIT_USAGE;
    }
    if (!nx_option_int(&port_option, port, &number))
        return NX_EXIT_USAGE;
    snprintf(listen, sizeof(listen), "%.*s:%d", (int)(colon - host), host, (int)number);
    return nx_settings_replace(settings, setting, listen);
}

static int set_from_env(struct nx_settings *settings, struct nx_setting *setting, const char *name,
        const char *text)
{
    char fault[NX_FAULT_TEXT_MAX];
    int r;

    if (strcmp(name, "PORT") == 0)
        r = set_port(settings, setting, text);
    else if (!nx_option_check(setting->option, text, fault)) {
        snprintf(settings->fault, sizeof(settings->fault), "%s (environment): %.400s", name, fault);
        r = NX_EXIT_USAGE;
    } else
        r = nx_settings_replace(settings, setting, text);
    if (r != 0)
        return r;
    setting->source = NX_SETTING_ENVIRONMENT;
    setting->origin = name;
    return 0;
}

/* One setting from the strongest source that has it, but for the file, which is already read. */
static int set_one(struct nx_settings *settings, struct nx_setting *setting,
        const struct nx_args *args, const struct nx_settings_env *env)
{
    const struct nx_option *option = setting->option;
    const char *flag = NULL, *text;
    int r;

    if (args && nx_option_find(args->verb, option->name))
        flag = nx_args_get(args, option->name);
    if (flag) {
        r = nx_settings_replace(settings, setting, flag);
        if (r != 0)
            return r;
        setting->source = NX_SETTING_FLAG;
        setting->origin = NULL;
        return 0;
    }
    text = env_get(env, option->env);
    if (text)
        return set_from_env(settings, setting, option->env, text);
    text = env_get(env, option->env_old);
    if (text)
        return set_from_env(settings, setting, option->env_old, text);
    return 0;
}

int nx_settings_load(struct nx_settings *settings, const struct nx_mem *mem,
        const struct nx_verb *verb, const struct nx_args *args, const struct nx_settings_env *env)
{
    const char *given = NULL;
    int r;

    if (args && nx_option_find(args->verb, "config"))
        given = nx_args_get(args, "config");
    r = nx_settings_find(settings, mem, env, given);
    if (r != 0)
        return r;
    settings->verb = verb;
    for (size_t i = 0; i < verb->option_count; i++) {
        settings->items[i].option = &verb->options[i];
        r = nx_settings_replace(settings, &settings->items[i], verb->options[i].fallback);
        if (r != 0)
            return r;
    }
    r = nx_settings_read_file(settings);
    for (size_t i = 0; r == 0 && i < verb->option_count; i++) {
        if (nx_setting_is(&verb->options[i]))
            r = set_one(settings, &settings->items[i], args, env);
    }
    return r;
}

void nx_settings_done(struct nx_settings *settings)
{
    if (!settings || !settings->mem)
        return;
    for (size_t i = 0; i < NX_ARGS_OPTIONS_MAX; i++)
        nx_mem_free(settings->mem, settings->items[i].value);
    nx_mem_free(settings->mem, settings->path);
    *settings = (struct nx_settings){0};
}

struct nx_setting *nx_settings_get(struct nx_settings *settings, const char *name)
{
    const struct nx_option *option = nx_option_find(settings->verb, name);

    assert(option);
    return &settings->items[option - settings->verb->options];
}

int64_t nx_settings_int(struct nx_settings *settings, const char *name)
{
    const struct nx_setting *setting = nx_settings_get(settings, name);
    int64_t value = 0;
    bool read = nx_option_int(setting->option, setting->value, &value);

    assert(read);
    (void)read;
    return value;
}

bool nx_settings_flag(struct nx_settings *settings, const char *name)
{
    const char *value = nx_settings_get(settings, name)->value;

    return value && strcmp(value, "true") == 0;
}

const char *nx_setting_origin(const struct nx_settings *settings, const struct nx_setting *setting,
        char ret_text[NX_FAULT_TEXT_MAX])
{
    switch (setting->source) {
    case NX_SETTING_DEFAULT:
        return "default";
    case NX_SETTING_FILE:
        return nx_quote_cut(settings->path, ret_text, NX_FAULT_TEXT_MAX);
    case NX_SETTING_ENVIRONMENT:
        snprintf(ret_text, NX_FAULT_TEXT_MAX, "%s (environment)", setting->origin);
        return ret_text;
    case NX_SETTING_FLAG:
        snprintf(ret_text, NX_FAULT_TEXT_MAX, "--%s", setting->option->name);
        return ret_text;
    }
    return "default";
}
