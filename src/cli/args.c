/* Reads a command line against the table of verbs and options (verb.h): long options only, anywhere
 * on the line. Says in one line what is wrong and what may have been meant.
 *
 * Does not read settings from files or the environment: settings.c. */
#include "cli/args.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "base/bytes.h"

#define WORD_MAX 48 /* longer words are near to nothing */

const char *nx_quote_cut(const char *text, char *ret_quoted, size_t size)
{
    size_t len = strnlen(text, size);
    bool cut = len > size - 4;
    bool utf8;

    if (cut) {
        len = size - 4;
        while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80)
            len--;
    }
    utf8 = nx_utf8_valid(nx_bytes_of(text, len));
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        /* U+0080 to U+009F are controls too: C2 80 to C2 9F. */
        bool c1 = utf8 && c == 0xC2 && (unsigned char)text[i + 1] < 0xA0;
        bool plain = c >= 0x20 && c != 0x7F && (c < 0x80 || (utf8 && !c1));
        ret_quoted[i] = plain ? (char)c : '?';
        if (c1)
            ret_quoted[++i] = '?';
    }
    memcpy(ret_quoted + len, "...", cut ? 4 : 0);
    if (!cut)
        ret_quoted[len] = '\0';
    return ret_quoted;
}

const char *nx_quote(const char *text, char ret_quoted[NX_QUOTE_MAX])
{
    return nx_quote_cut(text, ret_quoted, NX_QUOTE_MAX);
}

/* Optimal string alignment: insertions, deletions, changes and swaps of neighbours. */
static unsigned edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][WORD_MAX + 1];

    assert(a_len <= WORD_MAX && b_len <= WORD_MAX);
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *now = rows[i % 3];
        const unsigned *last = rows[(i + 2) % 3];
        const unsigned *before = rows[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                    before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[a_len % 3][b_len];
}

void nx_nearest_init(struct nx_nearest *nearest, const char *word)
{
    size_t len = strnlen(word, WORD_MAX + 1);

    nearest->word = len > WORD_MAX || len == 0 ? NULL : word;
    nearest->best = NULL;
    /* One past what still counts as near: 1 change in 4 letters, 2 in 7, 3 in more. */
    nearest->distance = len <= 1 ? 0 : len <= 4 ? 2 : len <= 7 ? 3 : 4;
}

void nx_nearest_offer(struct nx_nearest *nearest, const char *known)
{
    char word[WORD_MAX + 1] = {0};
    size_t word_len, known_len = strlen(known);
    unsigned distance;

    if (!nearest->word || known_len > WORD_MAX)
        return;
    word_len = strlen(nearest->word);
    for (size_t i = 0; i < word_len; i++) {
        char c = nearest->word[i];
        word[i] = c == '_' ? '-' : (char)tolower((unsigned char)c);
    }
    distance = edit_distance(word, word_len, known, known_len);
    if (word_len >= 3 && known_len > word_len && memcmp(word, known, word_len) == 0)
        distance = 1;
    if (distance < nearest->distance) {
        nearest->best = known;
        nearest->distance = distance;
    }
}

const struct nx_verb *nx_verb_at(const struct nx_verb *parent, size_t i)
{
    const struct nx_verb *verb = &parent->verbs[i];

    return verb->elsewhere ? verb->elsewhere : verb;
}

const struct nx_verb *nx_verb_find(const struct nx_verb *parent, const char *name)
{
    for (size_t i = 0; i < parent->verb_count; i++) {
        if (strcmp(parent->verbs[i].name, name) == 0)
            return nx_verb_at(parent, i);
    }
    return NULL;
}

const struct nx_verb *nx_verb_nearest(const struct nx_verb *parent, const char *word)
{
    struct nx_nearest nearest;

    nx_nearest_init(&nearest, word);
    for (size_t i = 0; i < parent->verb_count; i++)
        nx_nearest_offer(&nearest, parent->verbs[i].name);
    return nearest.best ? nx_verb_find(parent, nearest.best) : NULL;
}

int nx_verb_unknown(const struct nx_verb *parent, const char *path, const char *word)
{
    const struct nx_verb *near = nx_verb_nearest(parent, word);
    char quoted[NX_QUOTE_MAX];

    nx_quote(word, quoted);
    if (near)
        fprintf(stderr, "%s: unknown verb '%s'; did you mean '%s'?\n", path, quoted, near->name);
    else
        fprintf(stderr, "%s: unknown verb '%s'; '%s --help' lists them\n", path, quoted, path);
    return NX_EXIT_USAGE;
}

const struct nx_option *nx_option_find(const struct nx_verb *verb, const char *name)
{
    for (size_t i = 0; i < verb->option_count; i++) {
        if (strcmp(verb->options[i].name, name) == 0)
            return &verb->options[i];
    }
    return NULL;
}

bool nx_option_bool(const char *text, bool *ret_value)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (nx_bytes_equal_nocase(nx_bytes_str(text), nx_bytes_str(words[i]))) {
            *ret_value = i % 2 == 1;
            return true;
        }
    }
    return false;
}

bool nx_option_int(const struct nx_option *option, const char *text, int64_t *ret_value)
{
    struct nx_bytes digits = nx_bytes_str(text);
    bool negative = digits.len > 0 && digits.ptr[0] == '-';
    unsigned shift = 0;
    uint64_t number;
    int64_t value;

    if (negative)
        digits = nx_bytes_from(digits, 1);
    if (option->kind == NX_OPTION_BYTES && digits.len > 0) {
        const char *suffix = strchr("kmg", tolower((unsigned char)digits.ptr[digits.len - 1]));
        if (suffix) {
            shift = *suffix == 'k' ? 10 : *suffix == 'm' ? 20 : 30;
            digits.len--;
        }
    }
    if (!nx_bytes_u64(digits, &number) || number > ((uint64_t)INT64_MAX >> shift))
        return false;
    value = (int64_t)(number << shift);
    if (negative)
        value = -value;
    if (value < option->min || value > option->max)
        return false;
    *ret_value = value;
    return true;
}

bool nx_option_check(
        const struct nx_option *option, const char *text, char ret_fault[NX_FAULT_TEXT_MAX])
{
    char quoted[NX_QUOTE_MAX];
    const char *wanted;
    int64_t number;
    bool flag;

    nx_quote(text, quoted);
    switch (option->kind) {
    case NX_OPTION_FLAG:
        if (nx_option_bool(text, &flag))
            return true;
        snprintf(ret_fault, NX_FAULT_TEXT_MAX, "'%s' is neither true nor false", quoted);
        return false;
    case NX_OPTION_TEXT:
        wanted = option->check ? option->check(text) : NULL;
        if (!wanted)
            return true;
        snprintf(ret_fault, NX_FAULT_TEXT_MAX, "'%s' is not %s", quoted, wanted);
        return false;
    case NX_OPTION_INT:
    case NX_OPTION_BYTES:
        if (nx_option_int(option, text, &number))
            return true;
        snprintf(ret_fault, NX_FAULT_TEXT_MAX, "'%s' is not a number%s from %lld to %lld", quoted,
                option->kind == NX_OPTION_BYTES ? " of bytes" : "", (long long)option->min,
                (long long)option->max);
        return false;
    }
    return false;
}

static int unknown_option(
        const struct nx_verb *verb, const char *path, const char *word, size_t name_len)
{
    char name[WORD_MAX + 2], quoted[NX_QUOTE_MAX];
    struct nx_nearest nearest;

    if (name_len > WORD_MAX + 1)
        name_len = WORD_MAX + 1;
    memcpy(name, word + 2, name_len);
    name[name_len] = '\0';
    nx_nearest_init(&nearest, name);
    for (size_t i = 0; i < verb->option_count; i++)
        nx_nearest_offer(&nearest, verb->options[i].name);
    nx_nearest_offer(&nearest, "help");
    nx_quote(word, quoted);
    if (strlen(quoted) > name_len + 2 && name_len <= WORD_MAX)
        quoted[name_len + 2] = '\0';
    if (nearest.best)
        fprintf(stderr, "%s: unknown option '%s'; did you mean '--%s'?\n", path, quoted,
                nearest.best);
    else
        fprintf(stderr, "%s: unknown option '%s'; '%s --help' lists them\n", path, quoted, path);
    return NX_EXIT_USAGE;
}

/* The option a word "--name", "--name=value" or "--no-name" stands for, NULL when none. */
static const struct nx_option *option_of(
        const struct nx_verb *verb, const char *name, size_t len, bool *ret_negated)
{
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < verb->option_count; i++) {
            const struct nx_option *option = &verb->options[i];
            if (pass == 1 && option->kind != NX_OPTION_FLAG)
                continue;
            if (strlen(option->name) == len && memcmp(option->name, name, len) == 0) {
                *ret_negated = pass == 1;
                return option;
            }
        }
        if (len <= 3 || memcmp(name, "no-", 3) != 0)
            return NULL;
        name += 3;
        len -= 3;
    }
    return NULL;
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] == '-' && isalpha((unsigned char)word[2]);
}

/* A value is missing when the next word is an option of this verb: `--url --ttl 5`. Other words
 * with dashes in front may be meant as text. */
static bool is_known_option(const struct nx_verb *verb, const char *word)
{
    bool negated;

    if (strcmp(word, "--") == 0 || strcmp(word, "--help") == 0)
        return true;
    return is_option(word) && option_of(verb, word + 2, strcspn(word + 2, "="), &negated);
}

/* Reads the option at argv[at]. Returns how many words it took, 0 after printing a fault. */
static int read_option(struct nx_args *args, const char *path, int argc, char **argv, int at)
{
    const char *word = argv[at];
    size_t len = strcspn(word + 2, "=");
    const char *value = word[2 + len] == '=' ? word + 2 + len + 1 : NULL;
    const struct nx_option *option;
    char fault[NX_FAULT_TEXT_MAX];
    bool negated = false;
    int taken = 1;

    option = option_of(args->verb, word + 2, len, &negated);
    if (!option) {
        unknown_option(args->verb, path, word, len);
        return 0;
    }
    if (option->kind == NX_OPTION_FLAG) {
        if (value) {
            fprintf(stderr, "%s: --%.*s takes no value\n", path, (int)len, word + 2);
            return 0;
        }
        args->values[option - args->verb->options] = negated ? "false" : "true";
        return 1;
    }
    if (!value) {
        if (at + 1 >= argc || is_known_option(args->verb, argv[at + 1])) {
            fprintf(stderr, "%s: --%s needs a value: --%s %s\n", path, option->name, option->name,
                    option->value_name ? option->value_name : "VALUE");
            return 0;
        }
        value = argv[at + 1];
        taken = 2;
    }
    if (!nx_option_check(option, value, fault)) {
        fprintf(stderr, "%s: --%s: %s\n", path, option->name, fault);
        return 0;
    }
    args->values[option - args->verb->options] = value;
    return taken;
}

static void print_help(const struct nx_verb *verb, const char *path)
{
    nx_help_print(stdout, verb, path);
}

int nx_args_parse(const struct nx_verb *verb, const char *path, int argc, char **argv,
        struct nx_args *ret_args, bool *ret_help)
{
    struct nx_args args = {.verb = verb};
    int operands = 0, at = 0;

    assert(verb->option_count <= NX_ARGS_OPTIONS_MAX);
    *ret_help = false;
    while (at < argc) {
        char *word = argv[at];
        if (strcmp(word, "--") == 0) {
            for (at++; at < argc; at++)
                argv[operands++] = argv[at];
            break;
        }
        if (strcmp(word, "--help") == 0 && !nx_option_find(verb, "help")) {
            print_help(verb, path);
            *ret_help = true;
            return 0;
        }
        if (is_option(word)) {
            int taken = read_option(&args, path, argc, argv, at);
            if (taken == 0)
                return NX_EXIT_USAGE;
            at += taken;
            continue;
        }
        if (word[0] == '-' && isalpha((unsigned char)word[1]) && word[2] == '\0') {
            fprintf(stderr, "%s: unknown option '%s'; options are long, '%s --help' lists them\n",
                    path, word, path);
            return NX_EXIT_USAGE;
        }
        argv[operands++] = word;
        at++;
    }
    args.operands = argv;
    args.operand_count = (size_t)operands;
    *ret_args = args;
    return 0;
}

const char *nx_args_get(const struct nx_args *args, const char *name)
{
    const struct nx_option *option = nx_option_find(args->verb, name);

    assert(option);
    return args->values[option - args->verb->options];
}

bool nx_args_flag(const struct nx_args *args, const char *name)
{
    const char *value = nx_args_get(args, name);

    return value && strcmp(value, "true") == 0;
}

/* Checks an operand against the word of `arguments` that stands for it ("a|b|c"). */
static int check_choice(const char *path, struct nx_bytes word, const char *operand)
{
    char quoted[NX_QUOTE_MAX];
    const char *at = word.ptr, *end = word.ptr + word.len;
    struct nx_nearest nearest;
    char choices[8][WORD_MAX];

    if (!memchr(word.ptr, '|', word.len))
        return 0;
    nx_nearest_init(&nearest, operand);
    for (size_t i = 0; i < 8 && at < end; i++) {
        const char *bar = memchr(at, '|', (size_t)(end - at));
        size_t len = (size_t)((bar ? bar : end) - at);
        assert(len < WORD_MAX);
        memcpy(choices[i], at, len);
        choices[i][len] = '\0';
        if (strcmp(choices[i], operand) == 0)
            return 0;
        nx_nearest_offer(&nearest, choices[i]);
        at += len + 1;
    }
    nx_quote(operand, quoted);
    if (nearest.best)
        fprintf(stderr, "%s: '%s' is not one of %.*s; did you mean '%s'?\n", path, quoted,
                (int)word.len, word.ptr, nearest.best);
    else
        fprintf(stderr, "%s: '%s' is not one of %.*s\n", path, quoted, (int)word.len, word.ptr);
    return NX_EXIT_USAGE;
}

int nx_args_check_operands(const struct nx_args *args, const char *path)
{
    const char *at = args->verb->arguments;
    char quoted[NX_QUOTE_MAX];
    size_t used = 0;

    while (*at) {
        struct nx_bytes word = {at, strcspn(at, " ")};
        bool optional = *at == '[';
        at += word.len;
        at += strspn(at, " ");
        if (memmem(word.ptr, word.len, "...", 3)) {
            if (used < args->operand_count || optional)
                return 0;
        }
        if (used >= args->operand_count) {
            if (optional)
                return 0;
            fprintf(stderr, "%s: %.*s is missing; usage: %s %s\n", path, (int)word.len, word.ptr,
                    path, args->verb->arguments);
            return NX_EXIT_USAGE;
        }
        if (check_choice(path, word, args->operands[used++]) != 0)
            return NX_EXIT_USAGE;
    }
    if (used < args->operand_count) {
        fprintf(stderr, "%s: unexpected argument '%s'; '%s --help' tells what it takes\n", path,
                nx_quote(args->operands[used], quoted), path);
        return NX_EXIT_USAGE;
    }
    return 0;
}
