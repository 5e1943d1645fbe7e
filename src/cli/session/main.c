/* `nexus-session`: the helper program behind `nexus session`. Finds the verb wherever it stands on
 * the line, reads the options, and hands over. */
#include <string.h>

#include "cli/session/cmd.h"

#define PATH "nexus session"

static const struct {
    const char *name;
    int (*run)(struct nx_cmd *cmd);
} commands[] = {
        {"create", nx_verb_run_create},
        {"status", nx_verb_run_status},
        {"join", nx_verb_run_join},
        {"pair", nx_verb_run_pair},
        {"claim", nx_verb_run_claim},
        {"pair-status", nx_verb_run_pair_status},
        {"send", nx_verb_run_send},
        {"poll", nx_verb_run_poll},
        {"renew", nx_verb_run_renew},
        {"leave", nx_verb_run_leave},
        {"alias", nx_verb_run_alias},
        {"unalias", nx_verb_run_unalias},
        {"ls", nx_verb_run_ls},
        {"poll-all", nx_verb_run_poll_all},
        {"config", nx_verb_run_config},
        {"bind", nx_verb_run_bind},
        {"doctor", nx_verb_run_doctor},
        {"poll-daemon", nx_verb_run_poll_daemon},
        {"heartbeat", nx_verb_run_heartbeat},
        {"poll-status", nx_verb_run_poll_status},
};

/* What every verb takes, because scripts put it anywhere. A verb's own option of the same name is
 * stronger: `--json` is a payload for send and a flag for ls. */
static const char *const shared_names[] = {"url", "ttl", "greeting", "max-agents",
        "creator-agent-id", "agent-id", "after", "members", "interval", "json", "strict", "active",
        "yes"};

/* The first verb's option of that name. */
static const struct nx_option *any_option(const char *name, size_t len)
{
    for (size_t i = 0; i < nx_verb_session.verb_count; i++) {
        const struct nx_verb *verb = nx_verb_at(&nx_verb_session, i);

        for (size_t j = 0; j < verb->option_count; j++) {
            if (strlen(verb->options[j].name) == len &&
                    memcmp(verb->options[j].name, name, len) == 0)
                return &verb->options[j];
        }
    }
    return NULL;
}

/* Where the verb stands: the first word that is no option and no option's value. Returns argc when
 * there is none. */
static int find_verb(int argc, char **argv)
{
    for (int at = 0; at < argc; at++) {
        const char *word = argv[at];
        const struct nx_option *option;

        if (strcmp(word, "--") == 0)
            return at + 1;
        if (word[0] != '-' || word[1] != '-')
            return at;
        option = any_option(word + 2, strlen(word + 2));
        if (!option || option->kind == NX_OPTION_FLAG)
            continue;
        /* `--json ls` is the flag, `--json '{}' send` the payload. */
        if (strcmp(option->name, "json") == 0 && at + 1 < argc &&
                nx_verb_find(&nx_verb_session, argv[at + 1]))
            continue;
        at++;
    }
    return argc;
}

static bool asks_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0)
            return true;
    }
    return false;
}

/* The verb with its own options first and the shared ones behind them. */
static void widen(const struct nx_verb *verb, struct nx_option options[NX_ARGS_OPTIONS_MAX],
        struct nx_verb *ret_verb)
{
    size_t count = verb->option_count;

    if (count > 0)
        memcpy(options, verb->options, count * sizeof(*options));
    for (size_t i = 0; i < sizeof(shared_names) / sizeof(shared_names[0]); i++) {
        if (!nx_option_find(verb, shared_names[i]))
            options[count++] = *any_option(shared_names[i], strlen(shared_names[i]));
    }
    *ret_verb = *verb;
    ret_verb->options = options;
    ret_verb->option_count = count;
}

static int run_help(int argc, char **argv)
{
    const struct nx_verb *verb;
    char path[64];

    if (argc == 0) {
        nx_help_print(stdout, &nx_verb_session, PATH);
        return NX_EXIT_OK;
    }
    verb = nx_verb_find(&nx_verb_session, argv[0]);
    if (!verb)
        return nx_verb_unknown(&nx_verb_session, PATH, argv[0]);
    snprintf(path, sizeof(path), PATH " %s", verb->name);
    nx_help_print(stdout, verb, path);
    return NX_EXIT_OK;
}

static int run(struct nx_cmd *cmd, const char *name)
{
    int r = nx_state_init(&cmd->state, cmd->mem);
    int code = NX_EXIT_UNAVAILABLE;

    if (r < 0) {
        nx_cmd_say(cmd, "there is no home folder to keep the state in; set HOME");
    } else {
        code = nx_cmd_settings(cmd);
        for (size_t i = 0; code == 0 && i < sizeof(commands) / sizeof(commands[0]); i++) {
            if (strcmp(commands[i].name, name) == 0) {
                code = commands[i].run(cmd);
                break;
            }
        }
    }
    nx_state_done(&cmd->state);
    return code;
}

int main(int argc, char **argv)
{
    struct nx_option options[NX_ARGS_OPTIONS_MAX];
    struct nx_cmd cmd = {.mem = nx_mem_libc()};
    const struct nx_verb *verb;
    struct nx_verb wide;
    bool help;
    int at, r;

    argc = argc > 0 ? argc - 1 : 0;
    argv++;
    at = find_verb(argc, argv);
    if (at >= argc) {
        help = asks_help(argc, argv);
        nx_help_print(help ? stdout : stderr, &nx_verb_session, PATH);
        return help ? NX_EXIT_OK : NX_EXIT_USAGE;
    }
    verb = nx_verb_find(&nx_verb_session, argv[at]);
    if (!verb)
        return nx_verb_unknown(&nx_verb_session, PATH, argv[at]);
    memmove(argv + at, argv + at + 1, (size_t)(argc - at - 1) * sizeof(*argv));
    argc--;
    snprintf(cmd.path, sizeof(cmd.path), PATH " %s", verb->name);
    if (asks_help(argc, argv)) {
        nx_help_print(stdout, verb, cmd.path);
        return NX_EXIT_OK;
    }
    if (strcmp(verb->name, "help") == 0)
        return run_help(argc, argv);
    widen(verb, options, &wide);
    r = nx_args_parse(&wide, cmd.path, argc, argv, &cmd.args, &help);
    if (r == 0)
        r = nx_args_check_operands(&cmd.args, cmd.path);
    return r != 0 ? r : run(&cmd, verb->name);
}
