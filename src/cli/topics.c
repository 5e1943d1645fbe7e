/* `nexus help [VERB...]` and the topics that belong to no verb: exit codes, environment,
 * settings. */
#include <string.h>

#include "cli/commands.h"

const struct nx_exit_text nx_exit_texts[4] = {
        {NX_EXIT_OK, "it worked"},
        {NX_EXIT_FAILED, "it was tried and did not work: an HTTP error, a refused address"},
        {NX_EXIT_USAGE, "the command line or a setting makes no sense"},
        {NX_EXIT_UNAVAILABLE,
                "something needed is missing or in use: the address, the data folder, the "
                "configuration file, a helper program"},
};

/* Variables of no option; `verb` when only that one reads it. */
static const struct {
    const char *name;
    const char *help;
    const struct nx_verb *verb;
} variables[] = {
        {"NEXUS_HTTP_TIMEOUT", "seconds a request may take; 10 when not set", &nx_verb_session},
        {"NEXUS_STATUS_TIMEOUT", "seconds a question for a state may take; 3 when not set",
                &nx_verb_session},
        {"HOME", "the home folder, under which .config and .local/state are", NULL},
        {"XDG_CONFIG_HOME", "the folder of configuration files instead of ~/.config", NULL},
        {"XDG_STATE_HOME", "the folder of data instead of ~/.local/state", NULL},
        {"NEXUS_LIBEXEC", "the folder of the helper programs", NULL},
        {"NO_COLOR", "no colours, when it is not empty", NULL},
};

static void each_option(const struct nx_verb *verb, const struct nx_verb *skip,
        void (*each)(void *ctx, const char *name, const char *help), void *ctx)
{
    for (size_t i = 0; i < verb->option_count; i++) {
        const struct nx_option *option = &verb->options[i];
        const struct nx_option *same = skip ? nx_option_find(skip, option->name) : NULL;
        if (!option->env || (same && same->env && strcmp(same->env, option->env) == 0))
            continue;
        each(ctx, option->env, option->help);
        if (option->env_old && strcmp(option->env_old, "PORT") == 0)
            each(ctx, option->env_old, "the port of NEXUS_SERVE_LISTEN alone");
        else if (option->env_old)
            each(ctx, option->env_old, "an older name of the same");
    }
}

/* The variables of one verb and of those below it, each once: a verb below often takes its parent's
 * options, and verbs below often share one. */
static void each_of_verb(const struct nx_verb *verb, const struct nx_verb *skip,
        void (*each)(void *ctx, const char *name, const char *help), void *ctx)
{
    each_option(verb, skip, each, ctx);
    for (size_t i = 0; i < verb->verb_count; i++) {
        const struct nx_verb *below = nx_verb_at(verb, i);
        for (size_t j = 0; j < below->option_count; j++) {
            const struct nx_option *option = &below->options[j];
            const struct nx_verb one = {.options = option, .option_count = 1};
            const struct nx_option *above = nx_option_find(verb, option->name);
            bool seen = above && above->env;
            for (size_t k = 0; k < i && !seen; k++) {
                const struct nx_option *same = nx_option_find(nx_verb_at(verb, k), option->name);
                seen = same && same->env;
            }
            if (!seen)
                each_option(&one, skip, each, ctx);
        }
    }
}

void nx_environment_each(const struct nx_verb *verb,
        void (*each)(void *ctx, const char *name, const char *help), void *ctx)
{
    if (verb && verb != &nx_verb_root) {
        each_of_verb(verb, NULL, each, ctx);
    } else {
        for (size_t i = 0; i < nx_verb_root.verb_count; i++) {
            const struct nx_verb *below = nx_verb_at(&nx_verb_root, i);
            bool serve = strcmp(below->name, nx_verb_serve.name) == 0;
            each_of_verb(below, serve ? NULL : &nx_verb_serve, each, ctx);
        }
    }
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        if (!verb || verb == &nx_verb_root || !variables[i].verb || variables[i].verb == verb)
            each(ctx, variables[i].name, variables[i].help);
    }
}

static void print_exit_codes(FILE *to)
{
    fputs("Exit codes of nexus and of its helper programs:\n\n", to);
    for (size_t i = 0; i < sizeof(nx_exit_texts) / sizeof(nx_exit_texts[0]); i++) {
        fprintf(to, "  %d  ", (int)nx_exit_texts[i].code);
        nx_help_wrap(to, nx_exit_texts[i].text, 5, 5);
    }
}

static void print_variable(void *ctx, const char *name, const char *help)
{
    FILE *to = ctx;

    fprintf(to, "  %s\n      ", name);
    nx_help_wrap(to, help, 6, 6);
}

static void print_environment(FILE *to)
{
    fputs("Environment variables. One that is empty counts as not set.\n\n", to);
    nx_environment_each(NULL, print_variable, to);
}

static void print_settings(FILE *to)
{
    nx_help_wrap(to,
            "Each option of nexus serve is a setting. A flag is stronger than its environment "
            "variable, which is stronger than the configuration file, which is stronger than the "
            "default. nexus config prints every setting in force and where it comes from.",
            0, 0);
    fputs("\nThe configuration file is nexus/config.json in $XDG_CONFIG_HOME or ~/.config;\n"
          "--config FILE or NEXUS_CONFIG name another. It is strict JSON, and its keys are\n"
          "the names of the options:\n\n"
          "  {\"serve\": {\"listen\": \"127.0.0.1:8080\", \"rate-limit\": 200,\n"
          "             \"durable-messages\": true, \"max-body\": \"1M\"}}\n\n",
            to);
    nx_help_wrap(to,
            "A key that is not known, is there twice or has a value of another kind is a fault, "
            "named with its line and column. Bytes are a number, or a number with K, M or G behind "
            "it, which count in 1024s. Truth values in the environment are true, yes, on, 1 and "
            "false, no, off, 0. Of in-memory and data-dir the one from the stronger source holds.",
            0, 0);
    fputs("\nSettings:\n\n", to);
    for (size_t i = 0; i < nx_verb_serve.option_count; i++) {
        const struct nx_option *option = &nx_verb_serve.options[i];
        if (nx_setting_is(option))
            fprintf(to, "  %s.%s%s%s%s\n", nx_verb_serve.name, option->name,
                    option->fallback ? " (" : "", option->fallback ? option->fallback : "",
                    option->fallback ? ")" : "");
    }
}

static const struct {
    const char *name;
    void (*print)(FILE *to);
} topics[] = {
        {"exit-codes", print_exit_codes},
        {"environment", print_environment},
        {"settings", print_settings},
};

size_t nx_topic_count(void)
{
    return sizeof(topics) / sizeof(topics[0]);
}

const char *nx_topic_name(size_t i)
{
    return topics[i].name;
}

bool nx_topic_print(FILE *to, const char *name)
{
    for (size_t i = 0; i < nx_topic_count(); i++) {
        if (strcmp(topics[i].name, name) == 0) {
            topics[i].print(to);
            return true;
        }
    }
    return false;
}

/* An unknown first word may be a topic too. */
static int unknown_word(const char *word)
{
    struct nx_nearest nearest;
    char quoted[NX_QUOTE_MAX];

    nx_nearest_init(&nearest, word);
    for (size_t i = 0; i < nx_verb_root.verb_count; i++)
        nx_nearest_offer(&nearest, nx_verb_root.verbs[i].name);
    for (size_t i = 0; i < nx_topic_count(); i++)
        nx_nearest_offer(&nearest, nx_topic_name(i));
    nx_quote(word, quoted);
    if (nearest.best)
        fprintf(stderr, "nexus help: unknown verb or topic '%s'; did you mean '%s'?\n", quoted,
                nearest.best);
    else
        fprintf(stderr, "nexus help: unknown verb or topic '%s'; 'nexus help' lists them\n",
                quoted);
    return NX_EXIT_USAGE;
}

int nx_command_help(int argc, char **argv)
{
    const struct nx_verb *verb = &nx_verb_root;
    char path[256] = "nexus";
    struct nx_args args;
    bool help;
    int r;

    r = nx_args_parse(nx_verb_find(&nx_verb_root, "help"), "nexus help", argc, argv, &args, &help);
    if (r != 0 || help)
        return r;
    if (args.operand_count == 1 && nx_topic_print(stdout, args.operands[0]))
        return NX_EXIT_OK;
    for (size_t i = 0; i < args.operand_count; i++) {
        const struct nx_verb *below = nx_verb_find(verb, args.operands[i]);
        size_t len = strlen(path);
        if (!below && i == 0)
            return unknown_word(args.operands[i]);
        if (!below)
            return nx_verb_unknown(verb, path, args.operands[i]);
        snprintf(path + len, sizeof(path) - len, " %s", below->name);
        verb = below;
    }
    nx_help_print(stdout, verb, path);
    return NX_EXIT_OK;
}
