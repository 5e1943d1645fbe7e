/* The API as requests and answers: every route under both spellings, every refusal with its status,
 * code and details, what a body may be, and the pages. What is redacted is in session_redact.c. */
#include <stdio.h>

#include "support/api_talk.h"

#define START(name)                                                                                \
    struct talk name;                                                                              \
    struct nx_sessions_limits limits = world_limits();                                             \
                                                                                                   \
    (void)state;                                                                                   \
    talk_begin(&(name), &limits)

#define HAS(t, text)     assert_non_null(strstr(talk_body(t), text))
#define HAS_NOT(t, text) assert_null(strstr(talk_body(t), text))

static const char *with_key(const char *agent, const char *key)
{
    static char lines[4][512];
    static unsigned turn;

    turn = (turn + 1) % 4;
    (void)snprintf(
            lines[turn], sizeof(lines[0]), "X-Agent-Id: %s\r\nX-Session-Key: %s\r\n", agent, key);
    return lines[turn];
}

static void a_conversation(const char *base)
{
    bool v1 = strcmp(base, "/v1/session") == 0;
    struct nx_sessions_limits limits = world_limits();
    char line[64];
    const char *key, *bob;
    struct talk t;

    talk_begin(&t, &limits);
    (void)snprintf(line, sizeof(line), "PUT %s", base);
    assert_int_equal(talk(&t, line, NULL,
                             "{\"creatorAgentId\":\"al\\u0069ce\",\"greeting\":\"hi\",\"x\":[1]}"),
            201);
    key = talk_member(&t, "sessionKey");
    assert_int_equal(strlen(key), NX_SESSION_KEY_LEN);
    assert_string_equal(talk_member(&t, "creatorAgentId"), "alice");
    HAS(&t, v1 ? "\"ttl\":3660,\"maxAgents\":2,\"state\":\"active\""
               : "\"ttl\":3660,\"maxAgents\":50,\"state\":\"active\"");
    (void)snprintf(line, sizeof(line), "POST %s/%%s/join", base);
    assert_int_equal(talk(&t, line, TALK_AGENT("bob"), NULL), 200);
    HAS(&t, "{\"status\":\"joined\",\"sessionId\":\"");
    HAS(&t, "\"agentsOnline\":2,\"sessionKey\":\"");
    bob = talk_member(&t, "sessionKey");
    assert_string_equal(talk_member(&t, "expiresAt"), "2027-01-15T09:01:00.000Z");
    assert_int_equal(talk(&t, line, TALK_AGENT("bob"), ""), v1 ? 200 : 409);
    assert_null(talk_member(&t, "sessionKey"));
    assert_int_equal(talk(&t, line, with_key("bob", bob), "{}"), 200);
    assert_string_equal(talk_member(&t, "sessionKey"), bob);
    (void)snprintf(line, sizeof(line), "POST %s/%%s/messages", base);
    assert_int_equal(talk(&t, line, with_key("alice", key), "{\"text\":\"one\"}"), 201);
    HAS(&t, "{\"ok\":true,\"id\":\"");
    assert_string_equal(talk_member(&t, "id"), talk_member(&t, "messageId"));
    assert_string_equal(talk_member(&t, "cursor"), "2");
    HAS_NOT(&t, "redacted");
    assert_int_equal(talk(&t, line, with_key("alice", bob), "{\"text\":\"x\"}"), v1 ? 201 : 403);
    (void)snprintf(line, sizeof(line), "GET %s/%%s/messages?after=1&members=true", base);
    assert_int_equal(talk(&t, line, TALK_AGENT("bob"), NULL), 200);
    HAS(&t, "\"text\":\"one\",\"cursor\":\"2\",\"verified\":true");
    HAS(&t, "\"members\":[{\"agentId\":\"alice\",\"lastSeenAt\":\"2027-01-15T08:00:00.000Z\"}");
    assert_string_equal(talk_member(&t, "nextCursor"), v1 ? "3" : "2");
    (void)snprintf(line, sizeof(line), "GET %s/%%s/messages", base);
    assert_int_equal(talk(&t, line, TALK_AGENT("bob"), NULL), 200);
    HAS(&t, "{\"messages\":[{\"id\":\"");
    HAS(&t, "\"agentId\":\"system\",\"from\":\"system\",\"text\":\"hi\",\"cursor\":\"0\"");
    HAS_NOT(&t, "members");
    (void)snprintf(line, sizeof(line), "GET %s/%%s", base);
    assert_int_equal(talk(&t, line, NULL, NULL), 200);
    HAS(&t, "\"state\":\"active\",\"agents\":[\"alice\",\"bob\"],\"members\":[{\"agentId\":"
            "\"alice\","
            "\"joinedAt\":\"2027-01-15T08:00:00.000Z\",\"lastSeenAt\":\"2027-01-15T08:00:00."
            "000Z\"}");
    HAS(&t, "\"creatorAgentId\":\"alice\",\"greeting\":\"hi\",\"createdAt\":"
            "\"2027-01-15T08:00:00.000Z\",\"expiresAt\":\"2027-01-15T09:01:00.000Z\"}");
    HAS_NOT(&t, key);
    HAS_NOT(&t, bob);
    (void)snprintf(line, sizeof(line), "POST %s/%%s/renew", base);
    assert_int_equal(talk(&t, line, TALK_AGENT("bob"), "{\"ttl\":60}"), 200);
    HAS(&t, "\"state\":\"active\",\"ttl\":60,\"expiresAt\":\"2027-01-15T08:01:00.000Z\","
            "\"agents\":[\"alice\",\"bob\"]}");
    (void)snprintf(line, sizeof(line), "DELETE %s/%%s/agents/bob", base);
    assert_int_equal(talk(&t, line, with_key("bob", bob), NULL), 200);
    HAS(&t, "{\"ok\":true,\"sessionId\":\"");
    HAS(&t, "\"agentId\":\"bob\",\"message\":\"");
    assert_string_equal(talk_member(&t, "status"), "removed");
    talk_end(&t);
}

static void both_spellings(void **state)
{
    (void)state;
    a_conversation("/v1/session");
    a_conversation("/v1/sessions");
}

static void pairing(void **state)
{
    char lower[128];
    START(t);

    assert_int_equal(talk(&t, "PUT /v1/session", NULL, "{\"creatorAgentId\":\"a\"}"), 201);
    (void)snprintf(lower, sizeof(lower), "{\"sessionId\":\"%s\"}", t.session);
    assert_int_equal(talk(&t, "PUT /v1/pair", NULL, lower), 201);
    HAS(&t, "\"url\":\"http://example.org:3000/p/");
    assert_string_equal(talk_member(&t, "expiresAt"), "2027-01-15T08:10:00.000Z");
    assert_int_equal(talk(&t, "GET /v1/pair/%c/status", NULL, NULL), 200);
    assert_string_equal(talk_body(&t), "{\"state\":\"pending\"}");
    assert_int_equal(talk(&t, "GET /p/%c", NULL, NULL), 301);
    assert_non_null(strstr(talk_headers(&t), "Cache-Control: no-store\r\n"));
    assert_non_null(strstr(talk_headers(&t), "Location: /v1/pair/"));
    assert_non_null(strstr(talk_headers(&t), t.code));
    for (char *c = t.code; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
    assert_int_equal(talk(&t, "POST /v1/pair/%c/claim", TALK_AGENT("a"), NULL), 409);
    talk_refused(&t, 409, "agent_id_taken", NULL);
    assert_int_equal(talk(&t, "POST /v1/pair/%c/claim", TALK_AGENT("b"), NULL), 200);
    assert_string_equal(talk_member(&t, "status"), "claimed");
    assert_string_equal(talk_member(&t, "sessionId"), t.session);
    assert_int_equal(strlen(talk_member(&t, "sessionKey")), NX_SESSION_KEY_LEN);
    assert_int_equal(talk(&t, "GET /v1/pair/%c/status", NULL, NULL), 200);
    assert_string_equal(talk_body(&t), "{\"state\":\"claimed\"}");
    talk(&t, "POST /v1/pair/%c/claim", TALK_AGENT("c"), NULL);
    talk_refused(&t, 404, "code_expired_or_used", NULL);
    assert_int_equal(talk(&t, "PUT /v1/pair", NULL, lower), 201);
    world_pass(&t.world, NX_CODE_LIFETIME_MS);
    assert_int_equal(talk(&t, "GET /v1/pair/%c/status", NULL, NULL), 200);
    assert_string_equal(talk_body(&t), "{\"state\":\"expired\"}");
    assert_int_equal(talk(&t, "PUT /v1/pair", NULL, lower), 201);
    assert_int_equal(talk(&t, "PUT /v1/pair", NULL, lower), 201);
    talk(&t, "PUT /v1/pair", NULL, lower);
    talk_refused(&t, 409, "too_many_codes", NULL);
    /* Escapes in the id, as JSON allows them. */
    (void)snprintf(
            lower, sizeof(lower), "{\"sessionId\":\"\\u003%c%s\"}", t.session[0], t.session + 1);
    assert_int_equal(talk(&t, "PUT /v1/pair", NULL, lower),
            t.session[0] >= '0' && t.session[0] <= '9' ? 409 : 404);
    talk_end(&t);
}

struct refusal {
    const char *line, *headers, *body;
    unsigned status;
    const char *code, *path;
};

/* Session %s has the creator a and the member b (50 seats). */
static const struct refusal refusals[] = {
        {"PUT /v1/session", NULL, "{", 400, "invalid_body", "body"},
        {"PUT /v1/session", NULL, "\xff", 400, "invalid_body", "body"},
        {"PUT /v1/session", NULL, "[]", 400, "invalid_request", "body"},
        {"PUT /v1/session", NULL, "{\"ttl\":0}", 400, "invalid_request", "ttl"},
        {"PUT /v1/session", NULL, "{\"ttl\":-1}", 400, "invalid_request", "ttl"},
        {"PUT /v1/session", NULL, "{\"ttl\":1.5}", 400, "invalid_request", "ttl"},
        {"PUT /v1/session", NULL, "{\"ttl\":\"60\"}", 400, "invalid_request", "ttl"},
        {"PUT /v1/session", NULL, "{\"ttl\":86401}", 400, "invalid_request", "ttl"},
        {"PUT /v1/session", NULL, "{\"ttl\":1e400}", 400, "invalid_request", "ttl"},
        {"PUT /v1/sessions", NULL, "{\"maxAgents\":51}", 400, "invalid_request", "maxAgents"},
        {"PUT /v1/sessions", NULL, "{\"maxAgents\":true}", 400, "invalid_request", "maxAgents"},
        {"PUT /v1/sessions", NULL, "{\"greeting\":1}", 400, "invalid_request", "greeting"},
        {"PUT /v1/sessions", NULL, "{\"creatorAgentId\":1}", 400, "invalid_request",
                "creatorAgentId"},
        {"PUT /v1/sessions", NULL, "{\"creatorAgentId\":\"\"}", 400, "invalid_request",
                "creatorAgentId"},
        {"PUT /v1/sessions", NULL, "{\"creatorAgentId\":\"a b\"}", 400, "invalid_request",
                "creatorAgentId"},
        {"PUT /v1/sessions", NULL, "{\"creatorAgentId\":\"system\"}", 400, "invalid_request",
                "creatorAgentId"},
        {"PUT /v1/session", "Content-Type: text/plain\r\n", "{}", 415, "unsupported_media_type",
                "Content-Type"},
        {"PUT /v1/session", "Content-Type: application/jsonx\r\n", "{}", 415,
                "unsupported_media_type", "Content-Type"},
        {"PUT /v1/session", "Content-Type: application/json; charset=latin1\r\n", "{}", 415,
                "unsupported_media_type", "Content-Type"},
        {"PUT /v1/session", "Content-Type: \r\n", "{}", 415, "unsupported_media_type",
                "Content-Type"},
        {"GET /v1/session/none", NULL, NULL, 404, "session_not_found", NULL},
        {"GET /v1/session/", NULL, NULL, 404, "session_not_found", NULL},
        {"POST /v1/session/none/join", TALK_AGENT("c"), NULL, 404, "session_not_found", NULL},
        {"POST /v1/session/%s/join", NULL, NULL, 400, "missing_agent_id", "X-Agent-Id"},
        {"POST /v1/session/%s/join", TALK_AGENT("system"), NULL, 400, "invalid_request",
                "X-Agent-Id"},
        {"POST /v1/session/%s/join", TALK_AGENT("a.b"), NULL, 400, "invalid_request", "X-Agent-Id"},
        {"POST /v1/sessions/%s/join", TALK_AGENT("a"), NULL, 409, "agent_id_taken", NULL},
        {"POST /v1/session/%s/messages", NULL, "{\"text\":\"x\"}", 400, "missing_agent_id",
                "X-Agent-Id"},
        {"POST /v1/session/%s/messages", TALK_AGENT("a"), "{}", 400, "invalid_request", "text"},
        {"POST /v1/session/%s/messages", TALK_AGENT("a"), NULL, 400, "invalid_request", "text"},
        {"POST /v1/session/%s/messages", TALK_AGENT("a"), "{\"text\":\"\"}", 400, "invalid_request",
                "text"},
        {"POST /v1/session/%s/messages", TALK_AGENT("a"), "{\"text\":5}", 400, "invalid_request",
                "text"},
        {"POST /v1/session/%s/messages", TALK_AGENT("c"), "{\"text\":\"x\"}", 403, "forbidden",
                NULL},
        {"POST /v1/sessions/%s/messages", TALK_AGENT("a") "X-Session-Key: wrong\r\n",
                "{\"text\":\"x\"}", 403, "invalid_session_key", NULL},
        {"POST /v1/sessions/none/messages", TALK_AGENT("a"), "{\"text\":\"x\"}", 404,
                "session_not_found", NULL},
        {"GET /v1/sessions/%s/messages", NULL, NULL, 400, "missing_agent_id", "X-Agent-Id"},
        {"GET /v1/sessions/%s/messages", TALK_AGENT("c"), NULL, 403, "agent_not_in_session", NULL},
        {"GET /v1/sessions/%s/messages?after=x", TALK_AGENT("a"), NULL, 400, "invalid_request",
                "after"},
        {"GET /v1/sessions/%s/messages?after=-1", TALK_AGENT("a"), NULL, 400, "invalid_request",
                "after"},
        {"GET /v1/sessions/none/messages", TALK_AGENT("a"), NULL, 404, "session_not_found", NULL},
        {"POST /v1/sessions/%s/renew", NULL, NULL, 400, "missing_agent_id", "X-Agent-Id"},
        {"POST /v1/sessions/%s/renew", TALK_AGENT("c"), NULL, 403, "agent_not_in_session", NULL},
        {"POST /v1/sessions/%s/renew", TALK_AGENT("a"), "{\"ttl\":86401}", 400, "invalid_request",
                "ttl"},
        {"POST /v1/sessions/none/renew", TALK_AGENT("a"), NULL, 404, "session_not_found", NULL},
        /* leave, in the order of its checks */
        {"DELETE /v1/sessions/none/agents/b", NULL, NULL, 404, "session_not_found", NULL},
        {"DELETE /v1/sessions/%s/agents/b", NULL, NULL, 400, "missing_agent_id", "X-Agent-Id"},
        {"DELETE /v1/sessions/%s/agents/b", TALK_AGENT("a"), NULL, 403, "forbidden", NULL},
        {"DELETE /v1/sessions/%s/agents/b", TALK_AGENT("b"), NULL, 401, "missing_session_key",
                "X-Session-Key"},
        {"DELETE /v1/sessions/%s/agents/c", TALK_AGENT("c") "X-Session-Key: k\r\n", NULL, 404,
                "agent_not_found", NULL},
        {"DELETE /v1/sessions/%s/agents/b", TALK_AGENT("b") "X-Session-Key: k\r\n", NULL, 401,
                "invalid_session_key", NULL},
        {"PUT /v1/pair", NULL, NULL, 400, "invalid_request", "sessionId"},
        {"PUT /v1/pair", NULL, "{\"sessionId\":7}", 400, "invalid_request", "sessionId"},
        {"PUT /v1/pair", NULL, "{\"sessionId\":\"none\"}", 404, "session_not_found", NULL},
        {"POST /v1/pair/NO-CODE-22222/claim", NULL, NULL, 400, "missing_agent_id", "X-Agent-Id"},
        {"POST /v1/pair/NO-CODE-22222/claim", TALK_AGENT("c"), NULL, 404, "code_not_found", NULL},
        {"POST /v1/pair/%25/claim", TALK_AGENT("c"), NULL, 404, "code_not_found", NULL},
        {"GET /v1/pair/NO-CODE-22222/status", NULL, NULL, 404, "code_not_found", NULL},
        {"GET /nothing", NULL, NULL, 404, "not_found", NULL},
        {"GET //", NULL, NULL, 404, "not_found", NULL},
        {"GET /v1", NULL, NULL, 404, "not_found", NULL},
        {"GET /v1/sessions/a/b/c/d/e/f/g", NULL, NULL, 404, "not_found", NULL},
        {"GET /v1/sessions/%zz", NULL, NULL, 404, "not_found", NULL},
        {"GET /v1/sessions/%00", NULL, NULL, 404, "not_found", NULL},
        {"GET /v1/sessions%2fx", NULL, NULL, 404, "not_found", NULL},
        {"OPTIONS *", NULL, NULL, 404, "not_found", NULL},
        {"GET /V1/sessions/x", NULL, NULL, 404, "not_found", NULL},
};

static void every_refusal(void **state)
{
    struct nx_sessions_totals before, after;
    START(t);

    assert_int_equal(talk(&t, "PUT /v1/sessions", NULL, "{\"creatorAgentId\":\"a\"}"), 201);
    assert_int_equal(talk(&t, "POST /v1/sessions/%s/join", TALK_AGENT("b"), NULL), 200);
    before = nx_sessions_totals(t.world.machine);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const struct refusal *r = &refusals[i];
        unsigned status = talk(&t, r->line, r->headers, r->body);

        if (status != r->status)
            print_error("%s: %u\n", r->line, status);
        talk_refused(&t, r->status, r->code, r->path);
        if (r->status == 409)
            assert_null(strstr(talk_body(&t), "not found"));
    }
    after = nx_sessions_totals(t.world.machine);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_int_equal(t.world.number, 0);
    talk_end(&t);
}

static void refusals_of_state(void **state)
{
    const char *key;
    START(t);

    talk_end(&t);
    limits.sessions_max = 2;
    limits.session_bytes_max = 2000;
    talk_begin(&t, &limits);
    assert_int_equal(talk(&t, "PUT /v1/session", NULL, "{\"creatorAgentId\":\"a\"}"), 201);
    key = talk_member(&t, "sessionKey");
    talk(&t, "DELETE /v1/sessions/%s/agents/a", with_key("a", key), NULL);
    talk_refused(&t, 403, "forbidden", NULL);
    assert_int_equal(talk(&t, "POST /v1/session/%s/join", TALK_AGENT("b"), NULL), 200);
    talk(&t, "POST /v1/sessions/%s/join", TALK_AGENT("c"), NULL);
    talk_refused(&t, 409, "session_full", NULL);
    for (int i = 0; i < 20; i++)
        talk(&t, "POST /v1/sessions/%s/messages", TALK_AGENT("a"), "{\"text\":\"0123456789\"}");
    talk_refused(&t, 413, "payload_too_large", NULL);
    assert_int_equal(talk(&t, "PUT /v1/session", NULL, NULL), 201);
    talk(&t, "PUT /v1/session", NULL, NULL);
    talk_refused(&t, 503, "service_unavailable", NULL);
    talk_end(&t);
}

/* Words that clients look for stand only where that is what happened. */
static void made_by_the_owner(void **state)
{
    START(t);

    assert_int_equal(nx_api_limited(&t.api, 17), 0);
    talk_refused(&t, 429, "rate_limit_exceeded", NULL);
    assert_non_null(strstr(talk_headers(&t), "Retry-After: 17\r\n"));
    HAS_NOT(&t, "expired");
    HAS_NOT(&t, "not found");
    assert_int_equal(nx_api_unavailable(&t.api), 0);
    talk_refused(&t, 503, "service_unavailable", NULL);
    assert_non_null(strstr(talk_headers(&t), "Retry-After: 5\r\n"));
    assert_int_equal(nx_api_error(&t.api, 400, "c", "a \"quoted\" one", "p", "w\n"), 0);
    assert_string_equal(talk_body(&t), "{\"error\":\"c\",\"message\":\"a \\\"quoted\\\" one\","
                                       "\"details\":[{\"path\":\"p\",\"message\":\"w\\n\"}]}");
    talk_end(&t);
}

static void bodies_that_pass(void **state)
{
    static const char *const types[] = {"application/json", "APPLICATION/JSON",
            "application/json; charset=utf-8", "application/json;charset=\"UTF-8\"",
            "application/vnd.x+json", "application/json ; x=y"};
    char header[128];
    START(t);

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        (void)snprintf(header, sizeof(header), "Content-Type: %s\r\n", types[i]);
        assert_int_equal(talk(&t, "PUT /v1/session", header, "{}"), 201);
    }
    assert_int_equal(talk(&t, "PUT /v1/session", "Content-Type: text/plain\r\n", " \r\n"), 201);
    assert_int_equal(talk(&t, "PUT /v1/session", NULL,
                             "{\"ttl\":null,\"maxAgents\":null,\"greeting\":null,"
                             "\"creatorAgentId\":null}"),
            201);
    assert_int_equal(talk(&t, "PUT /v1/session", NULL, "{\"ttl\":6e1,\"maxAgents\":3.0}"), 201);
    HAS(&t, "\"ttl\":60,\"maxAgents\":3");
    assert_int_equal(
            talk(&t, "PUT /v1/session", NULL, "{\"ttl\":\"x\",\"ttl\":5,\"\\u0074tl\":7}"), 201);
    HAS(&t, "\"ttl\":7,");
    /* json comes back as it went in */
    assert_int_equal(talk(&t, "PUT /v1/session", NULL, "{\"creatorAgentId\":\"a\"}"), 201);
    assert_int_equal(talk(&t, "POST /v1/session/%s/messages", TALK_AGENT("a"),
                             "{\"json\":{\"z\":1.10,\"a\":12345678901234567890,\"a\": 1e400 }}"),
            201);
    assert_int_equal(
            talk(&t, "POST /v1/session/%s/messages", TALK_AGENT("a"), "{\"json\":null}"), 201);
    assert_int_equal(talk(&t, "GET /v1/session/%s/messages?after=", TALK_AGENT("a"), NULL), 200);
    HAS(&t, "\"text\":\"\",\"json\":{\"z\":1.10,\"a\":12345678901234567890,\"a\": 1e400 },");
    HAS(&t, "\"text\":\"\",\"json\":null,");
    assert_int_equal(talk(&t, "GET /v1/session/%s/messages?after=99999999999999999999999999999",
                             TALK_AGENT("a"), NULL),
            200);
    assert_string_equal(
            talk_body(&t), "{\"messages\":[],\"nextCursor\":\"99999999999999999999999999999\"}");
    t.settings.poll_bytes_max = 1;
    assert_int_equal(talk(&t, "GET /v1/session/%s/messages", TALK_AGENT("a"), NULL), 200);
    HAS(&t, "\"nextCursor\":\"1\",\"hasMore\":true");
    talk_end(&t);
}

static void methods(void **state)
{
    static const struct {
        const char *line, *allow;
    } cases[] = {
            {"POST /v1/session", "Allow: PUT\r\n"},
            {"PUT /v1/sessions/x", "Allow: GET, HEAD\r\n"},
            {"PUT /v1/sessions/x/messages", "Allow: GET, HEAD, POST\r\n"},
            {"GET /v1/sessions/x/join", "Allow: POST\r\n"},
            {"GET /v1/sessions/x/agents/y", "Allow: DELETE\r\n"},
            {"OPTIONS /v1/pair", "Allow: PUT\r\n"},
            {"PATCH /health", "Allow: GET, HEAD\r\n"},
            {"DELETE /", "Allow: GET, HEAD\r\n"},
    };
    START(t);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(talk(&t, cases[i].line, NULL, NULL), 405);
        talk_refused(&t, 405, "method_not_allowed", NULL);
        assert_non_null(strstr(talk_headers(&t), cases[i].allow));
    }
    assert_int_equal(talk(&t, "HEAD /health", NULL, NULL), 200);
    talk_end(&t);
}

static void the_service_itself(void **state)
{
    START(t);

    assert_int_equal(talk(&t, "GET /health", NULL, NULL), 200);
    assert_string_equal(talk_body(&t), "{\"status\":\"ok\",\"version\":\"1.2.3\",\"uptime\":42,"
                                       "\"capabilities\":{\"messageFormat\":[\"text\",\"json\"]}}");
    assert_int_equal(talk(&t, "PUT /v1/session", NULL, "{\"creatorAgentId\":\"a\"}"), 201);
    assert_int_equal(talk(&t, "GET /v1/stats", NULL, NULL), 200);
    assert_string_equal(talk_body(&t),
            "{\"activeSessions\":1,\"totalAgents\":1,\"totalMessages\":0,\"uptime\":42}");
    assert_non_null(strstr(talk_headers(&t), "X-Content-Type-Options: nosniff\r\n"));
    assert_int_equal(talk(&t, "GET /%68ealth?x=y", NULL, NULL), 200);
    assert_int_equal(talk(&t, "GET http://other/health", NULL, NULL), 200);
    talk_end(&t);
}

static void pages(void **state)
{
    char pair[128];
    START(t);

    assert_int_equal(talk(&t, "GET /", NULL, NULL), 200);
    assert_non_null(strstr(talk_headers(&t), "Content-Type: text/markdown; charset=utf-8\r\n"));
    assert_non_null(strstr(talk_headers(&t), "Vary: Accept\r\n"));
    HAS(&t, "http://example.org:3000");
    assert_int_equal(talk(&t, "GET /", "Accept: text/html,*/*\r\n", NULL), 200);
    assert_non_null(strstr(talk_headers(&t), "Content-Type: text/html; charset=utf-8\r\n"));
    assert_non_null(strstr(talk_headers(&t), "Content-Security-Policy: "));
    assert_non_null(strstr(talk_headers(&t), "X-Frame-Options: DENY\r\n"));
    assert_int_equal(talk(&t, "GET /skill.md", "Accept: text/html\r\n", NULL), 200);
    assert_non_null(strstr(talk_headers(&t), "Content-Type: text/markdown"));
    assert_int_equal(talk(&t, "GET /nexus.sh", NULL, NULL), 200);
    assert_non_null(strstr(talk_headers(&t), "Content-Type: text/x-shellscript"));
    assert_memory_equal(talk_body(&t), "#!", 2);
    assert_int_equal(talk(&t, "PUT /v1/session", NULL, NULL), 201);
    (void)snprintf(pair, sizeof(pair), "{\"sessionId\":\"%s\"}", t.session);
    assert_int_equal(talk(&t, "PUT /v1/pair", NULL, pair), 201);
    assert_int_equal(talk(&t, "GET /v1/pair/%c/skill", NULL, NULL), 200);
    HAS(&t, t.code);
    HAS_NOT(&t, t.session);
    assert_int_equal(talk(&t, "GET /v1/pair/NO-CODE-22222/skill", NULL, NULL), 200);
    HAS(&t, "NO-CODE-22222");
    assert_int_equal(
            talk(&t, "GET /v1/pair/%3Cscript%3E/skill", "Accept: text/html\r\n", NULL), 200);
    HAS_NOT(&t, "<script");
    assert_int_equal(talk(&t, "GET /p/%3Ca%0d%0aSet-Cookie:x", NULL, NULL), 301);
    assert_non_null(
            strstr(talk_headers(&t), "Location: /v1/pair/%3Ca%0D%0ASet-Cookie%3Ax/skill\r\n"));
    talk_end(&t);
}

static void hosts(void **state)
{
    static const char *const hostile[] = {
            "a\"b", "a<b>", "a b", "x/y", "a'b", "u@h", "x?y", "a\\b"};
    char header[400];
    START(t);

    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        unsigned status;

        (void)snprintf(header, sizeof(header), "Host: %s\r\n", hostile[i]);
        status = talk(&t, "GET /skill.md", header, NULL);
        assert_true(status == 200 || status == 400);
        if (status == 200) {
            HAS(&t, "http://origin");
            HAS_NOT(&t, hostile[i]);
        }
    }
    memset(header, 'h', sizeof(header));
    memcpy(header, "Host: ", 6);
    memcpy(header + 300, "\r\n", 3);
    assert_int_equal(talk(&t, "GET /skill.md", header, NULL), 200);
    HAS(&t, "http://origin");
    assert_int_equal(talk(&t, "GET /skill.md", "Host: [::1]:80\r\n", NULL), 200);
    HAS(&t, "http://[::1]:80");
    t.settings.public_url = NX_BYTES("https://public.example");
    assert_int_equal(talk(&t, "GET /skill.md", NULL, NULL), 200);
    HAS(&t, "https://public.example");
    HAS_NOT(&t, "example.org");
    talk_end(&t);
}

static void escapes_in_paths(void **state)
{
    START(t);

    assert_int_equal(talk(&t, "PUT /v1/%73ession", NULL, "{\"creatorAgentId\":\"a\"}"), 201);
    HAS(&t, "\"maxAgents\":2");
    assert_int_equal(talk(&t, "GET /v1/sessions/%s", NULL, NULL), 200);
    (void)snprintf(t.session + 40, 9, "%.8s", "%41%42%4");
    talk(&t, "GET /v1/sessions/%s", NULL, NULL);
    talk_refused(&t, 404, "not_found", NULL);
    talk_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(both_spellings),
            cmocka_unit_test(pairing),
            cmocka_unit_test(every_refusal),
            cmocka_unit_test(refusals_of_state),
            cmocka_unit_test(made_by_the_owner),
            cmocka_unit_test(bodies_that_pass),
            cmocka_unit_test(methods),
            cmocka_unit_test(the_service_itself),
            cmocka_unit_test(pages),
            cmocka_unit_test(hosts),
            cmocka_unit_test(escapes_in_paths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
