/* What the three shells' completions have in common: walks over the table of verbs. A place is a
 * verb with its path, "nexus session send". */
#ifndef NX_CLI_COMPLETION_H
#define NX_CLI_COMPLETION_H

#include "base/bytes.h"
#include "cli/args.h"

#define NX_OPERANDS_SHOWN 4 /* operands of a verb that completions look at */

enum nx_operand {
    NX_OPERAND_NONE,
    NX_OPERAND_WORDS, /* "bash|zsh|fish" */
    NX_OPERAND_SESSION,
    NX_OPERAND_FILE,
    NX_OPERAND_OTHER,
};

typedef void nx_place_fn(FILE *to, const struct nx_verb *verb, const char *path);

/* Calls fn for the root and everything below it. */
void nx_places_each(FILE *to, nx_place_fn *fn);
bool nx_place_takes_value(const struct nx_verb *verb, const char *name);
/* Calls fn for every option that takes a value at this place. */
void nx_place_value_options(FILE *to, const struct nx_verb *verb, const char *path,
        void (*fn)(FILE *to, const char *path, const struct nx_option *option));
/* What the at-th operand is, counted from 0, and its word. */
enum nx_operand nx_place_operand(const struct nx_verb *verb, size_t at, struct nx_bytes *ret_word);
void nx_place_words(FILE *to, struct nx_bytes word);

/* 'text', each quote in it written as `quote`: "'\\''" for bash and zsh, "\\'" for fish. */
void nx_shell_quote(FILE *to, const char *text, const char *quote);

void nx_completion_bash(FILE *to);
void nx_completion_zsh(FILE *to);
void nx_completion_fish(FILE *to);

#endif
