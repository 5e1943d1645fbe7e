/* The one table of verbs and options, from which help, man pages, completions, suggestions and the
 * reading of the command line are all made. Data only: each program dispatches by name. */
#ifndef NX_CLI_VERB_H
#define NX_CLI_VERB_H

#include <stddef.h>
#include <stdint.h>

enum nx_option_kind {
    NX_OPTION_FLAG, /* present or not; --no-NAME takes it back */
    NX_OPTION_TEXT,
    NX_OPTION_INT,   /* min … max */
    NX_OPTION_BYTES, /* min … max bytes; K, M and G behind the number count in 1024s */
};

struct nx_option {
    const char *name; /* "listen", without dashes */
    enum nx_option_kind kind;
    const char *value_name; /* "ADDRESS:PORT", NULL for a flag */
    const char *help;       /* one sentence, lower case, no full stop */
    const char *fallback;   /* the default as text, NULL when there is none */
    const char *env;        /* the environment variable that sets it, NULL when none does */
    const char *env_old;    /* a second, older spelling of it, or NULL */
    int64_t min, max;       /* NX_OPTION_INT, NX_OPTION_BYTES */
    const char *
            completion; /* what a shell completes: "file", "dir", "session", "words:a b", or NULL */
    /* NX_OPTION_TEXT: NULL when the text will do, else what it should be ("an address and port
     * such as 127.0.0.1:3000"). No check when it is NULL. */
    const char *(*check)(const char *text);
};

struct nx_verb {
    const char *name;
    const char *arguments;   /* "SESSION [TEXT]", "" when it takes none; args.h says how it reads */
    const char *summary;     /* one line */
    const char *description; /* paragraphs, for help and man */
    const struct nx_option *options;
    size_t option_count;
    const struct nx_verb *verbs; /* verbs below this one ("session create"), or NULL */
    size_t verb_count;
    const char *program; /* the helper program that runs it, NULL: this one */
    /* The verb itself, when its table is in another file (only name is set here). nx_verb_at
     * follows it. */
    const struct nx_verb *elsewhere;
};

/* The root: `nexus` itself. */
extern const struct nx_verb nx_verb_root;
/* `nexus serve`, whose options are also the settings of the configuration file. */
extern const struct nx_verb nx_verb_serve;
/* `nexus session`, in session/verbs.c. */
extern const struct nx_verb nx_verb_session;

#endif
