/* `nexus completion SHELL`: completions for bash, zsh and fish, all three from the table of verbs.
 *
 * The scripts share one shape. They walk the words in front of the cursor, following verbs to a
 * place ("nexus session send"), stepping over values of options and counting operands; then they
 * offer what the table has for that place. */
#include "cli/completion.h"

#include <string.h>

#include "cli/commands.h"

/* One place and everything below it. */
static void each_place(FILE *to, const struct nx_verb *verb, const char *path, nx_place_fn *fn)
{
    fn(to, verb, path);
    for (size_t i = 0; i < verb->verb_count; i++) {
        const struct nx_verb *below = nx_verb_at(verb, i);
        char name[256];
        snprintf(name, sizeof(name), "%s %s", path, below->name);
        each_place(to, below, name, fn);
    }
}

void nx_places_each(FILE *to, nx_place_fn *fn)
{
    each_place(to, &nx_verb_root, "nexus", fn);
}

void nx_shell_quote(FILE *to, const char *text, const char *quote)
{
    fputc('\'', to);
    for (; *text; text++) {
        if (*text == '\'')
            fputs(quote, to);
        else
            fputc(*text, to);
    }
    fputc('\'', to);
}

/* Options may stand in front of the verb they belong to: `nexus session --url URL create`. One that
 * takes a value below counts as taking one here, unless it is a flag of another verb. */
bool nx_place_takes_value(const struct nx_verb *verb, const char *name)
{
    const struct nx_option *own = nx_option_find(verb, name);
    bool takes = false;

    if (own)
        return own->kind != NX_OPTION_FLAG;
    for (size_t i = 0; verb != &nx_verb_root && i < verb->verb_count; i++) {
        const struct nx_option *option = nx_option_find(nx_verb_at(verb, i), name);
        if (option && option->kind == NX_OPTION_FLAG)
            return false;
        takes = takes || option;
    }
    return takes;
}

void nx_place_value_options(FILE *to, const struct nx_verb *verb, const char *path,
        void (*fn)(FILE *to, const char *path, const struct nx_option *option))
{
    for (size_t i = 0; i < verb->option_count; i++) {
        if (verb->options[i].kind != NX_OPTION_FLAG)
            fn(to, path, &verb->options[i]);
    }
    for (size_t i = 0; verb != &nx_verb_root && i < verb->verb_count; i++) {
        const struct nx_verb *below = nx_verb_at(verb, i);
        for (size_t j = 0; j < below->option_count; j++) {
            const char *name = below->options[j].name;
            bool seen = nx_option_find(verb, name) != NULL;
            for (size_t k = 0; k < i && !seen; k++)
                seen = nx_option_find(nx_verb_at(verb, k), name) != NULL;
            if (!seen && nx_place_takes_value(verb, name))
                fn(to, path, &below->options[j]);
        }
    }
}

/* The operand's word in `arguments` says what it is. */
enum nx_operand nx_place_operand(const struct nx_verb *verb, size_t at, struct nx_bytes *ret_word)
{
    const char *text = verb->arguments ? verb->arguments : "";
    struct nx_bytes word = {NULL, 0};

    for (size_t i = 0; i <= at; i++) {
        text += strspn(text, " ");
        word = nx_bytes_of(text, strcspn(text, " "));
        text += word.len;
    }
    *ret_word = word;
    if (word.len == 0)
        return NX_OPERAND_NONE;
    if (memchr(word.ptr, '|', word.len))
        return NX_OPERAND_WORDS;
    if (memmem(word.ptr, word.len, "SESSION", 7))
        return NX_OPERAND_SESSION;
    /* A name behind a session is a new one; one that comes first is an alias that exists. */
    if (at == 0 && nx_bytes_equal(word, NX_BYTES("NAME")))
        return NX_OPERAND_SESSION;
    if (memmem(word.ptr, word.len, "FILE", 4))
        return NX_OPERAND_FILE;
    return NX_OPERAND_OTHER;
}

/* "a|b|c" or "words:a b c" as words with blanks between them. */
void nx_place_words(FILE *to, struct nx_bytes word)
{
    for (size_t i = 0; i < word.len; i++) {
        char c = word.ptr[i];
        if (c == '|')
            c = ' ';
        if (c != '[' && c != ']')
            fputc(c, to);
    }
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
    if (strcmp(args.operands[0], "bash") == 0)
        nx_completion_bash(stdout);
    else if (strcmp(args.operands[0], "zsh") == 0)
        nx_completion_zsh(stdout);
    else
        nx_completion_fish(stdout);
    return NX_EXIT_OK;
}
