/* Want of memory at every allocation of every step of the session machine and the API: what fails
 * leaves the machine as it was, and the same step succeeds once there is memory. */
#include <stdio.h>

#include "support/api_talk.h"

/* An allocator that fails the n-th allocation from when it is armed. */
struct scarce {
    size_t made, fail_at; /* 0: none fails */
};

static void *scarce_resize(void *ctx, void *ptr, size_t bytes)
{
    struct scarce *scarce = ctx;

    if (bytes > 0 && ++scarce->made == scarce->fail_at)
        return NULL;
    return nx_mem_libc()->resize(NULL, ptr, bytes);
}

struct scene {
    struct scarce scarce;
    struct nx_mem mem;
    struct talk talk;
    char ids[2][NX_SESSION_ID_LEN];
    char key_b[NX_SESSION_KEY_LEN + 1];
};

/* Session 0 has the creator a and a code; session 1 a and b. Short of memory from then on: the
 * machine is loaded anew, so that no buffer is large already. */
static void scene_begin(struct scene *s)
{
    struct nx_sessions_limits limits = world_limits();
    struct world *w = &s->talk.world;

    memset(s, 0, sizeof(*s));
    s->mem = (struct nx_mem){scarce_resize, &s->scarce};
    limits.durable_messages = true;
    limits.codes_max = 8;
    talk_begin(&s->talk, &limits);
    assert_int_equal(world_create(w, "a", "\"hello\""), 0);
    memcpy(s->ids[1], w->session, NX_SESSION_ID_LEN);
    assert_int_equal(world_join(w, "b", NULL, false), 0);
    memcpy(s->key_b, world_key(w, "b"), NX_SESSION_KEY_LEN);
    assert_int_equal(world_create(w, "a", NULL), 0);
    memcpy(s->ids[0], w->session, NX_SESSION_ID_LEN);
    memcpy(s->talk.session, w->session, NX_SESSION_ID_LEN);
    assert_int_equal(world_pair(w), 0);
    memcpy(s->talk.code, w->code, w->code_len);
    toy_commit(&w->store, SIZE_MAX);
    w->mem = &s->mem;
    world_restart(w);
    nx_api_done(&s->talk.api);
    nx_api_init(&s->talk.api, &s->mem, &s->talk.settings);
}

static void scene_end(struct scene *s)
{
    s->scarce.fail_at = 0;
    talk_end(&s->talk);
}

/* Runs a step with the n-th allocation failing, for every n, on a fresh scene each; returns how
 * many failed. The step returns < 0 when it failed for want of memory. */
static size_t each(int (*step)(struct scene *s))
{
    size_t failed = 0;

    for (size_t n = 1; n < 200; n++) {
        struct nx_buf before, after;
        struct scene *s = malloc(sizeof(*s));
        int r;

        assert_non_null(s);
        scene_begin(s);
        nx_buf_init(&before, nx_mem_libc(), 1 << 20);
        nx_buf_init(&after, nx_mem_libc(), 1 << 20);
        world_picture(&s->talk.world, &before, s->ids, 2);
        s->scarce = (struct scarce){.fail_at = n};
        r = step(s);
        s->scarce.fail_at = 0;
        world_picture(&s->talk.world, &after, s->ids, 2);
        if (r < 0) {
            failed++;
            assert_int_equal(r, NX_E_NOMEM);
            assert_string_equal(nx_buf_str(&after), nx_buf_str(&before));
            assert_int_equal(step(s), 0);
        } else {
            assert_int_equal(r, 0);
        }
        nx_buf_done(&before);
        nx_buf_done(&after);
        r = s->scarce.made < n ? 1 : 0;
        scene_end(s);
        free(s);
        if (r)
            return failed;
    }
    fail_msg("%s", "the step never ran out of allocations");
    return 0;
}

static int do_create(struct scene *s)
{
    return world_create(&s->talk.world, "z", "\"greeting\"");
}

static int do_first_join(struct scene *s)
{
    return world_join(&s->talk.world, "b", NULL, false); /* with the reminder */
}

static int do_send(struct scene *s)
{
    return world_send(&s->talk.world, "a", NULL, "\"text\"");
}

static int do_renew(struct scene *s)
{
    return world_renew(&s->talk.world, "a", 99);
}

static int do_pair(struct scene *s)
{
    return world_pair(&s->talk.world);
}

static int do_claim(struct scene *s)
{
    return world_claim(&s->talk.world, "c", NULL);
}

static int do_leave(struct scene *s)
{
    memcpy(s->talk.world.session, s->ids[1], NX_SESSION_ID_LEN);
    return world_leave(&s->talk.world, "b", s->key_b);
}

static int do_third_join(struct scene *s)
{
    memcpy(s->talk.world.session, s->ids[1], NX_SESSION_ID_LEN);
    return world_join(&s->talk.world, "c", NULL, true);
}

static void every_step_or_nothing(void **state)
{
    (void)state;
    assert_true(each(do_create) >= 5);
    assert_true(each(do_first_join) >= 4);
    assert_true(each(do_third_join) >= 2);
    assert_true(each(do_send) >= 3);
    assert_true(each(do_renew) >= 1);
    assert_true(each(do_pair) >= 2);
    assert_true(each(do_claim) >= 3);
    assert_true(each(do_leave) >= 1);
}

/* A poll asks for no memory but for its answer. */
static int do_poll(struct scene *s)
{
    struct nx_poll poll = {.agent = NX_BYTES("a"), .all = true, .bytes_max = SIZE_MAX};
    struct nx_polled polled;
    struct nx_buf to;
    int r;

    memcpy(s->talk.world.session, s->ids[1], NX_SESSION_ID_LEN);
    nx_buf_init(&to, &s->mem, 1 << 20);
    r = world_took(&s->talk.world,
            nx_sessions_poll(s->talk.world.machine, s->talk.world.now,
                    nx_bytes_of(s->ids[1], NX_SESSION_ID_LEN), &poll, &to, &polled));
    if (r == 0)
        assert_int_equal(polled.count, 2);
    nx_buf_done(&to);
    return r;
}

static void a_poll(void **state)
{
    (void)state;
    assert_true(each(do_poll) >= 1);
}

/* Loading into too little memory fails as a whole and leaks nothing; the failing record can be
 * loaded again. */
static void loading(void **state)
{
    struct scene s;
    size_t failed = 0;

    (void)state;
    for (size_t n = 1; n < 400; n++) {
        struct toy_store *store;
        struct nx_sessions *machine = NULL;
        int r;

        scene_begin(&s);
        store = &s.talk.world.store;
        s.scarce = (struct scarce){.fail_at = n};
        r = nx_sessions_new(&s.mem, &s.talk.world.random, &s.talk.world.limits, &machine);
        for (size_t i = 0; r == 0 && i < store->count; i++) {
            const struct toy_record *record = &store->records[i];
            struct nx_bytes key = nx_bytes_of(record->key, record->key_len);
            struct nx_bytes value = nx_bytes_of(record->value, record->value_len);

            r = nx_sessions_load(machine, s.talk.world.now, record->table, key, value);
            if (r == NX_E_NOMEM) {
                failed++;
                r = nx_sessions_load(machine, s.talk.world.now, record->table, key, value);
            }
        }
        if (machine) {
            assert_int_equal(r, 0);
            assert_int_equal(nx_sessions_totals(machine).agents, 3);
            assert_int_equal(nx_sessions_totals(machine).messages, 2);
        } else {
            assert_int_equal(r, NX_E_NOMEM);
        }
        nx_sessions_free(machine);
        n = s.scarce.made < n ? 400 : n;
        scene_end(&s);
    }
    assert_true(failed > 10);
}

/* A rollback that cannot read a session forgets it rather than guess, and keeps the others; a
 * restart has it again. */
static void rolling_back(void **state)
{
    struct scene s;
    size_t gone = 0;

    (void)state;
    for (size_t n = 1; n < 200; n++) {
        struct world *w = &s.talk.world;
        struct nx_session_view view;

        scene_begin(&s);
        assert_int_equal(world_join(w, "late", NULL, false), 0);
        toy_lose(&w->store);
        s.scarce = (struct scarce){.fail_at = n};
        nx_sessions_rollback(w->machine, w->now, w->store.durable, toy_read_session, &w->store);
        s.scarce.fail_at = 0;
        if (world_status(w, &view) != 0) {
            gone++;
            assert_int_equal(nx_sessions_totals(w->machine).agents, 2);
        } else {
            assert_int_equal(view.agent_count, 1);
            assert_int_equal(nx_sessions_totals(w->machine).agents, 3);
        }
        world_restart(w);
        assert_int_equal(world_status(w, &view), 0);
        assert_int_equal(view.agent_count, 1);
        n = s.scarce.made < n ? 200 : n;
        scene_end(&s);
    }
    assert_true(gone >= 3);
}

/* ---- through the API */

static struct nx_http1_server *parsed(struct scene *s, const char *request)
{
    struct nx_http1_server *server;
    size_t taken;

    assert_int_equal(nx_http1_server_new(nx_mem_libc(), &nx_http1_limits_default, 0, &server), 0);
    assert_int_equal(nx_http1_server_read(server, 0, nx_bytes_str(request), &taken), 0);
    assert_non_null(nx_http1_server_request(server));
    (void)s;
    return server;
}

/* < 0: it failed, in whatever way that shows: the connection is dropped, or 500. */
static int run_api(struct scene *s, const char *request)
{
    struct talk *t = &s->talk;
    struct nx_http1_server *server = parsed(s, request);
    int r = nx_api_read(
            &t->api, nx_http1_server_request(server), NX_BYTES("http://origin"), &t->call);

    if (r == 0 && t->call.route != NX_API_NONE) {
        r = nx_api_step(&t->api, t->world.machine, t->world.now, &t->call);
        world_took(&t->world, 0);
    }
    nx_http1_server_free(server);
    if (r == 0 && t->api.answer.status == 500)
        r = NX_E_NOMEM;
    if (r == 0) {
        assert_true(t->api.answer.status == 200 || t->api.answer.status == 201);
        assert_true(t->api.answer.body.len > 0);
    }
    return r;
}

#define HEAD " HTTP/1.1\r\nHost: h\r\nX-Agent-Id: c\r\n"

static NX_PRINTF(2, 3) int api_request(struct scene *s, const char *format, ...)
{
    char request[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(request, sizeof(request), format, args);
    va_end(args);
    return run_api(s, request);
}

static int api_create(struct scene *s)
{
    return run_api(s,
            "PUT /v1/session" HEAD "Content-Type: application/json\r\n"
            "Content-Length: 42\r\n\r\n{\"creatorAgentId\":\"new\",\"greeting\":\"h\\ni\"}");
}

static int api_join(struct scene *s)
{
    return api_request(s, "POST /v1/session/%s/join" HEAD "\r\n", s->talk.session);
}

static int api_claim(struct scene *s)
{
    return api_request(s, "POST /v1/pair/%s/claim" HEAD "\r\n", s->talk.code);
}

static int api_pair(struct scene *s)
{
    return api_request(s,
            "PUT /v1/pair" HEAD "Content-Type: application/json\r\n"
            "Content-Length: 64\r\n\r\n{\"sessionId\":\"%s\"}",
            s->talk.session);
}

static int api_send(struct scene *s)
{
    return api_request(s,
            "POST /v1/sessions/%s/messages HTTP/1.1\r\nHost: h\r\nX-Agent-Id: a\r\n"
            "Content-Type: application/json\r\nContent-Length: 28\r\n\r\n"
            "{\"json\":{\"a\":\"b\\n\"},\"x\":123}",
            s->talk.session);
}

static int api_renew(struct scene *s)
{
    return api_request(s, "POST /v1/sessions/%s/renew HTTP/1.1\r\nHost: h\r\nX-Agent-Id: a\r\n\r\n",
            s->talk.session);
}

static int api_leave(struct scene *s)
{
    return api_request(s,
            "DELETE /v1/sessions/%.48s/agents/b HTTP/1.1\r\nHost: h\r\nX-Agent-Id: b\r\n"
            "X-Session-Key: %s\r\n\r\n",
            s->ids[1], s->key_b);
}

static int api_status(struct scene *s)
{
    return api_request(s, "GET /v1/sessions/%s" HEAD "\r\n", s->talk.session);
}

static int api_page(struct scene *s)
{
    return api_request(s, "GET /v1/pair/%s/skill" HEAD "Accept: text/html\r\n\r\n", s->talk.code);
}

static void every_request_or_nothing(void **state)
{
    (void)state;
    assert_true(each(api_status) >= 3);
    assert_true(each(api_page) >= 3);
    assert_true(each(api_create) >= 5);
    assert_true(each(api_join) >= 5);
    assert_true(each(api_claim) >= 5);
    assert_true(each(api_pair) >= 5);
    assert_true(each(api_send) >= 5);
    assert_true(each(api_renew) >= 3);
    assert_true(each(api_leave) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(every_step_or_nothing),
            cmocka_unit_test(a_poll),
            cmocka_unit_test(loading),
            cmocka_unit_test(rolling_back),
            cmocka_unit_test(every_request_or_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
