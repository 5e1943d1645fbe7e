/* The session machine as a transcript: the life of sessions, members, messages and codes, and each
 * maximum with its refusal. Durability is in session_durable.c, want of memory in session_nomem.c. */
#include <stdio.h>

#include "support/session_world.h"

#define START(name)                                                                                \
    struct world name;                                                                             \
    struct nx_sessions_limits limits = world_limits();                                             \
                                                                                                   \
    (void)state;                                                                                   \
    world_begin(&(name), &limits, 7)

static size_t members(struct world *world)
{
    struct nx_session_view view;

    assert_int_equal(world_status(world, &view), 0);
    return view.agent_count;
}

static void two_agents_talk(void **state)
{
    struct nx_session_view view;
    START(w);

    assert_int_equal(world_create(&w, "alice", "\"hello\""), 0);
    assert_int_equal(world_pair(&w), 0);
    assert_int_equal(world_claim(&w, "bob", NULL), 0);
    assert_int_equal(world_send(&w, "alice", NULL, "\"one\""), 0);
    assert_int_equal(world_send(&w, "bob", NULL, "\"two\""), 0);
    assert_int_equal(world_poll(&w, "bob", -1), 0);
    assert_string_equal(world_cursors(&w), "0,1,2,3");
    assert_non_null(strstr(nx_buf_str(&w.text), "\"text\":\"hello\""));
    assert_non_null(
            strstr(nx_buf_str(&w.text), "\"text\":\"This is an async conversation. Set up"));
    assert_int_equal(world_status(&w, &view), 0);
    assert_int_equal(view.agent_count, 2);
    assert_int_equal(view.ttl_s, 3660);
    assert_int_equal(view.agents_max, 50);
    assert_true(nx_bytes_equal(view.creator, NX_BYTES("alice")));
    assert_true(view.created_wall_ms == WORLD_WALL);
    assert_true(view.expires_wall_ms == WORLD_WALL + 3660000);
    assert_int_equal(world_leave(&w, "bob", world_key(&w, "bob")), 0);
    assert_int_equal(members(&w), 1);
    assert_int_equal(world_poll(&w, "bob", -1), NX_REFUSE_NOT_MEMBER);
    assert_int_equal(world_send(&w, "bob", NULL, "\"x\""), NX_REFUSE_NOT_JOINED);
    world_end(&w);
}

static void a_message_says_what_it_is(void **state)
{
    char head[] = "{\"id\":\"";
    const char *text;
    START(w);

    assert_int_equal(world_create(&w, "alice", NULL), 0);
    world_pass(&w, 1234);
    assert_int_equal(world_send(&w, "alice", world_key(&w, "alice"), "\"t\\u00e9\""), 0);
    assert_int_equal(world_poll(&w, "alice", -1), 0);
    text = nx_buf_str(&w.text);
    assert_memory_equal(text, head, sizeof(head) - 1);
    assert_int_equal(text[21], '7'); /* UUID version */
    assert_non_null(memchr("89ab", text[26], 4));
    assert_string_equal(text + 7 + NX_MESSAGE_ID_LEN,
            "\",\"agentId\":\"alice\",\"from\":\"alice\",\"text\":\"t\\u00e9\",\"cursor\":\"1\","
            "\"verified\":true,\"createdAt\":\"2027-01-15T08:00:01.234Z\","
            "\"expiresAt\":\"2027-01-15T09:01:01.234Z\"}");
    world_end(&w);
}

static void json_alone_and_both(void **state)
{
    struct nx_send send = {.agent = NX_BYTES("a"), .json = NX_BYTES("{\"b\":1.10,\"b\":1e400}")};
    struct nx_sent sent;
    START(w);

    assert_int_equal(world_create(&w, "a", NULL), 0);
    assert_int_equal(
            world_took(&w, nx_sessions_send(w.machine, w.now,
                                   nx_bytes_of(w.session, NX_SESSION_ID_LEN), &send, &sent)),
            0);
    assert_true(sent.cursor == 1);
    assert_true(sent.expires_wall_ms == w.now.wall_ms + 3660000);
    assert_int_equal(world_poll(&w, "a", -1), 0);
    assert_non_null(strstr(
            nx_buf_str(&w.text), "\"text\":\"\",\"json\":{\"b\":1.10,\"b\":1e400},\"cursor\""));
    world_end(&w);
}

static void cursors(void **state)
{
    START(w);

    assert_int_equal(world_create(&w, "a", "\"hi\""), 0);
    assert_int_equal(world_poll(&w, "a", 0), 0);
    assert_string_equal(world_cursors(&w), "");
    for (int i = 0; i < 5; i++)
        assert_int_equal(world_send(&w, "a", NULL, "\"x\""), 0);
    assert_int_equal(world_poll(&w, "a", 0), 0);
    assert_string_equal(world_cursors(&w), "1,2,3,4,5");
    assert_int_equal(world_poll(&w, "a", 3), 0);
    assert_string_equal(world_cursors(&w), "4,5");
    assert_int_equal(world_poll(&w, "a", 5), 0);
    assert_string_equal(world_cursors(&w), "");
    assert_int_equal(world_poll(&w, "a", 600), 0);
    assert_string_equal(world_cursors(&w), "");
    assert_int_equal(world_poll(&w, "a", INT64_MAX), 0);
    assert_string_equal(world_cursors(&w), "");
    world_end(&w);
}

static void cursors_over_a_gap(void **state)
{
    START(w);

    w.limits.durable_messages = limits.durable_messages = true;
    nx_sessions_free(w.machine);
    assert_int_equal(nx_sessions_new(w.mem, &w.random, &limits, &w.machine), 0);
    assert_int_equal(world_create(&w, "a", NULL), 0);
    assert_int_equal(world_send(&w, "a", NULL, "\"x\""), 0);
    toy_commit(&w.store, SIZE_MAX);
    world_restart(&w);
    assert_int_equal(world_send(&w, "a", NULL, "\"y\""), 0);
    assert_int_equal(world_poll(&w, "a", -1), 0);
    assert_string_equal(world_cursors(&w), "1,1025");
    assert_int_equal(world_poll(&w, "a", 500), 0);
    assert_string_equal(world_cursors(&w), "1025");
    world_end(&w);
}

static void a_page_is_cut(void **state)
{
    struct nx_poll poll = {.agent = NX_BYTES("a"), .all = true, .bytes_max = 1};
    struct nx_bytes id;
    struct nx_polled polled;
    START(w);

    assert_int_equal(world_create(&w, "a", NULL), 0);
    id = nx_bytes_of(w.session, NX_SESSION_ID_LEN);
    for (int i = 0; i < 4; i++)
        assert_int_equal(world_send(&w, "a", NULL, "\"x\""), 0);
    assert_int_equal(nx_sessions_poll(w.machine, w.now, id, &poll, &w.text, &polled), 0);
    assert_int_equal(polled.count, 1);
    assert_true(polled.more && polled.last == 1);
    poll.bytes_max = 3 * (w.text.len + 1);
    poll.all = false;
    poll.after = 1;
    nx_buf_clear(&w.text);
    assert_int_equal(nx_sessions_poll(w.machine, w.now, id, &poll, &w.text, &polled), 0);
    assert_int_equal(polled.count, 3);
    assert_true(!polled.more && polled.last == 4);
    poll.bytes_max--;
    nx_buf_clear(&w.text);
    assert_int_equal(nx_sessions_poll(w.machine, w.now, id, &poll, &w.text, &polled), 0);
    assert_int_equal(polled.count, 2);
    assert_true(polled.more && polled.last == 3);
    world_end(&w);
}

static void one_reminder_a_session(void **state)
{
    START(w);

    assert_int_equal(world_create(&w, NULL, NULL), 0);
    assert_int_equal(world_join(&w, "a", NULL, false), 0);
    assert_int_equal(world_poll(&w, "a", -1), 0);
    assert_string_equal(world_cursors(&w), "");
    assert_int_equal(world_join(&w, "b", NULL, false), 0);
    assert_int_equal(world_poll(&w, "a", -1), 0);
    assert_string_equal(world_cursors(&w), "1");
    assert_non_null(strstr(nx_buf_str(&w.text), "\"agentId\":\"system\",\"from\":\"system\""));
    assert_int_equal(world_join(&w, "c", NULL, false), 0);
    assert_int_equal(world_leave(&w, "b", world_key(&w, "b")), 0);
    assert_int_equal(world_leave(&w, "c", world_key(&w, "c")), 0);
    assert_int_equal(world_join(&w, "b", NULL, false), 0);
    assert_int_equal(world_poll(&w, "a", -1), 0);
    assert_string_equal(world_cursors(&w), "1");
    world_end(&w);
}

static void the_last_seat(void **state)
{
    struct nx_session_create create = {.v1 = true, .creator = NX_BYTES("a")};
    START(w);

    assert_int_equal(world_create_with(&w, &create), 0);
    assert_int_equal(world_pair(&w), 0);
    assert_int_equal(world_join(&w, "b", NULL, true), 0);
    assert_int_equal(world_join(&w, "c", NULL, true), NX_REFUSE_SESSION_FULL);
    assert_int_equal(world_claim(&w, "c", NULL), NX_REFUSE_SESSION_FULL);
    assert_int_equal(world_leave(&w, "b", world_key(&w, "b")), 0);
    /* The refused claim left the code open. */
    assert_int_equal(world_claim(&w, "c", NULL), 0);
    assert_int_equal(members(&w), 2);
    create.agents_max = 3;
    assert_int_equal(world_create_with(&w, &create), 0);
    assert_int_equal(world_join(&w, "b", NULL, true), 0);
    assert_int_equal(world_join(&w, "c", NULL, true), 0);
    assert_int_equal(world_join(&w, "d", NULL, true), NX_REFUSE_SESSION_FULL);
    world_end(&w);
}

static int join_told_key(struct world *w, const char *who, const char *key, bool v1, bool *ret_told)
{
    struct nx_joined joined = {.key = {NULL, 0}};
    int r = world_took(
            w, nx_sessions_join(w->machine, w->now, nx_bytes_of(w->session, NX_SESSION_ID_LEN),
                       nx_bytes_str(who), nx_bytes_str(key), v1, &joined));

    *ret_told = joined.key.len > 0;
    return r;
}

static void joining_again(void **state)
{
    const char *key, *other;
    bool told;
    START(w);

    assert_int_equal(world_create(&w, "a", NULL), 0);
    assert_int_equal(world_join(&w, "b", NULL, false), 0);
    key = world_key(&w, "b");
    other = world_key(&w, "a");
    assert_int_equal(join_told_key(&w, "b", NULL, false, &told), NX_REFUSE_AGENT_ID_TAKEN);
    assert_int_equal(join_told_key(&w, "b", other, false, &told), NX_REFUSE_AGENT_ID_TAKEN);
    assert_int_equal(join_told_key(&w, "b", key, false, &told), 0);
    assert_true(told);
    assert_int_equal(join_told_key(&w, "b", NULL, true, &told), 0);
    assert_false(told);
    assert_int_equal(join_told_key(&w, "b", other, true, &told), 0);
    assert_false(told);
    assert_int_equal(join_told_key(&w, "b", key, true, &told), 0);
    assert_true(told);
    assert_string_equal(world_key(&w, "b"), key);
    assert_int_equal(members(&w), 2);
    world_end(&w);
}

static void keys_prove(void **state)
{
    const char *key, *other;
    START(w);

    assert_int_equal(world_create(&w, "a", NULL), 0);
    assert_int_equal(world_join(&w, "b", NULL, false), 0);
    key = world_key(&w, "b");
    other = world_key(&w, "a");
    assert_int_not_equal(memcmp(key, other, NX_SESSION_KEY_LEN), 0);
    assert_int_equal(world_send(&w, "b", key, "\"1\""), 0);
    assert_int_equal(world_send(&w, "b", NULL, "\"2\""), 0);
    assert_int_equal(world_send(&w, "b", other, "\"3\""), NX_REFUSE_WRONG_KEY);
    assert_int_equal(world_send(&w, "b", "short", "\"3\""), NX_REFUSE_WRONG_KEY);
    {
        struct nx_send send = {.agent = NX_BYTES("b"),
                .key = nx_bytes_str(other),
                .text = NX_BYTES("\"4\""),
                .v1 = true};
        struct nx_sent sent;

        assert_int_equal(nx_sessions_send(w.machine, w.now,
                                 nx_bytes_of(w.session, NX_SESSION_ID_LEN), &send, &sent),
                0);
        world_took(&w, 0);
    }
    assert_int_equal(world_poll(&w, "a", 1), 0);
    assert_non_null(
            strstr(nx_buf_str(&w.text), "\"text\":\"1\",\"cursor\":\"2\",\"verified\":true"));
    assert_non_null(
            strstr(nx_buf_str(&w.text), "\"text\":\"2\",\"cursor\":\"3\",\"verified\":false"));
    assert_non_null(
            strstr(nx_buf_str(&w.text), "\"text\":\"4\",\"cursor\":\"4\",\"verified\":false"));
    assert_null(strstr(nx_buf_str(&w.text), "\"text\":\"3\""));
    world_end(&w);
}

static void leaving(void **state)
{
    START(w);

    assert_int_equal(world_create(&w, "a", NULL), 0);
    assert_int_equal(world_join(&w, "b", NULL, false), 0);
    assert_int_equal(world_leave(&w, "c", "x"), NX_REFUSE_AGENT_NOT_FOUND);
    assert_int_equal(world_leave(&w, "b", world_key(&w, "a")), NX_REFUSE_WRONG_KEY);
    assert_int_equal(world_leave(&w, "a", world_key(&w, "b")), NX_REFUSE_WRONG_KEY);
    assert_int_equal(world_leave(&w, "a", world_key(&w, "a")), NX_REFUSE_CREATOR_STAYS);
    assert_int_equal(world_leave(&w, "b", world_key(&w, "b")), 0);
    assert_int_equal(world_leave(&w, "b", "x"), NX_REFUSE_AGENT_NOT_FOUND);
    memset(w.session, '0', sizeof(w.session));
    assert_int_equal(world_leave(&w, "a", "x"), NX_REFUSE_SESSION_NOT_FOUND);
    world_end(&w);
}

static void expiry_slides(void **state)
{
    struct nx_session_view view;
    START(w);

    assert_int_equal(world_create(&w, "a", NULL), 0);
    world_pass(&w, 3659999);
    assert_int_equal(world_poll(&w, "a", -1), 0);
    world_pass(&w, 3659999);
    assert_int_equal(world_send(&w, "a", NULL, "\"x\""), 0);
    world_pass(&w, 3659999);
    assert_int_equal(world_renew(&w, "a", 0), 0);
    world_pass(&w, 3659999);
    assert_int_equal(world_join(&w, "b", NULL, false), 0);
    world_pass(&w, 3659999);
    assert_int_equal(world_join(&w, "b", world_key(&w, "b"), false), 0);
    world_pass(&w, 3659999);
    assert_int_equal(world_pair(&w), 0); /* a pairing code alone does not restart it … */
    assert_int_equal(world_claim(&w, "c", NULL), 0); /* … its claim does */
    world_pass(&w, 3659999);
    /* Looking does not. */
    assert_int_equal(world_status(&w, &view), 0);
    assert_true(view.expires_wall_ms == w.now.wall_ms + 1);
    world_tick(&w);
    assert_int_equal(nx_sessions_totals(w.machine).sessions, 1);
    world_pass(&w, 1);
    assert_int_equal(world_status(&w, &view), NX_REFUSE_SESSION_NOT_FOUND);
    assert_int_equal(world_poll(&w, "a", -1), NX_REFUSE_SESSION_NOT_FOUND);
    assert_int_equal(world_renew(&w, "a", 5), NX_REFUSE_SESSION_NOT_FOUND);
    assert_int_equal(world_claim(&w, "d", NULL), NX_REFUSE_CODE_NOT_FOUND);
    assert_true(world_tick(&w) == NX_TIME_NEVER);
    assert_int_equal(nx_sessions_totals(w.machine).sessions, 0);
    assert_int_equal(nx_sessions_totals(w.machine).agents, 0);
    assert_int_equal(nx_sessions_totals(w.machine).message_bytes, 0);
    toy_commit(&w.store, SIZE_MAX);
    assert_int_equal(w.store.count, 0);
    world_end(&w);
}

static void renewing(void **state)
{
    struct nx_session_view view;
    START(w);

    assert_int_equal(world_create(&w, "a", NULL), 0);
    assert_int_equal(world_renew(&w, "b", 10), NX_REFUSE_NOT_MEMBER);
    assert_int_equal(world_renew(&w, "a", 10), 0);
    assert_int_equal(world_status(&w, &view), 0);
    assert_int_equal(view.ttl_s, 10);
    assert_true(view.expires_wall_ms == w.now.wall_ms + 10000);
    world_pass(&w, 5000);
    assert_int_equal(world_renew(&w, "a", 0), 0);
    world_pass(&w, 9999);
    world_tick(&w);
    assert_int_equal(world_renew(&w, "a", 86400), 0);
    /* Nearer again: the timer must follow. */
    assert_int_equal(world_renew(&w, "a", 1), 0);
    assert_true(world_tick(&w) <= w.now.mono_ms + 1000);
    world_pass(&w, 1000);
    assert_true(world_tick(&w) == NX_TIME_NEVER);
    world_end(&w);
}

/* Thousands of sessions, each with its own time; ticks are bounded and none is early or late. */
static void thousands_expire_in_order(void **state)
{
    enum { COUNT = 3000 };
    struct nx_session_create create = {.creator = NX_BYTES("a")};
    uint64_t left = COUNT;
    START(w);

    world_end(&w);
    limits.sessions_max = COUNT;
    limits.shards = 16;
    limits.shard = 5;
    world_begin(&w, &limits, 9);
    for (int i = 0; i < COUNT; i++) {
        create.ttl_s = 1 + nx_random_below(&w.random, 500);
        assert_int_equal(world_create_with(&w, &create), 0);
        assert_int_equal(
                nx_session_shard(nx_bytes_of(w.session, NX_SESSION_ID_LEN), limits.shards), 5);
    }
    assert_int_equal(world_create_with(&w, &create), NX_REFUSE_NO_ROOM);
    toy_commit(&w.store, SIZE_MAX);
    assert_int_equal(w.store.count, COUNT);
    while (left > 0) {
        int64_t next = world_tick(&w);
        uint64_t now_left = nx_sessions_totals(w.machine).sessions;

        assert_true(now_left < left || left == COUNT);
        left = now_left;
        if (left == 0)
            break;
        assert_true(next > w.now.mono_ms);
        world_pass(&w, next - w.now.mono_ms);
    }
    assert_true(w.now.mono_ms <= 5000 + 500000);
    toy_commit(&w.store, SIZE_MAX);
    assert_int_equal(w.store.count, 0);
    world_end(&w);
}

static void a_tick_is_bounded(void **state)
{
    START(w);

    for (int i = 0; i < 200; i++)
        assert_int_equal(world_create(&w, "a", NULL), 0);
    world_pass(&w, 3660000);
    assert_true(nx_sessions_tick(w.machine, w.now) <= w.now.mono_ms);
    assert_int_equal(nx_sessions_totals(w.machine).sessions, 200 - 64);
    world_end(&w);
}

static void the_idle_go_but_the_creator(void **state)
{
    START(w);

    world_end(&w);
    limits.inactivity_s = 60;
    world_begin(&w, &limits, 7);
    assert_int_equal(world_create(&w, "a", NULL), 0);
    assert_int_equal(world_join(&w, "b", NULL, false), 0);
    assert_int_equal(world_join(&w, "c", NULL, false), 0);
    world_pass(&w, 59999);
    world_tick(&w);
    assert_int_equal(members(&w), 3);
    assert_int_equal(world_poll(&w, "b", -1), 0);
    world_pass(&w, 1);
    world_tick(&w);
    assert_int_equal(members(&w), 2);
    assert_null(world_key(&w, "c"));
    world_pass(&w, 59998);
    world_tick(&w);
    assert_int_equal(members(&w), 2);
    world_pass(&w, 1);
    world_tick(&w);
    assert_int_equal(members(&w), 1);
    assert_non_null(world_key(&w, "a"));
    assert_int_equal(nx_sessions_totals(w.machine).agents, 1);
    world_pass(&w, 10000000);
    assert_true(world_tick(&w) == NX_TIME_NEVER);
    world_end(&w);
}

/* Many sessions fall idle at once: one record a step, and it ends. */
static void many_fall_idle(void **state)
{
    enum { COUNT = 300 };
    START(w);

    world_end(&w);
    limits.inactivity_s = 10;
    world_begin(&w, &limits, 7);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(world_create(&w, "a", NULL), 0);
        assert_int_equal(world_join(&w, "b", NULL, false), 0);
    }
    world_pass(&w, 10000);
    assert_true(world_tick(&w) > w.now.mono_ms);
    assert_int_equal(nx_sessions_totals(w.machine).agents, COUNT);
    assert_int_equal(nx_sessions_totals(w.machine).sessions, COUNT);
    world_end(&w);
}

static int code_state(struct world *w)
{
    struct nx_code_view code;
    int r = nx_sessions_code(w->machine, w->now, nx_bytes_of(w->code, w->code_len), &code);

    world_took(w, r);
    return r == 0 ? (int)code.state : -r;
}

static void the_life_of_a_code(void **state)
{
    START(w);

    assert_int_equal(world_create(&w, "a", NULL), 0);
    assert_int_equal(code_state(&w), -NX_REFUSE_CODE_NOT_FOUND);
    assert_int_equal(world_pair(&w), 0);
    assert_int_equal(code_state(&w), NX_CODE_PENDING);
    assert_int_equal(world_claim(&w, "a", NULL), NX_REFUSE_AGENT_ID_TAKEN);
    assert_int_equal(code_state(&w), NX_CODE_PENDING);
    assert_int_equal(world_claim(&w, "b", NULL), 0);
    assert_int_equal(code_state(&w), NX_CODE_CLAIMED);
    assert_int_equal(world_claim(&w, "c", NULL), NX_REFUSE_CODE_USED);
    assert_int_equal(world_pair(&w), 0);
    /* A member's reconnect by key uses one up too. */
    assert_int_equal(world_claim(&w, "b", world_key(&w, "b")), 0);
    assert_true(w.number > 0 && w.waits_for == w.number);
    assert_int_equal(code_state(&w), NX_CODE_CLAIMED);
    assert_int_equal(world_pair(&w), 0);
    world_pass(&w, NX_CODE_LIFETIME_MS - 1);
    assert_int_equal(code_state(&w), NX_CODE_PENDING);
    world_pass(&w, 1);
    assert_int_equal(code_state(&w), NX_CODE_EXPIRED);
    assert_int_equal(world_claim(&w, "c", NULL), NX_REFUSE_CODE_USED);
    world_pass(&w, 3000000);
    assert_int_equal(code_state(&w), NX_CODE_EXPIRED);
    world_pass(&w, 60000);
    assert_int_equal(code_state(&w), -NX_REFUSE_CODE_NOT_FOUND);
    world_end(&w);
}

static bool code_is_well_made(const struct world *w)
{
    char text[NX_CODE_LEN_MAX + 1] = {0};
    char *first, *second;

    memcpy(text, w->code, w->code_len);
    first = strchr(text, '-');
    second = first ? strchr(first + 1, '-') : NULL;
    return second && first - text >= 4 && second - first > 4 && strlen(second + 1) == 5 &&
           strspn(second + 1, "23456789ABCDEFGHJKMNPQRSTUVWXYZ") == 5 &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ23456789-") == w->code_len;
}

/* A code leads to its session's shard, on any number of shards. */
static void a_code_knows_its_shard(void **state)
{
    (void)state;
    for (unsigned shards = 1; shards <= NX_SESSION_SHARDS_MAX; shards *= 2) {
        struct nx_sessions_limits limits = world_limits();
        struct world w;

        limits.shards = shards;
        limits.shard = shards * 2 / 3;
        world_begin(&w, &limits, shards);
        for (int i = 0; i < 20; i++) {
            struct nx_bytes id = {w.session, NX_SESSION_ID_LEN};

            assert_int_equal(world_create(&w, "a", NULL), 0);
            assert_int_equal(world_pair(&w), 0);
            assert_true(code_is_well_made(&w));
            assert_int_equal(nx_session_shard(id, shards), limits.shard);
            assert_int_equal(nx_code_shard(nx_bytes_of(w.code, w.code_len), shards), limits.shard);
        }
        toy_commit(&w.store, SIZE_MAX);
        for (size_t i = 0; i < w.store.count; i++)
            assert_int_equal(nx_sessions_key_shard(nx_bytes_of(w.store.records[i].key,
                                                           w.store.records[i].key_len),
                                     shards),
                    limits.shard);
        world_end(&w);
    }
}

static void codes_as_people_write_them(void **state)
{
    char code[NX_CODE_LEN_MAX];
    size_t len = 0;

    (void)state;
    assert_true(nx_code_canonical(NX_BYTES("amber-Zinc-x7y2o"), code, &len));
    assert_int_equal(len, 16);
    assert_memory_equal(code, "AMBER-ZINC-X7Y2O", 16);
    assert_true(nx_code_canonical(NX_BYTES("123456789012345678901234"), code, &len));
    assert_false(nx_code_canonical(NX_BYTES("1234567890123456789012345"), code, &len));
    assert_false(nx_code_canonical(NX_BYTES(""), code, &len));
    assert_false(nx_code_canonical(NX_BYTES("AMBER ZINC"), code, &len));
    assert_false(nx_code_canonical(NX_BYTES("AMBER-Z\xc3\x8fNC"), code, &len));
    assert_false(nx_code_canonical(nx_bytes_of("A\0B", 3), code, &len));
    assert_int_equal(len, 24);
}

static void names(void **state)
{
    char longest[NX_AGENT_ID_MAX + 1];

    (void)state;
    memset(longest, 'a', sizeof(longest));
    assert_true(nx_agent_id_valid(nx_bytes_of(longest, NX_AGENT_ID_MAX)));
    assert_false(nx_agent_id_valid(nx_bytes_of(longest, NX_AGENT_ID_MAX + 1)));
    assert_true(nx_agent_id_valid(NX_BYTES("Az_-09")));
    assert_false(nx_agent_id_valid(NX_BYTES("")));
    for (int c = 0; c < 256; c++) {
        char one = (char)c;
        bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    c == '-' || c == '_';

        assert_int_equal(nx_agent_id_valid(nx_bytes_of(&one, 1)), good);
    }
}

static void every_maximum_is_a_refusal(void **state)
{
    static char big[4000];
    START(w);

    world_end(&w);
    limits.sessions_max = 3;
    limits.codes_max = 2;
    limits.session_bytes_max = 5000;
    limits.message_bytes_max = 9000;
    world_begin(&w, &limits, 3);
    memset(big, 'x', sizeof(big));
    big[0] = big[3998] = '"';
    big[3999] = '\0';
    assert_int_equal(world_create(&w, "a", big), 0);
    assert_int_equal(world_send(&w, "a", NULL, big), NX_REFUSE_MESSAGES_FULL);
    assert_int_equal(world_send(&w, "a", NULL, "\"small\""), 0);
    assert_int_equal(world_pair(&w), 0);
    assert_int_equal(world_pair(&w), 0);
    assert_int_equal(world_pair(&w), NX_REFUSE_TOO_MANY_CODES);
    assert_int_equal(world_create(&w, "a", NULL), 0);
    assert_int_equal(world_send(&w, "a", NULL, big), 0);
    assert_int_equal(world_create(&w, "a", NULL), 0);
    assert_int_equal(world_send(&w, "a", NULL, big), NX_REFUSE_NO_ROOM);
    assert_int_equal(world_send(&w, "a", NULL, "\"small\""), 0);
    assert_int_equal(world_create(&w, "a", NULL), NX_REFUSE_NO_ROOM);
    assert_true(nx_sessions_totals(w.machine).message_bytes <= 9000);
    /* What is over makes room. */
    world_pass(&w, 3660000);
    world_tick(&w);
    assert_int_equal(world_create(&w, "a", big), 0);
    assert_int_equal(world_create(&w, "a", big), 0);
    assert_int_equal(world_create(&w, "a", big), NX_REFUSE_NO_ROOM);
    assert_int_equal(nx_sessions_totals(w.machine).sessions, 2);
    assert_int_equal(nx_sessions_totals(w.machine).agents, 2);
    assert_int_equal(nx_sessions_totals(w.machine).messages, 2);
    world_end(&w);
}

/* What a step gives back is written only when it succeeded. */
static void a_refused_send_writes_nothing(void **state)
{
    static const struct nx_sent untouched = {.id = "as it was"};
    struct nx_send send = {.agent = NX_BYTES("a"), .text = NX_BYTES("\"x\"")};
    struct nx_sent sent = untouched;
    START(w);

    world_end(&w);
    limits.session_bytes_max = 10;
    world_begin(&w, &limits, 3);
    assert_int_equal(world_create(&w, "a", NULL), 0);
    assert_int_equal(nx_sessions_send(w.machine, w.now, nx_bytes_of(w.session, NX_SESSION_ID_LEN),
                             &send, &sent),
            NX_REFUSE_MESSAGES_FULL);
    assert_memory_equal(sent.id, untouched.id, sizeof(sent.id));
    world_end(&w);
}

/* A session too full for the reminder does without: the join is more important. */
static void no_room_for_the_reminder(void **state)
{
    START(w);

    world_end(&w);
    limits.session_bytes_max = 300;
    world_begin(&w, &limits, 3);
    assert_int_equal(world_create(&w, "a", NULL), 0);
    assert_int_equal(world_join(&w, "b", NULL, false), 0);
    assert_int_equal(nx_sessions_totals(w.machine).messages, 0);
    assert_int_equal(members(&w), 2);
    world_end(&w);
}

static void limits_that_make_no_sense(void **state)
{
    static const unsigned shards[][2] = {{0, 0}, {3, 0}, {512, 0}, {4, 4}};
    struct nx_sessions_limits limits = world_limits();
    struct nx_sessions *machine = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(shards) / sizeof(shards[0]); i++) {
        limits.shards = shards[i][0];
        limits.shard = shards[i][1];
        assert_int_equal(nx_sessions_new(nx_mem_libc(), NULL, &limits, &machine), NX_E_INVALID);
    }
    assert_null(machine);
    nx_sessions_free(NULL);
}

static void fifty_members(void **state)
{
    struct nx_session_view view;
    char name[32];
    START(w);

    assert_int_equal(world_create(&w, "a0", NULL), 0);
    for (int i = 1; i < 50; i++) {
        (void)snprintf(name, sizeof(name), "a%d", i);
        assert_int_equal(world_join(&w, name, NULL, false), 0);
    }
    assert_int_equal(world_join(&w, "late", NULL, false), NX_REFUSE_SESSION_FULL);
    assert_int_equal(world_leave(&w, "a7", world_key(&w, "a7")), 0);
    assert_int_equal(world_status(&w, &view), 0);
    assert_int_equal(view.agent_count, 49);
    for (size_t i = 0; i < 49; i++) {
        (void)snprintf(name, sizeof(name), "a%zu", i < 7 ? i : i + 1);
        assert_true(nx_bytes_equal(
                nx_bytes_of(view.agents[i].id, view.agents[i].id_len), nx_bytes_str(name)));
    }
    assert_int_equal(world_join(&w, "late", NULL, false), 0);
    assert_int_equal(nx_sessions_totals(w.machine).agents, 50);
    world_end(&w);
}

/* Out of memory while a member is to be removed for idleness must not make the owner spin. */
static void *none(void *ctx, void *ptr, size_t bytes)
{
    if (bytes > 0 && *(const bool *)ctx)
        return NULL;
    return nx_mem_libc()->resize(NULL, ptr, bytes);
}

static void idle_without_memory(void **state)
{
    bool failing = false;
    struct nx_mem mem = {none, &failing};
    struct nx_sessions_limits limits = world_limits();
    struct world w;
    int64_t next;

    (void)state;
    limits.inactivity_s = 10;
    world_begin(&w, &limits, 3);
    nx_sessions_free(w.machine);
    w.mem = &mem;
    assert_int_equal(nx_sessions_new(w.mem, &w.random, &limits, &w.machine), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(world_create(&w, "a", NULL), 0);
    for (int i = 0; i < 40; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "b%d", i);
        assert_int_equal(world_join(&w, name, NULL, false), 0);
    }
    toy_commit(&w.store, SIZE_MAX);
    world_restart(&w); /* its record buffer is empty again */
    world_pass(&w, 400000);
    failing = true;
    next = world_tick(&w);
    assert_true(next > w.now.mono_ms && next <= w.now.mono_ms + 60000);
    assert_int_equal(nx_sessions_totals(w.machine).agents, 43);
    failing = false;
    world_pass(&w, next - w.now.mono_ms);
    world_tick(&w);
    assert_int_equal(nx_sessions_totals(w.machine).agents, 3);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(two_agents_talk),
            cmocka_unit_test(a_message_says_what_it_is),
            cmocka_unit_test(json_alone_and_both),
            cmocka_unit_test(cursors),
            cmocka_unit_test(cursors_over_a_gap),
            cmocka_unit_test(a_page_is_cut),
            cmocka_unit_test(one_reminder_a_session),
            cmocka_unit_test(the_last_seat),
            cmocka_unit_test(joining_again),
            cmocka_unit_test(keys_prove),
            cmocka_unit_test(leaving),
            cmocka_unit_test(expiry_slides),
            cmocka_unit_test(renewing),
            cmocka_unit_test(thousands_expire_in_order),
            cmocka_unit_test(a_tick_is_bounded),
            cmocka_unit_test(the_idle_go_but_the_creator),
            cmocka_unit_test(many_fall_idle),
            cmocka_unit_test(the_life_of_a_code),
            cmocka_unit_test(a_code_knows_its_shard),
            cmocka_unit_test(codes_as_people_write_them),
            cmocka_unit_test(names),
            cmocka_unit_test(every_maximum_is_a_refusal),
            cmocka_unit_test(a_refused_send_writes_nothing),
            cmocka_unit_test(no_room_for_the_reminder),
            cmocka_unit_test(limits_that_make_no_sense),
            cmocka_unit_test(fifty_members),
            cmocka_unit_test(idle_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
