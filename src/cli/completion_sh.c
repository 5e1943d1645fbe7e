/* The completions of bash and zsh, whose scripts walk the words in the same way. They differ in how
 * words are split (bash cuts at '=' and ':') and in how matches are offered. */
#include <string.h>

#include "cli/commands.h"
#include "cli/completion.h"

#define QUOTE "'\\''"

/* Names of local sessions and aliases; the state folder is the client's (section "FILES" of
 * nexus-session). Prints nothing when there is none. */
static const char sessions_function[] =
        "_nexus_sessions() {\n"
        "    local dir=$HOME/.config/messaging\n"
        "    [ -d \"$dir/sessions\" ] && command ls \"$dir/sessions\" 2>/dev/null\n"
        "    [ -f \"$dir/aliases.json\" ] &&\n"
        "        command grep -o '\"[A-Za-z0-9._-]*\"[[:space:]]*:' \"$dir/aliases.json\" "
        "2>/dev/null |\n"
        "        command tr -d '\": \\t'\n"
        "    return 0\n"
        "}\n";

static void follow(FILE *to, const char *path, const char *word)
{
    fprintf(to, "        '%s %s') at='%s %s' ;;\n", path, word, path, word);
}

/* `nexus help session send` follows verbs too. */
static void follow_verbs(FILE *to, const struct nx_verb *verb, const char *path)
{
    for (size_t i = 0; i < verb->verb_count; i++) {
        const struct nx_verb *below = nx_verb_at(verb, i);
        follow(to, path, below->name);
        if (verb == &nx_verb_root && below->verb_count)
            follow(to, "nexus help", below->name);
    }
}

static void value_pattern(FILE *to, const char *path, const struct nx_option *option)
{
    fprintf(to, "        '%s --%s') value=$word ;;\n", path, option->name);
}

static void value_patterns(FILE *to, const struct nx_verb *verb, const char *path)
{
    nx_place_value_options(to, verb, path, value_pattern);
}

static void walk(FILE *to)
{
    fputs("        case \"$at $word\" in\n", to);
    nx_places_each(to, value_patterns);
    nx_places_each(to, follow_verbs);
    fputs("        *' -'*) ;;\n"
          "        *) operands=$((operands + 1)) ;;\n"
          "        esac\n"
          "    done\n",
            to);
}

/* The names below a place; the topics under `nexus help`. */
static void verb_names(FILE *to, const struct nx_verb *verb)
{
    for (size_t i = 0; i < verb->verb_count; i++)
        fprintf(to, "%s%s", i ? " " : "", nx_verb_at(verb, i)->name);
}

static void topic_names(FILE *to)
{
    for (size_t i = 0; i < nx_topic_count(); i++)
        fprintf(to, " %s", nx_topic_name(i));
}

/* -- bash -- */

static void bash_value(FILE *to, const char *path, const struct nx_option *option)
{
    const char *kind = option->completion;

    if (!kind)
        return;
    fprintf(to, "        '%s --%s') ", path, option->name);
    if (strcmp(kind, "file") == 0)
        fputs("_nexus_reply -f ;;\n", to);
    else if (strcmp(kind, "dir") == 0)
        fputs("_nexus_reply -d ;;\n", to);
    else if (strcmp(kind, "session") == 0)
        fputs("_nexus_reply -W \"$(_nexus_sessions)\" ;;\n", to);
    else {
        fputs("_nexus_reply -W '", to);
        nx_place_words(to, nx_bytes_str(strncmp(kind, "words:", 6) == 0 ? kind + 6 : kind));
        fputs("' ;;\n", to);
    }
}

static void bash_values(FILE *to, const struct nx_verb *verb, const char *path)
{
    nx_place_value_options(to, verb, path, bash_value);
}

static void bash_options(FILE *to, const struct nx_verb *verb, const char *path)
{
    fprintf(to, "        '%s') _nexus_reply -W '", path);
    for (size_t i = 0; i < verb->option_count; i++) {
        const struct nx_option *option = &verb->options[i];
        fprintf(to, "--%s ", option->name);
        if (option->kind == NX_OPTION_FLAG && option->fallback)
            fprintf(to, "--no-%s ", option->name);
    }
    fputs("--help' ;;\n", to);
}

static void bash_operands(FILE *to, const struct nx_verb *verb, const char *path)
{
    struct nx_bytes word;

    if (verb->verb_count) {
        fprintf(to, "    '%s 0') _nexus_reply -W '", path);
        verb_names(to, verb);
        fputs("' ;;\n", to);
        return;
    }
    for (size_t i = 0; i < NX_OPERANDS_SHOWN; i++) {
        switch (nx_place_operand(verb, i, &word)) {
        case NX_OPERAND_NONE:
        case NX_OPERAND_OTHER:
            break;
        case NX_OPERAND_WORDS:
            fprintf(to, "    '%s %zu') _nexus_reply -W '", path, i);
            nx_place_words(to, word);
            fputs("' ;;\n", to);
            break;
        case NX_OPERAND_SESSION:
            fprintf(to, "    '%s %zu') _nexus_reply -W \"$(_nexus_sessions)\" ;;\n", path, i);
            break;
        case NX_OPERAND_FILE:
            fprintf(to, "    '%s %zu') _nexus_reply -f ;;\n", path, i);
            break;
        }
    }
}

void nx_completion_bash(FILE *to)
{
    fputs("# Completion of nexus for bash; made by 'nexus completion bash'.\n", to);
    fputs(sessions_function, to);
    fputs("_nexus_reply() {\n"
          "    [[ $1 == -W ]] || compopt -o filenames 2>/dev/null\n"
          "    mapfile -t COMPREPLY < <(compgen \"$@\" -- \"$cur\")\n"
          "}\n"
          "_nexus() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} at=nexus value= word i operands=0\n"
          "    COMPREPLY=()\n"
          "    # bash cuts words at '=' and ':': --listen = 127.0.0.1 : 3000\n"
          "    [[ $cur == = ]] && cur=\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        word=${COMP_WORDS[i]}\n"
          "        [[ $word == = ]] && continue\n"
          "        [[ $word == : ]] && { value=:; continue; }\n"
          "        [[ $value ]] && { value=; continue; }\n",
            to);
    walk(to);
    fputs("    if [[ $value ]]; then\n"
          "        case \"$at $value\" in\n",
            to);
    nx_places_each(to, bash_values);
    fputs("        esac\n"
          "        return\n"
          "    fi\n"
          "    if [[ $cur == -* ]]; then\n"
          "        case $at in\n",
            to);
    nx_places_each(to, bash_options);
    fputs("        esac\n"
          "        return\n"
          "    fi\n"
          "    case \"$at $operands\" in\n",
            to);
    nx_places_each(to, bash_operands);
    fputs("    'nexus help 0') _nexus_reply -W '", to);
    verb_names(to, &nx_verb_root);
    topic_names(to);
    fputs("' ;;\n    'nexus man 0') _nexus_reply -W '", to);
    verb_names(to, &nx_verb_root);
    fputs("' ;;\n", to);
    for (size_t i = 0; i < nx_verb_root.verb_count; i++) {
        const struct nx_verb *verb = nx_verb_at(&nx_verb_root, i);
        if (!verb->verb_count)
            continue;
        fprintf(to, "    'nexus help %s 0') _nexus_reply -W '", verb->name);
        verb_names(to, verb);
        fputs("' ;;\n", to);
    }
    fputs("    esac\n}\ncomplete -F _nexus nexus\n", to);
}

/* -- zsh -- */

/* "name:help" as _describe reads it. */
static void zsh_item(FILE *to, const char *prefix, const char *name, const char *help)
{
    char item[1024];

    snprintf(item, sizeof(item), "%s%s:%s", prefix, name, help);
    fputc(' ', to);
    nx_shell_quote(to, item, QUOTE);
}

static void zsh_verbs(FILE *to, const struct nx_verb *verb)
{
    fputs("list=(", to);
    for (size_t i = 0; i < verb->verb_count; i++)
        zsh_item(to, "", nx_verb_at(verb, i)->name, nx_verb_at(verb, i)->summary);
}

static void zsh_value(FILE *to, const char *path, const struct nx_option *option)
{
    const char *kind = option->completion;

    if (!kind)
        return;
    fprintf(to, "        '%s --%s') ", path, option->name);
    if (strcmp(kind, "file") == 0)
        fputs("_files ;;\n", to);
    else if (strcmp(kind, "dir") == 0)
        fputs("_files -/ ;;\n", to);
    else if (strcmp(kind, "session") == 0)
        fputs("compadd -- ${(f)\"$(_nexus_sessions)\"} ;;\n", to);
    else {
        fputs("compadd -- ", to);
        nx_place_words(to, nx_bytes_str(strncmp(kind, "words:", 6) == 0 ? kind + 6 : kind));
        fputs(" ;;\n", to);
    }
}

static void zsh_values(FILE *to, const struct nx_verb *verb, const char *path)
{
    nx_place_value_options(to, verb, path, zsh_value);
}

static void zsh_options(FILE *to, const struct nx_verb *verb, const char *path)
{
    fprintf(to, "        '%s') list=(", path);
    for (size_t i = 0; i < verb->option_count; i++) {
        const struct nx_option *option = &verb->options[i];
        zsh_item(to, "--", option->name, option->help);
        if (option->kind == NX_OPTION_FLAG && option->fallback)
            zsh_item(to, "--no-", option->name, "take it back");
    }
    zsh_item(to, "--", "help", "explain the verb");
    fputs(" ) ;;\n", to);
}

static void zsh_operands(FILE *to, const struct nx_verb *verb, const char *path)
{
    struct nx_bytes word;

    if (verb->verb_count) {
        fprintf(to, "    '%s 0') ", path);
        zsh_verbs(to, verb);
        fputs(" ); _describe verb list ;;\n", to);
        return;
    }
    for (size_t i = 0; i < NX_OPERANDS_SHOWN; i++) {
        switch (nx_place_operand(verb, i, &word)) {
        case NX_OPERAND_NONE:
        case NX_OPERAND_OTHER:
            break;
        case NX_OPERAND_WORDS:
            fprintf(to, "    '%s %zu') compadd -- ", path, i);
            nx_place_words(to, word);
            fputs(" ;;\n", to);
            break;
        case NX_OPERAND_SESSION:
            fprintf(to, "    '%s %zu') compadd -- ${(f)\"$(_nexus_sessions)\"} ;;\n", path, i);
            break;
        case NX_OPERAND_FILE:
            fprintf(to, "    '%s %zu') _files ;;\n", path, i);
            break;
        }
    }
}

void nx_completion_zsh(FILE *to)
{
    fputs("#compdef nexus\n# Completion of nexus for zsh; made by 'nexus completion zsh'.\n", to);
    fputs(sessions_function, to);
    fputs("_nexus() {\n"
          "    local at=nexus value= word cur=$words[CURRENT]\n"
          "    local -i i operands=0\n"
          "    local -a list\n"
          "    for ((i = 2; i < CURRENT; i++)); do\n"
          "        word=$words[i]\n"
          "        [[ -n $value ]] && { value=; continue; }\n",
            to);
    walk(to);
    fputs("    if [[ -z $value && $cur == --*=* ]]; then\n"
          "        value=${cur%%=*}\n"
          "        compset -P 1 '*='\n"
          "    fi\n"
          "    if [[ -n $value ]]; then\n"
          "        case \"$at $value\" in\n",
            to);
    nx_places_each(to, zsh_values);
    fputs("        esac\n"
          "        return\n"
          "    fi\n"
          "    if [[ $cur == -* ]]; then\n"
          "        case $at in\n",
            to);
    nx_places_each(to, zsh_options);
    fputs("        esac\n"
          "        _describe -o option list\n"
          "        return\n"
          "    fi\n"
          "    case \"$at $operands\" in\n",
            to);
    nx_places_each(to, zsh_operands);
    fputs("    'nexus help 0') ", to);
    zsh_verbs(to, &nx_verb_root);
    for (size_t i = 0; i < nx_topic_count(); i++)
        zsh_item(to, "", nx_topic_name(i), "a topic of help");
    fputs(" ); _describe verb list ;;\n    'nexus man 0') ", to);
    zsh_verbs(to, &nx_verb_root);
    fputs(" ); _describe verb list ;;\n", to);
    for (size_t i = 0; i < nx_verb_root.verb_count; i++) {
        const struct nx_verb *verb = nx_verb_at(&nx_verb_root, i);
        if (!verb->verb_count)
            continue;
        fprintf(to, "    'nexus help %s 0') ", verb->name);
        zsh_verbs(to, verb);
        fputs(" ); _describe verb list ;;\n", to);
    }
    fputs("    esac\n"
          "}\n"
          "if [[ $funcstack[1] == _nexus ]]; then\n"
          "    _nexus \"$@\"\n"
          "else\n"
          "    compdef _nexus nexus\n"
          "fi\n",
            to);
}
