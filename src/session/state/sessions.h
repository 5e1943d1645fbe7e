/* The session machine: temporary sessions between agents, their messages and pairing codes.
 *
 * One struct nx_sessions is one shard: a pure machine (request, now → answer, changes, what the
 * answer waits for). No socket, clock, entropy or lock here; `node` holds a lock around each step
 * and carries the changes to a store. Facts: docs/API.md.
 *
 * Durability. A step may leave changes (nx_sessions_changes). The owner submits them, gets a
 * number that grows with every submission, and tells it with nx_sessions_stamp. An answer may leave
 * when everything up to nx_sessions_waits_for is durable: that covers what the step itself promised
 * and every change it has seen, so nobody learns of a change before its commit. When a commit
 * fails, the owner rolls back (nx_sessions_rollback) to what the store still holds.
 *
 * Results: 0, a refusal (> 0, enum nx_refusal) that goes to the client, or an error (< 0). */
#ifndef NX_SESSION_STATE_SESSIONS_H
#define NX_SESSION_STATE_SESSIONS_H

#include "base/buf.h"
#include "base/change.h"
#include "base/random.h"
#include "base/time.h"

#define NX_SESSION_ID_LEN     48 /* hex characters: 192 bits */
#define NX_SESSION_KEY_LEN    64 /* hex characters: 256 bits */
#define NX_AGENT_ID_MAX       128
#define NX_MESSAGE_ID_LEN     36 /* UUID version 7 */
#define NX_CODE_LEN_MAX       24
#define NX_CODE_LIFETIME_MS   INT64_C(600000)
#define NX_SESSION_SHARDS_MAX 256

/* Tables of the store. */
#define NX_TABLE_SESSIONS 0 /* 8-byte big-endian serial → record */
#define NX_TABLE_MESSAGES 1 /* serial, then 8-byte big-endian cursor → the message as JSON */

enum nx_refusal {
    NX_REFUSE_SESSION_NOT_FOUND = 1,
    NX_REFUSE_SESSION_FULL,
    NX_REFUSE_AGENT_ID_TAKEN,
    NX_REFUSE_NOT_JOINED, /* send: forbidden */
    NX_REFUSE_NOT_MEMBER, /* poll, renew: agent_not_in_session */
    NX_REFUSE_WRONG_KEY,
    NX_REFUSE_AGENT_NOT_FOUND,
    NX_REFUSE_CREATOR_STAYS,
    NX_REFUSE_CODE_NOT_FOUND,
    NX_REFUSE_CODE_USED,      /* or past its time */
    NX_REFUSE_TOO_MANY_CODES, /* of one session */
    NX_REFUSE_MESSAGES_FULL,  /* one session holds its maximum of message bytes */
    NX_REFUSE_NO_ROOM,        /* this shard holds its maximum of sessions or message bytes */
};

struct nx_sessions_limits {
    int64_t ttl_default_s, ttl_max_s;
    unsigned agents_default_v1, agents_default_v2, agents_max;
    int64_t inactivity_s;     /* 0: idle agents stay */
    bool durable;             /* changes are wanted */
    bool durable_messages;    /* messages too */
    size_t sessions_max;      /* of this shard */
    size_t codes_max;         /* of one session */
    size_t message_bytes_max; /* of this shard, bookkeeping included */
    size_t session_bytes_max; /* of one session, likewise */
    unsigned shard, shards;   /* this one's index, of how many (a power of two) */
};

struct nx_agent {
    char id[NX_AGENT_ID_MAX];
    uint8_t id_len;
    char key[NX_SESSION_KEY_LEN];
    int64_t joined_wall_ms;
    struct nx_time seen; /* last send or poll */
};

enum nx_code_state { NX_CODE_PENDING, NX_CODE_CLAIMED, NX_CODE_EXPIRED };

struct nx_sessions;
struct nx_session;

/* What the outside may read of a session, after a step, until the next one. */
struct nx_session_view {
    struct nx_bytes id;
    struct nx_bytes creator;  /* empty: none */
    struct nx_bytes greeting; /* a JSON string with its quotes; empty: none */
    int64_t ttl_s;
    unsigned agents_max;
    int64_t created_wall_ms, expires_wall_ms;
    const struct nx_agent *agents;
    size_t agent_count;
};

/* Borrows mem and random for its life. Returns 0 or NX_E_NOMEM, NX_E_INVALID. */
NX_MUST_USE int nx_sessions_new(const struct nx_mem *mem, const struct nx_random *random,
        const struct nx_sessions_limits *limits, struct nx_sessions **ret_sessions);
void nx_sessions_free(struct nx_sessions *sessions);

/* Which shard a session or code lives in; ids and codes are made so that both agree. */
unsigned nx_session_shard(struct nx_bytes session_id, unsigned shards);
unsigned nx_code_shard(struct nx_bytes code, unsigned shards);
/* Upper-cases a code as written by a person. False when it cannot be one (length, characters). */
bool nx_code_canonical(struct nx_bytes code, char *ret_code, size_t *ret_len);
/* 1–128 of [A-Za-z0-9_-]. */
bool nx_agent_id_valid(struct nx_bytes id);

struct nx_session_create {
    bool v1;                  /* which generation asks */
    int64_t ttl_s;            /* 0: the default */
    unsigned agents_max;      /* 0: the generation's default */
    struct nx_bytes creator;  /* empty: none; joins at once */
    struct nx_bytes greeting; /* JSON string, or empty */
    /* The owner's count of creates over all shards, or 0. Records are stored in its order, so that
     * those made together lie on the same pages and one commit writes few of them. */
    uint64_t sequence;
};
NX_MUST_USE int nx_sessions_create(struct nx_sessions *sessions, struct nx_time now,
        const struct nx_session_create *create, struct nx_session_view *ret_view);

NX_MUST_USE int nx_sessions_status(struct nx_sessions *sessions, struct nx_time now,
        struct nx_bytes id, struct nx_session_view *ret_view);

struct nx_joined {
    struct nx_session_view view;
    struct nx_bytes key; /* empty when it must not be told (generation 1, already a member) */
};
/* key: what the client sent, or empty. */
NX_MUST_USE int nx_sessions_join(struct nx_sessions *sessions, struct nx_time now,
        struct nx_bytes id, struct nx_bytes agent, struct nx_bytes key, bool v1,
        struct nx_joined *ret_joined);

struct nx_send {
    struct nx_bytes agent, key; /* key may be empty */
    bool v1;
    struct nx_bytes text; /* JSON string, or empty */
    struct nx_bytes json; /* any JSON value, or empty */
};
struct nx_sent {
    char id[NX_MESSAGE_ID_LEN];
    uint64_t cursor;
    int64_t expires_wall_ms;
};
NX_MUST_USE int nx_sessions_send(struct nx_sessions *sessions, struct nx_time now,
        struct nx_bytes id, const struct nx_send *send, struct nx_sent *ret_sent);

struct nx_poll {
    struct nx_bytes agent;
    bool all;         /* from the very beginning, the greeting included */
    uint64_t after;   /* exclusive, when not all */
    size_t bytes_max; /* of messages; at least one is returned */
};
struct nx_polled {
    struct nx_session_view view;
    size_t count;
    uint64_t last; /* cursor of the last one returned, when count > 0 */
    bool more;     /* bytes_max cut it off */
};
/* Appends the messages as JSON objects with commas between to `to`. */
NX_MUST_USE int nx_sessions_poll(struct nx_sessions *sessions, struct nx_time now,
        struct nx_bytes id, const struct nx_poll *poll, struct nx_buf *to,
        struct nx_polled *ret_polled);

/* ttl_s 0 keeps it. */
NX_MUST_USE int nx_sessions_renew(struct nx_sessions *sessions, struct nx_time now,
        struct nx_bytes id, struct nx_bytes agent, int64_t ttl_s, struct nx_session_view *ret_view);

NX_MUST_USE int nx_sessions_leave(struct nx_sessions *sessions, struct nx_time now,
        struct nx_bytes id, struct nx_bytes agent, struct nx_bytes key);

struct nx_code_view {
    struct nx_bytes code;
    enum nx_code_state state;
    int64_t expires_wall_ms;
};
NX_MUST_USE int nx_sessions_pair(struct nx_sessions *sessions, struct nx_time now,
        struct nx_bytes id, struct nx_code_view *ret_code);
/* code: canonical. A claim joins like generation 2; one that is refused leaves the code open. */
NX_MUST_USE int nx_sessions_claim(struct nx_sessions *sessions, struct nx_time now,
        struct nx_bytes code, struct nx_bytes agent, struct nx_bytes key,
        struct nx_joined *ret_joined);
NX_MUST_USE int nx_sessions_code(struct nx_sessions *sessions, struct nx_time now,
        struct nx_bytes code, struct nx_code_view *ret_code);

/* Removes what is over: sessions past their time, idle agents. At most a bounded number a call.
 * Returns when to call again (monotonic ms; now or earlier = at once, NX_TIME_NEVER = nothing to
 * wait for). Leaves changes like any step. */
int64_t nx_sessions_tick(struct nx_sessions *sessions, struct nx_time now);

/* The highest sequence in use, loaded ones included: the owner's count goes on from the largest. */
uint64_t nx_sessions_sequence(const struct nx_sessions *sessions);

struct nx_sessions_totals {
    uint64_t sessions, agents, messages, message_bytes;
};
struct nx_sessions_totals nx_sessions_totals(const struct nx_sessions *sessions);

/* The last step's changes, one unit; valid until the next step. */
const struct nx_change *nx_sessions_changes(const struct nx_sessions *sessions, size_t *ret_count);
/* They were submitted under this number. */
void nx_sessions_stamp(struct nx_sessions *sessions, uint64_t number);
/* Tells whether the store takes changes now (as it does at the beginning). While it does not, steps
 * that promise nothing durable go on without: no sliding expiry is stored, no idle agent removed. */
void nx_sessions_storing(struct nx_sessions *sessions, bool storing);
/* What the last step's answer waits for; 0: nothing. */
uint64_t nx_sessions_waits_for(const struct nx_sessions *sessions);

/* One record of a store at start, sessions first. What is over is skipped and left as changes to
 * be submitted (ask after each call). Returns 0, NX_E_DAMAGED, NX_E_NOMEM, NX_E_LIMIT. */
NX_MUST_USE int nx_sessions_load(struct nx_sessions *sessions, struct nx_time now, unsigned table,
        struct nx_bytes key, struct nx_bytes value);
/* The shard whose record this key names. */
unsigned nx_sessions_key_shard(struct nx_bytes key, unsigned shards);

/* Makes memory agree with the store after a failed commit: everything numbered above `durable`
 * is undone. `read` returns 0 and the session's durable record, or NX_E_NOTFOUND. */
void nx_sessions_rollback(struct nx_sessions *sessions, struct nx_time now, uint64_t durable,
        int (*read)(void *ctx, struct nx_bytes key, struct nx_buf *value), void *ctx);

#endif
