/* HTTP/1.1 (RFC 9110, RFC 9112), the server's side of one connection, as a byte machine on llhttp.
 *
 * Bytes and a clock go in; requests, bytes and deadlines come out. No socket, no clock here.
 *
 *     read(bytes) → request() != NULL → respond(…) → output() → written(n) → …
 *
 * One request is in hand at a time: pipelined ones wait, in order, in the caller's unread bytes
 * (read says how many it took), so an answer may be given later, after a commit or a long wait.
 * HTTP/1.0 is served; keep-alive there only when asked for. Upgrades and trailers: trailers are
 * read and dropped; `Upgrade` is ignored here (RFC 9110 section 7.8 allows it).
 *
 * Refused, with an answer and a close: what could be read two ways (request smuggling, RFC 9112
 * sections 6.3 and 11.2): both Content-Length and Transfer-Encoding, several differing lengths, a
 * transfer coding that does not end in chunked, bare CR or LF in a head, obs-fold, white space
 * before a colon, a missing or doubled Host (HTTP/1.1), controls in the target. */
#ifndef NX_PROTOCOL_HTTP1_H
#define NX_PROTOCOL_HTTP1_H

#include "base/buf.h"
#include "base/time.h"

struct nx_http1_limits {
    size_t target_bytes_max;  /* 414 beyond */
    size_t head_bytes_max;    /* request line and header fields: 431 beyond */
    size_t headers_max;       /* fields: 431 beyond */
    size_t body_bytes_max;    /* 413 beyond, as soon as it is known */
    size_t output_bytes_max;  /* unsent answer bytes held at most */
    int64_t head_timeout_ms;  /* first byte of a head to its end: 408 and close */
    int64_t body_timeout_ms;  /* end of head to end of body: 408 and close */
    int64_t idle_timeout_ms;  /* between requests: silent close */
    int64_t write_timeout_ms; /* since output last moved: close */
};

/* 8 KiB target, 16 KiB head, 64 fields, 1 MiB body, 8 MiB output, 10/30/75/30 s. */
extern const struct nx_http1_limits nx_http1_limits_default;

struct nx_http1_header {
    struct nx_bytes name;  /* as sent; compare without case */
    struct nx_bytes value; /* trimmed */
};

struct nx_http1_request {
    struct nx_bytes method; /* "GET" */
    struct nx_bytes target; /* as sent: "/v1/session?x=y", or absolute form */
    struct nx_bytes path;   /* the target's path, still percent-encoded: "/v1/session";
                               "*" for OPTIONS *, "/" for an absolute form without a path */
    struct nx_bytes query;  /* behind the '?', still encoded; empty when there is none */
    const struct nx_http1_header *headers;
    size_t header_count;
    struct nx_bytes body;
    bool keep_alive; /* the client's wish */
    bool head_only;  /* HEAD: the machine sends no body, the right Content-Length */
};

/* The first field of that name (case ignored), or empty bytes with ptr NULL. */
struct nx_bytes nx_http1_header(const struct nx_http1_request *request, struct nx_bytes name);

struct nx_http1_answer {
    unsigned status;         /* 200 … 599 */
    struct nx_bytes headers; /* ready lines, each ended by CRLF, without Date, Content-Length
                                    and Connection, which the machine writes; or empty */
    struct nx_bytes body;
    bool close; /* close after this answer, whatever the client wished */
};

struct nx_http1_server; /* one connection */

/* Limits are borrowed for the connection's life. Returns 0 or NX_E_NOMEM. */
NX_MUST_USE int nx_http1_server_new(const struct nx_mem *mem, const struct nx_http1_limits *limits,
        int64_t now_ms, struct nx_http1_server **ret_server);
void nx_http1_server_free(struct nx_http1_server *server);

/* What the machine's own answers (refusals) carry besides. The id's 16 characters are copied: give
 * one at creation and a new one after each answer; without one the line is left out. */
void nx_http1_server_set_request_id(struct nx_http1_server *server, const char id[16]);
/* NX_HTTP_DATE_LEN characters, borrowed for the connection's life and read whenever read refuses:
 * the owner rewrites them in place as time goes. NULL (as at creation): refusals have no Date. */
void nx_http1_server_set_date(struct nx_http1_server *server, const char *http_date);

/* Takes bytes from the peer until they are used up, a request is whole, or the machine wants no
 * more (a request is in hand, it is closing, or more than 64 KiB of answers are unsent).
 * Out: *ret_taken bytes were read; offer the rest again after the answer, or when wants_read.
 * A malformed, oversized or ambiguous request queues its own error answer (the status in
 * nx_http1_server_refused) and closes after it; the body of that answer is {"error":…} JSON in
 * the shape of docs/wire: {"error":"invalid_request","message":…,"details":[]}. What the peer
 * still sends is then taken and dropped, in bounded amount and time, so that the answer is not
 * lost to a TCP reset.
 * Returns 0, or NX_E_NOMEM (drop the connection). */
NX_MUST_USE int nx_http1_server_read(
        struct nx_http1_server *server, int64_t now_ms, struct nx_bytes bytes, size_t *ret_taken);

/* The request in hand, NULL when there is none. Valid until respond. */
const struct nx_http1_request *nx_http1_server_request(const struct nx_http1_server *server);

/* The peer closed its sending side and all its bytes were taken (keep the news back while
 * pipelined ones wait): an unfinished request is dropped, output still drains. A request in hand
 * may still be answered. */
void nx_http1_server_eof(struct nx_http1_server *server);

/* Answers the request in hand: appends head and body to the output. http_date is
 * NX_HTTP_DATE_LEN characters. Returns 0, NX_E_CLOSED (no request in hand: it timed out in
 * writing), NX_E_TOO_LARGE (output_bytes_max) or NX_E_NOMEM; after an error nothing was queued
 * and the connection must be dropped. */
NX_MUST_USE int nx_http1_server_respond(struct nx_http1_server *server, int64_t now_ms,
        const char *http_date, const struct nx_http1_answer *answer);

/* Bytes to send now (100 Continue included); empty when none. */
struct nx_bytes nx_http1_server_output(const struct nx_http1_server *server);
/* The memory that output takes, in bytes: what was sent of an answer is held until all of it was. */
size_t nx_http1_server_output_held(const struct nx_http1_server *server);
/* The first n of them were sent. */
void nx_http1_server_written(struct nx_http1_server *server, int64_t now_ms, size_t n);

/* No more bytes to read or to send: close the socket. */
bool nx_http1_server_finished(const struct nx_http1_server *server);
/* True when nothing more will be sent, but what the peer sends is still taken and dropped: shut
 * down the sending side of the socket, and read on until finished. */
bool nx_http1_server_wants_shutdown(const struct nx_http1_server *server);
/* True while read would take bytes. */
bool nx_http1_server_wants_read(const struct nx_http1_server *server);

/* When to call tick; NX_TIME_NEVER while a request is in hand and nothing is to be written. A
 * second after the last answer this may be only to give large buffers back. */
int64_t nx_http1_server_deadline(const struct nx_http1_server *server);
/* Past a deadline: queues 408 where a request had begun, and finishes; otherwise no effect. */
void nx_http1_server_tick(struct nx_http1_server *server, int64_t now_ms, const char *http_date);

/* The status of the machine's own refusal (400, 408, 413, 414, 417, 431, 501, 505), 0 if none. */
unsigned nx_http1_server_refused(const struct nx_http1_server *server);

/* The standard reason phrase, "" for a status unknown here. */
const char *nx_http1_reason(unsigned status);

/* Percent-decodes ('+' stays), appending. Returns false on a broken escape, a decoded NUL, or when
 * `to` is full (nx_buf_error tells which); to then is undefined. */
NX_MUST_USE bool nx_http1_unescape(struct nx_bytes text, struct nx_buf *to);
/* Finds the first name=value in a query string; the value still encoded, empty for a bare name.
 * False when it is not there. */
bool nx_http1_query(struct nx_bytes query, struct nx_bytes name, struct nx_bytes *ret_value);

#endif
