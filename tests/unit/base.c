/* base: buffers, numbers, hex, UTF-8, time, hash, map, heap, random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

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

static void buf_appends_in_every_form(void **state)
{
    struct nx_buf zeroed = {0};
    struct nx_buf buf;
    char *room;

    (void)state;
    nx_buf_done(&zeroed);
    nx_buf_init(&buf, nx_mem_libc(), 1000);
    assert_null(buf.ptr);
    nx_buf_append(&buf, (struct nx_bytes){NULL, 0});
    nx_buf_append_str(&buf, NULL);
    assert_string_equal(nx_buf_str(&buf), "");
    nx_buf_append_str(&buf, "a");
    nx_buf_append_char(&buf, '|');
    nx_buf_append_i64(&buf, INT64_MIN);
    nx_buf_append_char(&buf, '|');
    nx_buf_append_i64(&buf, 0);
    nx_buf_append_u64(&buf, UINT64_MAX);
    nx_buf_printf(&buf, "|%s%d", "x", -7);
    assert_string_equal(nx_buf_str(&buf), "a|-9223372036854775808|018446744073709551615|x-7");
    room = nx_buf_reserve(&buf, 500);
    assert_ptr_equal(room, buf.ptr + buf.len);
    memset(room, 'r', 500);
    nx_buf_drop(&buf, 0);
    nx_buf_drop(&buf, buf.len - 3);
    assert_string_equal(nx_buf_str(&buf), "x-7");
    nx_buf_drop(&buf, 3);
    assert_int_equal(buf.len, 0);
    nx_buf_done(&buf);
    nx_buf_done(&buf);
}

static void buf_error_sticks(void **state)
{
    struct nx_buf buf;

    (void)state;
    nx_buf_init(&buf, nx_mem_libc(), 4);
    NX_BUF_LIT(&buf, "abc");
    NX_BUF_LIT(&buf, "de");
    NX_BUF_LIT(&buf, "f");
    assert_null(nx_buf_reserve(&buf, 1));
    assert_int_equal(nx_buf_error(&buf), NX_E_TOO_LARGE);
    assert_int_equal(buf.len, 3);
    nx_buf_clear(&buf);
    nx_buf_printf(&buf, "%s", "12345");
    assert_int_equal(nx_buf_error(&buf), NX_E_TOO_LARGE);
    assert_string_equal(nx_buf_str(&buf), "");
    nx_buf_done(&buf);
}

static void *refuse(void *ctx, void *ptr, size_t bytes)
{
    (void)ptr;
    *(size_t *)ctx = bytes;
    return NULL;
}

static void buf_of_any_size_comes_to_an_end(void **state)
{
    size_t asked = 0;
    struct nx_mem mem = {refuse, &asked};
    struct nx_buf buf;

    (void)state;
    nx_buf_init(&buf, &mem, SIZE_MAX);
    assert_null(nx_buf_reserve(&buf, SIZE_MAX - 1));
    assert_int_equal(nx_buf_error(&buf), NX_E_NOMEM);
    assert_true(asked == SIZE_MAX);
    nx_buf_init(&buf, &mem, 100);
    assert_null(nx_buf_reserve(&buf, 65));
    assert_true(asked == 100);
    nx_buf_init(&buf, &mem, 1000);
    assert_null(nx_buf_reserve(&buf, 65));
    assert_true(asked == 128);
}

static void bytes_compare(void **state)
{
    struct nx_bytes none = {NULL, 0};

    (void)state;
    assert_true(nx_bytes_equal(none, NX_BYTES("")));
    assert_false(nx_bytes_equal(NX_BYTES("a"), NX_BYTES("b")));
    assert_false(nx_bytes_equal(NX_BYTES("a"), NX_BYTES("ab")));
    assert_true(nx_bytes_equal(nx_bytes_str(NULL), none));
    assert_true(nx_bytes_starts(none, none));
    assert_true(nx_bytes_starts(NX_BYTES("ab"), NX_BYTES("a")));
    assert_true(nx_bytes_starts(NX_BYTES("ab"), none));
    assert_false(nx_bytes_starts(NX_BYTES("a"), NX_BYTES("ab")));
    assert_int_equal(nx_bytes_from(NX_BYTES("abc"), 2).len, 1);
    assert_int_equal(nx_bytes_from(NX_BYTES("abc"), 3).len, 0);
    assert_int_equal(nx_bytes_from(NX_BYTES("abc"), SIZE_MAX).len, 0);
    assert_true(nx_bytes_equal_nocase(NX_BYTES("Content-TYPE"), NX_BYTES("cONTENT-type")));
    assert_false(nx_bytes_equal_nocase(NX_BYTES("@[`{"), NX_BYTES("`{@[")));
    assert_false(nx_bytes_equal_nocase(NX_BYTES("\xc3\x89"), NX_BYTES("\xc3\xa9")));
    assert_false(nx_bytes_equal_nocase(NX_BYTES("a"), NX_BYTES("aa")));
    assert_true(nx_bytes_equal_secret(NX_BYTES("secret"), NX_BYTES("secret")));
    assert_true(nx_bytes_equal_secret(none, none));
    assert_false(nx_bytes_equal_secret(NX_BYTES("secret"), NX_BYTES("secreT")));
    assert_false(nx_bytes_equal_secret(NX_BYTES("secret"), NX_BYTES("Secret")));
    assert_false(nx_bytes_equal_secret(NX_BYTES("secret"), NX_BYTES("secre")));
    assert_true(nx_bytes_equal(nx_bytes_trim(NX_BYTES(" \t\r\na b\r\n")), NX_BYTES("a b")));
    assert_int_equal(nx_bytes_trim(NX_BYTES(" \n\t ")).len, 0);
    assert_int_equal(nx_bytes_trim(none).len, 0);
    assert_int_equal(nx_bytes_trim(NX_BYTES("\v\f")).len, 2);
}

static void failures_leave_results_alone(void **state)
{
    uint64_t value = 7;
    uint8_t bytes[2] = {1, 2};

    (void)state;
    assert_false(nx_bytes_u64(NX_BYTES("-1"), &value));
    assert_false(nx_bytes_u64(NX_BYTES(" 1"), &value));
    assert_false(nx_bytes_u64(NX_BYTES("99999999999999999999999"), &value));
    assert_true(value == 7);
    assert_true(nx_bytes_u64(NX_BYTES("000000000000000000000000000012"), &value));
    assert_true(value == 12);
    assert_false(nx_hex_decode(NX_BYTES("ffgg"), bytes, 2));
    assert_false(nx_hex_decode(NX_BYTES("fff"), bytes, 2));
    assert_false(nx_hex_decode(NX_BYTES("ffffff"), bytes, 2));
    assert_int_equal(bytes[0], 1);
    assert_int_equal(bytes[1], 2);
    nx_wipe(bytes, 2);
    assert_int_equal(bytes[0] | bytes[1], 0);
    nx_wipe(NULL, 0);
}

/* Every scalar value is one sequence; every other start says how much one U+FFFD stands for. */
static void utf8_sequences(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        bool valid;
    } cases[] = {
            {"a\xff", 1, true},
            {"\xc2\x80x", 2, true},
            {"\xef\xbf\xbf", 3, true},
            {"\xf4\x8f\xbf\xbf", 4, true},
            {"\x80\x80", 1, false},
            {"\xc1\x80", 1, false},
            {"\xe0\x9f\x80", 1, false},
            {"\xed\xa0\x80", 1, false},
            {"\xf0\x8f\x80\x80", 1, false},
            {"\xf4\x90\x80\x80", 1, false},
            {"\xf5\x80", 1, false},
            {"\xc3", 1, false},
            {"\xe2\x82", 2, false},
            {"\xe2\x82\x41", 2, false},
            {"\xf0\x9f\x92", 3, false},
            {"\xf0\x9f\xc0", 2, false},
    };
    char text[4];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool valid = !cases[i].valid;

        assert_int_equal(nx_utf8_sequence(nx_bytes_str(cases[i].bytes), &valid), cases[i].len);
        assert_int_equal(valid, cases[i].valid);
    }
    for (uint32_t c = 0x80; c < 0x110000; c++) {
        size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        bool surrogate = c >= 0xd800 && c < 0xe000;

        text[0] = (char)(len == 2 ? 0xc0 | c >> 6 : len == 3 ? 0xe0 | c >> 12 : 0xf0 | c >> 18);
        for (size_t i = 1; i < len; i++)
            text[i] = (char)(0x80 | (c >> 6 * (len - 1 - i) & 0x3f));
        assert_int_equal(nx_utf8_valid(nx_bytes_of(text, len)), !surrogate);
        assert_false(nx_utf8_valid(nx_bytes_of(text, len - 1)));
    }
}

/* The C library's calendar, over random moments of all years we write, and at the edges. */
static void dates_against_the_c_library(void **state)
{
    static const int64_t edges[] = {0, 999, INT64_C(68169600000), INT64_C(68255999999),
            INT64_C(951782400000), INT64_C(4107542399000), INT64_C(4107542400000),
            INT64_C(13574563200000), INT64_C(253402300799999)};
    const size_t edge_count = sizeof(edges) / sizeof(edges[0]);
    struct nx_random_seeded seeded;
    struct nx_random random = nx_random_from_seed(&seeded, 1970);

    (void)state;
    for (size_t i = 0; i < 20000; i++) {
        int64_t ms = i < edge_count ? edges[i]
                                    : (int64_t)nx_random_below(&random, 2932897) * 86400000 +
                                              nx_random_below(&random, 86400000);
        time_t seconds = (time_t)(ms / 1000);
        struct tm tm;
        char should[64];
        char is[NX_HTTP_DATE_LEN];
        char millis[] = ".000Z";

        assert_non_null(gmtime_r(&seconds, &tm));
        assert_int_equal(strftime(should, sizeof(should), "%a, %d %b %Y %H:%M:%S GMT", &tm),
                NX_HTTP_DATE_LEN);
        nx_time_http_date(ms, is);
        assert_memory_equal(is, should, NX_HTTP_DATE_LEN);
        assert_int_equal(strftime(should, sizeof(should), "%Y-%m-%dT%H:%M:%S", &tm), 19);
        nx_time_rfc3339(ms, is);
        assert_memory_equal(is, should, 19);
        millis[1] = (char)('0' + ms % 1000 / 100);
        millis[2] = (char)('0' + ms % 100 / 10);
        millis[3] = (char)('0' + ms % 10);
        assert_memory_equal(is + 19, millis, 5);
    }
}

static void dates_are_clamped(void **state)
{
    char text[NX_HTTP_DATE_LEN];

    (void)state;
    nx_time_rfc3339(INT64_MIN, text);
    assert_memory_equal(text, "1970-01-01T00:00:00.000Z", NX_RFC3339_LEN);
    nx_time_rfc3339(INT64_MAX, text);
    assert_memory_equal(text, "9999-12-31T23:59:59.999Z", NX_RFC3339_LEN);
    nx_time_http_date(INT64_MIN, text);
    assert_memory_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT", NX_HTTP_DATE_LEN);
    nx_time_http_date(NX_TIME_NEVER, text);
    assert_memory_equal(text, "Fri, 31 Dec 9999 23:59:59 GMT", NX_HTTP_DATE_LEN);
}

static void siphash_lengths(void **state)
{
    /* From the table that comes with the paper: the first n bytes of 00 01 02 … */
    static const uint64_t vectors[] = {UINT64_C(0x726fdb47dd0e0e31), UINT64_C(0x74f839c593dc67fd),
            UINT64_C(0x0d6c8009d9a94f5a), UINT64_C(0x85676696d7fb7e2d)};
    struct nx_hash_key key = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    uint8_t input[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};

    (void)state;
    for (size_t n = 0; n < sizeof(vectors) / sizeof(vectors[0]); n++)
        assert_true(nx_hash(&key, input, n) == vectors[n]);
    assert_true(nx_hash(&key, NULL, 0) == vectors[0]);
    assert_true(nx_hash(&key, input, 8) == UINT64_C(0x93f5f5799a932462));
    assert_true(nx_hash(&key, "\1", 1) != vectors[1]);
    assert_true(nx_hash(&key, "\1\2\3\4\5\6\7\1\1", 9) != nx_hash(&key, "\1\2\3\4\5\6\7\1\2", 9));
    key.k0 ^= 1;
    assert_true(nx_hash(&key, input, 8) != UINT64_C(0x93f5f5799a932462));
}

struct script {
    const uint32_t *values;
    size_t at;
};

static void scripted_fill(void *ctx, void *ptr, size_t len)
{
    struct script *script = ctx;

    assert_int_equal(len, sizeof(uint32_t));
    memcpy(ptr, &script->values[script->at++], len);
}

static void random_is_even_and_reproducible(void **state)
{
    /* 2^32 mod 3 = 1: the value 0 would make 0 likelier and is drawn again. */
    static const uint32_t values[] = {0, 1, 2, 3, UINT32_MAX};
    struct script script = {values, 0};
    struct nx_random scripted = {scripted_fill, &script};
    struct nx_random_seeded seeded;
    struct nx_random random = nx_random_from_seed(&seeded, 1234567);
    unsigned seen[6] = {0};
    uint64_t word;
    uint8_t odd[11];

    (void)state;
    assert_int_equal(nx_random_below(&scripted, 3), 1);
    assert_int_equal(script.at, 2);
    assert_int_equal(nx_random_below(&scripted, 3), 2);
    assert_int_equal(nx_random_below(&scripted, 1), 0);
    assert_int_equal(nx_random_below(&scripted, UINT32_MAX), 0);
    /* SplitMix64's first number from this seed. */
    nx_random_fill(&random, &word, sizeof(word));
    assert_true(word == UINT64_C(6457827717110365317));
    random = nx_random_from_seed(&seeded, 1234567);
    nx_random_fill(&random, odd, sizeof(odd));
    assert_memory_equal(odd, &word, sizeof(word));
    for (int i = 0; i < 6000; i++)
        seen[nx_random_below(&random, 6)]++;
    for (int i = 0; i < 6; i++)
        assert_in_range(seen[i], 850, 1150);
}

static void map_forgets_what_is_removed(void **state)
{
    struct item items[40] = {0};
    struct nx_map map;
    size_t slot = 0;
    size_t taken = 0;

    (void)state;
    nx_map_init(&map, nx_mem_libc(), 40);
    assert_null(nx_map_first(&map, 0));
    assert_null(nx_map_any(&map, &slot));
    /* One slot for all, two hashes: what shares the slot only is not found. */
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(nx_map_insert(&map, &items[i].node, (i & 1 ? UINT64_C(1) << 40 : 0)), 0);
    nx_map_remove(&map, &items[38].node);
    nx_map_remove(&map, &items[0].node);
    for (struct nx_map_node *n = nx_map_first(&map, 0); n; n = nx_map_next(n)) {
        size_t index = (size_t)(NX_CONTAINER(n, struct item, node) - items);

        assert_true(index % 2 == 0 && index > 0 && index < 38);
        taken++;
    }
    assert_int_equal(taken, 18);
    assert_null(nx_map_first(&map, 1));
    assert_int_equal(nx_map_insert(&map, &items[0].node, 0), 0);
    assert_ptr_equal(nx_map_first(&map, 0), &items[0].node);
    for (struct nx_map_node *n = nx_map_any(&map, &slot); n; n = nx_map_any(&map, &slot))
        nx_map_remove(&map, n);
    assert_int_equal(map.count, 0);
    nx_map_done(&map);
    nx_map_done(&map);
}

/* Random settings, movings and removals beside the plainest of models. */
static void heap_against_a_model(void **state)
{
    enum { COUNT = 64 };
    struct nx_random_seeded seeded;
    struct nx_random random = nx_random_from_seed(&seeded, 7);
    struct item items[COUNT + 1] = {0};
    struct nx_heap heap;

    (void)state;
    nx_heap_init(&heap, nx_mem_libc(), COUNT);
    assert_null(nx_heap_first(&heap));
    nx_heap_remove(&heap, &items[0].timer);
    for (int step = 0; step < 20000; step++) {
        struct nx_heap_node *node = &items[nx_random_below(&random, COUNT)].timer;
        int64_t least = INT64_MAX;
        size_t count = 0;

        if (nx_random_below(&random, 3) == 0)
            nx_heap_remove(&heap, node);
        else
            assert_int_equal(
                    nx_heap_set(&heap, node, (int64_t)nx_random_below(&random, 100) - 50), 0);
        for (int i = 0; i < COUNT; i++) {
            if (items[i].timer.place == 0)
                continue;
            count++;
            assert_ptr_equal(heap.nodes[items[i].timer.place - 1], &items[i].timer);
            least = items[i].timer.key < least ? items[i].timer.key : least;
        }
        assert_int_equal(heap.count, count);
        if (count > 0)
            assert_true(nx_heap_first(&heap)->key == least);
        else
            assert_null(nx_heap_first(&heap));
    }
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(nx_heap_set(&heap, &items[i].timer, NX_TIME_NEVER), 0);
    /* Full: no newcomer, yet the old ones still move. */
    assert_int_equal(nx_heap_set(&heap, &items[COUNT].timer, 0), NX_E_LIMIT);
    assert_int_equal(items[COUNT].timer.place, 0);
    assert_int_equal(nx_heap_set(&heap, &items[9].timer, INT64_MIN), 0);
    assert_ptr_equal(nx_heap_first(&heap), &items[9].timer);
    nx_heap_done(&heap);
}

static void errors_have_names_and_classes(void **state)
{
    static const int errors[] = {NX_OK, NX_E_NOMEM, NX_E_LIMIT, NX_E_INVALID, NX_E_IO, NX_E_BUSY,
            NX_E_FULL, NX_E_NOTFOUND, NX_E_EXISTS, NX_E_FOREIGN, NX_E_DAMAGED, NX_E_CLOSED,
            NX_E_SYNTAX, NX_E_PROTOCOL, NX_E_TOO_LARGE, NX_E_TIMEOUT, NX_E_EOF, NX_E_NETWORK,
            NX_E_TLS, NX_E_BUG};

    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        assert_string_not_equal(nx_error_name(errors[i]), "NX_E_UNKNOWN");
        assert_string_not_equal(nx_error_text(errors[i]), "unknown error");
        assert_int_equal(nx_error_class(errors[i]), errors[i] == 0         ? NX_CLASS_NONE
                                                    : errors[i] > -32      ? NX_CLASS_LOCAL
                                                    : errors[i] > NX_E_BUG ? NX_CLASS_PEER
                                                                           : NX_CLASS_FATAL);
    }
    assert_string_equal(nx_error_name(NX_E_TLS), "NX_E_TLS");
    assert_string_equal(nx_error_name(-31), "NX_E_UNKNOWN");
    assert_string_equal(nx_error_text(1), "unknown error");
}

static void memory_shapes(void **state)
{
    const struct nx_mem *mem = nx_mem_libc();
    void *ptr = nx_mem_alloc(mem, 0);
    char *copy;
    uint64_t *zeros;

    (void)state;
    assert_non_null(ptr);
    ptr = nx_mem_resize(mem, ptr, 0);
    assert_non_null(ptr);
    nx_mem_free(mem, ptr);
    nx_mem_free(mem, NULL);
    assert_null(nx_mem_zalloc(mem, SIZE_MAX / 4, 8));
    zeros = nx_mem_zalloc(mem, 3, sizeof(*zeros));
    assert_non_null(zeros);
    assert_true(zeros[0] == 0 && zeros[2] == 0);
    nx_mem_free(mem, zeros);
    copy = nx_mem_strndup(mem, "abcdef", 3);
    assert_string_equal(copy, "abc");
    nx_mem_free(mem, copy);
    copy = nx_mem_strndup(mem, NULL, 0);
    assert_string_equal(copy, "");
    nx_mem_free(mem, copy);
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
            cmocka_unit_test(buf_appends_in_every_form),
            cmocka_unit_test(buf_error_sticks),
            cmocka_unit_test(buf_of_any_size_comes_to_an_end),
            cmocka_unit_test(bytes_compare),
            cmocka_unit_test(failures_leave_results_alone),
            cmocka_unit_test(utf8_sequences),
            cmocka_unit_test(dates_against_the_c_library),
            cmocka_unit_test(dates_are_clamped),
            cmocka_unit_test(siphash_lengths),
            cmocka_unit_test(random_is_even_and_reproducible),
            cmocka_unit_test(map_forgets_what_is_removed),
            cmocka_unit_test(heap_against_a_model),
            cmocka_unit_test(errors_have_names_and_classes),
            cmocka_unit_test(memory_shapes),
            cmocka_unit_test(survives_every_allocation_failure),
    };

    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
