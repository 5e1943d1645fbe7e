/* The service's HTTP API without HTTP's bytes: a request in, a status, headers and a body out.
 *
 * In two halves, so that the owner can choose and lock a shard between them:
 *   nx_api_read   reads the request: route, generation, names, body. Touches no session.
 *   nx_api_step   runs it on the session machine of call.shard and renders the answer.
 * Both generations of paths answer on one set of sessions; docs/API.md has the tables. */
#ifndef NX_SESSION_API_API_H
#define NX_SESSION_API_API_H

#include "protocol/http1/http1.h"
#include "redact/redact.h"
#include "session/state/sessions.h"

struct nx_api_settings {
    struct nx_bytes public_url; /* no trailing slash; empty: from the request */
    const char *version;
    int64_t ttl_default_s, ttl_max_s;
    unsigned agents_default_v1, agents_default_v2, agents_max;
    size_t poll_bytes_max; /* messages in one answer */
};

enum nx_api_route {
    NX_API_CREATE,
    NX_API_STATUS,
    NX_API_JOIN,
    NX_API_SEND,
    NX_API_POLL,
    NX_API_RENEW,
    NX_API_LEAVE,
    NX_API_PAIR,
    NX_API_CLAIM,
    NX_API_CODE_STATUS,
    NX_API_CODE_PAGE,  /* /v1/pair/CODE/skill */
    NX_API_CODE_LINK,  /* /p/CODE: the redirect to it */
    NX_API_SELF_PAGE,  /* / */
    NX_API_SELF_SKILL, /* /skill.md: always markdown */
    NX_API_SCRIPT,     /* /nexus.sh: the skill package's script */
    NX_API_HEALTH,
    NX_API_STATS,
    NX_API_NONE, /* refused while reading: the answer is ready */
};

/* Where a call runs. */
enum nx_api_place {
    NX_API_ANYWHERE,   /* needs no session: nx_api_step with sessions == NULL */
    NX_API_ANY_SHARD,  /* a shard drawn at random (create) */
    NX_API_ONE_SHARD,  /* the shard of call.shard_of_session or call.shard_of_code */
    NX_API_ALL_SHARDS, /* needs call.totals, summed over all */
};

struct nx_api_answer {
    unsigned status;
    struct nx_buf headers; /* lines for struct nx_http1_answer, without X-Request-Id */
    struct nx_buf body;
};

struct nx_api_call {
    enum nx_api_route route;
    enum nx_api_place place;
    bool v1;
    bool durable;               /* promises something durable whatever the message mode */
    bool sends;                 /* promises something durable when messages are durable */
    struct nx_bytes session;    /* id as in the path or body; may be no id at all */
    char code[NX_CODE_LEN_MAX]; /* canonical */
    size_t code_len;            /* 0: what was written cannot be a code */
    struct nx_bytes code_written;
    struct nx_bytes agent, key; /* headers */
    struct nx_bytes leaver;     /* of the path */
    struct nx_session_create create;
    struct nx_send send;
    int64_t renew_ttl_s;
    struct nx_bytes after; /* as written */
    bool members, html;
    struct nx_bytes base_url; /* of this service as the client sees it */
    struct nx_redact_report redacted;
    struct nx_sessions_totals totals; /* NX_API_ALL_SHARDS: filled in by the owner */
    int64_t uptime_s;                 /* filled in by the owner */
    size_t page_bytes_max;            /* of a poll, set by an owner short of room; 0: settings */
};

/* One a loop: scratch that calls and answers borrow. */
struct nx_api {
    const struct nx_api_settings *settings;
    struct nx_buf text;    /* unescaped parts of the target */
    struct nx_buf cleaned; /* redacted text and json */
    struct nx_buf decoded;
    struct nx_buf redacted_text;
    struct nx_buf origin; /* the base URL made from a Host header */
    struct nx_api_answer answer;
};

void nx_api_init(
        struct nx_api *api, const struct nx_mem *mem, const struct nx_api_settings *settings);
void nx_api_done(struct nx_api *api);

/* Gives back what single large requests left behind; between requests only. */
void nx_api_trim(struct nx_api *api);

/* Reads a request. `origin` is the fallback base URL. When ret_call->route is NX_API_NONE the
 * answer is ready in api->answer. What the call borrows lives until the next nx_api_read. Returns
 * 0, or NX_E_NOMEM. */
NX_MUST_USE int nx_api_read(struct nx_api *api, const struct nx_http1_request *request,
        struct nx_bytes origin, struct nx_api_call *ret_call);

/* Runs the call; the answer is in api->answer. Errors of the machine become 500 or 503 answers.
 * Returns 0, or NX_E_NOMEM when not even an error answer could be made. */
NX_MUST_USE int nx_api_step(struct nx_api *api, struct nx_sessions *sessions, struct nx_time now,
        struct nx_api_call *call);

/* Fills the answer with an error; path and why (both or neither) become its one detail. Returns 0
 * or NX_E_NOMEM. */
NX_MUST_USE int nx_api_error(struct nx_api *api, unsigned status, const char *code,
        const char *message, const char *path, const char *why);
/* 429 with Retry-After. */
NX_MUST_USE int nx_api_limited(struct nx_api *api, int64_t retry_after_s);
/* 503 with Retry-After: the store takes no changes. */
NX_MUST_USE int nx_api_unavailable(struct nx_api *api);

#endif
