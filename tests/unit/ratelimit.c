/* The rate limiter: windows, kinds, eviction, memory, and a made-up clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session/api/ratelimit.h"
#include "support/mem_fail.h"

static const struct nx_hash_key key = {1, 2};

static struct nx_ratelimit *limiter(
        const struct nx_mem *mem, unsigned requests, unsigned claims, size_t entries_max)
{
    unsigned limits[NX_RATELIMIT_KINDS] = {requests, claims};
    struct nx_ratelimit *r = NULL;

    assert_int_equal(nx_ratelimit_new(mem, &key, limits, entries_max, &r), 0);
    return r;
}

static int64_t take(struct nx_ratelimit *r, int64_t now, uint32_t who, enum nx_ratelimit_kind kind)
{
    struct nx_ratelimit_address address = {{0}};

    memcpy(address.bytes, &who, sizeof(who));
    return nx_ratelimit_take(r, now, &address, kind);
}

static void a_window(void **state)
{
    struct nx_ratelimit *r = limiter(nx_mem_libc(), 3, 0, 10);

    (void)state;
    assert_int_equal(take(r, 1000, 1, NX_RATELIMIT_REQUEST), 0);
    assert_int_equal(take(r, 1000, 1, NX_RATELIMIT_REQUEST), 0);
    assert_int_equal(take(r, 30000, 1, NX_RATELIMIT_REQUEST), 0);
    assert_int_equal(take(r, 30000, 1, NX_RATELIMIT_REQUEST), 31);
    assert_int_equal(take(r, 60001, 1, NX_RATELIMIT_REQUEST), 1);
    assert_int_equal(take(r, 60999, 1, NX_RATELIMIT_REQUEST), 1);
    assert_int_equal(take(r, 60999, 2, NX_RATELIMIT_REQUEST), 0);
    /* A new window begins with the first request behind the old one, not on a grid. */
    assert_int_equal(take(r, 61000, 1, NX_RATELIMIT_REQUEST), 0);
    assert_int_equal(take(r, 61000, 1, NX_RATELIMIT_REQUEST), 0);
    assert_int_equal(take(r, 61000, 1, NX_RATELIMIT_REQUEST), 0);
    assert_int_equal(take(r, 61000, 1, NX_RATELIMIT_REQUEST), 60);
    nx_ratelimit_free(r);
}

static void kinds_count_apart(void **state)
{
    struct nx_ratelimit *r = limiter(nx_mem_libc(), 2, 1, 10);

    (void)state;
    assert_int_equal(take(r, 0, 1, NX_RATELIMIT_CLAIM), 0);
    assert_int_equal(take(r, 0, 1, NX_RATELIMIT_CLAIM), 60);
    assert_int_equal(take(r, 0, 1, NX_RATELIMIT_REQUEST), 0);
    assert_int_equal(take(r, 0, 1, NX_RATELIMIT_REQUEST), 0);
    assert_int_equal(take(r, 0, 1, NX_RATELIMIT_REQUEST), 60);
    nx_ratelimit_free(r);
}

static void off(void **state)
{
    struct nx_ratelimit *r = limiter(nx_mem_libc(), 0, 1, 10);

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(take(r, 0, 1, NX_RATELIMIT_REQUEST), 0);
    assert_int_equal(take(r, 0, 1, NX_RATELIMIT_CLAIM), 0);
    assert_int_equal(take(r, 0, 1, NX_RATELIMIT_CLAIM), 60);
    nx_ratelimit_free(r);
    nx_ratelimit_free(NULL);
}

static void the_oldest_is_forgotten(void **state)
{
    struct nx_ratelimit *r = limiter(nx_mem_libc(), 1, 0, 3);

    (void)state;
    for (uint32_t who = 1; who <= 3; who++)
        assert_int_equal(take(r, who, who, NX_RATELIMIT_REQUEST), 0);
    for (uint32_t who = 1; who <= 3; who++)
        assert_int_equal(take(r, 10, who, NX_RATELIMIT_REQUEST), 60);
    assert_int_equal(take(r, 10, 4, NX_RATELIMIT_REQUEST), 0); /* 1 goes */
    assert_int_equal(take(r, 10, 2, NX_RATELIMIT_REQUEST), 60);
    assert_int_equal(take(r, 10, 3, NX_RATELIMIT_REQUEST), 60);
    assert_int_equal(take(r, 10, 1, NX_RATELIMIT_REQUEST), 0); /* 2 goes */
    assert_int_equal(take(r, 10, 3, NX_RATELIMIT_REQUEST), 60);
    assert_int_equal(take(r, 10, 4, NX_RATELIMIT_REQUEST), 60);
    /* 3's next window makes it the newest: 4 goes before it. */
    assert_int_equal(take(r, 60003, 3, NX_RATELIMIT_REQUEST), 0);
    assert_int_equal(take(r, 60004, 5, NX_RATELIMIT_REQUEST), 0);
    assert_int_equal(take(r, 60005, 3, NX_RATELIMIT_REQUEST), 60);
    assert_int_equal(take(r, 60005, 4, NX_RATELIMIT_REQUEST), 0);
    nx_ratelimit_free(r);
}

static size_t live_bytes;

static void *counted(void *ctx, void *ptr, size_t bytes)
{
    size_t *block = ptr ? (size_t *)ptr - 2 : NULL;

    (void)ctx;
    if (block)
        live_bytes -= block[0];
    if (bytes == 0) {
        free(block);
        return NULL;
    }
    block = realloc(block, bytes + 2 * sizeof(*block));
    assert_non_null(block);
    block[0] = bytes;
    live_bytes += bytes;
    return block + 2;
}

static void memory_is_bounded(void **state)
{
    struct nx_mem mem = {counted, NULL};
    struct nx_ratelimit *r = limiter(&mem, 100, 10, 500);
    size_t full;

    (void)state;
    for (uint32_t who = 0; who < 500; who++)
        assert_int_equal(take(r, who, who, NX_RATELIMIT_REQUEST), 0);
    full = live_bytes;
    for (uint32_t who = 0; who < 100000; who++)
        assert_int_equal(take(r, 500, who, NX_RATELIMIT_REQUEST), 0);
    assert_true(live_bytes <= full);
    /* The table follows the traffic down. */
    for (uint32_t i = 0; i < 400; i++)
        assert_int_equal(take(r, 70000 + i * NX_RATELIMIT_WINDOW_MS, i, NX_RATELIMIT_REQUEST), 0);
    assert_true(live_bytes < full / 2);
    nx_ratelimit_free(r);
    assert_int_equal(live_bytes, 0);
}

/* Against counting by hand: who asked how often since the window began. */
static void against_a_model(void **state)
{
    enum { CLIENTS = 40, LIMIT = 7 };
    struct nx_ratelimit *r = limiter(nx_mem_libc(), LIMIT, 0, CLIENTS);
    int64_t began[CLIENTS], now = 0;
    unsigned used[CLIENTS] = {0};
    uint64_t x = 88172645463325252u;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        unsigned who;
        int64_t wait;

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        who = (unsigned)(x % CLIENTS);
        now += (int64_t)(x >> 40) % 400;
        if (used[who] == 0 || now - began[who] >= NX_RATELIMIT_WINDOW_MS) {
            began[who] = now;
            used[who] = 0;
        }
        wait = take(r, now, who, NX_RATELIMIT_REQUEST);
        if (used[who] < LIMIT) {
            used[who]++;
            assert_int_equal(wait, 0);
        } else {
            int64_t left = began[who] + NX_RATELIMIT_WINDOW_MS - now;

            assert_true(wait * 1000 >= left && (wait - 1) * 1000 < left);
        }
    }
    nx_ratelimit_free(r);
}

static void short_of_memory(const struct nx_mem *mem, void *ctx)
{
    unsigned limits[NX_RATELIMIT_KINDS] = {1, 1};
    struct nx_ratelimit *r;

    (void)ctx;
    if (nx_ratelimit_new(mem, &key, limits, 4, &r) < 0)
        return;
    for (uint32_t who = 0; who < 9; who++)
        assert_int_equal(take(r, who, who, NX_RATELIMIT_REQUEST), 0);
    nx_ratelimit_free(r);
}

static void without_memory_requests_pass(void **state)
{
    (void)state;
    nx_mem_fail_each(short_of_memory, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(a_window),
            cmocka_unit_test(kinds_count_apart),
            cmocka_unit_test(off),
            cmocka_unit_test(the_oldest_is_forgotten),
            cmocka_unit_test(memory_is_bounded),
            cmocka_unit_test(against_a_model),
            cmocka_unit_test(without_memory_requests_pass),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
