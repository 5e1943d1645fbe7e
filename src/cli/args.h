/* Reads a command line against a verb's options: long options only (`--name value`,
 * `--name=value`, `--flag`, `--no-flag`), anywhere on the line, `--` ends them. */
#ifndef NX_CLI_ARGS_H
#define NX_CLI_ARGS_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/verb.h"

#define NX_ARGS_OPTIONS_MAX 64

/* Longest text of a fault that is handed back rather than printed. */
#define NX_FAULT_TEXT_MAX 512

/* Exit codes of every program here; `nexus help exit-codes` prints them. */
enum nx_exit {
    NX_EXIT_OK = 0,
    NX_EXIT_FAILED = 1, /* it was tried and did not work: an HTTP error, a refused address */
    NX_EXIT_USAGE = 2,  /* the command line or a setting makes no sense */
    NX_EXIT_UNAVAILABLE =
            3, /* something needed is missing or in use: address, data folder, helper */
};

struct nx_args {
    const struct nx_verb *verb;
    const char *values[NX_ARGS_OPTIONS_MAX]; /* by option index: the text, "true"/"false", NULL */
    char **operands;
    size_t operand_count;
};

/* Reads argv (behind the verb's name). A word is an option when it begins with two dashes and a
 * letter; "-" and "-- text" are operands. An option given twice counts as given last. Reorders
 * argv so that operands come first.
 * Returns 0, or NX_EXIT_USAGE after printing one line to stderr that names the fault, with a
 * suggestion when a word is near a known one. `--help` prints the verb's help and sets *ret_help;
 * the caller then exits 0. */
int nx_args_parse(const struct nx_verb *verb, const char *path, int argc, char **argv,
        struct nx_args *ret_args, bool *ret_help);

/* Checks the number of operands against verb->arguments: words in order, "[WORD]" may be missing,
 * "WORD..." may repeat, "a|b|c" must be one of these. Returns 0, or NX_EXIT_USAGE after printing
 * one line to stderr. */
int nx_args_check_operands(const struct nx_args *args, const char *path);

/* The option's text from the command line, NULL when not given there. name must be the verb's. */
const char *nx_args_get(const struct nx_args *args, const char *name);
bool nx_args_flag(const struct nx_args *args, const char *name);

/* The verb's option of that name, NULL when it has none. */
const struct nx_option *nx_option_find(const struct nx_verb *verb, const char *name);

/* Checks a value wherever it came from. Returns true, or false and a phrase that quotes it:
 * "'x' is not a number from 1 to 86400". */
bool nx_option_check(
        const struct nx_option *option, const char *text, char ret_fault[NX_FAULT_TEXT_MAX]);
/* Reads an NX_OPTION_INT or NX_OPTION_BYTES. Returns false when it is none or out of range. */
bool nx_option_int(const struct nx_option *option, const char *text, int64_t *ret_value);
/* "true", "yes", "on", "1" and their contraries, in any case. */
bool nx_option_bool(const char *text, bool *ret_value);

/* Looks for the known word nearest to a mistyped one: offer each, then read best (NULL when none is
 * near). Near is a small edit distance, or a beginning of the word. */
struct nx_nearest {
    const char *word;
    const char *best;
    unsigned distance;
};
void nx_nearest_init(struct nx_nearest *nearest, const char *word);
void nx_nearest_offer(struct nx_nearest *nearest, const char *known);

/* Copies text for a message: cut when long, controls and bytes that are no UTF-8 as '?'. */
#define NX_QUOTE_MAX 128
const char *nx_quote(const char *text, char ret_quoted[NX_QUOTE_MAX]);
/* The same with room of another size (at least 8 bytes). */
const char *nx_quote_cut(const char *text, char *ret_quoted, size_t size);

/* The known word nearest to a mistyped one, NULL when none is near (edit distance). */
const struct nx_verb *nx_verb_nearest(const struct nx_verb *parent, const char *word);
/* The i-th verb below parent. */
const struct nx_verb *nx_verb_at(const struct nx_verb *parent, size_t i);
const struct nx_verb *nx_verb_find(const struct nx_verb *parent, const char *name);

/* Prints the one line about a word that is no verb below parent. Returns NX_EXIT_USAGE. */
int nx_verb_unknown(const struct nx_verb *parent, const char *path, const char *word);

/* Prints `nexus help …` of a verb; path is "nexus session create". Colour only when `to` is a
 * terminal and NO_COLOR is unset. */
void nx_help_print(FILE *to, const struct nx_verb *verb, const char *path);
/* The columns a text takes: its UTF-8 characters. */
size_t nx_help_width(const char *text, size_t len);
/* Prints words, broken into lines of 80 columns; `column` is where the cursor is, lines begin at
 * `indent`. A line break in the text is kept. */
void nx_help_wrap(FILE *to, const char *text, size_t column, size_t indent);
/* True when `to` is a terminal that may be coloured. */
bool nx_color(FILE *to);

#endif
