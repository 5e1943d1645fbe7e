/* `nexus VERB ...`: finds the verb and hands over. Nothing is set up before, so that what needs
 * little is quick; a verb that needs much is a helper program. */
#include <errno.h>
#include <string.h>

#include "cli/commands.h"

static int print_version(void)
{
    puts("nexus " NX_VERSION);
    return NX_EXIT_OK;
}

/* A verb that takes neither options nor arguments. */
static int command_version(int argc, char **argv)
{
    struct nx_args args;
    bool help;
    int r;

    r = nx_args_parse(
            nx_verb_find(&nx_verb_root, "version"), "nexus version", argc, argv, &args, &help);
    if (r == 0 && !help)
        r = nx_args_check_operands(&args, "nexus version");
    return r != 0 || help ? r : print_version();
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
        {"serve", nx_command_serve},
        {"config", nx_command_config},
        {"help", nx_command_help},
        {"version", command_version},
        {"completion", nx_command_completion},
        {"man", nx_command_man},
};

static int run_verb(const struct nx_verb *verb, int argc, char **argv)
{
    if (verb->program)
        return nx_helper_run(verb, argc, argv);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, verb->name) == 0)
            return commands[i].run(argc, argv);
    }
    fprintf(stderr, "nexus: the verb '%s' has no program\n", verb->name);
    return NX_EXIT_UNAVAILABLE;
}

/* Options in front of any verb: --help, --version. */
static int run_root(int argc, char **argv)
{
    struct nx_args args;
    bool help;
    int r;

    r = nx_args_parse(&nx_verb_root, "nexus", argc, argv, &args, &help);
    if (r != 0 || help)
        return r;
    if (nx_args_flag(&args, "version"))
        return print_version();
    if (args.operand_count > 0)
        return nx_verb_unknown(&nx_verb_root, "nexus", args.operands[0]);
    nx_help_print(stderr, &nx_verb_root, "nexus");
    return NX_EXIT_USAGE;
}

/* What was printed but could not be written is a failure, not a shorter answer. */
static int finish(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "nexus: cannot write the output: %s\n", strerror(errno));
    return code ? code : NX_EXIT_FAILED;
}

int main(int argc, char **argv)
{
    const struct nx_verb *verb = argc > 1 ? nx_verb_find(&nx_verb_root, argv[1]) : NULL;

    if (!verb)
        return finish(run_root(argc > 0 ? argc - 1 : 0, argv + (argc > 0)));
    return finish(run_verb(verb, argc - 2, argv + 2));
}
