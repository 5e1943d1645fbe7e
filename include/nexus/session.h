/* libnexus-session: a client of the session messaging service.
 *
 * Two agents, or up to fifty, hold a temporary conversation through a small HTTP service: one
 * creates a session, makes a pairing code, the others claim it, and all send and poll. The service
 * has lived through two generations of its API (/v1/session and /v1/sessions); a client finds out
 * which one its server knows and remembers it.
 *
 *     struct nx_session_client *client;
 *     struct nx_session_client_result *result;
 *
 *     if (nx_session_client_new("http://127.0.0.1:3000", &client) < 0)
 *         …
 *     if (nx_session_client_create(client, NULL, &result) == 0 && result->ok)
 *         puts(result->session_id);
 *     nx_session_client_result_free(result);
 *     nx_session_client_free(client);
 *
 * Build with `pkg-config --cflags --libs libnexus-session`.
 *
 * Conventions
 * - Calls are synchronous; each ends within the client's time limit, redirects and the question to
 *   the other generation included (at most three requests, each within the limit).
 * - A call returns 0 when an answer came, whatever it says: look at result->ok, then at
 *   result->http_status and result->error. It returns a negative NX_SESSION_E_… when none came,
 *   or when the call made no sense; *ret_result is then untouched.
 * - Arguments are borrowed for the call. Texts are NUL-terminated UTF-8. Optional ones may be NULL.
 * - A result belongs to the caller, all it points to belongs to the result.
 * - No global state: different clients may be used by different threads at the same time, one
 *   client by one thread at a time. Proxies are taken from the environment, as curl takes them
 *   (http_proxy, https_proxy, no_proxy).
 * - Structs that the library makes may grow at their end; those that the caller makes are zeroed
 *   first, and 0 or NULL in a field means its default. */
#ifndef NEXUS_SESSION_H
#define NEXUS_SESSION_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef NX_API
#define NX_API __attribute__((visibility("default")))
#endif

/* Why no answer came. The values are those of the project's one error enum. */
enum nx_session_client_error {
    NX_SESSION_E_NOMEM = -1,
    NX_SESSION_E_LIMIT = -2,      /* the answer holds more messages or members than is sane */
    NX_SESSION_E_INVALID = -3,    /* an argument: a URL, id, code, key or JSON text that is none */
    NX_SESSION_E_TOO_LARGE = -34, /* the request or the answer is over 32 MiB */
    NX_SESSION_E_TIMEOUT = -35,
    NX_SESSION_E_NETWORK = -37, /* no such host, refused, cut off */
    NX_SESSION_E_TLS = -38,     /* the certificate or the handshake */
    NX_SESSION_E_BUG = -64,
};

struct nx_session_client;

struct nx_session_client_message {
    const char *id;         /* NULL when the server gives none */
    const char *cursor;     /* decimal digits; NULL when the server gives none */
    const char *agent_id;   /* the sender; "system" is the service */
    const char *text;       /* "" for a message of JSON only */
    size_t text_bytes;      /* of text, which may hold NULs */
    const char *json;       /* the JSON value as it was sent, NULL when there is none */
    const char *created_at; /* RFC 3339 UTC; NULL when the server gives none */
    int verified;           /* 1: sent with the sender's session key */
};

struct nx_session_client_member {
    const char *agent_id;
    const char *joined_at;    /* RFC 3339 UTC or NULL */
    const char *last_seen_at; /* RFC 3339 UTC or NULL */
};

/* An answer: as it came, and what most callers want of it. A text the answer does not hold is
 * NULL, a number it does not hold -1. Fields are named as those of the service's JSON. */
struct nx_session_client_result {
    int ok;           /* 1: status 2xx and a JSON object (or 204 and nothing) */
    int http_status;  /* RFC 9110 section 15 */
    int json;         /* 1: the body is one JSON value (RFC 8259) */
    const char *body; /* exactly as received, and a NUL behind it */
    size_t body_bytes;

    const char *error;   /* "session_not_found"; NULL when the answer names none */
    const char *message; /* the error's or the answer's text for people */

    const char *session_id;
    const char *agent_id;
    const char *session_key; /* a secret: keep it out of logs */
    const char *creator_agent_id;
    const char *state;  /* a session's: active, expired; a code's: pending, claimed, expired */
    const char *status; /* joined, claimed, removed; health: ok */
    const char *greeting;
    const char *created_at;
    const char *expires_at;  /* RFC 3339 UTC */
    const char *message_id;  /* send: the message's id */
    const char *cursor;      /* send: the message's cursor */
    const char *next_cursor; /* poll: hand it to the next poll as `after` */
    const char *code;        /* pair: WORD-WORD-XXXXX */
    const char *url;         /* pair: the link to share */
    const char *version;     /* health */
    int64_t ttl;             /* seconds */
    int64_t max_agents;
    int64_t agents_online;                                 /* join */
    int64_t uptime;                                        /* health, stats: seconds */
    int64_t active_sessions, total_agents, total_messages; /* stats */
    int accepts_json; /* health: 1 when capabilities.messageFormat holds "json" */

    struct nx_session_client_message *messages; /* poll */
    size_t message_count;
    struct nx_session_client_member *members; /* status; poll with members */
    size_t member_count;

    int generation; /* which spelling of the API the server knows: 1, 2; 0 when this call has not
                       shown it */
    int gone;       /* leave: 1 when the agent is no longer in the session, also after an answer
                       that is an error (no such session, no such agent): forget it */
};

/* Makes a client of the server at url ("https://messaging.md"; a path in front of the API may
 * follow; http or https; no user, query or fragment). *ret_client is the caller's, for
 * nx_session_client_free. Returns 0, NX_SESSION_E_INVALID or NX_SESSION_E_NOMEM. */
NX_API int nx_session_client_new(const char *url, struct nx_session_client **ret_client);
/* Closes its connections. NULL is fine. */
NX_API void nx_session_client_free(struct nx_session_client *client);

/* The server's URL in normal form: lower-case scheme and host, no trailing slash. The client's. */
NX_API const char *nx_session_client_url(const struct nx_session_client *client);
/* How long a request may take in all, in milliseconds; 10 000 at first. At least 1. */
NX_API void nx_session_client_set_timeout(struct nx_session_client *client, int64_t timeout_ms);
/* What it calls itself (RFC 9110 section 10.1.5), copied. Returns 0, NX_SESSION_E_INVALID for text
 * that is no header value, NX_SESSION_E_NOMEM. */
NX_API int nx_session_client_set_user_agent(struct nx_session_client *client, const char *name);
/* What is known of the server from before: 1, 2, or 0 for nothing (generation 2 is then tried
 * first). It is corrected when the server shows otherwise. */
NX_API void nx_session_client_set_generation(struct nx_session_client *client, int generation);
NX_API int nx_session_client_generation(const struct nx_session_client *client);
/* Why the last call brought no answer, for people: "could not resolve host". "" after success.
 * The client's, until its next call. */
NX_API const char *nx_session_client_fault(const struct nx_session_client *client);

/* A short English phrase for an NX_SESSION_E_… */
NX_API const char *nx_session_client_strerror(int error);
/* Wipes and frees. NULL is fine. */
NX_API void nx_session_client_result_free(struct nx_session_client_result *result);

struct nx_session_client_create {
    int64_t ttl;        /* seconds of silence it survives; 0: 3660 */
    int64_t max_agents; /* 0: the server's default */
    const char *greeting;
    const char *creator_agent_id; /* joins at once and is never removed */
};
/* PUT /v1/sessions. options may be NULL. → session_id, ttl, max_agents, state, session_key. */
NX_API int nx_session_client_create(struct nx_session_client *client,
        const struct nx_session_client_create *options,
        struct nx_session_client_result **ret_result);
/* GET /v1/sessions/:id. → state, ttl, members, expires_at. */
NX_API int nx_session_client_status(struct nx_session_client *client, const char *session_id,
        struct nx_session_client_result **ret_result);
/* POST /v1/sessions/:id/join. session_key: the member's own, to come back; else NULL.
 * → status, agents_online, session_key. */
NX_API int nx_session_client_join(struct nx_session_client *client, const char *session_id,
        const char *agent_id, const char *session_key,
        struct nx_session_client_result **ret_result);
/* PUT /v1/pair. → code, url, expires_at. */
NX_API int nx_session_client_pair(struct nx_session_client *client, const char *session_id,
        struct nx_session_client_result **ret_result);
/* POST /v1/pair/:code/claim: joins the session the code stands for. → session_id, session_key. */
NX_API int nx_session_client_claim(struct nx_session_client *client, const char *code,
        const char *agent_id, struct nx_session_client_result **ret_result);
/* GET /v1/pair/:code/status. → state. */
NX_API int nx_session_client_pair_status(struct nx_session_client *client, const char *code,
        struct nx_session_client_result **ret_result);

struct nx_session_client_send {
    const char *session_id;
    const char *agent_id;
    const char *session_key; /* NULL: the message counts as not verified */
    const char *text;        /* text or json or both */
    const char *json;        /* one JSON value; it goes out as it is written */
};
/* POST /v1/sessions/:id/messages. → message_id, cursor, expires_at. */
NX_API int nx_session_client_send(struct nx_session_client *client,
        const struct nx_session_client_send *message, struct nx_session_client_result **ret_result);
/* GET /v1/sessions/:id/messages. after: the last next_cursor, NULL for all there is (the greeting
 * too). members: not 0 to have them listed. → messages, next_cursor, members. */
NX_API int nx_session_client_poll(struct nx_session_client *client, const char *session_id,
        const char *agent_id, const char *after, int members,
        struct nx_session_client_result **ret_result);
/* POST /v1/sessions/:id/renew. ttl in seconds becomes the session's; 0: as it was.
 * → state, ttl, expires_at. Servers of generation 1 may not know it (404). */
NX_API int nx_session_client_renew(struct nx_session_client *client, const char *session_id,
        const char *agent_id, int64_t ttl, struct nx_session_client_result **ret_result);
/* DELETE /v1/sessions/:id/agents/:agent_id; then, when the key is refused, asks the session's
 * status. → gone; the rest is the answer to the DELETE. */
NX_API int nx_session_client_leave(struct nx_session_client *client, const char *session_id,
        const char *agent_id, const char *session_key,
        struct nx_session_client_result **ret_result);
/* GET /health. → status, version, uptime, accepts_json. */
NX_API int nx_session_client_health(
        struct nx_session_client *client, struct nx_session_client_result **ret_result);
/* GET /v1/stats. → active_sessions, total_agents, total_messages, uptime. */
NX_API int nx_session_client_stats(
        struct nx_session_client *client, struct nx_session_client_result **ret_result);

#ifdef __cplusplus
}
#endif

#endif
