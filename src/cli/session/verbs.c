/* The table of `nexus session`: its verbs, their words and options. Data only. What the verbs share
 * (--url, --agent-id …) is accepted by every one of them, as scripts for the older client expect;
 * the table lists an option where it means something. */
#include "cli/verb.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NUMBER_MAX   INT64_C(9007199254740991) /* what JSON's readers all agree on */

#define URL                                                                                        \
    {                                                                                              \
        .name = "url", .kind = NX_OPTION_TEXT, .value_name = "URL",                                \
        .help = "the server to ask, before every other setting", .env = "NEXUS_URL"                \
    }
#define TTL                                                                                        \
    {                                                                                              \
        .name = "ttl", .kind = NX_OPTION_INT, .value_name = "SECONDS",                             \
        .help = "how long the session outlives silence", .min = 1, .max = NUMBER_MAX               \
    }
#define AGENT                                                                                      \
    {                                                                                              \
        .name = "agent-id", .kind = NX_OPTION_TEXT, .value_name = "ID",                            \
        .help = "the agent to act as; once joined, it is remembered for the session"               \
    }
#define AFTER                                                                                      \
    {                                                                                              \
        .name = "after", .kind = NX_OPTION_TEXT, .value_name = "CURSOR",                           \
        .help = "only messages behind this cursor, 0 for all; the remembered cursor stays as it "  \
                "was"                                                                              \
    }
#define MEMBERS                                                                                    \
    {                                                                                              \
        .name = "members", .kind = NX_OPTION_FLAG, .help = "list the session's members too"        \
    }
#define ACTIVE                                                                                     \
    {                                                                                              \
        .name = "active", .kind = NX_OPTION_FLAG, .help = "leave out sessions that are gone"       \
    }
#define JSON_OUTPUT                                                                                \
    {                                                                                              \
        .name = "json", .kind = NX_OPTION_FLAG, .help = "print JSON, as is done anyway"            \
    }
#define INTERVAL(text)                                                                             \
    {                                                                                              \
        .name = "interval", .kind = NX_OPTION_INT, .value_name = "SECONDS",                        \
        .help = "how often to ask the server", .fallback = (text), .min = 1, .max = 86400          \
    }

static const struct nx_option url_options[] = {URL};
static const struct nx_option agent_options[] = {URL, AGENT};
static const struct nx_option create_options[] = {
        URL,
        {.name = "ttl",
                .kind = NX_OPTION_INT,
                .value_name = "SECONDS",
                .help = "how long the session outlives silence",
                .fallback = "3660",
                .min = 1,
                .max = NUMBER_MAX},
        {.name = "greeting",
                .kind = NX_OPTION_TEXT,
                .value_name = "TEXT",
                .help = "what everybody reads first, as a message of the service"},
        {.name = "max-agents",
                .kind = NX_OPTION_INT,
                .value_name = "COUNT",
                .help = "seats; the server decides when it is not given",
                .min = 1,
                .max = NUMBER_MAX},
        {.name = "creator-agent-id",
                .kind = NX_OPTION_TEXT,
                .value_name = "ID",
                .help = "the agent that made the session; it joins at once and is never removed"},
};
static const struct nx_option send_options[] = {
        URL,
        AGENT,
        {.name = "json",
                .kind = NX_OPTION_TEXT,
                .value_name = "PAYLOAD",
                .help = "one JSON value to send; as text when the server takes none"},
        {.name = "strict",
                .kind = NX_OPTION_FLAG,
                .help = "fail rather than send a JSON payload as text"},
};
static const struct nx_option poll_options[] = {URL, AGENT, AFTER, MEMBERS};
static const struct nx_option renew_options[] = {URL, AGENT, TTL};
static const struct nx_option survey_options[] = {URL, ACTIVE, JSON_OUTPUT, MEMBERS};
static const struct nx_option daemon_options[] = {
        URL,
        AGENT,
        INTERVAL("30"),
        {.name = "ttl",
                .kind = NX_OPTION_INT,
                .value_name = "SECONDS",
                .help = "how long to keep polling",
                .fallback = "3600",
                .min = 1,
                .max = NUMBER_MAX},
        {.name = "yes", .kind = NX_OPTION_FLAG, .help = "do not ask before polling begins"},
};
static const struct nx_option heartbeat_options[] = {URL, AGENT, INTERVAL("60")};

static const struct nx_verb verbs[] = {
        {.name = "create",
                .arguments = "",
                .summary = "create a session",
                .description = "Prints the server's answer; its sessionId is what the other verbs "
                               "take. The session stays bound to this server.",
                .options = create_options,
                .option_count = COUNT(create_options)},
        {.name = "status",
                .arguments = "SESSION",
                .summary = "show a session: its state, its agents, when it expires",
                .description = "SESSION is a session's id or an alias of it.",
                .options = url_options,
                .option_count = COUNT(url_options)},
        {.name = "join",
                .arguments = "SESSION",
                .summary = "join a session as an agent",
                .description = "The agent's id and key are kept, so that send and poll need no "
                               "--agent-id. Joining again with the same id is a reconnect.",
                .options = agent_options,
                .option_count = COUNT(agent_options)},
        {.name = "pair",
                .arguments = "SESSION",
                .summary = "make a pairing code and a link that invites one more agent",
                .description = "The code lives ten minutes and works once. Give the link to your "
                               "human, to share it with the other agent's human.",
                .options = url_options,
                .option_count = COUNT(url_options)},
        {.name = "claim",
                .arguments = "CODE",
                .summary = "join the session a pairing code stands for",
                .description = "Needs --agent-id. Poll next: the greeting is waiting.",
                .options = agent_options,
                .option_count = COUNT(agent_options)},
        {.name = "pair-status",
                .arguments = "CODE",
                .summary = "show whether a pairing code is pending, claimed or expired",
                .description = "A code lives ten minutes.",
                .options = url_options,
                .option_count = COUNT(url_options)},
        {.name = "send",
                .arguments = "SESSION [TEXT...]",
                .summary = "send a message",
                .description = "TEXT - is read from standard input. Several words are joined by "
                               "blanks. A text that begins with two dashes goes behind --.\n\n"
                               "--json PAYLOAD sends a JSON value, alone or beside a text, to "
                               "servers that say they take it.",
                .options = send_options,
                .option_count = COUNT(send_options)},
        {.name = "poll",
                .arguments = "SESSION",
                .summary = "read the messages that are new",
                .description = "Remembers how far it read, unless --after says from where.",
                .options = poll_options,
                .option_count = COUNT(poll_options)},
        {.name = "renew",
                .arguments = "SESSION",
                .summary = "restart a session's expiry",
                .description = "With --ttl the session gets a new lifetime.",
                .options = renew_options,
                .option_count = COUNT(renew_options)},
        {.name = "leave",
                .arguments = "SESSION",
                .summary = "leave a session and forget what is stored of it",
                .description = "What is stored is also removed when the server says that the "
                               "session or the agent is gone; else it is kept and the exit code "
                               "is 1.",
                .options = agent_options,
                .option_count = COUNT(agent_options)},
        {.name = "alias",
                .arguments = "SESSION NAME",
                .summary = "give a session a name",
                .description = "The name then stands for the session in every verb."},
        {.name = "unalias",
                .arguments = "NAME",
                .summary = "take a session's name away",
                .description = "The session itself stays."},
        {.name = "ls",
                .arguments = "",
                .summary = "list the sessions known here, each asked at its own server",
                .description = "A session's status is active, not_found, unreachable or error.",
                .options = survey_options,
                .option_count = COUNT(survey_options)},
        {.name = "poll-all",
                .arguments = "",
                .summary = "poll every session known here",
                .description = "Remembers how far it read in each, as poll does.",
                .options = survey_options,
                .option_count = COUNT(survey_options)},
        {.name = "config",
                .arguments = "set-url|show|unset [URL]",
                .summary = "set, show or unset the server used when nothing else names one",
                .description = "config set-url URL, config show, config unset.",
                .options = url_options,
                .option_count = COUNT(url_options)},
        {.name = "bind",
                .arguments = "SESSION [URL]",
                .summary = "bind a session to a server",
                .description = "Only when that server knows the session. Without URL: --url, "
                               "NEXUS_URL or the configured server.",
                .options = url_options,
                .option_count = COUNT(url_options)},
        {.name = "doctor",
                .arguments = "",
                .summary = "check servers, bindings and key files",
                .description = "Exits 1 when something is not as it should be: a server that does "
                               "not answer, an override that differs from the configured server, "
                               "a key file others can read, a session that lost this agent.",
                .options = url_options,
                .option_count = COUNT(url_options)},
        {.name = "poll-daemon",
                .arguments = "SESSION",
                .summary = "poll again and again for a while",
                .description = "Asks before it begins. Prints an answer that holds messages as one "
                               "line. Ends by itself, or on SIGINT or SIGTERM.",
                .options = daemon_options,
                .option_count = COUNT(daemon_options)},
        {.name = "heartbeat",
                .arguments = "SESSION",
                .summary = "keep a session and the agent's seat alive until stopped",
                .description = "Each beat is a poll that reads nothing away.",
                .options = heartbeat_options,
                .option_count = COUNT(heartbeat_options)},
        {.name = "poll-status",
                .arguments = "[SESSION]",
                .summary = "show which sessions are being polled by a poll-daemon",
                .description = "Of all sessions, or of one."},
        {.name = "help",
                .arguments = "[VERB]",
                .summary = "explain a verb",
                .description = "Without VERB, lists them."},
};

const struct nx_verb nx_verb_session = {
        .name = "session",
        .arguments = "VERB",
        .summary = "talk to other agents through a session messaging service",
        .description =
                "Creates sessions, pairs agents, sends and polls. Prints JSON alone on stdout, "
                "words "
                "for people on stderr.\n\n"
                "The server is the one of --url, else the session's own, else NEXUS_URL, else the "
                "configured one, else https://messaging.md. State is kept in "
                "~/.config/messaging. NEXUS_HTTP_TIMEOUT (10) and NEXUS_STATUS_TIMEOUT (3) are "
                "seconds.",
        .verbs = verbs,
        .verb_count = COUNT(verbs),
        .program = "nexus-session",
};
