/* protocol/http1: what is refused and how: every smuggling vector by its name, limits exact at
 * their boundaries, deadlines on a made-up clock, draining, and the memory an idle peer costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/http1_run.h"

#define HOST    "Host: h\r\n"
#define GET     "GET / HTTP/1.1\r\n" HOST
#define POST    "POST / HTTP/1.1\r\n" HOST
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static const struct nx_http1_limits *const limits = &nx_http1_limits_default;

struct vector {
    const char *name;
    unsigned status; /* 0: a request must come out of it */
    struct nx_bytes input;
};

#define VECTOR(name, status, input)                                                                \
    {                                                                                              \
        (name), (status),                                                                          \
        {                                                                                          \
            (input), sizeof(input) - 1                                                             \
        }                                                                                          \
    }

static const struct vector vectors[] = {
        /* two ways to tell the length */
        VECTOR("cl and te", 400,
                POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        VECTOR("te and cl", 400,
                POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
        VECTOR("te and cl 0", 400,
                POST "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"),
        VECTOR("differing cl", 400, POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
        VECTOR("doubled cl", 400, POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
        VECTOR("cl list", 400, POST "Content-Length: 5, 5\r\n\r\nhello"),
        VECTOR("cl plus", 400, POST "Content-Length: +5\r\n\r\nhello"),
        VECTOR("cl minus", 400, POST "Content-Length: -5\r\n\r\nhello"),
        VECTOR("cl hex", 400, POST "Content-Length: 0x5\r\n\r\nhello"),
        VECTOR("cl empty", 400, POST "Content-Length:\r\n\r\nhello"),
        VECTOR("cl blank inside", 400, POST "Content-Length: 1 0\r\n\r\nhellohello"),
        VECTOR("cl tab inside", 400, POST "Content-Length: 1\t0\r\n\r\nhellohello"),
        VECTOR("cl float", 400, POST "Content-Length: 5.0\r\n\r\nhello"),
        VECTOR("cl quoted", 400, POST "Content-Length: \"5\"\r\n\r\nhello"),
        VECTOR("cl overflow", 400, POST "Content-Length: 18446744073709551621\r\n\r\nhello"),
        /* transfer codings */
        VECTOR("te chunked, identity", 400, POST "Transfer-Encoding: chunked, identity\r\n\r\n"),
        VECTOR("te identity", 400, POST "Transfer-Encoding: identity\r\n\r\n"),
        VECTOR("te gzip", 400, POST "Transfer-Encoding: gzip\r\n\r\n"),
        VECTOR("te gzip, chunked", 501, POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        VECTOR("te foo, chunked", 501, POST "Transfer-Encoding: foo, chunked\r\n\r\n0\r\n\r\n"),
        VECTOR("te chunked, chunked", 400,
                POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
        VECTOR("te twice", 400,
                POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        VECTOR("te twice, identity", 400,
                POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
        VECTOR("te xchunked", 400, POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        VECTOR("te chunkedx", 400, POST "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n"),
        VECTOR("te quoted", 400, POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"),
        VECTOR("te parameter", 400, POST "Transfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n"),
        VECTOR("te empty", 400, POST "Transfer-Encoding:\r\n\r\n0\r\n\r\n"),
        VECTOR("te ends in a comma", 400, POST "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n"),
        VECTOR("te vertical tab", 400, POST "Transfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n"),
        VECTOR("te blank before colon", 400, POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
        VECTOR("te folded", 400, POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
        VECTOR("te in 1.0", 400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        /* lines */
        VECTOR("bare LF after request line", 400, "GET / HTTP/1.1\n" HOST "\r\n"),
        VECTOR("bare LF after field", 400, "GET / HTTP/1.1\r\nHost: h\n\r\n"),
        VECTOR("bare LF ends head", 400, GET "\n"),
        VECTOR("bare LF before request", 400, "\n" GET "\r\n"),
        VECTOR("bare CR in value", 400, GET "A: b\rContent-Length: 5\r\n\r\n"),
        VECTOR("bare CR ends field", 400, GET "A: b\rC: d\r\n\r\n"),
        VECTOR("bare CR empty value", 400, GET "A:\rC: d\r\n\r\n"),
        VECTOR("bare CR in name", 400, GET "A\rB: d\r\n\r\n"),
        VECTOR("bare CR in request line", 400, "GET /\r HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("CR CR LF", 400, GET "A: b\r\r\n\r\n"),
        VECTOR("CR CR LF ends head", 400, GET "\r\r\n"),
        VECTOR("obs-fold", 400, GET "A: b\r\n c\r\n\r\n"),
        VECTOR("obs-fold by tab", 400, GET "A: b\r\n\tc\r\n\r\n"),
        VECTOR("blank first line", 400, "GET / HTTP/1.1\r\n Host: h\r\n\r\n"),
        VECTOR("blank before colon", 400, GET "A : b\r\n\r\n"),
        VECTOR("tab before colon", 400, GET "A\t: b\r\n\r\n"),
        VECTOR("blank in name", 400, GET "A B: c\r\n\r\n"),
        VECTOR("no colon", 400, GET "Abc\r\n\r\n"),
        VECTOR("empty name", 400, GET ": b\r\n\r\n"),
        VECTOR("NUL in value", 400, GET "A: b\0c\r\n\r\n"),
        VECTOR("NUL in name", 400, GET "A\0: c\r\n\r\n"),
        VECTOR("DEL in value", 400, GET "A: b\x7f\r\n\r\n"),
        VECTOR("escape in value", 400, GET "A: b\x1b[0m\r\n\r\n"),
        VECTOR("high byte in name", 400, GET "\xc3\xa9: b\r\n\r\n"),
        VECTOR("brackets in name", 400, GET "A(b): c\r\n\r\n"),
        VECTOR("three empty lines", 400, "\r\n\r\n\r\n" GET "\r\n"),
        VECTOR("CR without LF before request", 400, "\r" GET "\r\n"),
        /* Host */
        VECTOR("no host", 400, "GET / HTTP/1.1\r\nA: b\r\n\r\n"),
        VECTOR("no field at all", 400, "GET / HTTP/1.1\r\n\r\n"),
        VECTOR("doubled host", 400, GET "Host: h\r\n\r\n"),
        VECTOR("doubled host in 1.0", 400, "GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n"),
        VECTOR("host list", 400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
        VECTOR("host with user", 400, "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"),
        VECTOR("host with path", 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        /* request line */
        VECTOR("two blanks", 400, "GET  / HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("two blanks behind", 400, "GET /  HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("tab for blank", 400, "GET\t/ HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("blank at the end", 400, "GET / HTTP/1.1 \r\n" HOST "\r\n"),
        VECTOR("blank in front", 400, " GET / HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("blank in target", 400, "GET /a b HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("no target", 400, "GET HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("HTTP/0.9", 400, "GET /\r\n\r\n"),
        VECTOR("control in target", 400, "GET /\x01 HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("NUL in target", 400, "GET /\0 HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("DEL in target", 400, "GET /\x7f HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("high byte in target", 400, "GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("fragment", 400, "GET /a#b HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("relative target", 400, "GET a HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("asterisk of GET", 400, "GET * HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("foreign scheme", 400, "GET ftp://h/ HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("user in target", 400, "GET http://a@h/ HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("no host in target", 400, "GET http:///a HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("bad method", 400, "G(T / HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("unknown method", 501, "BREW / HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("small method", 501, "get / HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("CONNECT", 501, "CONNECT h:80 HTTP/1.1\r\n" HOST "\r\n"),
        VECTOR("other protocol", 400, "GET / HTTQ/1.1\r\n" HOST "\r\n"),
        VECTOR("RTSP", 400, "PLAY / RTSP/1.0\r\n" HOST "\r\n"),
        VECTOR("small http", 400, "GET / http/1.1\r\n" HOST "\r\n"),
        VECTOR("HTTP/2.0", 505, "GET / HTTP/2.0\r\n" HOST "\r\n"),
        VECTOR("HTTP/1.2", 505, "GET / HTTP/1.2\r\n" HOST "\r\n"),
        VECTOR("HTTP/0.9 said", 505, "GET / HTTP/0.9\r\n" HOST "\r\n"),
        VECTOR("HTTP/2 preface", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        VECTOR("HTTP/11.1", 400, "GET / HTTP/11.1\r\n" HOST "\r\n"),
        VECTOR("HTTP/1", 400, "GET / HTTP/1\r\n" HOST "\r\n"),
        VECTOR("TLS", 400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        VECTOR("expectation", 417, POST "Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx"),
        VECTOR("expectation list", 417,
                POST "Expect: 100-continue, x\r\nContent-Length: 1\r\n\r\nx"),
        /* chunks */
        VECTOR("chunk bare LF behind size", 400, CHUNKED "5\nhello\r\n0\r\n\r\n"),
        VECTOR("chunk bare CR behind size", 400, CHUNKED "5\rXhello\r\n0\r\n\r\n"),
        VECTOR("chunk extension bare LF", 400, CHUNKED "5;a\nhello\r\n0\r\n\r\n"),
        VECTOR("chunk extension bare CR", 400, CHUNKED "5;a\rb\r\nhello\r\n0\r\n\r\n"),
        VECTOR("chunk extension control", 400, CHUNKED "5;a\x01\r\nhello\r\n0\r\n\r\n"),
        VECTOR("chunk blank, no extension", 400, CHUNKED "5 \r\nhello\r\n0\r\n\r\n"),
        VECTOR("chunk blank in size", 400, CHUNKED "1 0\r\nhellohellohello!\r\n0\r\n\r\n"),
        VECTOR("chunk leading blank", 400, CHUNKED " 5\r\nhello\r\n0\r\n\r\n"),
        VECTOR("chunk 0x", 400, CHUNKED "0x5\r\nhello\r\n0\r\n\r\n"),
        VECTOR("chunk plus", 400, CHUNKED "+5\r\nhello\r\n0\r\n\r\n"),
        VECTOR("chunk minus", 400, CHUNKED "-5\r\nhello\r\n0\r\n\r\n"),
        VECTOR("chunk without size", 400, CHUNKED "\r\nhello\r\n0\r\n\r\n"),
        VECTOR("chunk without size but extension", 400, CHUNKED ";a\r\n\r\n"),
        VECTOR("chunk underscore", 400, CHUNKED "5_0\r\nhello\r\n0\r\n\r\n"),
        VECTOR("chunk overflow", 413, CHUNKED "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        VECTOR("chunk many zeros", 400, CHUNKED "00000000000000005\r\nhello\r\n0\r\n\r\n"),
        VECTOR("chunk longer than said", 400, CHUNKED "5\r\nhelloX\r\n0\r\n\r\n"),
        VECTOR("chunk data ends by LF", 400, CHUNKED "5\r\nhello\n0\r\n\r\n"),
        VECTOR("chunk data without CRLF", 400, CHUNKED "5\r\nhello0\r\n\r\n"),
        VECTOR("last chunk bare LF", 400, CHUNKED "0\n\n"),
        VECTOR("trailer bare LF", 400, CHUNKED "0\r\nA: b\n\r\n"),
        VECTOR("trailers end by LF", 400, CHUNKED "0\r\nA: b\r\n\n"),
        VECTOR("trailer bare CR", 400, CHUNKED "0\r\nA: b\rC\r\n\r\n"),
        VECTOR("trailer folded", 400, CHUNKED "0\r\nA: b\r\n c\r\n\r\n"),
        VECTOR("trailer blank before colon", 400, CHUNKED "0\r\nA : b\r\n\r\n"),
        VECTOR("trailer without colon", 400, CHUNKED "0\r\nA\r\n\r\n"),
        VECTOR("trailer empty name", 400, CHUNKED "0\r\n: b\r\n\r\n"),
        VECTOR("trailer NUL", 400, CHUNKED "0\r\nA: \0\r\n\r\n"),
        /* their harmless neighbours */
        VECTOR("upper-case hex and zeros", 0, CHUNKED "00A\r\nhellohello\r\n000\r\n\r\n"),
        VECTOR("te upper-case", 0, POST "TRANSFER-ENCODING:CHUNKED\r\n\r\n0\r\n\r\n"),
        VECTOR("te padded", 0, POST "Transfer-Encoding: \t chunked \t\r\n\r\n0\r\n\r\n"),
        VECTOR("cl with zeros", 0, POST "Content-Length: 0005\r\n\r\nhello"),
        VECTOR("tab in value", 0, GET "A: b\tc\r\n\r\n"),
        VECTOR("host with port", 0, "GET / HTTP/1.1\r\nHost: [::1]:3000\r\n\r\n"),
};

/* The words a client would take for something else (wire, section 3). */
static void says_nothing_misleading(struct nx_bytes out)
{
    const char *body = memmem(out.ptr, out.len, "\r\n\r\n", 4);
    char text[512];
    size_t len;

    assert_non_null(body);
    len = (size_t)(out.ptr + out.len - body);
    assert_true(len < sizeof(text));
    for (size_t i = 0; i < len; i++)
        text[i] = (char)(body[i] >= 'A' && body[i] <= 'Z' ? body[i] + 32 : body[i]);
    text[len] = '\0';
    assert_null(strstr(text, "expired"));
    assert_null(strstr(text, "404"));
    assert_null(strstr(text, "not found"));
    assert_null(strstr(text, "agent"));
}

static void check_refusal(const struct run *run, unsigned status)
{
    struct nx_bytes out = nx_buf_bytes(&run->out);
    char line[64];

    (void)snprintf(line, sizeof(line), "HTTP/1.1 %u %s\r\n", status, nx_http1_reason(status));
    assert_non_null(memmem(out.ptr, out.len, line, strlen(line)));
    assert_non_null(memmem(out.ptr, out.len, "\r\nConnection: close\r\n", 21));
    assert_non_null(memmem(out.ptr, out.len, "\r\nX-Request-Id: 0123456789abcdef\r\n", 34));
    assert_memory_equal(out.ptr + out.len - 15, "\",\"details\":[]}", 15);
    says_nothing_misleading(out);
}

static void vectors_are_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        for (size_t piece = 1; piece != 0; piece = piece == 1 ? 3 : piece == 3 ? SIZE_MAX : 0) {
            struct run run;

            run_pieces(&run, nx_mem_libc(), limits, vectors[i].input, 0, piece);
            if (run.error != 0 || run.refused != vectors[i].status)
                fail_msg("%s: %u (error %d)", vectors[i].name, run.refused, run.error);
            if (run.requests != (vectors[i].status == 0))
                fail_msg("%s: %zu requests", vectors[i].name, run.requests);
            if (vectors[i].status != 0) {
                check_refusal(&run, vectors[i].status);
                assert_false(nx_http1_server_finished(run.server));
                assert_true(nx_http1_server_wants_shutdown(run.server));
                nx_http1_server_eof(run.server);
                assert_true(nx_http1_server_finished(run.server));
            }
            run_end(&run);
        }
    }
}

/* Where llhttp would have refused too, the message tells that our own check was first. */
static void the_message_says_why(void **state)
{
    static const struct {
        const char *message;
        struct nx_bytes input;
    } why[] = {
            {"the head holds a bare CR", {GET "A: b\rC: d\r\n\r\n", sizeof(GET) + 13}},
            {"a header field is folded over several lines",
                    {GET "A: b\r\n c\r\n\r\n", sizeof(GET) + 12}},
            {"the head holds a control character",
                    {GET "A: 0123456789abcdef\x7fghijklmnopqrstuvw\r\n\r\n", sizeof(GET) + 40}},
            {"the request target holds a character that is not allowed",
                    {"GET /\xff HTTP/1.1\r\n", 17}},
            {"Content-Length is doubled or stands beside Transfer-Encoding",
                    {POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", sizeof(POST) + 39}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(why) / sizeof(why[0]); i++) {
        struct run run;

        run_pieces(&run, nx_mem_libc(), limits, why[i].input, 0, SIZE_MAX);
        assert_int_equal(run.refused, 400);
        if (!memmem(run.out.ptr, run.out.len, why[i].message, strlen(why[i].message)))
            fail_msg("%s: %s", why[i].message, nx_buf_str(&run.out));
        run_end(&run);
    }
}

/* Plays a request whose `unit` is repeated n times between front and back. */
static void repeat(struct run *run, const struct nx_http1_limits *with, const char *front,
        const char *unit, size_t n, const char *back, size_t piece)
{
    struct nx_buf input;

    nx_buf_init(&input, nx_mem_libc(), 1 << 20);
    nx_buf_append_str(&input, front);
    for (size_t i = 0; i < n; i++)
        nx_buf_append_str(&input, unit);
    nx_buf_append_str(&input, back);
    run_pieces(run, nx_mem_libc(), with, nx_buf_bytes(&input), 0, piece);
    assert_int_equal(run->error, 0);
    nx_buf_done(&input);
}

/* n passes, n + 1 gives the status; whole and byte by byte. */
static void boundary(const struct nx_http1_limits *with, const char *front, const char *unit,
        size_t n, const char *back, unsigned status)
{
    for (size_t more = 0; more < 4; more++) {
        struct run run;

        repeat(&run, with, front, unit, n + more / 2, back, more % 2 ? 1 : SIZE_MAX);
        assert_int_equal(run.refused, more / 2 ? status : 0);
        assert_int_equal(run.requests, more / 2 ? 0 : 1);
        if (more / 2)
            check_refusal(&run, status);
        run_end(&run);
    }
}

static void limits_are_exact(void **state)
{
    struct nx_http1_limits small = *limits;
    const char *fields = " HTTP/1.1\r\n" HOST "\r\n";

    (void)state;
    small.target_bytes_max = 100;
    small.head_bytes_max = 400;
    small.headers_max = 5;
    small.body_bytes_max = 300;
    boundary(&small, "GET /", "a", 99, fields, 414);
    boundary(&small, GET "A: ", "b", 400 - strlen(GET "A: \r\n\r\n"), "\r\n\r\n", 431);
    boundary(&small, GET, "A: b\r\n", 4, "\r\n", 431);
    boundary(&small, CHUNKED, "1\r\nx\r\n", 300, "0\r\n\r\n", 413);
    boundary(&small, CHUNKED "1;", "x", 399, "\r\nx\r\n0\r\n\r\n", 400);
    boundary(&small, CHUNKED "0\r\n", "A:\r\n", 5, "\r\n", 431);
    boundary(&small, CHUNKED "0\r\nA:", "b", 400 - 3, "\r\n\r\n", 431);
    small.target_bytes_max = SIZE_MAX;
    boundary(&small, "GET /", "a", 400 - strlen("GET /") - strlen(fields), fields, 431);
}

static void content_length_is_refused_at_once(void **state)
{
    struct nx_http1_limits small = *limits;
    struct run run;

    (void)state;
    small.body_bytes_max = 10;
    run_pieces(&run, nx_mem_libc(), &small, NX_BYTES(POST "Content-Length: 10\r\n\r\n0123456789"),
            0, SIZE_MAX);
    assert_int_equal(run.requests, 1);
    run_end(&run);
    run_pieces(&run, nx_mem_libc(), &small,
            NX_BYTES(POST "Expect: 100-continue\r\nContent-Length: 11\r\n\r\n"), 0, SIZE_MAX);
    assert_int_equal(run.refused, 413);
    check_refusal(&run, 413);
    assert_true(nx_bytes_starts(nx_buf_bytes(&run.out), NX_BYTES("HTTP/1.1 413 ")));
    assert_non_null(memmem(run.out.ptr, run.out.len, "\"payload_too_large\"", 19));
    run_end(&run);
}

static void endless_lines_are_cut(void **state)
{
    struct run run;

    (void)state;
    repeat(&run, limits, "", "a", 100000, "", 4096);
    assert_int_equal(run.refused, 414);
    run_end(&run);
    repeat(&run, limits, "GET / HTTP/1.1\r\nA: ", "a", 100000, "", 4096);
    assert_int_equal(run.refused, 431);
    run_end(&run);
    repeat(&run, limits, CHUNKED "5;", "a", 100000, "", 4096);
    assert_int_equal(run.refused, 400);
    run_end(&run);
    repeat(&run, limits, CHUNKED, "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n", 2000, "",
            4096);
    assert_int_equal(run.refused, 400);
    run_end(&run);
}

static void refused_heads_have_no_body_for_head(void **state)
{
    struct run run;

    (void)state;
    run_pieces(&run, nx_mem_libc(), limits, NX_BYTES("HEAD / HTTP/1.1\r\n\r\n"), 0, SIZE_MAX);
    assert_int_equal(run.refused, 400);
    assert_memory_equal(run.out.ptr + run.out.len - 4, "\r\n\r\n", 4);
    assert_null(memmem(run.out.ptr, run.out.len, "Date:", 5));
    run_end(&run);
    assert_int_equal(run_begin(&run, nx_mem_libc(), limits), 0);
    nx_http1_server_set_date(run.server, RUN_DATE);
    assert_int_equal(run_feed(&run, 0, NX_BYTES("x\n")), 0);
    assert_non_null(memmem(run.out.ptr, run.out.len, "\r\nDate: " RUN_DATE "\r\n", 39));
    run_end(&run);
}

static void a_refusal_behind_answers_keeps_their_order(void **state)
{
    struct run run;

    (void)state;
    run_pieces(&run, nx_mem_libc(), limits,
            NX_BYTES(GET "\r\n" GET "\r\n"
                         "x\ny" GET "\r\n"),
            0, SIZE_MAX);
    assert_int_equal(run.requests, 2);
    assert_int_equal(run.refused, 400);
    check_refusal(&run, 400);
    run_end(&run);
}

static void draining_is_bounded(void **state)
{
    static char bytes[65536];
    struct run run;
    size_t total = 0;

    (void)state;
    run_pieces(&run, nx_mem_libc(), limits, NX_BYTES("x\n"), 0, SIZE_MAX);
    while (nx_http1_server_wants_read(run.server)) {
        size_t taken = 0;

        assert_int_equal(
                nx_http1_server_read(run.server, 1, nx_bytes_of(bytes, sizeof(bytes)), &taken), 0);
        total += taken;
        assert_true(total <= (size_t)8 << 20);
    }
    assert_true(total > (size_t)1 << 20);
    assert_true(nx_http1_server_finished(run.server));
    run_end(&run);
    /* quiet peers are left after two seconds, busy ones after ten */
    run_pieces(&run, nx_mem_libc(), limits, NX_BYTES("x\n"), 0, SIZE_MAX);
    assert_true(nx_http1_server_deadline(run.server) == 2000);
    for (int64_t now = 0; now < 10000; now += 1000) {
        assert_int_equal(run_feed(&run, now, NX_BYTES("y")), 0);
        nx_http1_server_tick(run.server, now, RUN_DATE);
        assert_false(nx_http1_server_finished(run.server));
    }
    assert_true(nx_http1_server_deadline(run.server) == 10000);
    nx_http1_server_tick(run.server, 10000, RUN_DATE);
    assert_true(nx_http1_server_finished(run.server));
    assert_false(nx_http1_server_wants_read(run.server));
    assert_true(nx_http1_server_deadline(run.server) == NX_TIME_NEVER);
    run_end(&run);
}

/* Nothing happens a millisecond before the deadline; at it, the status (0: silence). */
static void times_out(struct nx_bytes input, int64_t fed_at, int64_t deadline, unsigned status)
{
    struct run run;

    assert_int_equal(run_begin(&run, nx_mem_libc(), limits), 0);
    assert_int_equal(run_feed(&run, fed_at, input), 0);
    run.out.len = 0;
    assert_true(nx_http1_server_deadline(run.server) == deadline);
    nx_http1_server_tick(run.server, deadline - 1, RUN_DATE);
    assert_int_equal(nx_http1_server_output(run.server).len, 0);
    assert_false(nx_http1_server_finished(run.server));
    nx_http1_server_tick(run.server, deadline, RUN_DATE);
    assert_int_equal(nx_http1_server_refused(run.server), status);
    run_collect(&run, deadline);
    if (status == 0) {
        assert_int_equal(run.out.len, 0);
        assert_true(nx_http1_server_finished(run.server));
    } else {
        check_refusal(&run, status);
        assert_non_null(memmem(run.out.ptr, run.out.len, "\"request_timeout\"", 17));
        nx_http1_server_tick(run.server, deadline + 2000, RUN_DATE);
        assert_true(nx_http1_server_finished(run.server));
    }
    run_end(&run);
}

static void deadlines(void **state)
{
    (void)state;
    times_out(NX_BYTES(""), 0, 75000, 0);
    times_out(NX_BYTES("\r\n"), 50, 75000, 0);
    times_out(NX_BYTES(GET "\r\n"), 50, 75050, 0);
    times_out(NX_BYTES("G"), 7, 10007, 408);
    times_out(NX_BYTES(GET "\r\nGET / "), 7, 10007, 408);
    times_out(NX_BYTES(POST "Content-Length: 5\r\n\r\nhell"), 9, 30009, 408);
    times_out(NX_BYTES(CHUNKED "5\r\nhello\r\n0\r\n"), 9, 30009, 408);
}

static void dripping_does_not_help(void **state)
{
    struct run run;

    (void)state;
    assert_int_equal(run_begin(&run, nx_mem_libc(), limits), 0);
    for (int64_t now = 0; now < 10000; now += 500) {
        nx_http1_server_tick(run.server, now, RUN_DATE);
        assert_int_equal(run_feed(&run, now, NX_BYTES("G")), 0);
        assert_true(nx_http1_server_deadline(run.server) == 10000);
    }
    nx_http1_server_tick(run.server, 10000, RUN_DATE);
    assert_int_equal(nx_http1_server_refused(run.server), 408);
    run_end(&run);
}

static void writing_has_a_deadline(void **state)
{
    struct run run;
    size_t taken = 0;

    (void)state;
    assert_int_equal(run_begin(&run, nx_mem_libc(), limits), 0);
    assert_int_equal(nx_http1_server_read(run.server, 5, NX_BYTES(GET "\r\n"), &taken), 0);
    assert_true(nx_http1_server_deadline(run.server) == NX_TIME_NEVER);
    nx_http1_server_tick(run.server, NX_TIME_NEVER - 1, RUN_DATE);
    assert_false(nx_http1_server_finished(run.server));
    assert_int_equal(run_answer(&run, nx_http1_server_request(run.server), 100), 0);
    assert_true(nx_http1_server_deadline(run.server) == 30100);
    nx_http1_server_written(run.server, 20000, 1);
    assert_true(nx_http1_server_deadline(run.server) == 50000);
    /* a second request in hand does not hold the stuck one up */
    assert_int_equal(nx_http1_server_read(run.server, 20001, NX_BYTES(GET "\r\n"), &taken), 0);
    assert_true(nx_http1_server_deadline(run.server) == 50000);
    nx_http1_server_tick(run.server, 49999, RUN_DATE);
    assert_false(nx_http1_server_finished(run.server));
    nx_http1_server_tick(run.server, 50000, RUN_DATE);
    assert_true(nx_http1_server_finished(run.server));
    assert_null(nx_http1_server_request(run.server));
    assert_int_equal(nx_http1_server_respond(
                             run.server, 50001, RUN_DATE, &(struct nx_http1_answer){.status = 200}),
            NX_E_CLOSED);
    run_end(&run);
}

static int answer_sized(struct run *run, const struct nx_http1_limits *with, size_t size)
{
    char *body = calloc(1, size);
    struct nx_http1_answer answer = {.status = 200, .body = {body, size}};
    size_t taken = 0;
    int r = run_begin(run, nx_mem_libc(), with);

    assert_int_equal(r, 0);
    assert_int_equal(nx_http1_server_read(run->server, 0, NX_BYTES(GET "\r\n"), &taken), 0);
    r = nx_http1_server_respond(run->server, 0, RUN_DATE, &answer);
    free(body);
    return r;
}

static void output_has_a_limit(void **state)
{
    struct nx_http1_limits small = *limits;
    struct run run;
    size_t head = strlen("HTTP/1.1 200 OK\r\nDate: " RUN_DATE "\r\nContent-Length: 1000\r\n\r\n");

    (void)state;
    small.output_bytes_max = 1000 + head;
    assert_int_equal(answer_sized(&run, &small, 1000), 0);
    assert_int_equal(nx_http1_server_output(run.server).len, 1000 + head);
    run_end(&run);
    assert_int_equal(answer_sized(&run, &small, 1001), NX_E_TOO_LARGE);
    assert_int_equal(nx_http1_server_output(run.server).len, 0);
    assert_true(nx_http1_server_finished(run.server));
    run_end(&run);
}

static void sent_bytes_make_room(void **state)
{
    static char body[700];
    struct nx_http1_limits small = *limits;
    struct nx_http1_answer answer = {.status = 200, .body = {body, sizeof(body)}};
    struct run run;
    size_t taken = 0;

    (void)state;
    small.output_bytes_max = 1000;
    assert_int_equal(run_begin(&run, nx_mem_libc(), &small), 0);
    for (int i = 0; i < 100; i++) {
        size_t had = nx_http1_server_output(run.server).len;

        body[0] = (char)i;
        assert_int_equal(nx_http1_server_read(run.server, 0, NX_BYTES(GET "\r\n"), &taken), 0);
        assert_int_equal(nx_http1_server_respond(run.server, 0, RUN_DATE, &answer), 0);
        assert_int_equal(nx_http1_server_output(run.server)
                                 .ptr[nx_http1_server_output(run.server).len - sizeof(body)],
                i);
        nx_http1_server_written(run.server, 0, nx_http1_server_output(run.server).len - 100);
        assert_int_equal(had, i > 0 ? 100 : 0);
    }
    run_end(&run);
}

struct ledger {
    size_t live;
    size_t calls;
};

static void *counted(void *ctx, void *ptr, size_t bytes)
{
    struct ledger *ledger = ctx;
    size_t *block = ptr ? (size_t *)ptr - 2 : NULL;

    ledger->calls++;
    if (block)
        ledger->live -= block[0];
    if (bytes == 0) {
        free(block);
        return NULL;
    }
    block = realloc(block, bytes + 2 * sizeof(*block));
    assert_non_null(block);
    block[0] = bytes;
    ledger->live += bytes;
    return block + 2;
}

static void idle_peers_are_cheap(void **state)
{
    struct ledger ledger = {0};
    struct nx_mem mem = {counted, &ledger};
    struct run run;
    struct nx_buf input;
    size_t calls;

    (void)state;
    nx_buf_init(&input, nx_mem_libc(), 2 << 20);
    nx_buf_printf(&input, POST "Content-Length: %d\r\n\r\n", 500000);
    memset(nx_buf_reserve(&input, 500000), 'x', 500000);
    input.len += 500000;
    assert_int_equal(run_begin(&run, &mem, limits), 0);
    assert_true(ledger.live < 1024);
    assert_int_equal(run_feed(&run, 0, NX_BYTES(GET "\r\n")), 0);
    assert_true(ledger.live < 3000);
    calls = ledger.calls;
    for (int i = 0; i < 100; i++)
        assert_int_equal(run_feed(&run, 0, NX_BYTES(GET "\r\n" GET "A: b\r\n\r\n")), 0);
    assert_int_equal(ledger.calls, calls);
    /* a large body goes at once, a middling one after a second of rest */
    assert_int_equal(run_feed(&run, 0, nx_buf_bytes(&input)), 0);
    assert_true(ledger.live < 3000);
    nx_buf_clear(&input);
    nx_buf_printf(&input, POST "Content-Length: %d\r\n\r\n", 50000);
    memset(nx_buf_reserve(&input, 50000), 'x', 50000);
    input.len += 50000;
    assert_int_equal(run_feed(&run, 0, nx_buf_bytes(&input)), 0);
    assert_true(ledger.live > 50000);
    assert_true(nx_http1_server_deadline(run.server) == 1000);
    nx_http1_server_tick(run.server, 1000, RUN_DATE);
    assert_true(ledger.live < 1024);
    assert_false(nx_http1_server_finished(run.server));
    assert_true(nx_http1_server_deadline(run.server) == 75000);
    assert_int_equal(run_feed(&run, 2000, NX_BYTES(GET "\r\n")), 0);
    assert_int_equal(run.requests, 204);
    run_end(&run);
    assert_int_equal(ledger.live, 0);
    nx_buf_done(&input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(vectors_are_refused_by_name),
            cmocka_unit_test(the_message_says_why),
            cmocka_unit_test(limits_are_exact),
            cmocka_unit_test(content_length_is_refused_at_once),
            cmocka_unit_test(endless_lines_are_cut),
            cmocka_unit_test(refused_heads_have_no_body_for_head),
            cmocka_unit_test(a_refusal_behind_answers_keeps_their_order),
            cmocka_unit_test(draining_is_bounded),
            cmocka_unit_test(deadlines),
            cmocka_unit_test(dripping_does_not_help),
            cmocka_unit_test(writing_has_a_deadline),
            cmocka_unit_test(output_has_a_limit),
            cmocka_unit_test(sent_bytes_make_room),
            cmocka_unit_test(idle_peers_are_cheap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
