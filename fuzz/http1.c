/* Fuzzes the HTTP/1.1 server machine. Input: one byte of options, eight bytes that say how the
 * rest is cut, and the rest is what the peer sends.
 *
 * Held: read never takes more than is given and always moves on; memory stays under what the
 * limits allow; what is finished stays finished; a deadline that passed is gone; every span of a
 * request lies in live memory; and the same bytes in one piece give the same requests, the same
 * output and the same refusal. */
#include <stdlib.h>

#include "protocol/http1/http1.h"

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"

enum {
    OPTION_SMALL = 1, /* tiny limits */
    OPTION_TICKS = 2, /* deadlines pass while it reads */
    OPTION_CLOSE = 4, /* answers close */
    OPTION_STUCK = 8, /* output is sent late */
    OPTION_EOF = 16,  /* the peer closes at the end */
    CUTS = 8,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool ok)
{
    if (!ok)
        abort();
}

struct ledger {
    size_t live;
};

static void *counted(void *ctx, void *ptr, size_t bytes)
{
    struct ledger *ledger = ctx;
    size_t *block = ptr ? (size_t *)ptr - 2 : NULL;

    if (block)
        ledger->live -= block[0];
    if (bytes == 0) {
        free(block);
        return NULL;
    }
    block = realloc(block, bytes + 2 * sizeof(*block));
    must(block != NULL);
    block[0] = bytes;
    ledger->live += bytes;
    return block + 2;
}

static uint64_t mix(uint64_t hash, struct nx_bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ (unsigned char)bytes.ptr[i]) * UINT64_C(0x100000001b3);
    return (hash ^ bytes.len) * UINT64_C(0x100000001b3);
}

struct outcome {
    uint64_t requests;
    uint64_t output;
    size_t output_len;
    unsigned refused;
    bool finished;
};

struct play {
    struct nx_http1_server *server;
    const struct nx_http1_limits *limits;
    struct ledger ledger;
    struct outcome outcome;
    unsigned options;
    int64_t now;
};

static void check_memory(const struct play *play)
{
    const struct nx_http1_limits *limits = play->limits;

    must(play->ledger.live <= 4096 + limits->head_bytes_max + limits->body_bytes_max +
                                      limits->output_bytes_max +
                                      limits->headers_max * 2 * sizeof(struct nx_http1_header));
}

static void send_output(struct play *play)
{
    struct nx_bytes out = nx_http1_server_output(play->server);

    for (size_t i = 0; i < out.len; i++)
        play->outcome.output =
                (play->outcome.output ^ (unsigned char)out.ptr[i]) * UINT64_C(0x100000001b3);
    play->outcome.output_len += out.len;
    nx_http1_server_written(play->server, play->now, out.len);
    must(nx_http1_server_output(play->server).len == 0);
}

static void answer(struct play *play)
{
    const struct nx_http1_request *request = nx_http1_server_request(play->server);
    struct nx_http1_answer reply = {
            .status = 200,
            .headers = NX_BYTES("X-Request-Id: 0123456789abcdef\r\n"),
            .close = (play->options & OPTION_CLOSE) != 0,
    };
    uint64_t hash = play->outcome.requests;
    int r;

    if (!request)
        return;
    must(request->header_count <= play->limits->headers_max);
    must(request->body.len <= play->limits->body_bytes_max);
    must(request->target.len <= play->limits->target_bytes_max);
    must(request->path.len > 0 && (request->path.ptr[0] == '/' || request->path.ptr[0] == '*'));
    hash = mix(hash, request->method);
    hash = mix(hash, request->target);
    hash = mix(hash, request->path);
    hash = mix(hash, request->query);
    hash = mix(hash, request->body);
    for (size_t i = 0; i < request->header_count; i++)
        hash = mix(mix(hash, request->headers[i].name), request->headers[i].value);
    play->outcome.requests = hash + request->keep_alive;
    reply.body = request->path;
    r = nx_http1_server_respond(play->server, play->now, DATE, &reply);
    must(r == 0 || r == NX_E_TOO_LARGE);
    must(nx_http1_server_request(play->server) == NULL);
}

static void pass_time(struct play *play)
{
    int64_t deadline = nx_http1_server_deadline(play->server);

    if (!(play->options & OPTION_TICKS) || deadline == NX_TIME_NEVER)
        return;
    play->now += 3;
    nx_http1_server_tick(play->server, play->now, DATE);
    if (deadline <= play->now)
        must(nx_http1_server_finished(play->server) ||
                nx_http1_server_deadline(play->server) > play->now);
}

static void offer(struct play *play, struct nx_bytes bytes)
{
    while (bytes.len > 0) {
        bool wanted = nx_http1_server_wants_read(play->server);
        bool was_finished = nx_http1_server_finished(play->server);
        size_t taken = SIZE_MAX;

        must(nx_http1_server_read(play->server, play->now, bytes, &taken) == 0);
        must(taken <= bytes.len);
        must(wanted ? taken > 0 : taken == 0);
        must(!was_finished || nx_http1_server_finished(play->server));
        check_memory(play);
        bytes = nx_bytes_from(bytes, taken);
        answer(play);
        if (!(play->options & OPTION_STUCK) || taken == 0)
            send_output(play);
        pass_time(play);
        if (!nx_http1_server_wants_read(play->server) && taken == 0)
            break;
    }
}

static void play_all(struct play *play, struct nx_bytes input, const uint8_t *cuts)
{
    struct nx_mem mem = {counted, &play->ledger};

    must(nx_http1_server_new(&mem, play->limits, 0, &play->server) == 0);
    nx_http1_server_set_request_id(play->server, "0123456789abcdef");
    for (size_t i = 0; input.len > 0; i++) {
        size_t n = cuts ? cuts[i % CUTS] + 1u : input.len;
        char *copy;

        if (n > input.len)
            n = input.len;
        /* a block of its own, so that reading past it or after it is seen */
        copy = malloc(n);
        must(copy != NULL);
        memcpy(copy, input.ptr, n);
        offer(play, nx_bytes_of(copy, n));
        free(copy);
        input = nx_bytes_from(input, n);
    }
    send_output(play);
    play->outcome.refused = nx_http1_server_refused(play->server);
    play->outcome.finished = nx_http1_server_finished(play->server);
    if (play->options & OPTION_EOF) {
        nx_http1_server_eof(play->server);
        must(nx_http1_server_finished(play->server));
    }
    nx_http1_server_free(play->server);
    must(play->ledger.live == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct nx_http1_limits limits = nx_http1_limits_default;
    struct play cut = {.limits = &limits};
    struct play whole = {.limits = &limits};

    if (len < 1 + CUTS)
        return 0;
    cut.options = data[0];
    if (cut.options & OPTION_SMALL) {
        limits = (struct nx_http1_limits){
                .target_bytes_max = 20,
                .head_bytes_max = 120,
                .headers_max = 3,
                .body_bytes_max = 40,
                .output_bytes_max = 400,
                .head_timeout_ms = 10,
                .body_timeout_ms = 20,
                .idle_timeout_ms = 30,
                .write_timeout_ms = 40,
        };
    }
    play_all(&cut, nx_bytes_of(data + 1 + CUTS, len - 1 - CUTS), data + 1);
    if (cut.options & (OPTION_TICKS | OPTION_STUCK))
        return 0;
    whole.options = cut.options;
    play_all(&whole, nx_bytes_of(data + 1 + CUTS, len - 1 - CUTS), NULL);
    must(cut.outcome.requests == whole.outcome.requests);
    must(cut.outcome.output == whole.outcome.output);
    must(cut.outcome.output_len == whole.outcome.output_len);
    must(cut.outcome.refused == whole.outcome.refused);
    must(cut.outcome.finished == whole.outcome.finished);
    return 0;
}
