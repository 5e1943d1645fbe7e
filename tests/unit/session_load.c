/* What the session machine reads back: records as they are, cut anywhere, and with any byte changed;
 * and what a restart or a lost commit does to one session, step by step. The many cases are in
 * session_durable.c. */
#include "support/session_world.h"

static struct nx_sessions_limits lasting(void)
{
    struct nx_sessions_limits limits = world_limits();

    limits.durable_messages = true;
    return limits;
}

/* Loads one record into a machine of its own and uses what comes of it. */
static int load_alone(
        struct world *w, unsigned table, struct nx_bytes key, const char *value, size_t len)
{
    struct nx_sessions *machine;
    char *copy = malloc(len > 0 ? len : 1);
    int r;

    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, value, len);
    assert_int_equal(nx_sessions_new(w->mem, &w->random, &w->limits, &machine), 0);
    r = nx_sessions_load(machine, w->now, table, key, nx_bytes_of(copy, len));
    free(copy);
    if (r == 0) {
        struct nx_session_view view;
        struct nx_time later = {w->now.mono_ms + 3000, w->now.wall_ms + 3000};

        (void)!nx_sessions_status(
                machine, w->now, nx_bytes_of(w->session, NX_SESSION_ID_LEN), &view);
        (void)nx_sessions_tick(machine, later);
    }
    nx_sessions_free(machine);
    return r;
}

static void rich_session(struct world *w)
{
    assert_int_equal(world_create(w, "alice", "\"welcome\""), 0);
    assert_int_equal(world_join(w, "bob", NULL, false), 0);
    assert_int_equal(world_pair(w), 0);
    assert_int_equal(world_claim(w, "carol", NULL), 0);
    assert_int_equal(world_pair(w), 0);
    assert_int_equal(world_send(w, "bob", NULL, "\"x\""), 0);
    toy_commit(&w->store, SIZE_MAX);
}

static void damaged_records(void **state)
{
    struct nx_sessions_limits limits = lasting();
    struct world w;
    size_t accepted = 0;
    size_t refused = 0;

    (void)state;
    limits.inactivity_s = 60;
    world_begin(&w, &limits, 5);
    rich_session(&w);
    world_pass(&w, 700000); /* the codes are past their time, the members idle */
    for (size_t i = 0; i < w.store.count; i++) {
        const struct toy_record *record = &w.store.records[i];
        struct nx_bytes key = nx_bytes_of(record->key, record->key_len);
        char *changed = malloc(record->value_len + 1);

        if (record->table != NX_TABLE_SESSIONS) {
            free(changed);
            continue;
        }
        for (size_t len = 0; len < record->value_len; len++)
            assert_int_equal(load_alone(&w, record->table, key, record->value, len), NX_E_DAMAGED);
        memcpy(changed, record->value, record->value_len);
        changed[record->value_len] = 0;
        assert_int_equal(
                load_alone(&w, record->table, key, changed, record->value_len + 1), NX_E_DAMAGED);
        assert_int_equal(load_alone(&w, record->table, key, changed, record->value_len), 0);
        for (size_t at = 0; at < record->value_len; at++) {
            for (unsigned flip = 1; flip < 256; flip++) {
                int r;

                changed[at] = (char)(record->value[at] ^ (int)flip);
                r = load_alone(&w, record->table, key, changed, record->value_len);
                assert_true(r == 0 || r == NX_E_DAMAGED);
                *(r == 0 ? &accepted : &refused) += 1;
            }
            changed[at] = record->value[at];
        }
        free(changed);
    }
    assert_true(accepted > 0 && refused > 0);
    world_end(&w);
}

static void keys_that_are_none(void **state)
{
    static const char zeros[40] = {0};
    struct nx_sessions_limits limits = lasting();
    struct world w;

    (void)state;
    world_begin(&w, &limits, 5);
    for (size_t len = 0; len < sizeof(zeros); len++) {
        if (len != 8)
            assert_int_equal(load_alone(&w, NX_TABLE_SESSIONS, nx_bytes_of(zeros, len), zeros, 1),
                    NX_E_DAMAGED);
        if (len != 16)
            assert_int_equal(load_alone(&w, NX_TABLE_MESSAGES, nx_bytes_of(zeros, len), zeros, 1),
                    NX_E_DAMAGED);
        (void)nx_sessions_key_shard(nx_bytes_of(zeros, len), 16);
    }
    /* A message without its session: that one is over. */
    assert_int_equal(load_alone(&w, NX_TABLE_MESSAGES, nx_bytes_of(zeros, 16), zeros, 1), 0);
    world_end(&w);
}

static void messages_out_of_order(void **state)
{
    struct nx_sessions_limits limits = lasting();
    struct world w;
    char key[16] = {0};

    (void)state;
    world_begin(&w, &limits, 5);
    assert_int_equal(world_create(&w, "a", NULL), 0);
    toy_commit(&w.store, SIZE_MAX);
    memcpy(key, w.store.records[0].key, 8);
    world_restart(&w);
    key[15] = 7;
    assert_int_equal(nx_sessions_load(w.machine, w.now, NX_TABLE_MESSAGES,
                             nx_bytes_of(key, sizeof(key)), NX_BYTES("{}")),
            0);
    assert_int_equal(nx_sessions_load(w.machine, w.now, NX_TABLE_MESSAGES,
                             nx_bytes_of(key, sizeof(key)), NX_BYTES("{}")),
            NX_E_DAMAGED);
    key[15] = 6;
    assert_int_equal(nx_sessions_load(w.machine, w.now, NX_TABLE_MESSAGES,
                             nx_bytes_of(key, sizeof(key)), NX_BYTES("{}")),
            NX_E_DAMAGED);
    world_end(&w);
}

static void more_than_the_limits(void **state)
{
    struct nx_sessions_limits limits = lasting();
    struct world w;

    (void)state;
    world_begin(&w, &limits, 5);
    rich_session(&w);
    w.limits.sessions_max = 0;
    assert_int_equal(load_alone(&w, NX_TABLE_SESSIONS,
                             nx_bytes_of(w.store.records[0].key, w.store.records[0].key_len),
                             w.store.records[0].value, w.store.records[0].value_len),
            NX_E_LIMIT);
    w.limits = limits;
    w.limits.session_bytes_max = 10;
    assert_int_equal(load_alone(&w, NX_TABLE_SESSIONS,
                             nx_bytes_of(w.store.records[0].key, w.store.records[0].key_len),
                             w.store.records[0].value, w.store.records[0].value_len),
            NX_E_LIMIT);
    w.limits = limits;
    world_end(&w);
}

static void a_restart_keeps_everything(void **state)
{
    struct nx_sessions_limits limits = lasting();
    struct nx_session_view view;
    const char *key;
    struct world w;

    (void)state;
    world_begin(&w, &limits, 5);
    rich_session(&w);
    key = world_key(&w, "bob");
    world_pass(&w, 1000);
    world_restart(&w);
    assert_string_equal(world_key(&w, "bob"), key);
    assert_int_equal(world_send(&w, "bob", key, "\"after\""), 0);
    assert_int_equal(world_claim(&w, "dave", NULL), 0);
    assert_int_equal(world_join(&w, "bob", key, false), 0);
    assert_int_equal(world_poll(&w, "alice", -1), 0);
    assert_string_equal(world_cursors(&w), "0,1,2,1025");
    assert_non_null(strstr(nx_buf_str(&w.text), "\"text\":\"welcome\""));
    assert_int_equal(world_status(&w, &view), 0);
    assert_int_equal(view.agent_count, 4);
    /* No second reminder, and no serial is used twice. */
    assert_int_equal(world_create(&w, "a", NULL), 0);
    toy_commit(&w.store, SIZE_MAX);
    assert_int_equal(w.store.records[0].table, NX_TABLE_SESSIONS);
    assert_int_equal(w.store.records[1].table, NX_TABLE_SESSIONS);
    world_end(&w);
}

static void what_is_over_is_removed_at_load(void **state)
{
    struct nx_sessions_limits limits = lasting();
    struct world w;

    (void)state;
    world_begin(&w, &limits, 5);
    rich_session(&w);
    assert_true(w.store.count > 1);
    world_pass(&w, 3660000 + 60000);
    world_restart(&w);
    assert_int_equal(nx_sessions_totals(w.machine).sessions, 0);
    toy_commit(&w.store, SIZE_MAX);
    assert_int_equal(w.store.count, 0);
    world_end(&w);
}

/* A clock that was set back or forward while the service was down. */
static void a_clock_that_jumps(void **state)
{
    struct nx_sessions_limits limits = lasting();
    struct nx_session_view view;
    struct world w;

    (void)state;
    world_begin(&w, &limits, 5);
    rich_session(&w);
    w.now.wall_ms -= INT64_C(10) * 365 * 86400 * 1000;
    world_restart(&w);
    assert_int_equal(world_status(&w, &view), 0);
    assert_true(view.expires_wall_ms <= w.now.wall_ms + 3660000);
    world_pass(&w, 3660000);
    assert_true(world_tick(&w) == NX_TIME_NEVER);
    world_end(&w);
}

static void a_lost_commit_undoes(void **state)
{
    struct nx_sessions_limits limits = world_limits();
    struct nx_session_view view;
    struct world w;
    char first[NX_SESSION_ID_LEN];

    (void)state;
    world_begin(&w, &limits, 5);
    assert_int_equal(world_create(&w, "a", NULL), 0);
    memcpy(first, w.session, sizeof(first));
    assert_int_equal(world_send(&w, "a", NULL, "\"told\""), 0);
    toy_commit(&w.store, SIZE_MAX);
    assert_int_equal(world_send(&w, "a", NULL, "\"told too\""), 0);
    assert_true(w.waits_for <= w.store.durable); /* in memory: leaves at once */
    assert_int_equal(world_join(&w, "b", NULL, false), 0);
    assert_true(w.waits_for > w.store.durable);
    assert_int_equal(world_send(&w, "b", NULL, "\"never told\""), 0);
    assert_true(w.waits_for > w.store.durable); /* it has seen the join */
    assert_int_equal(world_create(&w, "c", NULL), 0);
    toy_lose(&w.store);
    nx_sessions_rollback(w.machine, w.now, w.store.durable, toy_read_session, &w.store);
    assert_int_equal(world_status(&w, &view), NX_REFUSE_SESSION_NOT_FOUND);
    memcpy(w.session, first, sizeof(first));
    assert_int_equal(world_status(&w, &view), 0);
    assert_true(w.waits_for <= w.store.durable);
    assert_int_equal(view.agent_count, 1);
    assert_int_equal(nx_sessions_totals(w.machine).sessions, 1);
    assert_int_equal(world_poll(&w, "a", -1), 0);
    assert_string_equal(world_cursors(&w), "1,2");
    /* Life goes on: the reminder comes once more, behind all cursors that were given out. */
    assert_int_equal(world_join(&w, "b", NULL, false), 0);
    assert_int_equal(world_poll(&w, "a", -1), 0);
    assert_string_equal(world_cursors(&w), "1,2,5");
    world_end(&w);
}

/* The sliding expiry is written only now and then, and a lost one is written again. */
static void a_lost_touch_is_stated_again(void **state)
{
    struct nx_sessions_limits limits = world_limits();
    struct world w;

    (void)state;
    world_begin(&w, &limits, 5);
    assert_int_equal(world_create(&w, "a", NULL), 0);
    toy_commit(&w.store, SIZE_MAX);
    world_pass(&w, 59999);
    assert_int_equal(world_poll(&w, "a", -1), 0);
    assert_true(w.number == 0);
    world_pass(&w, 1);
    assert_int_equal(world_poll(&w, "a", -1), 0);
    assert_true(w.number > 0 && w.waits_for < w.number);
    assert_int_equal(world_poll(&w, "a", -1), 0);
    assert_true(w.number == 0);
    toy_lose(&w.store);
    nx_sessions_rollback(w.machine, w.now, w.store.durable, toy_read_session, &w.store);
    assert_int_equal(world_poll(&w, "a", -1), 0);
    assert_true(w.number > 0);
    world_end(&w);
}

static void without_a_store_nothing_is_said(void **state)
{
    struct nx_sessions_limits limits = world_limits();
    struct world w;

    (void)state;
    limits.durable = false;
    limits.inactivity_s = 5;
    world_begin(&w, &limits, 5);
    assert_int_equal(world_create(&w, "a", "\"hi\""), 0);
    assert_int_equal(world_join(&w, "b", NULL, false), 0);
    assert_int_equal(world_send(&w, "b", NULL, "\"x\""), 0);
    assert_int_equal(world_pair(&w), 0);
    assert_int_equal(world_claim(&w, "c", NULL), 0);
    assert_int_equal(world_renew(&w, "a", 30), 0);
    assert_int_equal(world_leave(&w, "c", world_key(&w, "c")), 0);
    world_pass(&w, 6000);
    world_tick(&w);
    world_pass(&w, 60000);
    world_tick(&w);
    assert_true(w.store.submitted == 0 && w.waits_for == 0);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(damaged_records),
            cmocka_unit_test(keys_that_are_none),
            cmocka_unit_test(messages_out_of_order),
            cmocka_unit_test(more_than_the_limits),
            cmocka_unit_test(a_restart_keeps_everything),
            cmocka_unit_test(what_is_over_is_removed_at_load),
            cmocka_unit_test(a_clock_that_jumps),
            cmocka_unit_test(a_lost_commit_undoes),
            cmocka_unit_test(a_lost_touch_is_stated_again),
            cmocka_unit_test(without_a_store_nothing_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
