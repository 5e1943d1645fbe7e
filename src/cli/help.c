/* Help for people, made from the table of verbs: wrapped to 80 columns, bold headings on a
 * terminal. Manual pages and completions are made elsewhere (man.c, completion.c). */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/args.h"

#define COLUMNS 80

bool nx_color(FILE *to)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    if (no_color && *no_color)
        return false;
    if (!term || strcmp(term, "dumb") == 0)
        return false;
    return isatty(fileno(to)) == 1;
}

size_t nx_help_width(const char *text, size_t len)
{
    size_t width = 0;

    for (size_t i = 0; i < len; i++)
        width += ((unsigned char)text[i] & 0xC0) != 0x80;
    return width;
}

void nx_help_wrap(FILE *to, const char *text, size_t column, size_t indent)
{
    bool begun = false;

    while (*text) {
        size_t len, width;
        if (*text == '\n') {
            fputc('\n', to);
            column = 0;
            begun = false;
            text++;
            continue;
        }
        len = strcspn(text, " \n");
        width = nx_help_width(text, len);
        if (begun && column + 1 + width > COLUMNS) {
            fputc('\n', to);
            column = 0;
            begun = false;
        }
        if (begun) {
            fputc(' ', to);
            column++;
        }
        for (; column < indent; column++)
            fputc(' ', to);
        fwrite(text, 1, len, to);
        column += width;
        begun = true;
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', to);
}

static void heading(FILE *to, const char *text)
{
    if (nx_color(to))
        fprintf(to, "\n\033[1m%s\033[0m\n", text);
    else
        fprintf(to, "\n%s\n", text);
}

static void option(FILE *to, const struct nx_option *o)
{
    bool shown = o->fallback && o->kind != NX_OPTION_FLAG;
    char text[1024];

    if (o->value_name)
        fprintf(to, "  --%s %s\n", o->name, o->value_name);
    else if (o->fallback)
        fprintf(to, "  --%s, --no-%s\n", o->name, o->name);
    else
        fprintf(to, "  --%s\n", o->name);
    snprintf(text, sizeof(text), "%s%s%s%s%s%s%s%s%s", o->help, shown ? " (default " : "",
            shown ? o->fallback : "", shown ? ")" : "", o->env ? " [" : "", o->env ? o->env : "",
            o->env && o->env_old ? ", " : "", o->env && o->env_old ? o->env_old : "",
            o->env ? "]" : "");
    fputs("      ", to);
    nx_help_wrap(to, text, 6, 6);
}

static void verbs(FILE *to, const struct nx_verb *verb)
{
    size_t widest = 0;

    for (size_t i = 0; i < verb->verb_count; i++) {
        size_t width = strlen(verb->verbs[i].name);
        if (width > widest)
            widest = width;
    }
    for (size_t i = 0; i < verb->verb_count; i++) {
        const struct nx_verb *below = nx_verb_at(verb, i);
        fprintf(to, "  %-*s  ", (int)widest, below->name);
        nx_help_wrap(to, below->summary, widest + 4, widest + 4);
    }
}

void nx_help_print(FILE *to, const struct nx_verb *verb, const char *path)
{
    bool takes = verb->arguments && *verb->arguments;

    fprintf(to, "%s: ", path);
    nx_help_wrap(to, verb->summary, strlen(path) + 2, 2);
    fprintf(to, "\nusage: %s%s%s%s\n", path, takes ? " " : "", takes ? verb->arguments : "",
            " [OPTIONS]");
    if (verb->verb_count && verb != &nx_verb_root)
        fprintf(to, "       %s VERB ...\n", path);
    if (verb->description) {
        fputc('\n', to);
        nx_help_wrap(to, verb->description, 0, 0);
    }
    if (verb->verb_count) {
        heading(to, "Verbs");
        verbs(to, verb);
    }
    heading(to, "Options");
    for (size_t i = 0; i < verb->option_count; i++)
        option(to, &verb->options[i]);
    fputs("  --help\n      print this\n", to);
    if (verb->verb_count)
        fprintf(to, "\n%s VERB --help tells more about a verb.\n", path);
    if (verb == &nx_verb_root)
        fputs("More topics: nexus help exit-codes, nexus help environment, nexus help settings.\n",
                to);
}
