/* The table of verbs and options of `nexus`: help, man pages, completions, suggestions, settings
 * and the reading of the command line all come from here. `nexus session` has its own file. */
#include "cli/verb.h"

#include "cli/formats.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define MIB ((int64_t)1 << 20)
#define GIB ((int64_t)1 << 30)

/* What `nexus serve` can be told; `nexus config serve` takes the same. The keys of the section
 * "serve" of the configuration file are those with an environment variable, but for --config. */
#define SERVE_OPTIONS                                                                              \
    {.name = "listen",                                                                             \
            .kind = NX_OPTION_TEXT,                                                                \
            .value_name = "ADDRESS:PORT",                                                          \
            .help = "where to listen: an IPv4 address, an IPv6 address in brackets, or nothing "   \
                    "for all addresses; port 0 takes a free one",                                  \
            .fallback = "127.0.0.1:3000",                                                          \
            .env = "NEXUS_SERVE_LISTEN",                                                           \
            .env_old = "PORT",                                                                     \
            .check = nx_format_listen},                                                            \
            {.name = "data-dir",                                                                   \
                    .kind = NX_OPTION_TEXT,                                                        \
                    .value_name = "DIR",                                                           \
                    .help = "the folder that keeps the sessions, made when it is not there; "      \
                            "without it, nexus/sessions in $XDG_STATE_HOME or ~/.local/state",     \
                    .env = "NEXUS_SERVE_DATA_DIR",                                                 \
                    .env_old = "DATA_DIR",                                                         \
                    .completion = "dir",                                                           \
                    .check = nx_format_path},                                                      \
            {.name = "in-memory",                                                                  \
                    .kind = NX_OPTION_FLAG,                                                        \
                    .help = "keep nothing on disk: all sessions end with the service",             \
                    .fallback = "false",                                                           \
                    .env = "NEXUS_SERVE_IN_MEMORY"},                                               \
            {.name = "public-url",                                                                 \
                    .kind = NX_OPTION_TEXT,                                                        \
                    .value_name = "URL",                                                           \
                    .help = "the address clients see, for links in answers; without it, it is "    \
                            "taken from each request",                                             \
                    .env = "NEXUS_SERVE_PUBLIC_URL",                                               \
                    .check = nx_format_url},                                                       \
            {.name = "rate-limit",                                                                 \
                    .kind = NX_OPTION_INT,                                                         \
                    .value_name = "N",                                                             \
                    .help = "requests in 60 seconds from one client address; 0 is no limit",       \
                    .fallback = "100",                                                             \
                    .env = "NEXUS_SERVE_RATE_LIMIT",                                               \
                    .max = 1000000000},                                                            \
            {.name = "claim-limit",                                                                \
                    .kind = NX_OPTION_INT,                                                         \
                    .value_name = "N",                                                             \
                    .help = "claims of pairing codes in 60 seconds from one client address; 0 is " \
                            "the same as the rate limit",                                          \
                    .fallback = "20",                                                              \
                    .env = "NEXUS_SERVE_CLAIM_LIMIT",                                              \
                    .max = 1000000000},                                                            \
            {.name = "loops",                                                                      \
                    .kind = NX_OPTION_INT,                                                         \
                    .value_name = "N",                                                             \
                    .help = "event loops, each on a thread of its own; 0 is one a core",           \
                    .fallback = "0",                                                               \
                    .env = "NEXUS_SERVE_LOOPS",                                                    \
                    .max = 256},                                                                   \
            {.name = "ttl",                                                                        \
                    .kind = NX_OPTION_INT,                                                         \
                    .value_name = "SECONDS",                                                       \
                    .help = "how long an idle session lives when its creator does not say",        \
                    .fallback = "3660",                                                            \
                    .env = "NEXUS_SERVE_TTL",                                                      \
                    .min = 1,                                                                      \
                    .max = 86400},                                                                 \
            {.name = "max-ttl",                                                                    \
                    .kind = NX_OPTION_INT,                                                         \
                    .value_name = "SECONDS",                                                       \
                    .help = "the longest life a creator may ask for",                              \
                    .fallback = "86400",                                                           \
                    .env = "NEXUS_SERVE_MAX_TTL",                                                  \
                    .env_old = "MAX_TTL_SECONDS",                                                  \
                    .min = 1,                                                                      \
                    .max = 86400},                                                                 \
            {.name = "default-agents-v1",                                                          \
                    .kind = NX_OPTION_INT,                                                         \
                    .value_name = "N",                                                             \
                    .help = "seats of a session made under /v1/session when its creator does not " \
                            "say",                                                                 \
                    .fallback = "2",                                                               \
                    .env = "NEXUS_SERVE_DEFAULT_AGENTS_V1",                                        \
                    .min = 1,                                                                      \
                    .max = 50},                                                                    \
            {.name = "default-agents",                                                             \
                    .kind = NX_OPTION_INT,                                                         \
                    .value_name = "N",                                                             \
                    .help = "seats of a session made under /v1/sessions when its creator does "    \
                            "not say",                                                             \
                    .fallback = "50",                                                              \
                    .env = "NEXUS_SERVE_DEFAULT_AGENTS",                                           \
                    .min = 1,                                                                      \
                    .max = 50},                                                                    \
            {.name = "max-agents",                                                                 \
                    .kind = NX_OPTION_INT,                                                         \
                    .value_name = "N",                                                             \
                    .help = "the most seats a creator may ask for",                                \
                    .fallback = "50",                                                              \
                    .env = "NEXUS_SERVE_MAX_AGENTS",                                               \
                    .env_old = "MAX_AGENTS",                                                       \
                    .min = 1,                                                                      \
                    .max = 50},                                                                    \
            {.name = "agent-inactivity",                                                           \
                    .kind = NX_OPTION_INT,                                                         \
                    .value_name = "SECONDS",                                                       \
                    .help = "removes an agent that neither sent nor polled for so long, but "      \
                            "never a session's creator; 0 is off",                                 \
                    .fallback = "0",                                                               \
                    .env = "NEXUS_SERVE_AGENT_INACTIVITY",                                         \
                    .env_old = "AGENT_INACTIVITY_SECONDS",                                         \
                    .max = 86400},                                                                 \
            {.name = "durable-messages",                                                           \
                    .kind = NX_OPTION_FLAG,                                                        \
                    .help = "keep messages on disk too, not only sessions, agents and codes",      \
                    .fallback = "false",                                                           \
                    .env = "NEXUS_SERVE_DURABLE_MESSAGES"},                                        \
            {.name = "trusted-proxy",                                                              \
                    .kind = NX_OPTION_TEXT,                                                        \
                    .value_name = "LIST",                                                          \
                    .help = "addresses or CIDR blocks, with commas between them, whose "           \
                            "X-Forwarded-For is believed",                                         \
                    .env = "NEXUS_SERVE_TRUSTED_PROXY",                                            \
                    .check = nx_format_networks},                                                  \
            {.name = "max-sessions",                                                               \
                    .kind = NX_OPTION_INT,                                                         \
                    .value_name = "N",                                                             \
                    .help = "sessions at one time",                                                \
                    .fallback = "100000",                                                          \
                    .env = "NEXUS_SERVE_MAX_SESSIONS",                                             \
                    .min = 1,                                                                      \
                    .max = 10000000},                                                              \
            {.name = "max-body",                                                                   \
                    .kind = NX_OPTION_BYTES,                                                       \
                    .value_name = "BYTES",                                                         \
                    .help = "the largest request body",                                            \
                    .fallback = "262144",                                                          \
                    .env = "NEXUS_SERVE_MAX_BODY",                                                 \
                    .min = 1024,                                                                   \
                    .max = 64 * MIB},                                                              \
            {.name = "max-session-bytes",                                                          \
                    .kind = NX_OPTION_BYTES,                                                       \
                    .value_name = "BYTES",                                                         \
                    .help = "what the messages of one session may take",                           \
                    .fallback = "16777216",                                                        \
                    .env = "NEXUS_SERVE_MAX_SESSION_BYTES",                                        \
                    .min = 1024,                                                                   \
                    .max = 64 * GIB},                                                              \
            {.name = "max-memory",                                                                 \
                    .kind = NX_OPTION_BYTES,                                                       \
                    .value_name = "BYTES",                                                         \
                    .help = "what the messages of all sessions may take in memory",                \
                    .fallback = "1073741824",                                                      \
                    .env = "NEXUS_SERVE_MAX_MEMORY",                                               \
                    .min = 1024,                                                                   \
                    .max = 1024 * GIB},                                                            \
            {.name = "max-store",                                                                  \
                    .kind = NX_OPTION_BYTES,                                                       \
                    .value_name = "BYTES",                                                         \
                    .help = "the largest size of the store on disk",                               \
                    .fallback = "8589934592",                                                      \
                    .env = "NEXUS_SERVE_MAX_STORE",                                                \
                    .min = MIB,                                                                    \
                    .max = 16384 * GIB},                                                           \
            {.name = "max-connections",                                                            \
                    .kind = NX_OPTION_INT,                                                         \
                    .value_name = "N",                                                             \
                    .help = "connections at one time",                                             \
                    .fallback = "10000",                                                           \
                    .env = "NEXUS_SERVE_MAX_CONNECTIONS",                                          \
                    .min = 1,                                                                      \
                    .max = 1000000},                                                               \
            {.name = "log-requests",                                                               \
                    .kind = NX_OPTION_FLAG,                                                        \
                    .help = "a line on stderr for each request: method, route, status, time",      \
                    .fallback = "false",                                                           \
                    .env = "NEXUS_SERVE_LOG_REQUESTS"},                                            \
    {                                                                                              \
        .name = "config", .kind = NX_OPTION_TEXT, .value_name = "FILE",                            \
        .help = "the configuration file; without it, nexus/config.json in $XDG_CONFIG_HOME or "    \
                "~/.config",                                                                       \
        .env = "NEXUS_CONFIG", .completion = "file", .check = nx_format_path                       \
    }

#define JSON_OPTION                                                                                \
    {                                                                                              \
        .name = "json", .kind = NX_OPTION_FLAG, .help = "print JSON for a program to read"         \
    }

static const struct nx_option serve_options[] = {SERVE_OPTIONS};
static const struct nx_option config_serve_options[] = {SERVE_OPTIONS, JSON_OPTION};

static const struct nx_option config_options[] = {
        {.name = "config",
                .kind = NX_OPTION_TEXT,
                .value_name = "FILE",
                .help = "the configuration file to look at",
                .env = "NEXUS_CONFIG",
                .completion = "file",
                .check = nx_format_path},
        JSON_OPTION,
};

static const struct nx_option path_options[] = {
        {.name = "config",
                .kind = NX_OPTION_TEXT,
                .value_name = "FILE",
                .help = "the configuration file to look at",
                .env = "NEXUS_CONFIG",
                .completion = "file",
                .check = nx_format_path},
};

static const struct nx_verb config_verbs[] = {
        {
                .name = "serve",
                .arguments = "",
                .summary = "the settings of nexus serve",
                .description =
                        "Prints the settings nexus serve would run with. Takes the options of "
                        "nexus serve too, and shows what they change.",
                .options = config_serve_options,
                .option_count = COUNT(config_serve_options),
        },
        {
                .name = "path",
                .arguments = "",
                .summary = "where the configuration file is",
                .description = "Prints the path of the configuration file, also when there is no "
                               "such file yet.",
                .options = path_options,
                .option_count = COUNT(path_options),
        },
};

#define SERVE                                                                                      \
    {                                                                                              \
        .name = "serve", .arguments = "", .summary = "run a session messaging service over HTTP",  \
        .description =                                                                             \
                "Runs a service through which agents pair by a spoken code and exchange "          \
                "messages, until SIGINT or SIGTERM. When it is ready it prints its address on "    \
                "stderr.\n\n"                                                                      \
                "Each option is also a setting: a flag is stronger than its environment "          \
                "variable, which is stronger than the configuration file (nexus help settings).",  \
        .options = serve_options, .option_count = COUNT(serve_options)                             \
    }

const struct nx_verb nx_verb_serve = SERVE;

static const struct nx_option root_options[] = {
        {.name = "version", .kind = NX_OPTION_FLAG, .help = "print the version"},
};

static const struct nx_verb root_verbs[] = {
        SERVE,
        {.name = "session", .elsewhere = &nx_verb_session},
        {
                .name = "config",
                .arguments = "",
                .summary = "show the settings in force and where each comes from",
                .description = "Prints every setting, its value, and where it comes from: a "
                               "default, the configuration file, the environment or a flag.",
                .options = config_options,
                .option_count = COUNT(config_options),
                .verbs = config_verbs,
                .verb_count = COUNT(config_verbs),
        },
        {
                .name = "help",
                .arguments = "[VERB...]",
                .summary = "explain a verb or a topic",
                .description = "Explains a verb, as in nexus help session create, or one of the "
                               "topics exit-codes, environment and settings.",
        },
        {
                .name = "version",
                .arguments = "",
                .summary = "print the version",
                .description = "Prints the version.",
        },
        {
                .name = "completion",
                .arguments = "bash|zsh|fish",
                .summary = "print the completions of a shell",
                .description = "Prints a script that teaches a shell to complete the verbs and "
                               "options of nexus.\n\n"
                               "bash: source <(nexus completion bash)\n"
                               "zsh: source <(nexus completion zsh), after compinit\n"
                               "fish: nexus completion fish | source",
        },
        {
                .name = "man",
                .arguments = "[VERB]",
                .summary = "print a manual page",
                .description = "Prints the manual page of nexus or of one verb, in roff: nexus man "
                               "serve | man -l -",
        },
};

const struct nx_verb nx_verb_root = {
        .name = "nexus",
        .arguments = "VERB",
        .summary = "a private line between agents",
        .description = "Agents pair by a spoken code and exchange messages through a small HTTP "
                       "service: nexus serve runs the service, nexus session talks to one.",
        .options = root_options,
        .option_count = COUNT(root_options),
        .verbs = root_verbs,
        .verb_count = COUNT(root_verbs),
};
