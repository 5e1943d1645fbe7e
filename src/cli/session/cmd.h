/* What the verbs of `nexus session` share: the command line, the state, the server to ask, and the
 * one way in which they speak: JSON alone on stdout, words for people on stderr. */
#ifndef NX_CLI_SESSION_CMD_H
#define NX_CLI_SESSION_CMD_H

#include "cli/args.h"
#include "cli/session/state.h"
#include "nexus/session.h"
#include "session/client/names.h"

#define NX_URL_BYTES (NX_SERVER_URL_MAX + 1)

/* Where the server in force was named, strongest first. */
enum nx_source {
    NX_SOURCE_FLAG,    /* --url */
    NX_SOURCE_SESSION, /* the session's own binding */
    NX_SOURCE_ENV,     /* NEXUS_URL */
    NX_SOURCE_CONFIG,  /* config.json */
    NX_SOURCE_DEFAULT,
};

struct nx_server {
    char url[NX_URL_BYTES]; /* in normal form */
    enum nx_source source;
};

struct nx_cmd {
    const struct nx_mem *mem;
    struct nx_args args;
    struct nx_state state;
    char path[64]; /* "nexus session send", for messages */
    int64_t http_timeout_ms;
    int64_t status_timeout_ms;
    char flag_url[NX_URL_BYTES]; /* each "" when it is not set */
    char env_url[NX_URL_BYTES];
    char config_url[NX_URL_BYTES];
};

/* ---- speaking ---- */

/* One line on stderr, "nexus session send: …"; controls in it are made harmless. */
void nx_cmd_say(const struct nx_cmd *cmd, const char *format, ...) NX_PRINTF(2, 3);
/* One line on stderr as it is (tips, the server's line). */
void nx_cmd_hint(const char *format, ...) NX_PRINTF(1, 2);
/* Writes a document and a line feed to stdout, now. Returns 0 or NX_EXIT_FAILED after saying so. */
int nx_cmd_print(const struct nx_cmd *cmd, struct nx_bytes document);
/* {"error":code,"message":…} on stdout, the message on stderr. Returns NX_EXIT_FAILED. */
int nx_cmd_fail(const struct nx_cmd *cmd, const char *code, const char *format, ...)
        NX_PRINTF(3, 4);
/* Says what became of the state's files when r < 0. Returns 0, or NX_EXIT_FAILED. */
int nx_cmd_state_result(const struct nx_cmd *cmd, int r, const char *what);

/* ---- servers ---- */

const char *nx_source_name(enum nx_source source);
/* Reads --url, NEXUS_URL, config.json and the time limits. Returns 0 or an exit code. */
int nx_cmd_settings(struct nx_cmd *cmd);
/* The server in force for a session (NULL: for none, bindings do not count). Returns 0 or an exit
 * code. */
int nx_cmd_server(struct nx_cmd *cmd, const char *id, struct nx_server *ret_server);
/* The session's binding in normal form: 0, NX_E_NOTFOUND, NX_E_DAMAGED, NX_E_IO. */
NX_MUST_USE int nx_cmd_binding(
        const struct nx_cmd *cmd, const char *id, char ret_url[NX_URL_BYTES]);
/* "→ server: HOST (SOURCE)", and a warning when an override differs from what is configured. */
void nx_cmd_announce(const struct nx_cmd *cmd, const struct nx_server *server, const char *id);
/* A client of that server, with what is remembered of it. Returns 0 or an exit code. */
int nx_cmd_open(struct nx_cmd *cmd, const char *url, int64_t timeout_ms,
        struct nx_session_client **ret_client);
/* Keeps what was learned of the server, then frees. NULL is fine. */
void nx_cmd_close(struct nx_cmd *cmd, struct nx_session_client *client);
/* Binds the session when it is not. */
void nx_cmd_adopt(struct nx_cmd *cmd, const char *id, const char *url);
/* Does the server take `json`? Asks /health at most every five minutes. */
bool nx_cmd_accepts_json(struct nx_cmd *cmd, struct nx_session_client *client);

/* ---- sessions and answers ---- */

/* The id an argument stands for: an alias's, or itself. Returns 0 or an exit code. */
int nx_cmd_session(struct nx_cmd *cmd, const char *argument, char ret_id[NX_SESSION_ID_MAX + 1]);
/* The agent to act as: --agent-id, else the stored one. *ret_own: it is the stored one, so the
 * stored key is its. ret_agent is "" when none is known. Returns 0 or an exit code. */
int nx_cmd_agent(
        struct nx_cmd *cmd, const char *id, char ret_agent[NX_AGENT_ID_MAX + 1], bool *ret_own);
/* As nx_cmd_agent, but none known is a failure that has been printed. */
int nx_cmd_need_agent(
        struct nx_cmd *cmd, const char *id, char ret_agent[NX_AGENT_ID_MAX + 1], bool *ret_own);
/* The stored key, "" when there is none. */
void nx_cmd_key(const struct nx_cmd *cmd, const char *id, char ret_key[NX_STATE_VALUE_MAX]);
/* What joining leaves behind: agent, key (when there is one) and server; another agent than before
 * starts without the former one's key and cursor. Returns 0 or an exit code. */
int nx_cmd_remember(
        struct nx_cmd *cmd, const char *id, const char *agent, const char *key, const char *url);
/* Prints an answer, or {"error":"non_json_response"} when none came (r < 0) or it was no JSON.
 * Returns the exit code. */
int nx_cmd_report(const struct nx_cmd *cmd, int r, const struct nx_session_client *client,
        const struct nx_session_client_result *result);

/* ---- documents of the state: objects of JSON, edited member by member ---- */

/* Reads a document that must be an object. Returns 0; NX_E_NOTFOUND when there is none; NX_E_DAMAGED. */
NX_MUST_USE int nx_doc_read(const struct nx_cmd *cmd, const char *name, struct nx_buf *to);
/* The member's text when it is a string: decoded, cut at ret_text's size. */
bool nx_doc_text(const struct nx_buf *doc, const char *key, char *ret_text, size_t text_bytes);
/* Puts key: raw JSON into the document, or takes it out (raw NULL), under the lock; the other
 * members stay as they are written. */
NX_MUST_USE int nx_doc_set(
        struct nx_cmd *cmd, const char *name, const char *key, const char *raw_value);
/* The name of a session's alias, false when it has none. */
bool nx_doc_alias_of(const struct nx_buf *aliases, const char *id, char ret_name[NX_ALIAS_MAX + 1]);
/* Takes out all aliases of a session. */
NX_MUST_USE int nx_doc_drop_aliases(struct nx_cmd *cmd, const char *id);

/* Moments, taken here because a command is the top of the house. */
int64_t nx_cmd_wall_ms(void);

/* ---- the verbs, each returns an exit code ---- */

int nx_verb_run_create(struct nx_cmd *cmd);
int nx_verb_run_status(struct nx_cmd *cmd);
int nx_verb_run_join(struct nx_cmd *cmd);
int nx_verb_run_pair(struct nx_cmd *cmd);
int nx_verb_run_claim(struct nx_cmd *cmd);
int nx_verb_run_pair_status(struct nx_cmd *cmd);
int nx_verb_run_send(struct nx_cmd *cmd);
int nx_verb_run_poll(struct nx_cmd *cmd);
int nx_verb_run_renew(struct nx_cmd *cmd);
int nx_verb_run_leave(struct nx_cmd *cmd);
int nx_verb_run_alias(struct nx_cmd *cmd);
int nx_verb_run_unalias(struct nx_cmd *cmd);
int nx_verb_run_ls(struct nx_cmd *cmd);
int nx_verb_run_poll_all(struct nx_cmd *cmd);
int nx_verb_run_config(struct nx_cmd *cmd);
int nx_verb_run_bind(struct nx_cmd *cmd);
int nx_verb_run_doctor(struct nx_cmd *cmd);
int nx_verb_run_poll_daemon(struct nx_cmd *cmd);
int nx_verb_run_heartbeat(struct nx_cmd *cmd);
int nx_verb_run_poll_status(struct nx_cmd *cmd);

#endif
