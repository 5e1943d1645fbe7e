/* Manual pages in roff (man(7) macros), from the table of verbs. Every character that is not plain
 * text is written as an escape, so the page needs no encoding. */
#include <string.h>

#include "base/bytes.h"
#include "cli/commands.h"

/* Reads one character of UTF-8 at text. Returns its bytes, 1 for one that is none. */
static size_t character(const char *text, uint32_t *ret_code)
{
    static const unsigned char lead[] = {0, 0, 0x1F, 0x0F, 0x07};
    unsigned char first = (unsigned char)text[0];
    size_t len = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    uint32_t code;

    *ret_code = first < 0x80 ? first : 0xFFFD;
    if (len == 1 || strnlen(text, len) < len || !nx_utf8_valid(nx_bytes_of(text, len)))
        return 1;
    code = first & lead[len];
    for (size_t i = 1; i < len; i++)
        code = code << 6 | ((unsigned char)text[i] & 0x3F);
    *ret_code = code;
    return len;
}

/* Text at the beginning of a line or not: a dot or a quote there would be a request. A line break
 * ends the output line. */
static void roff(FILE *to, const char *text, bool line_start)
{
    while (*text) {
        uint32_t code;
        size_t len = character(text, &code);
        if (line_start && (code == '.' || code == '\''))
            fputs("\\&", to);
        line_start = false;
        if (code == '-')
            fputs("\\-", to);
        else if (code == '\\')
            fputs("\\(rs", to);
        else if (code == '"')
            fputs("\\(dq", to);
        else if (code == '\'')
            fputs("\\(aq", to);
        else if (code == '^')
            fputs("\\(ha", to);
        else if (code == '~')
            fputs("\\(ti", to);
        else if (code == '`')
            fputs("\\(ga", to);
        else if (code == '\n') {
            fputs("\n.br\n", to);
            line_start = true;
        } else if (code < 0x80)
            fputc((int)code, to);
        else
            fprintf(to, "\\[u%04X]", (unsigned)code);
        text += len;
    }
}

/* Paragraphs, with an empty line between them. */
static void paragraphs(FILE *to, const char *text)
{
    while (*text) {
        const char *end = strstr(text, "\n\n");
        char part[2048];
        size_t len = end ? (size_t)(end - text) : strlen(text);
        if (len >= sizeof(part))
            len = sizeof(part) - 1;
        memcpy(part, text, len);
        part[len] = '\0';
        roff(to, part, true);
        fputc('\n', to);
        if (!end)
            return;
        fputs(".PP\n", to);
        text = end + 2;
    }
}

static void option(FILE *to, const struct nx_option *o)
{
    fputs(".TP\n\\fB\\-\\-", to);
    roff(to, o->name, false);
    fputs("\\fR", to);
    if (o->value_name) {
        fputs(" \\fI", to);
        roff(to, o->value_name, false);
        fputs("\\fR", to);
    } else if (o->fallback) {
        fputs(", \\fB\\-\\-no\\-", to);
        roff(to, o->name, false);
        fputs("\\fR", to);
    }
    fputc('\n', to);
    roff(to, o->help, true);
    if (o->fallback && o->kind != NX_OPTION_FLAG) {
        fputs("; default ", to);
        roff(to, o->fallback, false);
    }
    fputs(".\n", to);
    if (o->env) {
        fputs("Environment: ", to);
        roff(to, o->env, false);
        if (o->env_old) {
            fputs(", ", to);
            roff(to, o->env_old, false);
        }
        fputs(".\n", to);
    }
}

static void synopsis(FILE *to, const struct nx_verb *verb, const char *path)
{
    fputs(".PP\n\\fB", to);
    roff(to, path, false);
    fputs("\\fR", to);
    if (verb->arguments && *verb->arguments) {
        fputs(" \\fI", to);
        roff(to, verb->arguments, false);
        fputs("\\fR", to);
    }
    fputs(verb->option_count ? " [\\fIOPTIONS\\fR]\n" : "\n", to);
}

static void options(FILE *to, const struct nx_verb *verb)
{
    for (size_t i = 0; i < verb->option_count; i++)
        option(to, &verb->options[i]);
}

/* Each verb below with all it takes; those of the root have pages of their own. */
static void verbs(FILE *to, const struct nx_verb *verb)
{
    fputs(".SH VERBS\n", to);
    for (size_t i = 0; i < verb->verb_count; i++) {
        const struct nx_verb *below = nx_verb_at(verb, i);
        if (verb == &nx_verb_root) {
            fputs(".TP\n\\fB", to);
            roff(to, below->name, false);
            fputs("\\fR\n", to);
            roff(to, below->summary, true);
            fputs(".\n", to);
            continue;
        }
        fputs(".SS ", to);
        roff(to, below->name, true);
        fputc('\n', to);
        roff(to, below->summary, true);
        fputs(".\n", to);
        if (below->arguments && *below->arguments) {
            fputs(".PP\nArguments: \\fI", to);
            roff(to, below->arguments, false);
            fputs("\\fR\n", to);
        }
        if (below->description) {
            fputs(".PP\n", to);
            paragraphs(to, below->description);
        }
        options(to, below);
    }
}

static void variable(void *ctx, const char *name, const char *help)
{
    FILE *to = ctx;

    fputs(".TP\n\\fB", to);
    roff(to, name, false);
    fputs("\\fR\n", to);
    roff(to, help, true);
    fputs(".\n", to);
}

static void see_also(FILE *to, const struct nx_verb *verb)
{
    bool first = true;

    fputs(".SH SEE ALSO\n", to);
    if (verb != &nx_verb_root) {
        fputs("\\fBnexus\\fR(1)", to);
        first = false;
    }
    for (size_t i = 0; i < nx_verb_root.verb_count; i++) {
        const struct nx_verb *other = nx_verb_at(&nx_verb_root, i);
        if (other == verb || strcmp(other->name, verb->name) == 0)
            continue;
        fprintf(to, "%s\\fBnexus\\-", first ? "" : ",\n");
        roff(to, other->name, false);
        fputs("\\fR(1)", to);
        first = false;
    }
    fputc('\n', to);
}

void nx_man_print(FILE *to, const struct nx_verb *verb, const char *path)
{
    fputs(".TH \"", to);
    for (const char *c = path; *c; c++)
        fputs(*c == ' ' ? "\\-" : (const char[]){*c, '\0'}, to);
    fputs("\" 1 \"\" \"nexus " NX_VERSION "\" \"nexus manual\"\n.nh\n.ad l\n.SH NAME\n", to);
    for (const char *c = path; *c; c++)
        fputs(*c == ' ' ? "\\-" : (const char[]){*c, '\0'}, to);
    fputs(" \\- ", to);
    roff(to, verb->summary, false);
    fputs("\n.SH SYNOPSIS\n", to);
    synopsis(to, verb, path);
    if (verb != &nx_verb_root) {
        for (size_t i = 0; i < verb->verb_count; i++) {
            char below[256];
            const struct nx_verb *other = nx_verb_at(verb, i);
            snprintf(below, sizeof(below), "%s %s", path, other->name);
            synopsis(to, other, below);
        }
    }
    fputs(".SH DESCRIPTION\n", to);
    paragraphs(to, verb->description ? verb->description : verb->summary);
    if (verb->option_count) {
        fputs(".SH OPTIONS\n", to);
        options(to, verb);
    }
    if (verb->verb_count)
        verbs(to, verb);
    fputs(".SH EXIT STATUS\n", to);
    for (size_t i = 0; i < sizeof(nx_exit_texts) / sizeof(nx_exit_texts[0]); i++) {
        fprintf(to, ".TP\n\\fB%d\\fR\n", (int)nx_exit_texts[i].code);
        roff(to, nx_exit_texts[i].text, true);
        fputs(".\n", to);
    }
    fputs(".SH ENVIRONMENT\n", to);
    nx_environment_each(verb, variable, to);
    see_also(to, verb);
}

int nx_command_man(int argc, char **argv)
{
    const struct nx_verb *verb = &nx_verb_root;
    char path[256] = "nexus";
    struct nx_args args;
    bool help;
    int r;

    r = nx_args_parse(nx_verb_find(&nx_verb_root, "man"), "nexus man", argc, argv, &args, &help);
    if (r == 0 && !help)
        r = nx_args_check_operands(&args, "nexus man");
    if (r != 0 || help)
        return r;
    if (args.operand_count > 0) {
        verb = nx_verb_find(&nx_verb_root, args.operands[0]);
        if (!verb)
            return nx_verb_unknown(&nx_verb_root, "nexus man", args.operands[0]);
        snprintf(path, sizeof(path), "nexus %s", verb->name);
    }
    nx_man_print(stdout, verb, path);
    return NX_EXIT_OK;
}
