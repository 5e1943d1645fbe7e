/* base: buffers, numbers, hex, UTF-8, time, hash, map, heap, random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/map.h"
#include "base/random.h"
#include "base/time.h"
#include "support/mem_fail.h"

static void buf_keeps_its_maximum(void **state)
{
    struct nx_buf buf;

    (void)state;
    nx_buf_init(&buf, nx_mem_libc(), 10);
    NX_BUF_LIT(&buf, "0123456789");
    assert_int_equal(nx_buf_error(&buf), 0);
    NX_BUF_LIT(&buf, "x");
    assert_int_equal(nx_buf_error(&buf), NX_E_TOO_LARGE);
    assert_int_equal(buf.len, 10);
    nx_buf_clear(&buf);
    nx_buf_append_u64(&buf, 1234567890);
    assert_int_equal(nx_buf_error(&buf), 0);
    assert_memory_equal(buf.ptr, "1234567890", 10);
    nx_buf_done(&buf);
}

static void numbers_and_hex(void **state)
{
    uint64_t value = 7;
    uint8_t bytes[2] = {0};
    char hex[4];

    (void)state;
    assert_true(nx_bytes_u64(NX_BYTES("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
    assert_false(nx_bytes_u64(NX_BYTES("18446744073709551616"), &value));
    assert_false(nx_bytes_u64(NX_BYTES(""), &value));
    assert_false(nx_bytes_u64(NX_BYTES("1x"), &value));
    assert_true(nx_hex_decode(NX_BYTES("a0Ff"), bytes, 2));
    nx_hex_encode(bytes, 2, hex);
    assert_memory_equal(hex, "a0ff", 4);
    assert_false(nx_hex_decode(NX_BYTES("a0fg"), bytes, 2));
}

static void utf8(void **state)
{
    (void)state;
    assert_true(nx_utf8_valid(NX_BYTES("plain, \xc3\xa9, \xe2\x82\xac, \xf0\x9f\x92\xac")));
    assert_false(nx_utf8_valid(NX_BYTES("\xc0\xaf")));
    assert_false(nx_utf8_valid(NX_BYTES("\xed\xa0\x80")));
    assert_false(nx_utf8_valid(NX_BYTES("\xf4\x90\x80\x80")));
    assert_false(nx_utf8_valid(NX_BYTES("12345678\xe2\x82")));
}

static void dates(void **state)
{
    char text[NX_HTTP_DATE_LEN];

    (void)state;
    nx_time_rfc3339(INT64_C(951826154123), text);
    assert_memory_equal(text, "2000-02-29T12:09:14.123Z", NX_RFC3339_LEN);
    nx_time_rfc3339(-5, text);
    assert_memory_equal(text, "1970-01-01T00:00:00.000Z", NX_RFC3339_LEN);
    nx_time_http_date(INT64_C(784111777000), text);
    assert_memory_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT", NX_HTTP_DATE_LEN);
}

static void siphash_vector(void **state)
{
    /* The reference vector of the SipHash paper, appendix A: 00 01 … 0e under 00 01 … 0f. */
    struct nx_hash_key key = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    uint8_t input[15];

    (void)state;
    for (size_t i = 0; i < sizeof(input); i++)
        input[i] = (uint8_t)i;
    assert_true(nx_hash(&key, input, sizeof(input)) == UINT64_C(0xa129ca6149be45e5));
}

struct item {
    struct nx_map_node node;
    struct nx_heap_node timer;
};

static void map_and_heap_against_a_model(void **state)
{
    enum { COUNT = 500 };
    struct nx_random_seeded seeded;
    struct nx_random random = nx_random_from_seed(&seeded, 42);
    struct item items[COUNT] = {0};
    struct nx_map map;
    struct nx_heap heap;
    int64_t last = -1;

    (void)state;
    nx_map_init(&map, nx_mem_libc(), COUNT);
    nx_heap_init(&heap, nx_mem_libc(), COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(nx_map_insert(&map, &items[i].node, i % 100), 0);
        assert_int_equal(nx_heap_set(&heap, &items[i].timer, nx_random_below(&random, 1000)), 0);
    }
    assert_int_equal(nx_map_insert(&map, &items[0].node, 1), NX_E_LIMIT);
    for (unsigned i = 0; i < COUNT; i += 3)
        assert_int_equal(nx_heap_set(&heap, &items[i].timer, nx_random_below(&random, 1000)), 0);
    for (unsigned i = 0; i < COUNT; i += 7)
        nx_heap_remove(&heap, &items[i].timer);
    for (unsigned i = 0; i < 100; i++) {
        unsigned found = 0;

        for (struct nx_map_node *n = nx_map_first(&map, i); n; n = nx_map_next(n))
            found++;
        assert_int_equal(found, COUNT / 100);
    }
    while (nx_heap_first(&heap)) {
        struct nx_heap_node *first = nx_heap_first(&heap);

        assert_true(first->key >= last);
        last = first->key;
        nx_heap_remove(&heap, first);
    }
    for (unsigned i = 0; i < COUNT; i++)
        nx_map_remove(&map, &items[i].node);
    assert_null(nx_map_first(&map, 1));
    nx_map_done(&map);
    nx_heap_done(&heap);
}

static void allocating_body(const struct nx_mem *mem, void *ctx)
{
    struct item item = {0};
    struct nx_buf buf;
    struct nx_map map;
    struct nx_heap heap;

    (void)ctx;
    nx_buf_init(&buf, mem, 1000);
    nx_buf_printf(&buf, "%0200d", 1);
    nx_buf_printf(&buf, "%0400d", 1);
    nx_map_init(&map, mem, 10);
    if (nx_map_insert(&map, &item.node, 1) == 0)
        nx_map_remove(&map, &item.node);
    nx_heap_init(&heap, mem, 10);
    if (nx_heap_set(&heap, &item.timer, 1) == 0)
        nx_heap_remove(&heap, &item.timer);
    nx_heap_done(&heap);
    nx_map_done(&map);
    nx_buf_done(&buf);
}

static void survives_every_allocation_failure(void **state)
{
    (void)state;
    assert_true(nx_mem_fail_each(allocating_body, NULL) >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(buf_keeps_its_maximum),
            cmocka_unit_test(numbers_and_hex),
            cmocka_unit_test(utf8),
            cmocka_unit_test(dates),
            cmocka_unit_test(siphash_vector),
            cmocka_unit_test(map_and_heap_against_a_model),
            cmocka_unit_test(survives_every_allocation_failure),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
