/* The server's side of one HTTP/1.1 connection: its states, its answers and its deadlines. Where
 * a head ends and what it means is head.c's, chunked bodies are body.c's. */
#include "protocol/http1/internal.h"

/* A buffer larger than this is given back as soon as it is empty. */
#define KEEP_BYTES_MAX ((size_t)64 * 1024)
/* Buffers larger than this together are given back after a second without a request. */
#define IDLE_BYTES_MAX ((size_t)4 * 1024)
#define IDLE_TRIM_MS   1000
/* Unsent answers beyond this: the next request has to wait. */
#define UNSENT_BYTES_HIGH ((size_t)64 * 1024)
/* Room in the output for the machine's own words, beyond what answers may take. */
#define OWN_BYTES_MAX 1024
/* After a refusal: how much is read and dropped, and for how long (RFC 9112 section 9.6). */
#define DRAIN_BYTES_MAX ((size_t)8 * 1024 * 1024)
#define DRAIN_QUIET_MS  2000
#define DRAIN_TOTAL_MS  10000
/* Empty lines before a request line that are overlooked (RFC 9112 section 2.2). */
#define EMPTY_LINES_MAX 2

const struct nx_http1_limits nx_http1_limits_default = {
        .target_bytes_max = (size_t)8 * 1024,
        .head_bytes_max = (size_t)16 * 1024,
        .headers_max = 64,
        .body_bytes_max = (size_t)1024 * 1024,
        .output_bytes_max = (size_t)8 * 1024 * 1024,
        .head_timeout_ms = 10000,
        .body_timeout_ms = 30000,
        .idle_timeout_ms = 75000,
        .write_timeout_ms = 30000,
};

enum state {
    STATE_IDLE,    /* between requests */
    STATE_HEAD,    /* some of a head is here */
    STATE_LENGTH,  /* reading a body of known length */
    STATE_CHUNKED, /* reading a chunked body */
    STATE_IN_HAND, /* a request waits for its answer */
    STATE_DRAIN,   /* refused: what comes is dropped */
    STATE_CLOSING, /* closed as soon as all is sent */
    STATE_CLOSED,
};

struct nx_http1_server {
    const struct nx_mem *mem;
    const struct nx_http1_limits *limits;
    const char *http_date;
    char request_id[16];
    bool request_id_set;
    bool eof;
    bool empty_line_cr; /* the CR of an empty line before a request was read */
    unsigned char empty_lines;
    enum state state;
    unsigned refused;
    int64_t since_ms;       /* when the state began; idle: since the last byte was sent */
    int64_t moved_ms;       /* when the output last moved, or began */
    int64_t drain_moved_ms; /* when bytes were last dropped */
    size_t drained_bytes;
    struct nx_buf head;
    struct nx_buf body;
    struct nx_buf out;
    size_t out_at; /* bytes of out that were sent */
    struct nx_http1_header *headers;
    size_t headers_room;
    struct nx_http1_scan scan;
    struct nx_http1_request request;
    struct nx_http1_chunked chunked;
    uint64_t body_left;
};

static int64_t later(int64_t now_ms, int64_t ms)
{
    return ms > NX_TIME_NEVER - now_ms ? NX_TIME_NEVER : now_ms + ms;
}

static size_t unsent(const struct nx_http1_server *server)
{
    return server->out.len - server->out_at;
}

static void enter(struct nx_http1_server *server, enum state state, int64_t now_ms)
{
    server->state = state;
    server->since_ms = now_ms;
}

int nx_http1_server_new(const struct nx_mem *mem, const struct nx_http1_limits *limits,
        int64_t now_ms, struct nx_http1_server **ret_server)
{
    struct nx_http1_server *server = nx_mem_zalloc(mem, 1, sizeof(*server));
    size_t out_max = limits->output_bytes_max;

    if (!server)
        return NX_E_NOMEM;
    server->mem = mem;
    server->limits = limits;
    nx_buf_init(&server->head, mem, limits->head_bytes_max);
    nx_buf_init(&server->body, mem, limits->body_bytes_max);
    nx_buf_init(&server->out, mem,
            out_max < SIZE_MAX - OWN_BYTES_MAX ? out_max + OWN_BYTES_MAX : SIZE_MAX);
    enter(server, STATE_IDLE, now_ms);
    *ret_server = server;
    return 0;
}

void nx_http1_server_free(struct nx_http1_server *server)
{
    if (!server)
        return;
    nx_buf_done(&server->head);
    nx_buf_done(&server->body);
    nx_buf_done(&server->out);
    nx_mem_free(server->mem, server->headers);
    nx_mem_free(server->mem, server);
}

void nx_http1_server_set_request_id(struct nx_http1_server *server, const char id[16])
{
    memcpy(server->request_id, id, sizeof(server->request_id));
    server->request_id_set = true;
}

void nx_http1_server_set_date(struct nx_http1_server *server, const char *http_date)
{
    server->http_date = http_date;
}

/* Makes room for n bytes behind the output; what was sent is forgotten first where that helps. */
static char *out_reserve(struct nx_http1_server *server, int64_t now_ms, size_t n)
{
    if (unsent(server) == 0)
        server->moved_ms = now_ms;
    if (server->out_at > 0 && n > server->out.capacity - server->out.len) {
        nx_buf_drop(&server->out, server->out_at);
        server->out_at = 0;
    }
    return nx_buf_reserve(&server->out, n);
}

/* A cursor over room that is known to be enough. */
static char *put(char *to, struct nx_bytes bytes)
{
    memcpy(to, bytes.ptr, bytes.len);
    return to + bytes.len;
}

#define PUT(to, literal) put((to), NX_BYTES(literal))

static char *put_u64(char *to, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return put(to, nx_bytes_of(digits + at, sizeof(digits) - at));
}

static char *put_status(char *to, unsigned status)
{
    struct nx_bytes reason;

    if (status == 200)
        return PUT(to, "HTTP/1.1 200 OK\r\n");
    if (status == 201)
        return PUT(to, "HTTP/1.1 201 Created\r\n");
    reason = nx_bytes_str(nx_http1_reason(status));
    to = PUT(to, "HTTP/1.1 ");
    to = put_u64(to, status);
    to = PUT(to, " ");
    to = put(to, reason);
    return PUT(to, "\r\n");
}

static char *put_date(char *to, const char *http_date)
{
    to = PUT(to, "Date: ");
    to = put(to, nx_bytes_of(http_date, NX_HTTP_DATE_LEN));
    return PUT(to, "\r\n");
}

/* The code of docs/wire for a refusal. */
static const char *refusal_code(unsigned status)
{
    if (status == 413)
        return "payload_too_large";
    if (status == 408)
        return "request_timeout";
    return "invalid_request";
}

/* Queues the refusal and turns to draining. */
static int refuse(struct nx_http1_server *server, int64_t now_ms, const char *http_date,
        const struct nx_http1_fault *fault)
{
    char body[256];
    char *body_end = body;
    size_t body_len;
    char *to;
    bool head_only = nx_bytes_starts(nx_buf_bytes(&server->head), NX_BYTES("HEAD "));

    server->refused = fault->status;
    server->drain_moved_ms = now_ms;
    enter(server, STATE_DRAIN, now_ms);
    body_end = PUT(body_end, "{\"error\":\"");
    body_end = put(body_end, nx_bytes_str(refusal_code(fault->status)));
    body_end = PUT(body_end, "\",\"message\":\"");
    body_end = put(body_end, nx_bytes_str(fault->message));
    body_end = PUT(body_end, "\",\"details\":[]}");
    body_len = (size_t)(body_end - body);
    nx_buf_done(&server->body);
    to = out_reserve(server, now_ms, 512 + body_len);
    if (!to) {
        enter(server, STATE_CLOSED, now_ms);
        return NX_E_NOMEM;
    }
    to = put_status(to, fault->status);
    if (http_date)
        to = put_date(to, http_date);
    to = PUT(to, "Content-Type: application/json\r\nContent-Length: ");
    to = put_u64(to, body_len);
    to = PUT(to, "\r\nConnection: close\r\n");
    if (server->request_id_set) {
        to = PUT(to, "X-Request-Id: ");
        to = put(to, nx_bytes_of(server->request_id, sizeof(server->request_id)));
        to = PUT(to, "\r\n");
    }
    to = PUT(to, "\r\n");
    if (!head_only)
        to = put(to, nx_bytes_of(body, body_len));
    server->out.len = (size_t)(to - server->out.ptr);
    return 0;
}

static void take_in_hand(struct nx_http1_server *server, int64_t now_ms)
{
    server->request.body = nx_buf_bytes(&server->body);
    enter(server, STATE_IN_HAND, now_ms);
}

static int make_room_for_fields(struct nx_http1_server *server)
{
    size_t room = server->headers_room ? server->headers_room : 8;
    struct nx_http1_header *headers;

    while (room < server->scan.fields)
        room *= 2;
    if (server->headers && room == server->headers_room)
        return 0;
    headers = nx_mem_resize(server->mem, server->headers, room * sizeof(*headers));
    if (!headers)
        return NX_E_NOMEM;
    server->headers = headers;
    server->headers_room = room;
    return 0;
}

/* The head is whole, in server->head: reads it and goes on to what follows it. */
static int end_head(struct nx_http1_server *server, int64_t now_ms, struct nx_http1_fault *fault)
{
    struct nx_http1_framing framing;
    int r = make_room_for_fields(server);

    if (r < 0)
        return r;
    r = nx_http1_head_parse(&server->scan, server->limits, nx_buf_bytes(&server->head),
            server->headers, &server->request, &framing, fault);
    if (r < 0)
        return r;
    if (framing.expect_continue) {
        char *to = out_reserve(server, now_ms, 32);

        if (!to)
            return NX_E_NOMEM;
        to = PUT(to, "HTTP/1.1 100 Continue\r\n\r\n");
        server->out.len = (size_t)(to - server->out.ptr);
    }
    if (framing.chunked) {
        server->chunked = (struct nx_http1_chunked){0};
        enter(server, STATE_CHUNKED, now_ms);
    } else if (framing.content_length > 0) {
        server->body_left = framing.content_length;
        enter(server, STATE_LENGTH, now_ms);
    } else {
        take_in_hand(server, now_ms);
    }
    return 0;
}

/* Looks for the end of the head: in the caller's bytes while none are kept, so that a head that
 * comes in one piece is copied once and to its exact end; else behind what is kept. */
static int read_head(struct nx_http1_server *server, int64_t now_ms, struct nx_bytes bytes,
        size_t *ret_taken, struct nx_http1_fault *fault)
{
    struct nx_buf *head = &server->head;
    size_t before = head->len;
    size_t head_len = 0;
    bool fresh = before == 0;
    int r;

    if (!fresh) {
        if (bytes.len > head->max - before)
            bytes.len = head->max - before;
        nx_buf_append(head, bytes);
        if (nx_buf_error(head) < 0)
            return NX_E_NOMEM;
    }
    r = nx_http1_head_scan(&server->scan, server->limits, fresh ? bytes.ptr : head->ptr,
            fresh ? bytes.len : head->len, &head_len, fault);
    if (r < 0 && fresh) /* kept only to tell HEAD */
        bytes.len = bytes.len < 5 ? bytes.len : 5;
    if (fresh) {
        size_t n = head_len > 0 ? head_len : bytes.len;

        if (head->capacity == 0)
            (void)nx_buf_reserve(head, head->max < 512 ? head->max : 512);
        nx_buf_append(head, nx_bytes_of(bytes.ptr, n));
        if (nx_buf_error(head) == NX_E_NOMEM)
            return NX_E_NOMEM;
        *ret_taken = n;
    } else {
        if (head_len > 0)
            head->len = head_len;
        *ret_taken = head->len - before;
    }
    if (r < 0 || head_len == 0)
        return r;
    return end_head(server, now_ms, fault);
}

/* Between requests: overlooks an empty line or two, then a head begins. */
static int read_idle(struct nx_http1_server *server, int64_t now_ms, char c, size_t *ret_taken,
        struct nx_http1_fault *fault)
{
    *ret_taken = 1;
    if (server->empty_line_cr) {
        server->empty_line_cr = false;
        if (c != '\n')
            return nx_http1_fault_set(fault, 400, "the head holds a bare CR");
        return 0;
    }
    if (c == '\r') {
        server->empty_line_cr = true;
        if (++server->empty_lines > EMPTY_LINES_MAX)
            return nx_http1_fault_set(fault, 400, "the request line is empty");
        return 0;
    }
    *ret_taken = 0;
    server->empty_lines = 0;
    server->scan = (struct nx_http1_scan){0};
    enter(server, STATE_HEAD, now_ms);
    return 0;
}

static int read_length(
        struct nx_http1_server *server, int64_t now_ms, struct nx_bytes bytes, size_t *ret_taken)
{
    if (bytes.len > server->body_left)
        bytes.len = (size_t)server->body_left;
    nx_buf_append(&server->body, bytes);
    if (nx_buf_error(&server->body) < 0)
        return NX_E_NOMEM;
    *ret_taken = bytes.len;
    server->body_left -= bytes.len;
    if (server->body_left == 0)
        take_in_hand(server, now_ms);
    return 0;
}

static int read_chunked(struct nx_http1_server *server, int64_t now_ms, struct nx_bytes bytes,
        size_t *ret_taken, struct nx_http1_fault *fault)
{
    int r = nx_http1_chunked_read(
            &server->chunked, server->limits, bytes, &server->body, ret_taken, fault);

    if (r == 0 && server->chunked.state == NX_HTTP1_CHUNK_DONE)
        take_in_hand(server, now_ms);
    return r;
}

/* Drops what comes behind a refusal, up to its limit. */
static void read_drain(struct nx_http1_server *server, int64_t now_ms, size_t n, size_t *ret_taken)
{
    size_t room = DRAIN_BYTES_MAX - server->drained_bytes;

    *ret_taken = n < room ? n : room;
    server->drained_bytes += *ret_taken;
    server->drain_moved_ms = now_ms;
    if (server->drained_bytes == DRAIN_BYTES_MAX)
        enter(server, STATE_CLOSING, now_ms);
}

/* One step of reading: something is taken, or the state changes. */
static int read_step(struct nx_http1_server *server, int64_t now_ms, struct nx_bytes bytes,
        size_t *ret_taken, struct nx_http1_fault *fault)
{
    switch (server->state) {
    case STATE_IDLE:
        return read_idle(server, now_ms, bytes.ptr[0], ret_taken, fault);
    case STATE_HEAD:
        return read_head(server, now_ms, bytes, ret_taken, fault);
    case STATE_LENGTH:
        return read_length(server, now_ms, bytes, ret_taken);
    case STATE_CHUNKED:
        return read_chunked(server, now_ms, bytes, ret_taken, fault);
    case STATE_DRAIN:
        read_drain(server, now_ms, bytes.len, ret_taken);
        return 0;
    case STATE_IN_HAND:
    case STATE_CLOSING:
    case STATE_CLOSED:
        break;
    }
    return 0;
}

int nx_http1_server_read(
        struct nx_http1_server *server, int64_t now_ms, struct nx_bytes bytes, size_t *ret_taken)
{
    size_t at = 0;

    while (at < bytes.len && nx_http1_server_wants_read(server)) {
        struct nx_http1_fault fault = {0};
        size_t taken = 0;
        int r = read_step(server, now_ms, nx_bytes_from(bytes, at), &taken, &fault);

        at += taken;
        if (r == NX_E_PROTOCOL)
            r = refuse(server, now_ms, server->http_date, &fault);
        if (r < 0) {
            enter(server, STATE_CLOSED, now_ms);
            return r;
        }
    }
    *ret_taken = at;
    return 0;
}

const struct nx_http1_request *nx_http1_server_request(const struct nx_http1_server *server)
{
    return server->state == STATE_IN_HAND ? &server->request : NULL;
}

void nx_http1_server_eof(struct nx_http1_server *server)
{
    server->eof = true;
    if (server->state != STATE_IN_HAND && server->state != STATE_CLOSED)
        server->state = STATE_CLOSING;
}

/* Writes the machine's own lines of an answer's head; 192 bytes are enough. */
static char *put_head(char *to, const struct nx_http1_answer *answer, const char *http_date,
        bool close, bool keep_alive_said, bool length_said)
{
    to = put_status(to, answer->status);
    to = put_date(to, http_date);
    if (length_said) {
        to = PUT(to, "Content-Length: ");
        to = put_u64(to, answer->body.len);
        to = PUT(to, "\r\n");
    }
    if (close)
        to = PUT(to, "Connection: close\r\n");
    else if (keep_alive_said)
        to = PUT(to, "Connection: keep-alive\r\n");
    return to;
}

/* Forgets the answered request; its buffers stay for the next unless they grew large. */
static void forget_request(struct nx_http1_server *server)
{
    server->head.len = 0;
    server->body.len = 0;
    if (server->head.capacity > KEEP_BYTES_MAX)
        nx_buf_done(&server->head);
    if (server->body.capacity > KEEP_BYTES_MAX)
        nx_buf_done(&server->body);
}

int nx_http1_server_respond(struct nx_http1_server *server, int64_t now_ms, const char *http_date,
        const struct nx_http1_answer *answer)
{
    /* RFC 9110 sections 15.3.5 and 15.4.5: these never have a body. */
    bool bodiless = answer->status == 204 || answer->status == 304;
    bool close = answer->close || server->eof || !server->request.keep_alive;
    size_t body_len = bodiless || server->request.head_only ? 0 : answer->body.len;
    char own[192];
    size_t own_len;
    size_t total;
    char *to;

    if (server->state != STATE_IN_HAND)
        return NX_E_CLOSED;
    own_len = (size_t)(put_head(own, answer, http_date, close, server->scan.minor_zero, !bodiless) -
                       own);
    total = own_len + 2;
    if (answer->headers.len > server->limits->output_bytes_max ||
            body_len > server->limits->output_bytes_max - answer->headers.len ||
            total + answer->headers.len + body_len + unsent(server) >
                    server->limits->output_bytes_max) {
        enter(server, STATE_CLOSED, now_ms);
        return NX_E_TOO_LARGE;
    }
    total += answer->headers.len + body_len;
    to = out_reserve(server, now_ms, total);
    if (!to) {
        enter(server, STATE_CLOSED, now_ms);
        return NX_E_NOMEM;
    }
    to = put(to, nx_bytes_of(own, own_len));
    if (answer->headers.len > 0)
        to = put(to, answer->headers);
    to = PUT(to, "\r\n");
    if (body_len > 0)
        memcpy(to, answer->body.ptr, body_len);
    server->out.len += total;
    forget_request(server);
    enter(server, close ? STATE_CLOSING : STATE_IDLE, now_ms);
    return 0;
}

struct nx_bytes nx_http1_server_output(const struct nx_http1_server *server)
{
    if (unsent(server) == 0 || server->state == STATE_CLOSED)
        return (struct nx_bytes){NULL, 0};
    return nx_bytes_of(server->out.ptr + server->out_at, unsent(server));
}

size_t nx_http1_server_output_held(const struct nx_http1_server *server)
{
    return server->out.capacity;
}

void nx_http1_server_written(struct nx_http1_server *server, int64_t now_ms, size_t n)
{
    if (n == 0)
        return;
    server->moved_ms = now_ms;
    server->out_at += n;
    if (unsent(server) > 0)
        return;
    server->out_at = 0;
    nx_buf_clear(&server->out);
    if (server->out.capacity > KEEP_BYTES_MAX)
        nx_buf_done(&server->out);
    if (server->state == STATE_IDLE || server->state == STATE_DRAIN) {
        server->since_ms = now_ms;
        server->drain_moved_ms = now_ms;
    }
}

bool nx_http1_server_finished(const struct nx_http1_server *server)
{
    return server->state == STATE_CLOSED || (server->state == STATE_CLOSING && unsent(server) == 0);
}

bool nx_http1_server_wants_shutdown(const struct nx_http1_server *server)
{
    return server->state == STATE_DRAIN && unsent(server) == 0;
}

bool nx_http1_server_wants_read(const struct nx_http1_server *server)
{
    switch (server->state) {
    case STATE_IDLE:
        return unsent(server) <= UNSENT_BYTES_HIGH;
    case STATE_HEAD:
    case STATE_LENGTH:
    case STATE_CHUNKED:
    case STATE_DRAIN:
        return true;
    case STATE_IN_HAND:
    case STATE_CLOSING:
    case STATE_CLOSED:
        return false;
    }
    return false;
}

/* True when an idle connection holds more than it should for long. */
static bool is_fat(const struct nx_http1_server *server)
{
    return server->head.capacity + server->body.capacity + server->out.capacity +
                   server->headers_room * sizeof(*server->headers) >
           IDLE_BYTES_MAX;
}

static int64_t state_deadline(const struct nx_http1_server *server)
{
    const struct nx_http1_limits *limits = server->limits;
    int64_t quiet;
    int64_t total;

    switch (server->state) {
    case STATE_IDLE:
        return unsent(server) > 0 ? NX_TIME_NEVER
                                  : later(server->since_ms, limits->idle_timeout_ms);
    case STATE_HEAD:
        return later(server->since_ms, limits->head_timeout_ms);
    case STATE_LENGTH:
    case STATE_CHUNKED:
        return later(server->since_ms, limits->body_timeout_ms);
    case STATE_DRAIN:
        quiet = later(server->drain_moved_ms, DRAIN_QUIET_MS);
        total = later(server->since_ms, DRAIN_TOTAL_MS);
        if (unsent(server) > 0)
            return NX_TIME_NEVER;
        return quiet < total ? quiet : total;
    case STATE_IN_HAND:
    case STATE_CLOSING:
    case STATE_CLOSED:
        break;
    }
    return NX_TIME_NEVER;
}

static int64_t write_deadline(const struct nx_http1_server *server)
{
    if (unsent(server) == 0 || server->state == STATE_CLOSED)
        return NX_TIME_NEVER;
    return later(server->moved_ms, server->limits->write_timeout_ms);
}

static int64_t trim_deadline(const struct nx_http1_server *server)
{
    if (server->state != STATE_IDLE || unsent(server) > 0 || !is_fat(server))
        return NX_TIME_NEVER;
    return later(server->since_ms, IDLE_TRIM_MS);
}

int64_t nx_http1_server_deadline(const struct nx_http1_server *server)
{
    int64_t deadline = state_deadline(server);
    int64_t write = write_deadline(server);
    int64_t trim = trim_deadline(server);

    if (write < deadline)
        deadline = write;
    return trim < deadline ? trim : deadline;
}

static void trim(struct nx_http1_server *server)
{
    nx_buf_done(&server->head);
    nx_buf_done(&server->body);
    nx_buf_done(&server->out);
    nx_mem_free(server->mem, server->headers);
    server->headers = NULL;
    server->headers_room = 0;
}

void nx_http1_server_tick(struct nx_http1_server *server, int64_t now_ms, const char *http_date)
{
    static const struct nx_http1_fault late = {408, "the request took too long to arrive"};

    if (now_ms >= write_deadline(server)) {
        enter(server, STATE_CLOSED, now_ms);
        return;
    }
    if (now_ms < state_deadline(server)) {
        if (now_ms >= trim_deadline(server))
            trim(server);
        return;
    }
    switch (server->state) {
    case STATE_HEAD:
    case STATE_LENGTH:
    case STATE_CHUNKED:
        if (refuse(server, now_ms, http_date, &late) == 0)
            return;
        break;
    case STATE_IDLE:
    case STATE_DRAIN:
        break;
    case STATE_IN_HAND:
    case STATE_CLOSING:
    case STATE_CLOSED:
        return;
    }
    enter(server, STATE_CLOSED, now_ms);
}

unsigned nx_http1_server_refused(const struct nx_http1_server *server)
{
    return server->refused;
}
