/* What a failed commit must not take back: the expiry and the presence of members that slid, and
 * were told, while the disk took no changes. */
#include "support/session_world.h"

static void lose_and_roll_back(struct world *world)
{
    toy_lose(&world->store);
    nx_sessions_rollback(
            world->machine, world->now, world->store.durable, toy_read_session, &world->store);
    world_took(world, 0);
}

static void begin(struct world *world, int64_t inactivity_s)
{
    struct nx_sessions_limits limits = world_limits();

    limits.durable = true;
    limits.inactivity_s = inactivity_s;
    world_begin(world, &limits, 1);
    assert_int_equal(world_create(world, "boss", ""), 0);
    assert_int_equal(world_join(world, "a", NULL, false), 0);
    toy_commit(&world->store, world->store.queued);
}

/* An hour and more of polls whose touches all failed; then a join fails as well. */
static void a_session_in_use_outlives_a_full_disk(void **state)
{
    struct nx_session_view view;
    struct world world;

    (void)state;
    begin(&world, 0);
    for (int i = 0; i < 100; i++) {
        world_pass(&world, 60000);
        assert_int_equal(world_poll(&world, "a", -1), 0);
        lose_and_roll_back(&world);
    }
    assert_int_equal(world_join(&world, "b", NULL, false), 0);
    lose_and_roll_back(&world);
    assert_int_equal(world_status(&world, &view), 0);
    assert_int_equal(view.agent_count, 2);
    world_end(&world);
}

static void a_present_member_is_not_called_idle(void **state)
{
    struct nx_session_view view;
    struct world world;

    (void)state;
    begin(&world, 300);
    for (int i = 0; i < 20; i++) {
        world_pass(&world, 60000);
        assert_int_equal(world_poll(&world, "a", -1), 0);
        lose_and_roll_back(&world);
        world_tick(&world);
    }
    assert_int_equal(world_join(&world, "b", NULL, false), 0);
    lose_and_roll_back(&world);
    world_tick(&world);
    assert_int_equal(world_status(&world, &view), 0);
    assert_int_equal(view.agent_count, 2);
    world_end(&world);
}

/* A longer life that was never acknowledged is not kept. */
static void a_lost_renewal_is_lost(void **state)
{
    struct nx_session_view before, after;
    struct world world;

    (void)state;
    begin(&world, 0);
    assert_int_equal(world_status(&world, &before), 0);
    assert_int_equal(world_renew(&world, "a", 80000), 0);
    lose_and_roll_back(&world);
    assert_int_equal(world_status(&world, &after), 0);
    assert_int_equal(after.ttl_s, before.ttl_s);
    assert_true(after.expires_wall_ms <= world.now.wall_ms + before.ttl_s * 1000);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_session_in_use_outlives_a_full_disk),
            cmocka_unit_test(a_present_member_is_not_called_idle),
            cmocka_unit_test(a_lost_renewal_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
