/* The settings of a verb: file < environment < flags, each checked, each with its origin.
 *
 * Allocates from what it is given and reads the environment through a function, so a test can set
 * both. Reads the configuration file itself. */
#ifndef NX_CLI_SETTINGS_H
#define NX_CLI_SETTINGS_H

#include "base/mem.h"
#include "cli/args.h"

#define NX_SETTINGS_FILE_MAX ((size_t)256 * 1024)

enum nx_setting_source {
    NX_SETTING_DEFAULT,
    NX_SETTING_FILE,
    NX_SETTING_ENVIRONMENT,
    NX_SETTING_FLAG,
};

/* One option of the verb. Values are as nexus config prints them: "true", "false", bytes without a
 * suffix. */
struct nx_setting {
    const struct nx_option *option;
    char *value;        /* NULL: not set, and no default */
    const char *origin; /* the variable's name; NULL but for NX_SETTING_ENVIRONMENT */
    enum nx_setting_source source;
};

struct nx_settings_env {
    const char *(*get)(void *ctx, const char *name); /* NULL when there is no such variable */
    void *ctx;
};

struct nx_settings {
    const struct nx_mem *mem;
    const struct nx_verb *verb;
    struct nx_setting items[NX_ARGS_OPTIONS_MAX]; /* by the verb's option index */
    char *path;                                   /* of the configuration file, NULL without HOME */
    bool path_given;                              /* by --config or NEXUS_CONFIG */
    bool path_read;
    char fault[NX_FAULT_TEXT_MAX]; /* one line, without the program's name in front */
};

/* The process's own environment. An empty variable counts as not set. */
struct nx_settings_env nx_settings_environ(void);

/* True for an option that the file and the environment may set. */
bool nx_setting_is(const struct nx_option *option);

/* Finds the configuration file's path alone. `given` is the flag's text or NULL. Returns 0 or an
 * exit code with settings->fault. */
int nx_settings_find(struct nx_settings *settings, const struct nx_mem *mem,
        const struct nx_settings_env *env, const char *given);

/* Loads all. `args` are the flags (their verb may be another one with the same option names).
 * Returns 0, or an exit code with settings->fault. Either way nx_settings_done frees. */
int nx_settings_load(struct nx_settings *settings, const struct nx_mem *mem,
        const struct nx_verb *verb, const struct nx_args *args, const struct nx_settings_env *env);
void nx_settings_done(struct nx_settings *settings);

/* The setting of that name; the verb must have it. */
struct nx_setting *nx_settings_get(struct nx_settings *settings, const char *name);
int64_t nx_settings_int(struct nx_settings *settings, const char *name);
bool nx_settings_flag(struct nx_settings *settings, const char *name);
/* Replaces a value, its origin stays. Returns 0 or an exit code with settings->fault. */
int nx_settings_replace(struct nx_settings *settings, struct nx_setting *setting, const char *text);

/* $VARIABLE/rest, or $HOME/home_rest/rest when the variable is not an absolute path (XDG base
 * directories). Returns a text from mem, NULL when HOME is missing too or memory is out. */
char *nx_settings_folder(const struct nx_mem *mem, const struct nx_settings_env *env,
        const char *variable, const char *home_rest, const char *rest);

/* Where a setting comes from, for people: "default", "--ttl", "PORT (environment)", the path. */
const char *nx_setting_origin(const struct nx_settings *settings, const struct nx_setting *setting,
        char ret_text[NX_FAULT_TEXT_MAX]);

/* The configuration file as text, the part that needs no file: strict JSON, an object of sections.
 * Returns 0 or NX_EXIT_USAGE with settings->fault. */
int nx_settings_read_text(
        struct nx_settings *settings, const char *path, const char *text, size_t len);

#endif
