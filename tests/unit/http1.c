/* protocol/http1: what is understood, how it is answered, and that cuts in the bytes never
 * matter. What is refused: http1_refuse.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "support/http1_run.h"
#include "support/mem_fail.h"

#define HOST "Host: h\r\n"

static const struct nx_http1_limits *const limits = &nx_http1_limits_default;

static void play(struct run *run, struct nx_bytes input)
{
    run_pieces(run, nx_mem_libc(), limits, input, 0, SIZE_MAX);
    assert_int_equal(run->error, 0);
}

static bool holds(const struct nx_buf *buf, const char *text)
{
    return memmem(buf->ptr, buf->len, text, strlen(text)) != NULL;
}

static void logs(struct nx_bytes input, const char *log)
{
    struct run run;

    play(&run, input);
    assert_string_equal(nx_buf_str(&run.log), log);
    assert_int_equal(run.refused, 0);
    run_end(&run);
}

static void requests_are_understood(void **state)
{
    (void)state;
    logs(NX_BYTES("GET /a?b=c&d HTTP/1.1\r\n" HOST "\r\n"), "GET /a?b=c&d keep 0:\n");
    logs(NX_BYTES("GET / HTTP/1.1\r\n" HOST "Connection: foo, Close\r\n\r\n"), "GET /? close 0:\n");
    logs(NX_BYTES("GET / HTTP/1.0\r\n\r\n"), "GET /? close 0:\n");
    logs(NX_BYTES("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), "GET /? keep 0:\n");
    logs(NX_BYTES("GET / HTTP/1.0\r\nConnection: close\r\nConnection: Keep-Alive\r\n\r\n"),
            "GET /? close 0:\n");
    logs(NX_BYTES("POST /p HTTP/1.1\r\nhost:h\r\ncontent-length:\t5 \r\n\r\nhello"),
            "POST /p? keep 5:hello\n");
    logs(NX_BYTES("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), "OPTIONS *? keep 0:\n");
    logs(NX_BYTES("GET http://other:80/x?y HTTP/1.1\r\n" HOST "\r\n"), "GET /x?y keep 0:\n");
    logs(NX_BYTES("GET HTTPS://other HTTP/1.1\r\n" HOST "\r\n"), "GET /? keep 0:\n");
    logs(NX_BYTES("GET http://other?q HTTP/1.1\r\n" HOST "\r\n"), "GET /?q keep 0:\n");
    logs(NX_BYTES("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), "GET /? keep 0:\n");
    logs(NX_BYTES("GET / HTTP/1.1\r\nHost:\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
                  "GET /2 HTTP/1.1\r\n" HOST "\r\n"),
            "GET /? keep 0:\nGET /2? keep 0:\n");
    logs(NX_BYTES("DELETE /d HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx"),
            "DELETE /d? keep 1:x\n");
}

static void chunks_are_joined(void **state)
{
    (void)state;
    logs(NX_BYTES("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"
                  "5;a=b;c=\"d e\"\r\nhello\r\n00A ; x\r\n, the worl\r\n1\r\nd\r\n0;last\r\n"
                  "Trailer: t\r\nOther:\r\n\r\nGET /next HTTP/1.1\r\n" HOST "\r\n"),
            "POST /? keep 16:hello, the world\nGET /next? keep 0:\n");
    logs(NX_BYTES("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            "POST /? keep 0:\n");
}

static void fields_are_found(void **state)
{
    struct run run;
    const struct nx_http1_request *request;
    size_t taken = 0;
    struct nx_bytes input = NX_BYTES("GET /t HTTP/1.1\r\n" HOST "X-Agent-Id:  a b\t\r\n"
                                     "x-agent-id: second\r\nEmpty:\r\nHigh: \xc3\xa9\r\n\r\nrest");

    (void)state;
    assert_int_equal(run_begin(&run, nx_mem_libc(), limits), 0);
    assert_int_equal(nx_http1_server_read(run.server, 0, input, &taken), 0);
    assert_int_equal(taken, input.len - 4);
    assert_false(nx_http1_server_wants_read(run.server));
    request = nx_http1_server_request(run.server);
    assert_non_null(request);
    assert_int_equal(request->header_count, 5);
    assert_true(nx_bytes_equal(request->target, NX_BYTES("/t")));
    assert_true(nx_bytes_equal(nx_http1_header(request, NX_BYTES("X-AGENT-ID")), NX_BYTES("a b")));
    assert_non_null(nx_http1_header(request, NX_BYTES("empty")).ptr);
    assert_int_equal(nx_http1_header(request, NX_BYTES("empty")).len, 0);
    assert_true(nx_bytes_equal(nx_http1_header(request, NX_BYTES("high")), NX_BYTES("\xc3\xa9")));
    assert_null(nx_http1_header(request, NX_BYTES("missing")).ptr);
    assert_int_equal(nx_http1_server_read(run.server, 0, NX_BYTES("x"), &taken), 0);
    assert_int_equal(taken, 0);
    run_end(&run);
}

static void answers_are_exact(void **state)
{
    struct run run;

    (void)state;
    play(&run, NX_BYTES("GET /abc HTTP/1.1\r\n" HOST "\r\n"));
    assert_string_equal(nx_buf_str(&run.out),
            "HTTP/1.1 200 OK\r\nDate: " RUN_DATE "\r\nContent-Length: 4\r\n"
            "Content-Type: text/plain\r\n\r\n/abc");
    run_end(&run);
    play(&run, NX_BYTES("HEAD /abc HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"));
    assert_string_equal(nx_buf_str(&run.out),
            "HTTP/1.1 200 OK\r\nDate: " RUN_DATE "\r\nContent-Length: 4\r\n"
            "Connection: close\r\nContent-Type: text/plain\r\n\r\n");
    assert_true(run.finished);
    run_end(&run);
    play(&run, NX_BYTES("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    assert_true(holds(&run.out, "\r\nConnection: keep-alive\r\n"));
    assert_false(run.finished);
    run_end(&run);
}

static void answer_with(struct run *run, const struct nx_http1_answer *answer, const char *out)
{
    size_t taken = 0;
    struct nx_bytes input = NX_BYTES("GET / HTTP/1.1\r\n" HOST "\r\n");

    assert_int_equal(run_begin(run, nx_mem_libc(), limits), 0);
    assert_int_equal(nx_http1_server_respond(run->server, 0, RUN_DATE, answer), NX_E_CLOSED);
    assert_int_equal(nx_http1_server_read(run->server, 0, input, &taken), 0);
    assert_int_equal(nx_http1_server_respond(run->server, 0, RUN_DATE, answer), 0);
    run_collect(run, 0);
    assert_string_equal(nx_buf_str(&run->out), out);
}

static void statuses_without_a_body(void **state)
{
    struct run run;

    (void)state;
    answer_with(&run, &(struct nx_http1_answer){.status = 204, .body = NX_BYTES("x")},
            "HTTP/1.1 204 No Content\r\nDate: " RUN_DATE "\r\n\r\n");
    run_end(&run);
    answer_with(&run, &(struct nx_http1_answer){.status = 304, .close = true},
            "HTTP/1.1 304 Not Modified\r\nDate: " RUN_DATE "\r\nConnection: close\r\n\r\n");
    assert_true(nx_http1_server_finished(run.server));
    run_end(&run);
    answer_with(&run, &(struct nx_http1_answer){.status = 599},
            "HTTP/1.1 599 \r\nDate: " RUN_DATE "\r\nContent-Length: 0\r\n\r\n");
    run_end(&run);
}

static void continue_is_sent_when_a_body_is_awaited(void **state)
{
    struct run run;

    (void)state;
    play(&run, NX_BYTES("POST / HTTP/1.1\r\n" HOST
                        "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n"));
    assert_string_equal(nx_buf_str(&run.out), "HTTP/1.1 100 Continue\r\n\r\n");
    assert_int_equal(run_feed(&run, 0, NX_BYTES("ok")), 0);
    assert_string_equal(nx_buf_str(&run.log), "POST /? keep 2:ok\n");
    run_end(&run);
    play(&run, NX_BYTES("POST / HTTP/1.1\r\n" HOST
                        "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"));
    assert_string_equal(nx_buf_str(&run.out), "HTTP/1.1 100 Continue\r\n\r\n");
    run_end(&run);
    play(&run, NX_BYTES("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
    assert_int_equal(run.out.len, 0);
    run_end(&run);
    play(&run, NX_BYTES("POST / HTTP/1.1\r\n" HOST
                        "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n"));
    assert_true(nx_bytes_starts(nx_buf_bytes(&run.out), NX_BYTES("HTTP/1.1 200")));
    run_end(&run);
}

static void pipelines_of_a_hundred(void **state)
{
    struct nx_buf input;
    struct nx_buf log;

    (void)state;
    nx_buf_init(&input, nx_mem_libc(), 1 << 20);
    nx_buf_init(&log, nx_mem_libc(), 1 << 20);
    for (int i = 0; i < 100; i++) {
        nx_buf_printf(&input, "POST /%d HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\n%03d", i, i);
        nx_buf_printf(&log, "POST /%d? keep 3:%03d\n", i, i);
    }
    logs(nx_buf_bytes(&input), nx_buf_str(&log));
    nx_buf_done(&input);
    nx_buf_done(&log);
}

static void an_answer_while_the_rest_is_unread(void **state)
{
    struct run run;
    struct nx_bytes input =
            NX_BYTES("GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/1.1\r\n" HOST "\r\n");
    size_t taken = 0;

    (void)state;
    assert_int_equal(run_begin(&run, nx_mem_libc(), limits), 0);
    assert_int_equal(nx_http1_server_read(run.server, 0, input, &taken), 0);
    assert_int_equal(taken, input.len / 2);
    assert_int_equal(nx_http1_server_deadline(run.server) == NX_TIME_NEVER, 1);
    /* nothing of the first answer is sent while the second comes */
    assert_int_equal(run_answer(&run, nx_http1_server_request(run.server), 5), 0);
    assert_int_equal(nx_http1_server_read(run.server, 5, nx_bytes_from(input, taken), &taken), 0);
    assert_int_equal(taken, input.len / 2);
    nx_http1_server_written(run.server, 6, 10);
    assert_int_equal(run_answer(&run, nx_http1_server_request(run.server), 7), 0);
    run_collect(&run, 8);
    assert_string_equal(nx_buf_str(&run.log), "GET /1? keep 0:\nGET /2? keep 0:\n");
    assert_true(nx_bytes_starts(nx_buf_bytes(&run.out), NX_BYTES("200 OK")) == false);
    assert_memory_equal(run.out.ptr + run.out.len - 2, "/2", 2);
    run_end(&run);
}

static void slow_readers_hold_back_their_pipeline(void **state)
{
    struct run run;
    struct nx_bytes input = NX_BYTES("GET / HTTP/1.1\r\n" HOST "\r\n");
    size_t size = 100000;
    char *body = calloc(1, size);
    struct nx_http1_answer answer = {.status = 200, .body = {body, size}};
    size_t taken = 0;

    (void)state;
    assert_int_equal(run_begin(&run, nx_mem_libc(), limits), 0);
    assert_int_equal(nx_http1_server_read(run.server, 0, input, &taken), 0);
    assert_int_equal(nx_http1_server_respond(run.server, 0, RUN_DATE, &answer), 0);
    assert_false(nx_http1_server_wants_read(run.server));
    assert_int_equal(nx_http1_server_read(run.server, 0, input, &taken), 0);
    assert_int_equal(taken, 0);
    nx_http1_server_written(run.server, 0, 60000);
    assert_true(nx_http1_server_wants_read(run.server));
    assert_int_equal(nx_http1_server_read(run.server, 0, input, &taken), 0);
    assert_int_equal(taken, input.len);
    run_end(&run);
    free(body);
}

static void every_cut_gives_the_same(struct nx_bytes input)
{
    struct run whole;

    play(&whole, input);
    for (size_t cut = 0; cut <= input.len; cut++) {
        struct run run;

        run_pieces(&run, nx_mem_libc(), limits, input, cut, cut == 0 ? 1 : SIZE_MAX);
        assert_int_equal(run.error, 0);
        assert_string_equal(nx_buf_str(&run.log), nx_buf_str(&whole.log));
        assert_string_equal(nx_buf_str(&run.out), nx_buf_str(&whole.out));
        assert_int_equal(run.refused, whole.refused);
        run_end(&run);
    }
    run_end(&whole);
}

static void cuts_do_not_matter(void **state)
{
    (void)state;
    every_cut_gives_the_same(NX_BYTES(
            "\r\nPOST /a?b HTTP/1.1\r\n" HOST "Content-Length: 5\r\nA:\tb\r\n\r\nhello"
            "HEAD /h HTTP/1.1\r\n" HOST "\r\n"
            "POST /c HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
            "5;x=y\r\nhello\r\n3\r\nabc\r\n0\r\nT: t\r\n\r\n"
            "GET /d HTTP/1.1\r\n" HOST "Connection: close\r\n\r\nmore"));
    every_cut_gives_the_same(NX_BYTES("GET / HTTP/1.1\r\n" HOST "A: b\nC: d\r\n\r\n"));
    every_cut_gives_the_same(NX_BYTES("HEAD / HTTP/1.1\r\n" HOST "A : b\r\n\r\nxxxx"));
    every_cut_gives_the_same(NX_BYTES("HEAD / HTTP/1.1\r\n" HOST "A: b\rxx\r\n\r\nxxxx"));
    every_cut_gives_the_same(NX_BYTES("\r\r\nGET / HTTP/1.1\r\n" HOST "\r\n"));
    every_cut_gives_the_same(NX_BYTES(
            "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n"));
    every_cut_gives_the_same(NX_BYTES("BREW /pot HTTP/1.1\r\n" HOST "\r\n"));
}

static void large_bodies_and_answers(void **state)
{
    const size_t size = 1024 * 1024;
    struct nx_buf input;
    struct run run;

    (void)state;
    nx_buf_init(&input, nx_mem_libc(), 8 << 20);
    nx_buf_printf(&input, "POST / HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", size);
    memset(nx_buf_reserve(&input, size), 'x', size);
    input.len += size;
    NX_BUF_LIT(&input, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; i < size / 16; i++)
        NX_BUF_LIT(&input, "10\r\n0123456789abcdef\r\n");
    NX_BUF_LIT(&input, "0\r\n\r\n");
    run_pieces(&run, nx_mem_libc(), limits, nx_buf_bytes(&input), 0, 1000);
    assert_int_equal(run.error, 0);
    assert_int_equal(run.requests, 2);
    assert_int_equal(run.log.len, 2 * (size + strlen("POST /? keep 1048576:\n")));
    run_end(&run);
    nx_buf_done(&input);
}

static void half_closed_peers_are_answered(void **state)
{
    struct run run;
    size_t taken = 0;

    (void)state;
    assert_int_equal(run_begin(&run, nx_mem_libc(), limits), 0);
    assert_int_equal(
            nx_http1_server_read(run.server, 0, NX_BYTES("GET / HTTP/1.1\r\n" HOST "\r\n"), &taken),
            0);
    nx_http1_server_eof(run.server);
    assert_false(nx_http1_server_finished(run.server));
    assert_int_equal(run_answer(&run, nx_http1_server_request(run.server), 0), 0);
    assert_false(nx_http1_server_finished(run.server));
    run_collect(&run, 0);
    assert_true(nx_http1_server_finished(run.server));
    assert_true(holds(&run.out, "Connection: close\r\n"));
    run_end(&run);
    play(&run, NX_BYTES("GET / HT"));
    nx_http1_server_eof(run.server);
    assert_true(nx_http1_server_finished(run.server));
    assert_int_equal(nx_http1_server_output(run.server).len, 0);
    run_end(&run);
}

static void reasons(void **state)
{
    (void)state;
    assert_string_equal(nx_http1_reason(200), "OK");
    assert_string_equal(nx_http1_reason(429), "Too Many Requests");
    assert_string_equal(nx_http1_reason(299), "");
}

static void queries_and_escapes(void **state)
{
    struct nx_bytes value = {0};
    struct nx_buf buf;

    (void)state;
    assert_true(nx_http1_query(NX_BYTES("ab=1&a=2&b&a=3&c="), NX_BYTES("a"), &value));
    assert_true(nx_bytes_equal(value, NX_BYTES("2")));
    assert_true(nx_http1_query(NX_BYTES("ab=1&a=2&b&a=3&c="), NX_BYTES("b"), &value));
    assert_int_equal(value.len, 0);
    assert_true(nx_http1_query(NX_BYTES("ab=1&c="), NX_BYTES("c"), &value));
    assert_int_equal(value.len, 0);
    assert_false(nx_http1_query(NX_BYTES("ab=1&c="), NX_BYTES("a"), &value));
    assert_false(nx_http1_query(NX_BYTES(""), NX_BYTES("a"), &value));
    nx_buf_init(&buf, nx_mem_libc(), 16);
    assert_true(nx_http1_unescape(NX_BYTES("a%2Fb+%c3%A9"), &buf));
    assert_string_equal(nx_buf_str(&buf), "a/b+\xc3\xa9");
    assert_false(nx_http1_unescape(NX_BYTES("%0"), &buf));
    assert_false(nx_http1_unescape(NX_BYTES("%g0"), &buf));
    assert_false(nx_http1_unescape(NX_BYTES("%00"), &buf));
    assert_false(nx_http1_unescape(NX_BYTES("a\0b"), &buf));
    nx_buf_clear(&buf);
    assert_false(nx_http1_unescape(NX_BYTES("0123456789012345x"), &buf));
    assert_int_equal(nx_buf_error(&buf), NX_E_TOO_LARGE);
    nx_buf_done(&buf);
}

static void exchange(const struct nx_mem *mem, void *ctx)
{
    struct run run;
    struct nx_http1_limits small = *limits;
    struct nx_bytes input = NX_BYTES(
            "POST /a HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n"
            "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\nG: 7\r\n\r\nhello"
            "POST /c HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
            "5\r\nhello\r\n50\r\n"
            "01234567890123456789012345678901234567890123456789012345678901234567890123456789"
            "\r\n0\r\n\r\nbroken\r\n\r\n");

    (void)ctx;
    run_pieces(&run, mem, &small, input, 0, 37);
    if (run.server)
        nx_http1_server_tick(run.server, NX_TIME_NEVER - 1, RUN_DATE);
    assert_true(run.error == 0 || run.error == NX_E_NOMEM);
    if (run.error == NX_E_NOMEM && run.server)
        assert_true(nx_http1_server_finished(run.server));
    run_end(&run);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(nx_mem_fail_each(exchange, NULL) > 5);
    nx_http1_server_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(requests_are_understood),
            cmocka_unit_test(chunks_are_joined),
            cmocka_unit_test(fields_are_found),
            cmocka_unit_test(answers_are_exact),
            cmocka_unit_test(statuses_without_a_body),
            cmocka_unit_test(continue_is_sent_when_a_body_is_awaited),
            cmocka_unit_test(pipelines_of_a_hundred),
            cmocka_unit_test(an_answer_while_the_rest_is_unread),
            cmocka_unit_test(slow_readers_hold_back_their_pipeline),
            cmocka_unit_test(cuts_do_not_matter),
            cmocka_unit_test(large_bodies_and_answers),
            cmocka_unit_test(half_closed_peers_are_answered),
            cmocka_unit_test(reasons),
            cmocka_unit_test(queries_and_escapes),
            cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
