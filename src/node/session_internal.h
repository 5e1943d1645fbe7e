/* Between the files of the session server: shards behind locks, loops, parked answers. */
#ifndef NX_NODE_SESSION_INTERNAL_H
#define NX_NODE_SESSION_INTERNAL_H

#include <stdatomic.h>

#include "base/hash.h"
#include "base/heap.h"
#include "io/clock.h"
#include "io/entropy.h"
#include "io/loop.h"
#include "io/store.h"
#include "io/thread.h"
#include "node/session_server.h"
#include "session/api/api.h"
#include "session/api/ratelimit.h"

#define SHARDS    16 /* fixed: a code's shard must be the same after a restart */
#define LOOPS_MAX 64

struct shard {
    struct nx_lock lock;
    struct nx_sessions *sessions;
    struct nx_entropy entropy;
    struct nx_random random;
    uint64_t submitted; /* the last number this shard's changes got */
};

struct limiter {
    struct nx_lock lock;
    struct nx_ratelimit *ratelimit;
};

/* What the storage thread reported and a loop has not yet heard: settled up to `upto`, for better
 * or worse. */
struct report {
    uint64_t upto;
    int result;
};

#define REPORTS_MAX 64

/* An answer that waits for its commit. */
struct parked {
    struct parked *next;
    struct connection *connection;
    uint64_t waits_for;
    unsigned status;
    struct nx_buf headers, body;
};

struct connection {
    struct server_loop *loop;
    struct nx_tcp *tcp;
    struct nx_http1_server *http;
    struct nx_heap_node timer;
    struct nx_ip peer;
    struct parked *parked;
    struct nx_buf unread; /* bytes that came behind the request in hand */
    size_t output_bytes;  /* of it in the loop's sum */
    size_t sending;       /* bytes of output the socket has not yet taken */
    char request_id[16];
    bool eof; /* the peer sends no more; told to http when unread is used up */
    bool shut;
};

struct server_loop {
    struct server *server;
    struct nx_loop *loop;
    struct nx_thread thread;
    unsigned index;
    struct nx_api api;
    struct nx_heap deadlines;
    size_t connections;
    size_t output_bytes; /* of answers that the sockets have not taken, all connections */
    struct parked *parked_first, **parked_last;
    uint64_t settled; /* the last report heard */
    struct nx_entropy entropy;
    struct nx_random random;
    uint64_t request_prefix, request_count;
    int64_t date_second;
    char date[NX_HTTP_DATE_LEN];
    bool stopping;
    int64_t stop_deadline_ms;

    struct nx_lock reports_lock;
    struct report reports[REPORTS_MAX];
    size_t report_count;
};

struct server {
    const struct nx_session_server_options *options;
    const struct nx_mem *mem;
    struct nx_api_settings settings;
    struct nx_http1_limits http_limits;
    struct nx_ip_blocks trusted;
    struct shard shards[SHARDS];
    struct limiter limiters[SHARDS];
    struct nx_hash_key address_key;
    struct nx_store *store;                        /* NULL: in memory only */
    _Atomic uint64_t durable;                      /* the last number known to be on disk */
    _Atomic uint64_t sequence;                     /* of creates, over all shards */
    _Atomic uint64_t session_total, message_bytes; /* over all shards */
    struct server_loop *loops[LOOPS_MAX];
    unsigned loop_count;
    char origin[NX_ADDRESS_TEXT + 8]; /* "http://127.0.0.1:3000" */
    int64_t started_ms;
    int64_t complained_ms; /* of the store, when `complained`; storage thread only */
    bool complained;
    _Atomic bool stopping;
};

/* session_shards.c: the machine behind its locks. */
int shards_open(struct server *server, struct nx_session_server_fault *ret_fault);
void shards_close(struct server *server);
/* Runs a call where it belongs. Out: the number its answer waits for. Returns 0 or < 0. */
int shards_run(struct server_loop *loop, struct nx_time now, struct nx_api_call *call,
        uint64_t *ret_waits_for);
/* Expiry for the shards this loop looks after. */
void shards_beat(struct server_loop *loop, struct nx_time now);
/* Seconds to wait, or 0. */
int64_t limiters_take(struct server *server, int64_t mono_ms, const struct nx_ip *ip,
        enum nx_ratelimit_kind kind);

/* session_loop.c: connections and their requests. */
int server_loop_new(struct server *server, unsigned index, struct server_loop **ret_loop);
void server_loop_free(struct server_loop *loop);
/* From the storage thread. */
void server_loop_report(struct server_loop *loop, uint64_t upto, int result);

/* session_log.c: a line a request, without a name, id, code, key or text. */
void log_request(struct nx_bytes method, const struct nx_api_call *call, unsigned status,
        const char *request_id, int64_t took_ms);

#endif
