/* The verbs that this program runs itself. Each gets the words behind its name and returns an exit
 * code of args.h. */
#ifndef NX_CLI_COMMANDS_H
#define NX_CLI_COMMANDS_H

#include "cli/settings.h"
#include "node/session_server.h"

int nx_command_serve(int argc, char **argv);
int nx_command_config(int argc, char **argv);
int nx_command_help(int argc, char **argv);
int nx_command_completion(int argc, char **argv);
int nx_command_man(int argc, char **argv);

/* What the settings of `nexus serve` have to do with each other: defaults kept within given caps,
 * in-memory against data-dir. Returns 0, or an exit code with settings->fault. */
int nx_serve_check(struct nx_settings *settings, const struct nx_settings_env *env);
/* Fills the options from checked settings; the texts stay the settings'. */
void nx_serve_options(struct nx_settings *settings, struct nx_session_server_options *ret_options);
/* The exit code of an error of nx_session_server_run. */
int nx_serve_exit(int error);

/* Help topics beside the verbs: "exit-codes", "environment", "settings". Prints and returns true,
 * false when there is no such topic. */
bool nx_topic_print(FILE *to, const char *name);
size_t nx_topic_count(void);
const char *nx_topic_name(size_t i);
/* Calls back for each environment variable of the table and for those of no option; used by the
 * topic and the manual pages. verb NULL: all. */
void nx_environment_each(const struct nx_verb *verb,
        void (*each)(void *ctx, const char *name, const char *help), void *ctx);

struct nx_exit_text {
    enum nx_exit code;
    const char *text;
};
extern const struct nx_exit_text nx_exit_texts[4];

/* A manual page in roff. */
void nx_man_print(FILE *to, const struct nx_verb *verb, const char *path);

/* The helper program that runs a verb. Does not return but on failure. */
int nx_helper_run(const struct nx_verb *verb, int argc, char **argv);

#endif
