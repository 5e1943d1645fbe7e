/* See session_world.h. */
#include "support/session_world.h"

#include <stdio.h>

struct nx_sessions_limits world_limits(void)
{
    return (struct nx_sessions_limits){
            .ttl_default_s = 3660,
            .ttl_max_s = 86400,
            .agents_default_v1 = 2,
            .agents_default_v2 = 50,
            .agents_max = 50,
            .durable = true,
            .sessions_max = 1000,
            .codes_max = 4,
            .message_bytes_max = (size_t)1 << 20,
            .session_bytes_max = (size_t)1 << 18,
            .shard = 0,
            .shards = 1,
    };
}

static void machine_new(struct world *world)
{
    assert_int_equal(
            nx_sessions_new(world->mem, &world->random, &world->limits, &world->machine), 0);
}

void world_begin(struct world *world, const struct nx_sessions_limits *limits, uint64_t seed)
{
    *world = (struct world){.limits = *limits, .mem = nx_mem_libc(), .now = {5000, WORLD_WALL}};
    world->random = nx_random_from_seed(&world->seeded, seed);
    nx_buf_init(&world->text, nx_mem_libc(), (size_t)1 << 24);
    machine_new(world);
}

void world_end(struct world *world)
{
    nx_sessions_free(world->machine);
    toy_store_done(&world->store);
    nx_buf_done(&world->text);
}

void world_pass(struct world *world, int64_t ms)
{
    world->now.mono_ms += ms;
    world->now.wall_ms += ms;
}

int world_took(struct world *world, int r)
{
    size_t count;
    const struct nx_change *changes = nx_sessions_changes(world->machine, &count);

    world->number = 0;
    if (!world->limits.durable)
        assert_int_equal(count, 0);
    if (count > 0) {
        world->number = toy_submit(&world->store, changes, count);
        nx_sessions_stamp(world->machine, world->number);
    }
    world->waits_for = nx_sessions_waits_for(world->machine);
    assert_true(world->waits_for <= world->store.submitted);
    return r;
}

int64_t world_tick(struct world *world)
{
    int64_t next;
    unsigned rounds = 0;

    do {
        size_t count;

        next = nx_sessions_tick(world->machine, world->now);
        world_took(world, 0);
        nx_sessions_changes(world->machine, &count);
        assert_true(count <= 130);
        assert_true(++rounds < 100000);
    } while (next <= world->now.mono_ms);
    return next;
}

void world_restart(struct world *world)
{
    toy_lose(&world->store);
    nx_sessions_free(world->machine);
    machine_new(world);
    for (size_t i = 0; i < world->store.count; i++) {
        const struct toy_record *record = &world->store.records[i];

        assert_int_equal(nx_sessions_load(world->machine, world->now, record->table,
                                 nx_bytes_of(record->key, record->key_len),
                                 nx_bytes_of(record->value, record->value_len)),
                0);
        world_took(world, 0);
    }
}

static struct nx_bytes id_of(const struct world *world)
{
    return nx_bytes_of(world->session, NX_SESSION_ID_LEN);
}

int world_create_with(struct world *world, const struct nx_session_create *create)
{
    struct nx_session_view view;
    int r = world_took(world, nx_sessions_create(world->machine, world->now, create, &view));

    if (r == 0)
        memcpy(world->session, view.id.ptr, NX_SESSION_ID_LEN);
    return r;
}

int world_create(struct world *world, const char *creator, const char *greeting)
{
    struct nx_session_create create = {
            .creator = nx_bytes_str(creator), .greeting = nx_bytes_str(greeting)};

    return world_create_with(world, &create);
}

int world_join(struct world *world, const char *who, const char *key, bool v1)
{
    struct nx_joined joined;

    return world_took(world, nx_sessions_join(world->machine, world->now, id_of(world),
                                     nx_bytes_str(who), nx_bytes_str(key), v1, &joined));
}

int world_send(struct world *world, const char *who, const char *key, const char *text)
{
    struct nx_send send = {
            .agent = nx_bytes_str(who), .key = nx_bytes_str(key), .text = nx_bytes_str(text)};
    struct nx_sent sent;

    return world_took(
            world, nx_sessions_send(world->machine, world->now, id_of(world), &send, &sent));
}

int world_poll(struct world *world, const char *who, int64_t after)
{
    struct nx_poll poll = {.agent = nx_bytes_str(who),
            .all = after < 0,
            .after = after < 0 ? 0 : (uint64_t)after,
            .bytes_max = SIZE_MAX};
    struct nx_polled polled;

    nx_buf_clear(&world->text);
    return world_took(world, nx_sessions_poll(world->machine, world->now, id_of(world), &poll,
                                     &world->text, &polled));
}

int world_renew(struct world *world, const char *who, int64_t ttl_s)
{
    struct nx_session_view view;

    return world_took(world, nx_sessions_renew(world->machine, world->now, id_of(world),
                                     nx_bytes_str(who), ttl_s, &view));
}

int world_leave(struct world *world, const char *who, const char *key)
{
    return world_took(world, nx_sessions_leave(world->machine, world->now, id_of(world),
                                     nx_bytes_str(who), nx_bytes_str(key)));
}

int world_pair(struct world *world)
{
    struct nx_code_view code;
    int r = world_took(world, nx_sessions_pair(world->machine, world->now, id_of(world), &code));

    if (r == 0) {
        memcpy(world->code, code.code.ptr, code.code.len);
        world->code_len = code.code.len;
    }
    return r;
}

int world_claim(struct world *world, const char *who, const char *key)
{
    struct nx_joined joined;

    return world_took(world,
            nx_sessions_claim(world->machine, world->now, nx_bytes_of(world->code, world->code_len),
                    nx_bytes_str(who), nx_bytes_str(key), &joined));
}

int world_status(struct world *world, struct nx_session_view *ret_view)
{
    return world_took(
            world, nx_sessions_status(world->machine, world->now, id_of(world), ret_view));
}

const char *world_key(struct world *world, const char *who)
{
    static char keys[4][NX_SESSION_KEY_LEN + 1];
    static unsigned turn;
    struct nx_session_view view;

    assert_int_equal(world_status(world, &view), 0);
    for (size_t i = 0; i < view.agent_count; i++) {
        const struct nx_agent *agent = &view.agents[i];

        if (!nx_bytes_equal(nx_bytes_of(agent->id, agent->id_len), nx_bytes_str(who)))
            continue;
        turn = (turn + 1) % 4;
        memcpy(keys[turn], agent->key, NX_SESSION_KEY_LEN);
        return keys[turn];
    }
    return NULL;
}

const char *world_cursors(struct world *world)
{
    static char cursors[4096];
    const char *at = nx_buf_str(&world->text);
    size_t len = 0;

    cursors[0] = '\0';
    while ((at = strstr(at, "\"cursor\":\""))) {
        at += 10;
        len += (size_t)snprintf(cursors + len, sizeof(cursors) - len, "%s%.*s", len ? "," : "",
                (int)strcspn(at, "\""), at);
        assert_true(len < sizeof(cursors));
    }
    return cursors;
}

void world_picture(
        struct world *world, struct nx_buf *to, char (*ids)[NX_SESSION_ID_LEN], size_t id_count)
{
    struct nx_sessions_totals totals = nx_sessions_totals(world->machine);

    nx_buf_clear(to);
    nx_buf_printf(to, "sessions %llu agents %llu messages %llu bytes %llu\n",
            (unsigned long long)totals.sessions, (unsigned long long)totals.agents,
            (unsigned long long)totals.messages, (unsigned long long)totals.message_bytes);
    for (size_t i = 0; i < id_count; i++) {
        struct nx_session_view view;
        int r = nx_sessions_status(
                world->machine, world->now, nx_bytes_of(ids[i], NX_SESSION_ID_LEN), &view);

        nx_buf_printf(to, "%.6s: %d", ids[i], r);
        if (r != 0)
            continue;
        nx_buf_printf(to, " ttl %lld max %u created %lld expires %lld creator %.*s greeting %.*s",
                (long long)view.ttl_s, view.agents_max, (long long)view.created_wall_ms,
                (long long)view.expires_wall_ms, (int)view.creator.len,
                view.creator.len ? view.creator.ptr : "", (int)view.greeting.len,
                view.greeting.len ? view.greeting.ptr : "");
        for (size_t k = 0; k < view.agent_count; k++)
            nx_buf_printf(to, " [%.*s %.64s %lld %lld]", (int)view.agents[k].id_len,
                    view.agents[k].id, view.agents[k].key, (long long)view.agents[k].joined_wall_ms,
                    (long long)view.agents[k].seen.mono_ms);
        nx_buf_printf(to, "\n");
    }
    if (world->code_len > 0) {
        struct nx_code_view code;
        int r = nx_sessions_code(
                world->machine, world->now, nx_bytes_of(world->code, world->code_len), &code);

        nx_buf_printf(to, "code %d %d\n", r, r == 0 ? (int)code.state : -1);
    }
    assert_int_equal(nx_buf_error(to), 0);
}
