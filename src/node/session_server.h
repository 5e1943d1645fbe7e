/* `nexus serve` as a call: the session machine on sockets, loops and a store.
 *
 * One loop a core, each with its own listening socket; sessions are sharded by id, and a loop runs
 * a step under the shard's lock. Answers that promise something durable wait for its commit. */
#ifndef NX_NODE_SESSION_SERVER_H
#define NX_NODE_SESSION_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct nx_session_server_options {
    const char *listen;     /* "127.0.0.1:3000", "[::1]:3000", ":3000" (all); port 0 picks one */
    const char *data_dir;   /* NULL: everything in memory only */
    const char *public_url; /* for links in answers; NULL: from the request's Host */
    const char *trusted_proxies; /* comma-separated addresses or CIDR blocks whose
                                    X-Forwarded-For is believed; NULL: none */
    unsigned loops;              /* 0: one a core */
    unsigned rate_limit;         /* requests a minute and client address; 0: off */
    unsigned claim_limit;        /* claims a minute and client address; 0: as rate_limit */
    int64_t ttl_default_s, ttl_max_s;
    unsigned agents_default_v1, agents_default_v2, agents_max;
    int64_t inactivity_s; /* 0: off */
    bool durable_messages;
    size_t sessions_max;
    size_t body_bytes_max;
    size_t session_bytes_max; /* messages of one session */
    size_t memory_bytes_max;  /* messages of all sessions */
    size_t store_bytes_max;
    size_t connections_max;
    bool log_requests;   /* a line a request on stderr: method, route, status, time; never an id */
    bool handle_signals; /* SIGINT and SIGTERM end it in order */
    /* Called once when every loop listens; `url` is "http://127.0.0.1:3000". */
    void (*on_ready)(void *ctx, const char *url);
    void *ctx;
};

/* Fills in every default. */
void nx_session_server_defaults(struct nx_session_server_options *ret_options);

struct nx_session_server_fault {
    char text[512]; /* for the operator: what, where, what to do */
};

/* Runs until a signal. Returns 0 after an orderly end: no new connections, what is under way is
 * answered, the store is closed. On a negative error the fault says why it did not start. */
NX_MUST_USE int nx_session_server_run(
        const struct nx_session_server_options *options, struct nx_session_server_fault *ret_fault);

#endif
