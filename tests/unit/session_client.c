/* session/client (names, exchange) and node/session_result: every request as bytes, the fallback
 * between the two spellings, the leave table, hostile names and answers, failing allocations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/session_result.h"
#include "session/client/exchange.h"
#include "session/client/names.h"
#include "support/mem_fail.h"

#define BYTES_MAX ((size_t)1 << 20)
#define TEXT(str) nx_bytes_str(str)

static int start(struct nx_exchange *exchange, const struct nx_call *call, int generation)
{
    return nx_exchange_start(exchange, nx_mem_libc(), call, generation, BYTES_MAX);
}

static int answer(struct nx_exchange *exchange, int status, const char *body)
{
    return nx_exchange_answer(exchange, status, TEXT(body));
}

/* What goes out, as one line. */
static void assert_request(const struct nx_exchange *exchange, const char *expected)
{
    const struct nx_exchange_request *request = &exchange->request;
    char line[1024];

    snprintf(line, sizeof(line), "%s %s agent=%s key=%s body=%.*s", request->method, request->path,
            request->agent_id ? request->agent_id : "-",
            request->session_key ? request->session_key : "-",
            request->body.ptr ? (int)request->body.len : 1,
            request->body.ptr ? request->body.ptr : "-");
    assert_string_equal(line, expected);
}

static struct nx_call full_call(enum nx_call_kind kind)
{
    return (struct nx_call){.kind = kind,
            .session_id = TEXT("s_1"),
            .code = TEXT("A-B-C"),
            .agent_id = TEXT("me"),
            .text = TEXT("a\"b"),
            .json = TEXT("{\"n\": 1.10}"),
            .greeting = TEXT("hi\n"),
            .ttl_s = 60,
            .max_agents = 3,
            .members = true,
            .after = TEXT("7 &")};
}

static void requests_of_both_generations(void **state)
{
    static const struct {
        enum nx_call_kind kind;
        int generation;
        const char *expected;
    } rows[] = {
            {NX_CALL_CREATE, 2,
                    "PUT /v1/sessions agent=me key=- body={\"ttl\":60,\"maxAgents\":3,"
                    "\"greeting\":\"hi\\n\"}"},
            {NX_CALL_CREATE, 1,
                    "PUT /v1/session agent=me key=- body={\"ttl\":60,\"maxAgents\":3,"
                    "\"greeting\":\"hi\\n\"}"},
            {NX_CALL_STATUS, 0, "GET /v1/sessions/s_1 agent=me key=- body=-"},
            {NX_CALL_STATUS, 1, "GET /v1/session/s_1 agent=me key=- body=-"},
            {NX_CALL_JOIN, 2, "POST /v1/sessions/s_1/join agent=me key=- body=-"},
            {NX_CALL_SEND, 1,
                    "POST /v1/session/s_1/messages agent=me key=- body={\"text\":\"a\\\"b\","
                    "\"json\":{\"n\": 1.10}}"},
            {NX_CALL_POLL, 2,
                    "GET /v1/sessions/s_1/messages?after=7%20%26&members=true agent=me key=- "
                    "body=-"},
            {NX_CALL_RENEW, 2, "POST /v1/sessions/s_1/renew agent=me key=- body={\"ttl\":60}"},
            {NX_CALL_LEAVE, 2, "DELETE /v1/sessions/s_1/agents/me agent=me key=- body=-"},
            {NX_CALL_PAIR, 1, "PUT /v1/pair agent=me key=- body={\"sessionId\":\"s_1\"}"},
            {NX_CALL_CLAIM, 1, "POST /v1/pair/A-B-C/claim agent=me key=- body=-"},
            {NX_CALL_PAIR_STATUS, 2, "GET /v1/pair/A-B-C/status agent=me key=- body=-"},
            {NX_CALL_HEALTH, 2, "GET /health agent=me key=- body=-"},
            {NX_CALL_STATS, 2, "GET /v1/stats agent=me key=- body=-"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct nx_call call = full_call(rows[i].kind);
        struct nx_exchange exchange;

        assert_int_equal(start(&exchange, &call, rows[i].generation), 0);
        assert_request(&exchange, rows[i].expected);
        nx_exchange_done(&exchange);
    }
}

static void what_is_absent_is_not_sent(void **state)
{
    struct nx_call create = {.kind = NX_CALL_CREATE};
    struct nx_call renew = {.kind = NX_CALL_RENEW, .session_id = TEXT("s")};
    struct nx_call poll = {.kind = NX_CALL_POLL, .session_id = TEXT("s"), .members = true};
    struct nx_exchange exchange;

    (void)state;
    assert_int_equal(start(&exchange, &create, 0), 0);
    assert_request(&exchange, "PUT /v1/sessions agent=- key=- body={}");
    nx_exchange_done(&exchange);
    assert_int_equal(start(&exchange, &renew, 0), 0);
    assert_request(&exchange, "POST /v1/sessions/s/renew agent=- key=- body={}");
    nx_exchange_done(&exchange);
    assert_int_equal(start(&exchange, &poll, 0), 0);
    assert_request(&exchange, "GET /v1/sessions/s/messages?members=true agent=- key=- body=-");
    nx_exchange_done(&exchange);
}

static void hostile_names_never_go_out(void **state)
{
    static const char *const ids[] = {"", ".", "..", "a/b", "a b", "a%2f", "\xc3\xa9", "a\r\nX: y"};
    struct nx_exchange exchange;

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct nx_call call = full_call(NX_CALL_POLL);

        call.session_id = TEXT(ids[i]);
        assert_int_equal(start(&exchange, &call, 0), NX_E_INVALID);
        nx_exchange_done(&exchange);
        call = full_call(NX_CALL_POLL);
        call.agent_id = TEXT(ids[i]);
        assert_int_equal(start(&exchange, &call, 0), NX_E_INVALID);
        nx_exchange_done(&exchange);
        call = full_call(NX_CALL_CLAIM);
        call.code = TEXT(ids[i]);
        assert_int_equal(start(&exchange, &call, 0), NX_E_INVALID);
        nx_exchange_done(&exchange);
        call = full_call(NX_CALL_SEND);
        call.session_key = TEXT(i == 5 ? "k\n" : ids[i]);
        assert_int_equal(start(&exchange, &call, 0), i == 1 || i == 2 || i == 3 ? 0 : NX_E_INVALID);
        nx_exchange_done(&exchange);
    }
    struct nx_call send = full_call(NX_CALL_SEND);
    send.json = TEXT("{\"a\":1},\"x\":2");
    assert_int_equal(start(&exchange, &send, 0), NX_E_INVALID);
    nx_exchange_done(&exchange);
    assert_false(nx_name_id_valid(nx_bytes_of("a\0b", 3)));
    assert_true(nx_name_alias_valid(TEXT("my.friend-1")));
    assert_false(nx_name_alias_valid(TEXT("-x")));
    assert_false(nx_name_cursor_valid(TEXT("1e3")));
}

#define ROUTER_404  "{\"error\":\"not_found\"}"
#define SESSION_404 "{\"error\":\"session_not_found\"}"

/* Each row: what is remembered, the first answer, the second (NULL: none is asked for), the body
 * and the generation learned in the end. */
static void falls_back_to_the_other_spelling(void **state)
{
    static const struct {
        int remembered;
        int first_status;
        const char *first;
        int second_status;
        const char *second;
        const char *kept;
        int learned;
    } rows[] = {
            {0, 200, "{}", 0, NULL, "{}", 2},
            {1, 200, "{}", 0, NULL, "{}", 1},
            {0, 404, SESSION_404, 0, NULL, SESSION_404, 2},
            {1, 404, SESSION_404, 0, NULL, SESSION_404, 1},
            {0, 404, ROUTER_404, 200, "{\"a\":1}", "{\"a\":1}", 1},
            {1, 404, ROUTER_404, 200, "{\"a\":1}", "{\"a\":1}", 2},
            {0, 404, "<html>", 403, "{\"error\":\"forbidden\"}", "{\"error\":\"forbidden\"}", 1},
            {0, 404, "", 404, SESSION_404, SESSION_404, 1},
            {0, 404, ROUTER_404, 404, "<html>", ROUTER_404, 0},
            {0, 404, ROUTER_404, 404, "{\"error\":\"other\"}", ROUTER_404, 0},
            {0, 404, ROUTER_404, 500, "{\"error\":\"internal_error\"}", ROUTER_404, 0},
            {0, 404, ROUTER_404, 0, "", ROUTER_404, 0},
            {0, 500, "{}", 0, NULL, "{}", 0},
            {0, 502, "<html>", 0, NULL, "<html>", 0},
            {0, 200, "<html>", 0, NULL, "<html>", 0},
            {0, 0, "", 0, NULL, "", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct nx_call call = full_call(NX_CALL_STATUS);
        struct nx_exchange exchange;
        struct nx_bytes body;

        assert_int_equal(start(&exchange, &call, rows[i].remembered), 0);
        assert_int_equal(
                answer(&exchange, rows[i].first_status, rows[i].first), rows[i].second ? 1 : 0);
        if (rows[i].second) {
            assert_string_equal(exchange.request.path,
                    rows[i].remembered == 1 ? "/v1/sessions/s_1" : "/v1/session/s_1");
            assert_int_equal(answer(&exchange, rows[i].second_status, rows[i].second), 0);
        }
        body = nx_buf_bytes(&exchange.answer.body);
        assert_true(nx_bytes_equal(body, TEXT(rows[i].kept)));
        assert_int_equal(exchange.answered_by, rows[i].learned);
        assert_int_equal(answer(&exchange, 200, "{}"), NX_E_BUG);
        nx_exchange_done(&exchange);
    }
}

static void paths_without_a_spelling_are_asked_once(void **state)
{
    static const enum nx_call_kind kinds[] = {
            NX_CALL_PAIR, NX_CALL_CLAIM, NX_CALL_PAIR_STATUS, NX_CALL_HEALTH, NX_CALL_STATS};

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct nx_call call = full_call(kinds[i]);
        struct nx_exchange exchange;

        assert_int_equal(start(&exchange, &call, 0), 0);
        assert_int_equal(answer(&exchange, 404, ROUTER_404), 0);
        assert_int_equal(exchange.answered_by, 0);
        nx_exchange_done(&exchange);
    }
}

#define WRONG_KEY "{\"error\":\"invalid_session_key\"}"

static void leave_table(void **state)
{
    static const struct {
        int status;
        const char *body;
        int then_status; /* the session's status, -1: not asked */
        const char *then;
        enum nx_leave_outcome outcome;
    } rows[] = {
            {200, "{}", -1, NULL, NX_LEAVE_GONE},
            {204, "", -1, NULL, NX_LEAVE_GONE},
            {200, "<html>", -1, NULL, NX_LEAVE_KEPT},
            {200, "", -1, NULL, NX_LEAVE_KEPT},
            {404, SESSION_404, -1, NULL, NX_LEAVE_GONE},
            {404, "{\"error\":\"agent_not_found\"}", -1, NULL, NX_LEAVE_GONE},
            {401, WRONG_KEY, 404, SESSION_404, NX_LEAVE_GONE},
            {401, WRONG_KEY, 404, "<html>", NX_LEAVE_KEPT},
            {401, WRONG_KEY, 200, "{\"agents\":[\"me\"]}", NX_LEAVE_KEPT},
            {401, WRONG_KEY, 200, "{\"agents\":[\"m\\u0065\"]}", NX_LEAVE_KEPT},
            {401, WRONG_KEY, 200, "{\"agents\":[{\"agentId\":\"me\"}]}", NX_LEAVE_KEPT},
            {401, WRONG_KEY, 200, "{\"agents\":[\"you\",3]}", NX_LEAVE_GONE},
            {401, WRONG_KEY, 200, "{\"agents\":[],\"members\":[{\"agentId\":\"me\"}]}",
                    NX_LEAVE_KEPT},
            {401, WRONG_KEY, 200, "{}", NX_LEAVE_KEPT},
            {401, WRONG_KEY, 500, "{}", NX_LEAVE_KEPT},
            {401, WRONG_KEY, 0, "", NX_LEAVE_KEPT},
            {401, "{\"error\":\"missing_session_key\"}", -1, NULL, NX_LEAVE_KEPT},
            {403, "{\"error\":\"forbidden\"}", -1, NULL, NX_LEAVE_KEPT},
            {500, "{}", -1, NULL, NX_LEAVE_KEPT},
            {0, "", -1, NULL, NX_LEAVE_KEPT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct nx_call call = full_call(NX_CALL_LEAVE);
        struct nx_exchange exchange;
        bool asked = rows[i].then_status >= 0;

        call.session_key = TEXT("k");
        assert_int_equal(start(&exchange, &call, 0), 0);
        assert_int_equal(answer(&exchange, rows[i].status, rows[i].body), asked ? 1 : 0);
        if (asked) {
            assert_request(&exchange, "GET /v1/sessions/s_1 agent=me key=- body=-");
            assert_int_equal(answer(&exchange, rows[i].then_status, rows[i].then), 0);
        }
        assert_int_equal(exchange.leave, rows[i].outcome);
        assert_int_equal(exchange.answer.status, rows[i].status);
        nx_exchange_done(&exchange);
    }
}

static void urls(void **state)
{
    static const char *const rows[][2] = {
            {"HTTP://ExAmple.ORG:80/", "http://example.org:80"},
            {" https://a-b_c.d/Path// \n", "https://a-b_c.d/Path"},
            {"http://[FE80::1%eth0]:9", "http://[fe80::1%eth0]:9"},
            {"http:/x", NULL},
            {"http://", NULL},
            {"http://:80", NULL},
            {"http://a:", NULL},
            {"http://a:65536", NULL},
            {"http://a@b", NULL},
            {"http://a/?q", NULL},
            {"http://a/#f", NULL},
            {"http://a/\x01", NULL},
            {"http://[::1", NULL},
            {"http://[::1]9", NULL},
            {"ws://a", NULL},
            {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *reason = NULL;
        struct nx_buf url;
        int r;

        nx_buf_init(&url, nx_mem_libc(), 4096);
        r = nx_server_url_append(&url, TEXT(rows[i][0]), &reason);
        if (rows[i][1]) {
            assert_int_equal(r, 0);
            assert_string_equal(nx_buf_str(&url), rows[i][1]);
        } else {
            assert_int_equal(r, NX_E_INVALID);
            assert_non_null(reason);
        }
        nx_buf_done(&url);
    }
    assert_true(nx_bytes_equal(nx_server_url_host(TEXT("https://a:1/p")), TEXT("a:1")));
    assert_true(nx_bytes_equal(nx_server_url_host(TEXT("http://[::1]")), TEXT("[::1]")));
}

static int make(const struct nx_mem *mem, int status, const char *text, size_t len,
        struct nx_session_client_result **ret_result)
{
    struct nx_buf body;

    nx_buf_init(&body, mem, (size_t)64 << 20);
    nx_buf_append(&body, nx_bytes_of(text, len));
    if (body.error) {
        nx_buf_done(&body);
        return NX_E_NOMEM;
    }
    return nx_session_result_make(mem, status, &body, ret_result);
}

#define POLL_ANSWER                                                                                \
    "{\"messages\":[{\"id\":\"i\",\"from\":\"a\",\"cursor\":3,\"text\":\"x\\u0000y\",\"json\":"    \
    "{\"n\":1.10},\"verified\":true,\"createdAt\":\"t\"},7,{\"agentId\":\"b\"}],"                  \
    "\"nextCursor\":\"4\",\"members\":[{\"agentId\":\"a\",\"lastSeenAt\":\"s\"},\"b\",{},null],"   \
    "\"sessionId\":\"one\",\"sessionId\":\"two\",\"ttl\":60.0,\"uptime\":-1,\"cursor\":5}"

static void results(void **state)
{
    struct nx_session_client_result *result;

    (void)state;
    assert_int_equal(make(nx_mem_libc(), 200, POLL_ANSWER, sizeof(POLL_ANSWER) - 1, &result), 0);
    assert_true(result->ok && result->json);
    assert_string_equal(result->body, POLL_ANSWER);
    assert_int_equal(result->message_count, 2);
    assert_string_equal(result->messages[0].agent_id, "a");
    assert_string_equal(result->messages[0].cursor, "3");
    assert_int_equal(result->messages[0].text_bytes, 3);
    assert_memory_equal(result->messages[0].text, "x\0y", 4);
    assert_string_equal(result->messages[0].json, "{\"n\":1.10}");
    assert_true(result->messages[0].verified);
    assert_string_equal(result->messages[1].text, "");
    assert_null(result->messages[1].json);
    assert_int_equal(result->member_count, 2);
    assert_string_equal(result->members[0].last_seen_at, "s");
    assert_string_equal(result->next_cursor, "4");
    assert_string_equal(result->session_id, "two");
    assert_int_equal(result->ttl, 60);
    assert_int_equal(result->uptime, -1);
    assert_null(result->error);
    nx_session_client_result_free(result);
    assert_int_equal(make(nx_mem_libc(), 200, "<html>", 6, &result), 0);
    assert_false(result->ok || result->json);
    nx_session_client_result_free(result);
    assert_int_equal(make(nx_mem_libc(), 204, "", 0, &result), 0);
    assert_true(result->ok && !result->json);
    assert_string_equal(result->body, "");
    nx_session_client_result_free(result);
    assert_int_equal(make(nx_mem_libc(), 200, "[1]", 3, &result), 0);
    assert_true(!result->ok && result->json);
    nx_session_client_result_free(result);
    nx_session_client_result_free(NULL);
}

/* {"messages":[0,0,…]} costs the sender two bytes an entry and us a hundred. */
static void a_result_has_a_maximum(void **state)
{
    struct nx_session_client_result *result = NULL;
    struct nx_buf body;

    (void)state;
    nx_buf_init(&body, nx_mem_libc(), (size_t)1 << 20);
    NX_BUF_LIT(&body, "{\"messages\":[0");
    for (size_t i = 0; i < NX_SESSION_RESULT_MESSAGES_MAX; i++)
        NX_BUF_LIT(&body, ",0");
    NX_BUF_LIT(&body, "]}");
    assert_int_equal(nx_buf_error(&body), 0);
    assert_int_equal(nx_session_result_make(nx_mem_libc(), 200, &body, &result), NX_E_LIMIT);
    assert_null(result);
    nx_buf_init(&body, nx_mem_libc(), (size_t)1 << 20);
    NX_BUF_LIT(&body, "{\"agents\":[0");
    for (size_t i = 0; i < NX_SESSION_RESULT_MEMBERS_MAX; i++)
        NX_BUF_LIT(&body, ",0");
    NX_BUF_LIT(&body, "]}");
    assert_int_equal(nx_session_result_make(nx_mem_libc(), 200, &body, &result), NX_E_LIMIT);
}

static void a_request_has_a_maximum(void **state)
{
    struct nx_call call = full_call(NX_CALL_SEND);
    struct nx_exchange exchange;

    (void)state;
    assert_int_equal(nx_exchange_start(&exchange, nx_mem_libc(), &call, 0, 24), NX_E_TOO_LARGE);
    nx_exchange_done(&exchange);
}

static void allocating_body(const struct nx_mem *mem, void *ctx)
{
    struct nx_session_client_result *result;
    struct nx_call call = full_call(NX_CALL_LEAVE);
    struct nx_exchange exchange;
    int r;

    (void)ctx;
    call.session_key = TEXT("k");
    r = nx_exchange_start(&exchange, mem, &call, 0, BYTES_MAX);
    if (r == 0)
        r = nx_exchange_answer(&exchange, 404, TEXT(ROUTER_404));
    if (r == 1)
        r = nx_exchange_answer(&exchange, 401, TEXT(WRONG_KEY));
    if (r == 1)
        r = nx_exchange_answer(&exchange, 404, TEXT(SESSION_404));
    if (r == 0)
        assert_int_equal(exchange.leave, NX_LEAVE_GONE);
    else
        assert_int_equal(r, NX_E_NOMEM);
    nx_exchange_done(&exchange);
    call = full_call(NX_CALL_SEND);
    r = nx_exchange_start(&exchange, mem, &call, 0, BYTES_MAX);
    assert_true(r == 0 || r == NX_E_NOMEM);
    nx_exchange_done(&exchange);
    r = make(mem, 200, POLL_ANSWER, sizeof(POLL_ANSWER) - 1, &result);
    if (r == 0)
        nx_session_client_result_free(result);
    else
        assert_int_equal(r, NX_E_NOMEM);
}

static void survives_every_allocation_failure(void **state)
{
    (void)state;
    assert_true(nx_mem_fail_each(allocating_body, NULL) >= 12);
}

/* Anything may come as an answer: every prefix of a good one, and each with one byte changed. */
static void mangled_answers(void **state)
{
    char text[sizeof(POLL_ANSWER)];
    struct nx_session_client_result *result;

    (void)state;
    for (size_t len = 0; len < sizeof(POLL_ANSWER); len++) {
        assert_int_equal(make(nx_mem_libc(), 200, POLL_ANSWER, len, &result), 0);
        nx_session_client_result_free(result);
    }
    for (size_t i = 0; i < sizeof(POLL_ANSWER) - 1; i++) {
        static const char changes[] = {'\0', '"', '{', ']', ',', '\\', '\x80', '9'};

        for (size_t j = 0; j < sizeof(changes); j++) {
            memcpy(text, POLL_ANSWER, sizeof(text));
            text[i] = changes[j];
            assert_int_equal(make(nx_mem_libc(), 200, text, sizeof(text) - 1, &result), 0);
            nx_session_client_result_free(result);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(requests_of_both_generations),
            cmocka_unit_test(what_is_absent_is_not_sent),
            cmocka_unit_test(hostile_names_never_go_out),
            cmocka_unit_test(falls_back_to_the_other_spelling),
            cmocka_unit_test(paths_without_a_spelling_are_asked_once),
            cmocka_unit_test(leave_table),
            cmocka_unit_test(urls),
            cmocka_unit_test(results),
            cmocka_unit_test(a_result_has_a_maximum),
            cmocka_unit_test(a_request_has_a_maximum),
            cmocka_unit_test(survives_every_allocation_failure),
            cmocka_unit_test(mangled_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
