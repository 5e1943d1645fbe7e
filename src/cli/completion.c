/* Completions for bash, zsh and fish. */
#include <string.h>

#include "cli/commands.h"

void nx_completion_print(FILE *to, const char *shell)
{
    fprintf(to, "# %s\n", shell);
}

int nx_command_completion(int argc, char **argv)
{
    struct nx_args args;
    bool help;
    int r;

    r = nx_args_parse(nx_verb_find(&nx_verb_root, "completion"), "nexus completion", argc, argv,
            &args, &help);
    if (r == 0 && !help)
        r = nx_args_check_operands(&args, "nexus completion");
    if (r != 0 || help)
        return r;
    nx_completion_print(stdout, args.operands[0]);
    return NX_EXIT_OK;
}
