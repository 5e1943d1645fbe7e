/* One loop's connections: bytes to requests, requests to the shards, answers back, some of them
 * only after their commit. */
#include <stdio.h>
#include <stdlib.h>

#include "node/session_internal.h"

#define BEAT_MS           500
#define SEND_BYTES        ((size_t)256 * 1024) /* handed to the socket at a time */
#define UNREAD_BYTES_MAX  ((size_t)256 * 1024) /* held of what came behind a request in hand */
#define OUTPUT_BYTES_CALM ((size_t)64 * 1024 * 1024) /* unsent answers of a loop beyond which … */
#define PAGE_BYTES_SHORT  ((size_t)64 * 1024)        /* … polls get short pages */
#define STOP_MS           5000 /* for answers under way when the server ends */

static void pump(struct connection *c, struct nx_time now);

static const char *http_date(struct server_loop *loop, struct nx_time now)
{
    if (now.wall_ms / 1000 != loop->date_second) {
        loop->date_second = now.wall_ms / 1000;
        nx_time_http_date(now.wall_ms, loop->date);
    }
    return loop->date;
}

/* Ids tell requests apart and nothing else: a random half and a count. */
static void next_request_id(struct connection *c)
{
    struct server_loop *loop = c->loop;
    uint64_t id = loop->request_prefix << 32 | (uint32_t)++loop->request_count;
    uint8_t raw[8];

    for (int i = 0; i < 8; i++)
        raw[i] = (uint8_t)(id >> (56 - 8 * i));
    nx_hex_encode(raw, sizeof(raw), c->request_id);
    nx_http1_server_set_request_id(c->http, c->request_id);
}

static void respond(struct connection *c, struct nx_time now, unsigned status,
        struct nx_buf *headers, const struct nx_buf *body)
{
    struct nx_http1_answer answer = {.status = status, .close = c->loop->stopping};

    NX_BUF_LIT(headers, "X-Request-Id: ");
    nx_buf_append(headers, nx_bytes_of(c->request_id, sizeof(c->request_id)));
    NX_BUF_LIT(headers, "\r\n");
    answer.headers = nx_buf_bytes(headers);
    answer.body = nx_buf_bytes(body);
    if (nx_buf_error(headers) < 0 ||
            nx_http1_server_respond(c->http, now.mono_ms, http_date(c->loop, now), &answer) < 0)
        nx_tcp_close(c->tcp);
    else
        next_request_id(c);
}

/* Goes through one X-Forwarded-For list from its end. False when the client was found. */
static bool follow(const struct nx_ip_blocks *trusted, struct nx_bytes list, struct nx_ip *client)
{
    while (list.len > 0) {
        size_t at = list.len;
        struct nx_ip ip;

        while (at > 0 && list.ptr[at - 1] != ',')
            at--;
        if (nx_ip_parse(nx_bytes_from(list, at), &ip) < 0)
            return false;
        *client = ip;
        if (!nx_ip_blocks_hold(trusted, client))
            return false;
        list.len = at > 0 ? at - 1 : 0;
    }
    return true;
}

/* Readers who do not read hold their answers in memory: the more is held, the shorter the pages. */
static void account_output(struct connection *c, size_t bytes)
{
    c->loop->output_bytes += bytes - c->output_bytes;
    c->output_bytes = bytes;
}

/* The address to count against: the peer's, or what a trusted proxy says of its client. The list
 * grows to the right, so the last address that is no trusted proxy is the nearest unproven one.
 * Several fields are one list (RFC 9110 section 5.3): some proxies add a field of their own behind
 * what the client made up. */
static struct nx_ip client_of(const struct connection *c, const struct nx_http1_request *request)
{
    const struct nx_ip_blocks *trusted = &c->loop->server->trusted;
    struct nx_ip client = c->peer;

    if (trusted->count == 0 || !nx_ip_blocks_hold(trusted, &client))
        return client;
    for (size_t i = request->header_count; i > 0; i--) {
        const struct nx_http1_header *header = &request->headers[i - 1];

        if (nx_bytes_equal_nocase(header->name, NX_BYTES("x-forwarded-for")) &&
                !follow(trusted, header->value, &client))
            break;
    }
    return client;
}

/* Seconds the client must wait, 0 when it may go on. Health is asked by those who watch. */
static int64_t limited(struct connection *c, struct nx_time now,
        const struct nx_http1_request *request, const struct nx_api_call *call)
{
    struct server *server = c->loop->server;
    struct nx_ip ip;
    int64_t wait_s;

    if (server->options->rate_limit == 0 || call->route == NX_API_HEALTH)
        return 0;
    ip = client_of(c, request);
    wait_s = limiters_take(server, now.mono_ms, &ip, NX_RATELIMIT_REQUEST);
    if (wait_s == 0 && call->route == NX_API_CLAIM)
        wait_s = limiters_take(server, now.mono_ms, &ip, NX_RATELIMIT_CLAIM);
    return wait_s;
}

static void parked_free(struct server_loop *loop, struct parked *parked)
{
    nx_buf_done(&parked->headers);
    nx_buf_done(&parked->body);
    nx_mem_free(loop->server->mem, parked);
}

/* Keeps the answer until the store has said how it went. */
static int park(struct connection *c, uint64_t waits_for)
{
    struct server_loop *loop = c->loop;
    const struct nx_mem *mem = loop->server->mem;
    const struct nx_api_answer *answer = &loop->api.answer;
    struct parked *parked = nx_mem_zalloc(mem, 1, sizeof(*parked));

    if (!parked)
        return NX_E_NOMEM;
    nx_buf_init(&parked->headers, mem, answer->headers.max);
    nx_buf_init(&parked->body, mem, answer->body.max);
    nx_buf_append(&parked->headers, nx_buf_bytes(&answer->headers));
    nx_buf_append(&parked->body, nx_buf_bytes(&answer->body));
    if (nx_buf_error(&parked->headers) < 0 || nx_buf_error(&parked->body) < 0) {
        parked_free(loop, parked);
        return NX_E_NOMEM;
    }
    parked->status = answer->status;
    parked->waits_for = waits_for;
    parked->connection = c;
    c->parked = parked;
    *loop->parked_last = parked;
    loop->parked_last = &parked->next;
    return 0;
}

static void log_answer(struct connection *c, const struct nx_api_call *call, struct nx_time began)
{
    struct server_loop *loop = c->loop;

    if (loop->server->options->log_requests)
        log_request(nx_http1_server_request(c->http)->method, call, loop->api.answer.status,
                c->request_id, nx_clock_now().mono_ms - began.mono_ms);
}

/* Answers the request in hand, or parks the answer. */
static void handle(struct connection *c, struct nx_time now)
{
    struct server_loop *loop = c->loop;
    const struct nx_http1_request *request = nx_http1_server_request(c->http);
    struct nx_api_call call;
    uint64_t waits_for = 0;
    int64_t wait_s;
    int r;

    r = nx_api_read(&loop->api, request, nx_bytes_str(loop->server->origin), &call);
    if (loop->output_bytes > OUTPUT_BYTES_CALM)
        call.page_bytes_max = PAGE_BYTES_SHORT;
    wait_s = r == 0 ? limited(c, now, request, &call) : 0;
    if (wait_s > 0)
        r = nx_api_limited(&loop->api, wait_s);
    else if (r == 0 && call.route != NX_API_NONE)
        r = shards_run(loop, now, &call, &waits_for);
    if (r == 0)
        log_answer(c, &call, now);
    if (r == 0 && waits_for > loop->settled)
        r = park(c, waits_for);
    else if (r == 0)
        respond(c, now, loop->api.answer.status, &loop->api.answer.headers, &loop->api.answer.body);
    if (r < 0)
        nx_tcp_close(c->tcp);
}

/* Gives bytes to the machine and answers what they complete. Returns how many were taken. */
static size_t feed(struct connection *c, struct nx_time now, struct nx_bytes bytes)
{
    size_t taken_all = 0;

    while (taken_all < bytes.len && !c->parked && nx_http1_server_wants_read(c->http)) {
        size_t taken = 0;

        if (nx_http1_server_read(c->http, now.mono_ms, nx_bytes_from(bytes, taken_all), &taken) <
                0) {
            nx_tcp_close(c->tcp);
            return bytes.len;
        }
        taken_all += taken;
        if (nx_http1_server_request(c->http))
            handle(c, now);
        else if (taken == 0)
            break;
    }
    return taken_all;
}

/* Hands output to the socket, a part at a time: the machine's write deadline counts from the last
 * part that left. */
static void flush(struct connection *c, struct nx_time now)
{
    while (!nx_tcp_sending(c->tcp)) {
        struct nx_bytes output = nx_http1_server_output(c->http);

        if (output.len == 0)
            return;
        if (output.len > SEND_BYTES)
            output.len = SEND_BYTES;
        if (nx_tcp_send(c->tcp, output) < 0) {
            nx_tcp_close(c->tcp);
            return;
        }
        if (nx_tcp_sending(c->tcp))
            c->sending = output.len;
        else
            nx_http1_server_written(c->http, now.mono_ms, output.len);
    }
}

/* The timer is moved only when the deadline came nearer; one that fires early looks again. */
static void set_timer(struct connection *c, struct nx_time now)
{
    int64_t deadline = nx_http1_server_deadline(c->http);
    int64_t recheck = now.mono_ms + 60000;

    if (deadline > recheck)
        deadline = recheck;
    if (c->timer.place == 0 || deadline < c->timer.key)
        (void)!nx_heap_set(&c->loop->deadlines, &c->timer, deadline);
}

/* After anything happened: move on what can move. */
static void pump(struct connection *c, struct nx_time now)
{
    flush(c, now);
    while (c->unread.len > 0) {
        size_t taken = feed(c, now, nx_buf_bytes(&c->unread));

        flush(c, now);
        if (taken == 0)
            break;
        nx_buf_drop(&c->unread, taken);
    }
    account_output(c, nx_http1_server_output_held(c->http));
    if (c->unread.len == 0 && c->unread.capacity > 0)
        nx_buf_done(&c->unread);
    if (c->eof && c->unread.len == 0)
        nx_http1_server_eof(c->http);
    /* Also while the socket still holds a part: a reader that stopped reading would keep it for
     * ever. An answer that is to arrive counts as unsent, hence unfinished, until its last part
     * has left. */
    if (nx_http1_server_finished(c->http)) {
        nx_tcp_close(c->tcp);
        return;
    }
    if (nx_http1_server_wants_shutdown(c->http) && !c->shut && !nx_tcp_sending(c->tcp)) {
        c->shut = true;
        nx_tcp_shutdown(c->tcp);
    }
    if (c->unread.len >= UNREAD_BYTES_MAX / 2)
        nx_tcp_read_pause(c->tcp);
    else
        nx_tcp_read_resume(c->tcp);
    set_timer(c, now);
}

static void on_read(void *conn, struct nx_bytes bytes)
{
    struct connection *c = conn;
    struct nx_time now = nx_clock_now();

    if (c->unread.len == 0)
        bytes = nx_bytes_from(bytes, feed(c, now, bytes));
    if (bytes.len > 0) {
        nx_buf_append(&c->unread, bytes);
        if (nx_buf_error(&c->unread) < 0) {
            nx_tcp_close(c->tcp);
            return;
        }
    }
    pump(c, now);
}

static void on_eof(void *conn)
{
    struct connection *c = conn;

    c->eof = true;
    pump(c, nx_clock_now());
}

static void on_sent(void *conn)
{
    struct connection *c = conn;
    struct nx_time now = nx_clock_now();

    nx_http1_server_written(c->http, now.mono_ms, c->sending);
    c->sending = 0;
    pump(c, now);
}

static void on_closed(void *conn)
{
    struct connection *c = conn;
    struct server_loop *loop = c->loop;

    account_output(c, 0);
    /* The parked answer stays in its list, for nobody; its bytes may be megabytes, and a slow disk
     * would let those who come and go pile them up. */
    if (c->parked) {
        c->parked->connection = NULL;
        nx_buf_done(&c->parked->headers);
        nx_buf_done(&c->parked->body);
    }
    nx_heap_remove(&loop->deadlines, &c->timer);
    nx_http1_server_free(c->http);
    nx_buf_done(&c->unread);
    nx_mem_free(loop->server->mem, c);
    loop->connections--;
    if (loop->stopping && loop->connections == 0)
        nx_loop_stop(loop->loop);
}

static void *on_accept(void *ctx, struct nx_tcp *tcp, const struct nx_address *peer)
{
    struct server_loop *loop = ctx;
    struct server *server = loop->server;
    struct nx_time now = nx_clock_now();
    struct connection *c;

    if (loop->stopping || loop->connections >= loop->deadlines.count_max)
        return NULL;
    c = nx_mem_zalloc(server->mem, 1, sizeof(*c));
    if (!c)
        return NULL;
    c->loop = loop;
    c->tcp = tcp;
    nx_ip_of(peer, &c->peer);
    nx_buf_init(&c->unread, server->mem, UNREAD_BYTES_MAX);
    if (nx_http1_server_new(server->mem, &server->http_limits, now.mono_ms, &c->http) < 0) {
        nx_mem_free(server->mem, c);
        return NULL;
    }
    (void)http_date(loop, now);
    nx_http1_server_set_date(c->http, loop->date);
    next_request_id(c);
    loop->connections++;
    set_timer(c, now);
    return c;
}

/* Lets go the answers that the store has settled. */
static void release(struct server_loop *loop, const struct report *report, struct nx_time now)
{
    struct parked **at = &loop->parked_first;

    while (*at) {
        struct parked *parked = *at;
        struct connection *c = parked->connection;

        if (parked->waits_for > report->upto) {
            at = &parked->next;
            continue;
        }
        *at = parked->next;
        if (!*at)
            loop->parked_last = at;
        if (c) {
            c->parked = NULL;
            if (report->result == 0)
                respond(c, now, parked->status, &parked->headers, &parked->body);
            else if (nx_api_unavailable(&loop->api) == 0)
                respond(c, now, loop->api.answer.status, &loop->api.answer.headers,
                        &loop->api.answer.body);
            else
                nx_tcp_close(c->tcp);
            pump(c, now);
            /* New answers may have been parked behind this one: they are later in the list. */
        }
        parked_free(loop, parked);
    }
}

static void begin_stop(struct server_loop *loop, struct nx_time now)
{
    loop->stopping = true;
    loop->stop_deadline_ms = now.mono_ms + STOP_MS;
    nx_loop_unlisten(loop->loop);
    for (size_t i = 0; i < loop->deadlines.count; i++) {
        struct connection *c = NX_CONTAINER(loop->deadlines.nodes[i], struct connection, timer);

        if (!c->parked && !nx_tcp_sending(c->tcp))
            nx_tcp_close(c->tcp);
    }
    if (loop->connections == 0)
        nx_loop_stop(loop->loop);
}

static void on_wake(void *ctx)
{
    struct server_loop *loop = ctx;
    struct nx_time now = nx_clock_now();
    struct report reports[REPORTS_MAX];
    size_t count;

    nx_lock_take(&loop->reports_lock);
    count = loop->report_count;
    memcpy(reports, loop->reports, count * sizeof(*reports));
    loop->report_count = 0;
    nx_lock_give(&loop->reports_lock);
    for (size_t i = 0; i < count; i++) {
        loop->settled = reports[i].upto;
        release(loop, &reports[i], now);
    }
    if (atomic_load(&loop->server->stopping) && !loop->stopping)
        begin_stop(loop, now);
}

void server_loop_report(struct server_loop *loop, uint64_t upto, int result)
{
    struct report *last;

    nx_lock_take(&loop->reports_lock);
    last = loop->report_count > 0 ? &loop->reports[loop->report_count - 1] : NULL;
    if (last && (last->result == 0) == (result == 0)) {
        last->upto = upto;
    } else if (loop->report_count < REPORTS_MAX) {
        loop->reports[loop->report_count++] = (struct report){upto, result};
    } else {
        /* A loop that slept through so many turns of luck: say that it failed, not that it held. */
        *last = (struct report){upto, NX_E_IO};
    }
    nx_lock_give(&loop->reports_lock);
    nx_loop_wake(loop->loop);
}

static void on_beat(void *ctx)
{
    struct server_loop *loop = ctx;
    struct nx_time now = nx_clock_now();
    struct nx_heap_node *first;

    (void)http_date(loop, now);
    while ((first = nx_heap_first(&loop->deadlines)) && first->key <= now.mono_ms) {
        struct connection *c = NX_CONTAINER(first, struct connection, timer);

        nx_heap_remove(&loop->deadlines, first);
        nx_http1_server_tick(c->http, now.mono_ms, loop->date);
        pump(c, now);
        /* pump sets it anew, unless the connection is on its way out: then nothing fires again. */
        if (first->place == 0)
            (void)!nx_heap_set(&loop->deadlines, first, now.mono_ms + 60000);
    }
    shards_beat(loop, now);
    nx_api_trim(&loop->api);
    if (loop->stopping && now.mono_ms >= loop->stop_deadline_ms)
        nx_loop_stop(loop->loop);
}

static void on_signal(void *ctx)
{
    struct server_loop *loop = ctx;
    struct server *server = loop->server;

    atomic_store(&server->stopping, true);
    for (unsigned i = 0; i < server->loop_count; i++)
        nx_loop_wake(server->loops[i]->loop);
}

int server_loop_new(struct server *server, unsigned index, struct server_loop **ret_loop)
{
    struct server_loop *loop = nx_mem_zalloc(server->mem, 1, sizeof(*loop));
    struct nx_loop_handler handler = {
            .on_accept = on_accept,
            .on_read = on_read,
            .on_eof = on_eof,
            .on_sent = on_sent,
            .on_closed = on_closed,
            .on_wake = on_wake,
            .on_beat = on_beat,
            .on_signal = on_signal,
            .ctx = loop,
            .beat_ms = BEAT_MS,
    };
    size_t connections_max = server->options->connections_max / server->loop_count;
    int r;

    if (!loop)
        return NX_E_NOMEM;
    loop->server = server;
    loop->index = index;
    loop->parked_last = &loop->parked_first;
    loop->random = nx_entropy_init(&loop->entropy);
    nx_random_fill(&loop->random, &loop->request_prefix, sizeof(loop->request_prefix));
    nx_heap_init(&loop->deadlines, server->mem, connections_max > 0 ? connections_max : 1);
    nx_api_init(&loop->api, server->mem, &server->settings);
    nx_lock_init(&loop->reports_lock);
    r = nx_loop_new(server->mem, &handler, &loop->loop);
    if (r < 0) {
        server_loop_free(loop);
        return r;
    }
    *ret_loop = loop;
    return 0;
}

void server_loop_free(struct server_loop *loop)
{
    if (!loop)
        return;
    loop->stopping = false; /* on_closed need not stop a loop that no longer runs */
    nx_loop_free(loop->loop);
    while (loop->parked_first) {
        struct parked *parked = loop->parked_first;

        loop->parked_first = parked->next;
        parked_free(loop, parked);
    }
    nx_heap_done(&loop->deadlines);
    nx_api_done(&loop->api);
    nx_lock_done(&loop->reports_lock);
    nx_entropy_done(&loop->entropy);
    nx_mem_free(loop->server->mem, loop);
}
