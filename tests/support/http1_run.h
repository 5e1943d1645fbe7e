/* Plays a byte stream against an HTTP/1.1 server machine, cut in a given way, and notes what came
 * of it: a log of the requests as they were understood, and every byte that was answered. */
#ifndef NX_TESTS_HTTP1_RUN_H
#define NX_TESTS_HTTP1_RUN_H

#include <stdio.h>

#include "protocol/http1/http1.h"

#define RUN_DATE "Sun, 06 Nov 1994 08:49:37 GMT"

struct run {
    struct nx_http1_server *server;
    struct nx_buf log; /* "METHOD path?query keep n:body\n" a request */
    struct nx_buf out;
    size_t requests;
    unsigned refused;
    bool finished;
    int error;
};

/* Answers with the path as the body. */
static inline int run_answer(struct run *run, const struct nx_http1_request *request, int64_t now)
{
    struct nx_http1_answer answer = {
            .status = 200,
            .headers = NX_BYTES("Content-Type: text/plain\r\n"),
            .body = request->path,
    };

    run->requests++;
    nx_buf_append(&run->log, request->method);
    NX_BUF_LIT(&run->log, " ");
    nx_buf_append(&run->log, request->path);
    NX_BUF_LIT(&run->log, "?");
    nx_buf_append(&run->log, request->query);
    nx_buf_append_str(&run->log, request->keep_alive ? " keep " : " close ");
    nx_buf_append_u64(&run->log, request->body.len);
    NX_BUF_LIT(&run->log, ":");
    nx_buf_append(&run->log, request->body);
    NX_BUF_LIT(&run->log, "\n");
    return nx_http1_server_respond(run->server, now, RUN_DATE, &answer);
}

static inline void run_collect(struct run *run, int64_t now)
{
    struct nx_bytes out = nx_http1_server_output(run->server);

    nx_buf_append(&run->out, out);
    nx_http1_server_written(run->server, now, out.len);
}

/* Offers the bytes as an owner would: again behind every answer, until none is taken. */
static inline int run_feed(struct run *run, int64_t now, struct nx_bytes bytes)
{
    while (bytes.len > 0) {
        size_t taken = 0;
        int r = nx_http1_server_read(run->server, now, bytes, &taken);
        const struct nx_http1_request *request;

        if (r < 0)
            return r;
        bytes = nx_bytes_from(bytes, taken);
        request = nx_http1_server_request(run->server);
        if (request)
            r = run_answer(run, request, now);
        if (r < 0)
            return r;
        run_collect(run, now);
        if (!request && taken == 0)
            break;
    }
    return 0;
}

static inline int run_begin(
        struct run *run, const struct nx_mem *mem, const struct nx_http1_limits *limits)
{
    *run = (struct run){0};
    nx_buf_init(&run->log, nx_mem_libc(), 1 << 26);
    nx_buf_init(&run->out, nx_mem_libc(), 1 << 26);
    run->error = nx_http1_server_new(mem, limits, 0, &run->server);
    if (run->error == 0)
        nx_http1_server_set_request_id(run->server, "0123456789abcdef");
    return run->error;
}

static inline void run_end(struct run *run)
{
    nx_http1_server_free(run->server);
    nx_buf_done(&run->log);
    nx_buf_done(&run->out);
}

/* The whole input in pieces of `piece` bytes, the first of `first` (0: like the others). */
static inline void run_pieces(struct run *run, const struct nx_mem *mem,
        const struct nx_http1_limits *limits, struct nx_bytes input, size_t first, size_t piece)
{
    size_t n = first > 0 ? first : piece;

    if (run_begin(run, mem, limits) < 0)
        return;
    while (input.len > 0 && run->error == 0) {
        if (n > input.len)
            n = input.len;
        run->error = run_feed(run, 0, nx_bytes_of(input.ptr, n));
        input = nx_bytes_from(input, n);
        n = piece;
    }
    run->refused = nx_http1_server_refused(run->server);
    run->finished = nx_http1_server_finished(run->server);
}

#endif
