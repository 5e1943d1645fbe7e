/* The completions of fish: a function that says at which place of the table the cursor is, and a
 * `complete` line for everything that can stand there. */
#include <string.h>

#include "cli/commands.h"
#include "cli/completion.h"

#define QUOTE "\\'"

static void follow_verbs(FILE *to, const struct nx_verb *verb, const char *path)
{
    for (size_t i = 0; i < verb->verb_count; i++) {
        const struct nx_verb *below = nx_verb_at(verb, i);
        fprintf(to, " '%s %s'", path, below->name);
        if (verb == &nx_verb_root && below->verb_count)
            fprintf(to, " 'nexus help %s'", below->name);
    }
}

static void value_pattern(FILE *to, const char *path, const struct nx_option *option)
{
    fprintf(to, " '%s --%s'", path, option->name);
}

static void value_patterns(FILE *to, const struct nx_verb *verb, const char *path)
{
    nx_place_value_options(to, verb, path, value_pattern);
}

static void begin(FILE *to, const char *path, int operands)
{
    fprintf(to, "complete -c nexus -n '__nexus_on \"%s\"", path);
    if (operands >= 0)
        fprintf(to, " %d", operands);
    fputs("'", to);
}

static void describe(FILE *to, const char *help)
{
    fputs(" -d ", to);
    nx_shell_quote(to, help, QUOTE);
    fputc('\n', to);
}

static void option_line(FILE *to, const char *path, const struct nx_option *option)
{
    const char *kind = option->completion;

    begin(to, path, -1);
    fprintf(to, " -l %s", option->name);
    if (option->kind == NX_OPTION_FLAG)
        ;
    else if (!kind)
        fputs(" -x", to);
    else if (strcmp(kind, "file") == 0)
        fputs(" -r -F", to);
    else if (strcmp(kind, "dir") == 0)
        fputs(" -x -a '(__fish_complete_directories)'", to);
    else if (strcmp(kind, "session") == 0)
        fputs(" -x -a '(__nexus_sessions)'", to);
    else {
        fputs(" -x -a '", to);
        nx_place_words(to, nx_bytes_str(strncmp(kind, "words:", 6) == 0 ? kind + 6 : kind));
        fputs("'", to);
    }
    describe(to, option->help);
    if (option->kind == NX_OPTION_FLAG && option->fallback) {
        begin(to, path, -1);
        fprintf(to, " -l no-%s", option->name);
        describe(to, "take it back");
    }
}

static void verb_lines(FILE *to, const struct nx_verb *verb, const char *path)
{
    for (size_t i = 0; i < verb->verb_count; i++) {
        const struct nx_verb *below = nx_verb_at(verb, i);
        begin(to, path, 0);
        fprintf(to, " -a %s", below->name);
        describe(to, below->summary);
    }
}

static void operand_lines(FILE *to, const struct nx_verb *verb, const char *path)
{
    struct nx_bytes word;

    for (size_t i = 0; i < NX_OPERANDS_SHOWN && !verb->verb_count; i++) {
        switch (nx_place_operand(verb, i, &word)) {
        case NX_OPERAND_NONE:
        case NX_OPERAND_OTHER:
            break;
        case NX_OPERAND_WORDS:
            begin(to, path, (int)i);
            fputs(" -a '", to);
            nx_place_words(to, word);
            fputs("'\n", to);
            break;
        case NX_OPERAND_SESSION:
            begin(to, path, (int)i);
            fputs(" -a '(__nexus_sessions)'\n", to);
            break;
        case NX_OPERAND_FILE:
            begin(to, path, (int)i);
            fputs(" -F\n", to);
            break;
        }
    }
}

static void place(FILE *to, const struct nx_verb *verb, const char *path)
{
    for (size_t i = 0; i < verb->option_count; i++)
        option_line(to, path, &verb->options[i]);
    begin(to, path, -1);
    fputs(" -l help", to);
    describe(to, "explain the verb");
    verb_lines(to, verb, path);
    operand_lines(to, verb, path);
}

static void functions(FILE *to)
{
    fputs("function __nexus_sessions\n"
          "    set -l dir $HOME/.config/messaging\n"
          "    test -d $dir/sessions; and command ls $dir/sessions 2>/dev/null\n"
          "    test -f $dir/aliases.json\n"
          "    and string match -ra '\"[A-Za-z0-9._-]*\"\\s*:' <$dir/aliases.json |\n"
          "    string replace -ra '[\":\\s]' ''\n"
          "end\n"
          "# The place in front of the cursor, and how many operands are behind it.\n"
          "function __nexus_on\n"
          "    set -l at nexus\n"
          "    set -l value ''\n"
          "    set -l operands 0\n"
          "    set -l words (commandline -opc)\n"
          "    for word in $words[2..-1]\n"
          "        if test -n \"$value\"\n"
          "            set value ''\n"
          "            continue\n"
          "        end\n"
          "        switch \"$at $word\"\n"
          "            case",
            to);
    nx_places_each(to, value_patterns);
    fputs("\n                set value $word\n            case", to);
    nx_places_each(to, follow_verbs);
    fputs("\n"
          "                set at \"$at $word\"\n"
          "            case '* -*'\n"
          "            case '*'\n"
          "                set operands (math $operands + 1)\n"
          "        end\n"
          "    end\n"
          "    test \"$at\" = $argv[1]\n"
          "    and begin\n"
          "        not set -q argv[2]\n"
          "        or test $operands -eq $argv[2]\n"
          "    end\n"
          "end\n",
            to);
}

void nx_completion_fish(FILE *to)
{
    fputs("# Completion of nexus for fish; made by 'nexus completion fish'.\n", to);
    functions(to);
    fputs("complete -c nexus -f\n", to);
    nx_places_each(to, place);
    verb_lines(to, &nx_verb_root, "nexus help");
    verb_lines(to, &nx_verb_root, "nexus man");
    for (size_t i = 0; i < nx_topic_count(); i++) {
        begin(to, "nexus help", 0);
        fprintf(to, " -a %s", nx_topic_name(i));
        describe(to, "a topic of help");
    }
    for (size_t i = 0; i < nx_verb_root.verb_count; i++) {
        const struct nx_verb *verb = nx_verb_at(&nx_verb_root, i);
        char path[256];
        snprintf(path, sizeof(path), "nexus help %s", verb->name);
        verb_lines(to, verb, path);
    }
}
