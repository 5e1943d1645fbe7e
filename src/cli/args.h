/* Reads a command line against a verb's options: long options only (`--name value`,
 * `--name=value`, `--flag`, `--no-flag`), anywhere on the line, `--` ends them. */
#ifndef NX_CLI_ARGS_H
#define NX_CLI_ARGS_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/verb.h"

#define NX_ARGS_OPTIONS_MAX 64

/* Exit codes of every program here; `nexus help exit-codes` prints them. */
enum nx_exit {
    NX_EXIT_OK = 0,
    NX_EXIT_FAILED = 1,      /* it was tried and did not work: an HTTP error, a refused address */
    NX_EXIT_USAGE = 2,       /* the command line or a setting makes no sense */
    NX_EXIT_UNAVAILABLE = 3, /* something needed is missing or in use: the data folder, a helper */
};

struct nx_args {
    const struct nx_verb *verb;
    const char *values[NX_ARGS_OPTIONS_MAX]; /* by option index: the text, "true"/"false", NULL */
    char **operands;
    size_t operand_count;
};

/* Reads argv (behind the verb's name). Reorders argv so that operands come first.
 * Returns 0, or NX_EXIT_USAGE after printing one line to stderr that names the fault, with a
 * suggestion when a word is near a known one. `--help` prints the verb's help and sets *ret_help;
 * the caller then exits 0. */
int nx_args_parse(const struct nx_verb *verb, const char *path, int argc, char **argv,
        struct nx_args *ret_args, bool *ret_help);

/* The option's text from the command line, NULL when not given there. name must be the verb's. */
const char *nx_args_get(const struct nx_args *args, const char *name);
bool nx_args_flag(const struct nx_args *args, const char *name);

/* The known word nearest to a mistyped one, NULL when none is near (edit distance). */
const struct nx_verb *nx_verb_nearest(const struct nx_verb *parent, const char *word);
const struct nx_verb *nx_verb_find(const struct nx_verb *parent, const char *name);

/* Prints `nexus help …` of a verb; path is "nexus session create". Colour only when `to` is a
 * terminal and NO_COLOR is unset. */
void nx_help_print(FILE *to, const struct nx_verb *verb, const char *path);

#endif
