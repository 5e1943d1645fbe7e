/* One event loop of one thread: TCP in and out, a heartbeat, wake-ups from other threads, signals.
 * libuv behind it; nothing here knows what the bytes mean.
 *
 * A connection reads until told to stop and sends what it is given; what the socket does not take
 * at once is copied and sent in order, and on_sent tells when all of it has gone. */
#ifndef NX_IO_LOOP_H
#define NX_IO_LOOP_H

#include "base/mem.h"
#include "io/address.h"

struct nx_loop;
struct nx_tcp;

struct nx_loop_handler {
    /* A connection came in. Returns the owner's context for it, or NULL to close it at once. */
    void *(*on_accept)(void *ctx, struct nx_tcp *tcp, const struct nx_address *peer);
    /* Bytes came; borrowed for the call. */
    void (*on_read)(void *conn, struct nx_bytes bytes);
    /* The peer sends no more. */
    void (*on_eof)(void *conn);
    /* All that was given to nx_tcp_send has left. */
    void (*on_sent)(void *conn);
    /* The connection is gone (closed by either side, or broken): the last call for it. */
    void (*on_closed)(void *conn);
    void (*on_wake)(void *ctx);   /* nx_loop_wake was called, once or more */
    void (*on_beat)(void *ctx);   /* every beat_ms */
    void (*on_signal)(void *ctx); /* SIGINT or SIGTERM */
    void *ctx;
    unsigned beat_ms;
};

NX_MUST_USE int nx_loop_new(
        const struct nx_mem *mem, const struct nx_loop_handler *handler, struct nx_loop **ret_loop);
/* Closes what is open (on_closed is called) and frees. NULL is fine. */
void nx_loop_free(struct nx_loop *loop);

/* Listens. `shared`: other loops listen on the same port too (SO_REUSEPORT); the kernel then
 * spreads the connections. Out: *ret_bound is the address really bound (a port for port 0).
 * Returns 0, NX_E_BUSY (the port is taken), NX_E_IO. */
NX_MUST_USE int nx_loop_listen(struct nx_loop *loop, const struct nx_address *address, bool shared,
        struct nx_address *ret_bound);
/* Stops accepting. */
void nx_loop_unlisten(struct nx_loop *loop);
NX_MUST_USE int nx_loop_catch_signals(struct nx_loop *loop);

/* Runs until nx_loop_stop. */
void nx_loop_run(struct nx_loop *loop);
void nx_loop_stop(struct nx_loop *loop);
/* As many open files as this process may have; returns how many that is. */
size_t nx_loop_raise_file_limit(void);
/* From any thread. */
void nx_loop_wake(struct nx_loop *loop);

/* Sends. Returns 0, NX_E_NOMEM or NX_E_NETWORK (close it then). */
NX_MUST_USE int nx_tcp_send(struct nx_tcp *tcp, struct nx_bytes bytes);
/* True while some of what was given has not left. */
bool nx_tcp_sending(const struct nx_tcp *tcp);
void nx_tcp_read_pause(struct nx_tcp *tcp);
void nx_tcp_read_resume(struct nx_tcp *tcp);
/* Sends no more; still reads. Call it when nothing is being sent. */
void nx_tcp_shutdown(struct nx_tcp *tcp);
/* on_closed follows, not before this returns. May be called twice. */
void nx_tcp_close(struct nx_tcp *tcp);

#endif
