/* What the settings of `nexus serve` mean to the session server: checks that involve more than one
 * of them, the server's options, and the exit codes of its errors. Runs nothing: serve.c. */
#include "cli/commands.h"

/* A default that a given cap undercuts follows the cap; a given value above it is a fault. */
static int keep_within(struct nx_settings *settings, const char *name, const char *cap_name)
{
    struct nx_setting *setting = nx_settings_get(settings, name);
    struct nx_setting *cap = nx_settings_get(settings, cap_name);
    char origin[NX_FAULT_TEXT_MAX], cap_origin[NX_FAULT_TEXT_MAX];

    if (nx_settings_int(settings, name) <= nx_settings_int(settings, cap_name))
        return 0;
    if (setting->source == NX_SETTING_DEFAULT)
        return nx_settings_replace(settings, setting, cap->value);
    snprintf(settings->fault, sizeof(settings->fault), "%s %s (%.120s) is more than %s %s (%.120s)",
            name, setting->value, nx_setting_origin(settings, setting, origin), cap_name,
            cap->value, nx_setting_origin(settings, cap, cap_origin));
    return NX_EXIT_USAGE;
}

/* Room below a limit that another limit needs: a default cap grows with what was asked for. */
static int keep_above(struct nx_settings *settings, const char *name, const char *floor_name)
{
    struct nx_setting *setting = nx_settings_get(settings, name);

    if (setting->source == NX_SETTING_DEFAULT &&
            nx_settings_int(settings, name) < nx_settings_int(settings, floor_name))
        return nx_settings_replace(settings, setting, nx_settings_get(settings, floor_name)->value);
    return 0;
}

/* --in-memory and --data-dir: what comes from the stronger source holds. */
static int choose_store(struct nx_settings *settings, const struct nx_settings_env *env)
{
    struct nx_setting *dir = nx_settings_get(settings, "data-dir");
    struct nx_setting *memory = nx_settings_get(settings, "in-memory");
    char *path;
    int r;

    if (nx_settings_flag(settings, "in-memory")) {
        if (!dir->value || memory->source > dir->source)
            return nx_settings_replace(settings, dir, NULL);
        if (memory->source == dir->source) {
            snprintf(settings->fault, sizeof(settings->fault),
                    "in-memory and data-dir exclude each other: give one of them");
            return NX_EXIT_USAGE;
        }
        return nx_settings_replace(settings, memory, "false");
    }
    if (dir->value)
        return 0;
    path = nx_settings_folder(
            settings->mem, env, "XDG_STATE_HOME", ".local/state", "nexus/sessions");
    if (!path) {
        snprintf(settings->fault, sizeof(settings->fault),
                "no place for the data: HOME is not set; give --data-dir DIR or --in-memory");
        return NX_EXIT_USAGE;
    }
    r = nx_settings_replace(settings, dir, path);
    nx_mem_free(settings->mem, path);
    return r;
}

int nx_serve_check(struct nx_settings *settings, const struct nx_settings_env *env)
{
    int r = keep_within(settings, "ttl", "max-ttl");

    if (r == 0)
        r = keep_within(settings, "default-agents-v1", "max-agents");
    if (r == 0)
        r = keep_within(settings, "default-agents", "max-agents");
    if (r == 0)
        r = keep_above(settings, "max-session-bytes", "max-body");
    if (r == 0)
        r = keep_above(settings, "max-memory", "max-session-bytes");
    if (r == 0)
        r = keep_within(settings, "max-body", "max-session-bytes");
    if (r == 0)
        r = keep_within(settings, "max-session-bytes", "max-memory");
    if (r == 0)
        r = choose_store(settings, env);
    return r;
}

void nx_serve_options(struct nx_settings *settings, struct nx_session_server_options *ret_options)
{
    struct nx_session_server_options *o = ret_options;

    nx_session_server_defaults(o);
    o->listen = nx_settings_get(settings, "listen")->value;
    o->data_dir = nx_settings_get(settings, "data-dir")->value;
    if (nx_settings_flag(settings, "in-memory"))
        o->data_dir = NULL;
    o->public_url = nx_settings_get(settings, "public-url")->value;
    o->trusted_proxies = nx_settings_get(settings, "trusted-proxy")->value;
    o->loops = (unsigned)nx_settings_int(settings, "loops");
    o->rate_limit = (unsigned)nx_settings_int(settings, "rate-limit");
    o->claim_limit = (unsigned)nx_settings_int(settings, "claim-limit");
    o->ttl_default_s = nx_settings_int(settings, "ttl");
    o->ttl_max_s = nx_settings_int(settings, "max-ttl");
    o->agents_default_v1 = (unsigned)nx_settings_int(settings, "default-agents-v1");
    o->agents_default_v2 = (unsigned)nx_settings_int(settings, "default-agents");
    o->agents_max = (unsigned)nx_settings_int(settings, "max-agents");
    o->inactivity_s = nx_settings_int(settings, "agent-inactivity");
    o->durable_messages = nx_settings_flag(settings, "durable-messages");
    o->sessions_max = (size_t)nx_settings_int(settings, "max-sessions");
    o->body_bytes_max = (size_t)nx_settings_int(settings, "max-body");
    o->session_bytes_max = (size_t)nx_settings_int(settings, "max-session-bytes");
    o->memory_bytes_max = (size_t)nx_settings_int(settings, "max-memory");
    o->store_bytes_max = (size_t)nx_settings_int(settings, "max-store");
    o->connections_max = (size_t)nx_settings_int(settings, "max-connections");
    o->log_requests = nx_settings_flag(settings, "log-requests");
    o->handle_signals = true;
}

int nx_serve_exit(int error)
{
    switch ((enum nx_error)error) {
    case NX_OK:
        return NX_EXIT_OK;
    case NX_E_INVALID:
        return NX_EXIT_USAGE;
    case NX_E_BUSY:
    case NX_E_FULL:
    case NX_E_NOTFOUND:
    case NX_E_FOREIGN:
    case NX_E_DAMAGED:
        return NX_EXIT_UNAVAILABLE;
    case NX_E_NOMEM:
    case NX_E_LIMIT:
    case NX_E_IO:
    case NX_E_EXISTS:
    case NX_E_CLOSED:
    case NX_E_SYNTAX:
    case NX_E_PROTOCOL:
    case NX_E_TOO_LARGE:
    case NX_E_TIMEOUT:
    case NX_E_EOF:
    case NX_E_NETWORK:
    case NX_E_TLS:
    case NX_E_BUG:
        return NX_EXIT_FAILED;
    }
    return NX_EXIT_FAILED;
}
