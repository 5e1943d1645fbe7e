/* Nothing is stored before the redactor has seen it: this binary has a redactor of its own, which
 * replaces SECRET by [REDACTED:test] and TOKEN by [REDACTED:token]. */
#include "redact/redact.h"
#include "support/api_talk.h"

static void report_add(struct nx_redact_report *report, const char *type)
{
    for (size_t i = 0; i < report->count; i++) {
        if (strcmp(report->types[i], type) == 0)
            return;
    }
    report->types[report->count++] = type;
}

static int redact_fails; /* what the redactor returns instead of working */

int nx_redact_text(struct nx_bytes text, struct nx_buf *to, struct nx_redact_report *report)
{
    bool found = memmem(text.ptr, text.len, "SECRET", 6) || memmem(text.ptr, text.len, "TOKEN", 5);

    if (redact_fails)
        return redact_fails;
    if (!found)
        return 0;
    while (text.len > 0) {
        if (nx_bytes_starts(text, NX_BYTES("SECRET"))) {
            NX_BUF_LIT(to, "[REDACTED:test]");
            report_add(report, "test");
            text = nx_bytes_from(text, 6);
        } else if (nx_bytes_starts(text, NX_BYTES("TOKEN"))) {
            NX_BUF_LIT(to, "[REDACTED:token]");
            report_add(report, "token");
            text = nx_bytes_from(text, 5);
        } else {
            nx_buf_append_char(to, text.ptr[0]);
            text = nx_bytes_from(text, 1);
        }
    }
    return nx_buf_error(to) < 0 ? nx_buf_error(to) : 1;
}

static void begin(struct talk *t)
{
    struct nx_sessions_limits limits = world_limits();

    limits.durable_messages = true;
    talk_begin(t, &limits);
    assert_int_equal(talk(t, "PUT /v1/session", NULL, "{\"creatorAgentId\":\"a\"}"), 201);
}

/* No answer and nothing that goes to the store says it. */
static void nowhere(struct talk *t, const char *word)
{
    const struct toy_store *store = &t->world.store;

    toy_commit(&t->world.store, SIZE_MAX);
    for (size_t i = 0; i < store->count; i++)
        assert_null(
                memmem(store->records[i].value, store->records[i].value_len, word, strlen(word)));
    assert_int_equal(talk(t, "GET /v1/session/%s", NULL, NULL), 200);
    assert_null(strstr(talk_body(t), word));
    assert_int_equal(talk(t, "GET /v1/session/%s/messages", TALK_AGENT("a"), NULL), 200);
    assert_null(strstr(talk_body(t), word));
}

/* What comes back of a body's fields, and which types were told. */
static void cleaned(const char *body, const char *comes_back, const char *types)
{
    struct talk t;

    begin(&t);
    assert_int_equal(talk(&t, "POST /v1/session/%s/messages", TALK_AGENT("a"), body), 201);
    if (types)
        assert_non_null(strstr(talk_body(&t), types));
    else
        assert_null(strstr(talk_body(&t), "redacted"));
    nowhere(&t, "SECRET");
    nowhere(&t, "TOKEN");
    nowhere(&t, "\\u0053");
    assert_non_null(strstr(talk_body(&t), comes_back));
    talk_end(&t);
}

static void texts(void **state)
{
    (void)state;
    cleaned("{\"text\":\"my SECRET!\"}", "\"text\":\"my [REDACTED:test]!\",\"cursor\"",
            ",\"redacted\":[\"test\"]}");
    cleaned("{\"text\":\"\\u0053ECRET \\u0053\\u0045\\u0043RET\"}",
            "\"text\":\"[REDACTED:test] [REDACTED:test]\",\"cursor\"", ",\"redacted\":[\"test\"]}");
    cleaned("{\"text\":\"clean \\u00e9 \\ud83d\\ude00 \\/\"}",
            "\"text\":\"clean \\u00e9 \\ud83d\\ude00 \\/\",\"cursor\"", NULL);
    cleaned("{\"text\":\"a\\n\\\"SECRET\\\" \\ud800 \\u0001\"}",
            "\"text\":\"a\\n\\\"[REDACTED:test]\\\" \xef\xbf\xbd \\u0001\",\"cursor\"", "test");
    cleaned("{\"te\\u0078t\":\"SECRET\",\"other\":\"SECRET\"}",
            "\"text\":\"[REDACTED:test]\",\"cursor\"", "test");
    cleaned("{\"text\":\"SECRET\",\"text\":\"second\"}", "\"text\":\"second\",\"cursor\"", NULL);
}

static void json(void **state)
{
    (void)state;
    cleaned("{\"json\":{ \"a\" : [1.10, \"SECRET\", {\"SECRET\":1e400}],\"a\":\"\\\\SECRET\" } }",
            "\"json\":{ \"a\" : [1.10, \"[REDACTED:test]\", {\"[REDACTED:test]\":1e400}],"
            "\"a\":\"\\\\[REDACTED:test]\" },\"cursor\"",
            ",\"redacted\":[\"test\"]}");
    cleaned("{\"json\":\"\\u0053ECRET\"}", "\"json\":\"[REDACTED:test]\",\"cursor\"", "test");
    cleaned("{\"json\":{\"\\u0053ECR\\u0045T\":\"\\u0054OKEN\"}}",
            "\"json\":{\"[REDACTED:test]\":\"[REDACTED:token]\"},\"cursor\"",
            ",\"redacted\":[\"test\",\"token\"]}");
    cleaned("{\"json\":[\"\\\"\",\"SEC\",\"RET\",\"\\\\\", -0.0e-1 ]}",
            "\"json\":[\"\\\"\",\"SEC\",\"RET\",\"\\\\\", -0.0e-1 ],\"cursor\"", NULL);
    cleaned("{\"text\":\"TOKEN\",\"json\":[\"SECRET\",\"TOKEN\"]}",
            "\"text\":\"[REDACTED:token]\",\"json\":[\"[REDACTED:test]\",\"[REDACTED:token]\"]",
            ",\"redacted\":[\"token\",\"test\"]}");
    cleaned("{\"json\":[],\"text\":\"x\"}", "\"text\":\"x\",\"json\":[],\"cursor\"", NULL);
}

static void greetings(void **state)
{
    struct talk t;

    (void)state;
    begin(&t);
    assert_int_equal(talk(&t, "PUT /v1/sessions", NULL,
                             "{\"creatorAgentId\":\"a\",\"greeting\":\"hi SECR\\u0045T\"}"),
            201);
    assert_null(strstr(talk_body(&t), "SECR"));
    nowhere(&t, "SECRET");
    nowhere(&t, "SECR\\u0045T");
    assert_non_null(strstr(talk_body(&t), "\"text\":\"hi [REDACTED:test]\""));
    talk_end(&t);
}

/* Very many short secrets: every replacement is longer than what it replaces. */
static void growth(void **state)
{
    struct nx_buf body;
    struct talk t;

    (void)state;
    begin(&t);
    nx_buf_init(&body, nx_mem_libc(), 1 << 20);
    NX_BUF_LIT(&body, "{\"text\":\"TOKEN\",\"json\":[\"TOKEN\"");
    for (int i = 0; i < 9000; i++)
        NX_BUF_LIT(&body, ",\"TOKEN\"");
    NX_BUF_LIT(&body, "]}");
    assert_int_equal(
            talk(&t, "POST /v1/session/%s/messages", TALK_AGENT("a"), nx_buf_str(&body)), 201);
    nx_buf_done(&body);
    nowhere(&t, "TOKEN");
    assert_non_null(strstr(talk_body(&t), "\"text\":\"[REDACTED:token]\",\"json\":[\"[REDACTED"));
    talk_end(&t);
}

static void what_cannot_be_cleaned_is_refused(void **state)
{
    struct talk t;

    (void)state;
    begin(&t);
    redact_fails = NX_E_TOO_LARGE;
    assert_int_equal(
            talk(&t, "POST /v1/session/%s/messages", TALK_AGENT("a"), "{\"text\":\"SECRET\"}"),
            413);
    talk_refused(&t, 413, "payload_too_large", NULL);
    assert_int_equal(talk(&t, "PUT /v1/session", NULL, "{\"greeting\":\"SECRET\"}"), 413);
    redact_fails = 0;
    nowhere(&t, "SECRET");
    talk_end(&t);
}

/* A secret never shows in a refusal either. */
static void errors_do_not_echo(void **state)
{
    static const char *const bodies[] = {"{\"text\":\"SECRET\"", "{\"text\":SECRET}",
            "{\"SECRET\":1}", "{\"text\":[\"SECRET\"]}"};
    struct talk t;

    (void)state;
    begin(&t);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        assert_int_equal(talk(&t, "POST /v1/session/%s/messages", TALK_AGENT("a"), bodies[i]), 400);
        assert_null(strstr(talk_body(&t), "SECRET"));
    }
    talk_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(texts),
            cmocka_unit_test(json),
            cmocka_unit_test(greetings),
            cmocka_unit_test(growth),
            cmocka_unit_test(what_cannot_be_cleaned_is_refused),
            cmocka_unit_test(errors_do_not_echo),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
