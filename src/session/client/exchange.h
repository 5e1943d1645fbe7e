/* One call of a session client as a machine: a request goes out, an answer comes in, then there is
 * another request or the result.
 *
 * It knows both spellings of the service's paths and which to try: the one remembered for the
 * server first (generation 2 when none is), and the other one when the answer is a 404 that comes
 * from the server's router, not from its sessions. It settles what a refused leave means. It opens
 * no socket and reads no clock: node/session_client.c runs it over libcurl. */
#ifndef NX_SESSION_CLIENT_EXCHANGE_H
#define NX_SESSION_CLIENT_EXCHANGE_H

#include "base/buf.h"

enum nx_call_kind {
    NX_CALL_CREATE,
    NX_CALL_STATUS,
    NX_CALL_JOIN,
    NX_CALL_PAIR,
    NX_CALL_CLAIM,
    NX_CALL_PAIR_STATUS,
    NX_CALL_SEND,
    NX_CALL_POLL,
    NX_CALL_RENEW,
    NX_CALL_LEAVE,
    NX_CALL_HEALTH,
    NX_CALL_STATS,
};

/* What is asked. Spans with a NULL ptr are absent; the caller's bytes are borrowed for
 * nx_exchange_start only. */
struct nx_call {
    enum nx_call_kind kind;
    struct nx_bytes session_id;
    struct nx_bytes code;
    struct nx_bytes agent_id; /* absent: sent without, the server says 400 missing_agent_id */
    struct nx_bytes session_key;
    struct nx_bytes after;
    struct nx_bytes text;
    struct nx_bytes json; /* one JSON value, sent as it is written */
    struct nx_bytes greeting;
    struct nx_bytes creator_agent_id;
    int64_t ttl_s;      /* 0: not sent */
    int64_t max_agents; /* 0: not sent */
    bool members;
};

/* What goes out now. The texts belong to the exchange until its next step. */
struct nx_exchange_request {
    const char *method;
    const char *path;        /* from the server's URL on: "/v1/sessions" */
    const char *agent_id;    /* for X-Agent-Id, NULL: without */
    const char *session_key; /* for X-Session-Key, NULL: without */
    struct nx_bytes body;    /* JSON; ptr NULL: no body and no content type */
};

struct nx_exchange_answer {
    int status; /* HTTP; 0 when none came */
    bool json;  /* the body is one JSON value */
    struct nx_buf body;
};

/* What a leave means for what the client has stored. */
enum nx_leave_outcome {
    NX_LEAVE_NONE, /* the call was no leave */
    NX_LEAVE_GONE, /* the agent is no longer in the session: forget it */
    NX_LEAVE_KEPT,
};

enum nx_exchange_stage {
    NX_EXCHANGE_FIRST,
    NX_EXCHANGE_OTHER,  /* the same under the other spelling */
    NX_EXCHANGE_STATUS, /* a leave with a wrong key: is the agent still there? */
    NX_EXCHANGE_DONE,
};

struct nx_exchange {
    const struct nx_mem *mem;
    enum nx_call_kind kind;
    enum nx_exchange_stage stage;
    int generation;  /* of the request that is out: 1 or 2 */
    int answered_by; /* the generation the server is known to know now, 0: nothing learned */
    bool members;
    enum nx_leave_outcome leave;
    struct nx_buf session_id, code, agent_id, session_key, query, path, body;
    bool has_body;
    struct nx_exchange_request request;
    struct nx_exchange_answer answer;
};

/* Builds the first request. generation is what is remembered of the server: 1, 2, or 0 for
 * nothing. Returns 0; NX_E_INVALID when a name could not stand in a path or a header, something
 * the call needs is absent, or json is no JSON; NX_E_NOMEM, NX_E_TOO_LARGE. Call
 * nx_exchange_done also after a failure. */
NX_MUST_USE int nx_exchange_start(struct nx_exchange *exchange, const struct nx_mem *mem,
        const struct nx_call *call, int generation, size_t bytes_max);
void nx_exchange_done(struct nx_exchange *exchange);

/* Takes the answer. Returns 1 when another request is out, 0 when exchange->answer is the result,
 * or NX_E_NOMEM, NX_E_TOO_LARGE. status 0 means that no answer came: the result is then an earlier
 * answer when there is one, else one with status 0. */
NX_MUST_USE int nx_exchange_answer(struct nx_exchange *exchange, int status, struct nx_bytes body);

/* The decision table for leave: what the answer to the leave says alone. Sets *ret_ask when the
 * session's status has to be asked first. */
enum nx_leave_outcome nx_leave_decide(int status, struct nx_bytes error, bool *ret_ask);

#endif
