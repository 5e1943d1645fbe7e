/* A damaged store is refused with a sentence, or, where the damage hit unused bytes, still gives
 * exactly the data it held and goes on working: nothing in between, and never a crash. And its
 * reader accepts whatever LMDB writes: a long random life, compared with a model. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "support/store_fixture.h"

#define PAGE ((size_t)4096)

static struct nx_random_seeded seeded;
static struct nx_random from_seed;
static unsigned refused, harmless;

/* NEXUS_TEST_SEED repeats a run. */
static void seed_random(void)
{
    const char *text = getenv("NEXUS_TEST_SEED");
    struct timespec now;
    uint64_t seed;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    seed = text ? strtoull(text, NULL, 10) : (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 20;
    from_seed = nx_random_from_seed(&seeded, seed);
    print_message("NEXUS_TEST_SEED=%llu\n", (unsigned long long)seed);
}

static unsigned below(unsigned bound)
{
    return nx_random_below(&from_seed, bound);
}

/* A small database with everything in it: two levels, values of their own pages, free pages. */
static void fill(struct fixture *fixture)
{
    char key[32], *value = malloc(20001);

    assert_non_null(value);
    memset(value, 'v', 20000);
    value[20000] = '\0';
    fixture_open(fixture);
    for (unsigned i = 0; i < 120; i++) {
        (void)snprintf(key, sizeof(key), "key-%03u", i * 7 % 120);
        value[i * 3] = '\0';
        (void)fixture_put(fixture, i % NX_CHANGE_TABLES, key, value);
        value[i * 3] = 'v';
        if (i % 20 == 0)
            assert_int_equal(fixture_wait(fixture, fixture->submitted), 0);
    }
    (void)fixture_put(fixture, 2, "large", value);
    assert_int_equal(fixture_wait(fixture, fixture_put(fixture, 2, "large 2", value + 10000)), 0);
    assert_int_equal(fixture_wait(fixture, fixture_delete(fixture, 2, "large 2", false)), 0);
    assert_int_equal(fixture_wait(fixture, fixture_delete(fixture, 0, "key-00", true)), 0);
    assert_int_equal(fixture_wait(fixture, fixture_put(fixture, 0, "last", "one")), 0);
    fixture_close(fixture);
    free(value);
}

/* The store took the file as whole: it must also live on. */
static void expect_life(struct fixture *fixture, const char *what)
{
    char key[16], *dump = NULL;

    fixture_open(fixture);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned k = 0; k < 10; k++) {
            (void)snprintf(key, sizeof(key), "z%u-%u", i, k);
            (void)fixture_put(fixture, i, key, "life goes on");
        }
        if (fixture_wait(fixture, fixture->submitted) != 0)
            fail_msg("%s: accepted, then writing failed", what);
    }
    fixture_close(fixture);
    if (fixture_try_dump(fixture, &dump) < 0)
        fail_msg("%s: accepted, then written to, then: %s", what, fixture->fault.text);
    assert_non_null(strstr(dump, "2 z2-9=life"));
    free(dump);
}

static void expect_refused_or_same(struct fixture *fixture, const char *ptr, size_t len,
        const char *original, const char *what)
{
    char *dump = NULL;
    int r;

    write_file(fixture->file, ptr, len);
    fixture->fault.text[0] = '\0';
    r = fixture_try_dump(fixture, &dump);
    if (r == 0 && strcmp(dump, original) != 0)
        fail_msg("%s: accepted with other data", what);
    if (r < 0 && ((r != NX_E_DAMAGED && r != NX_E_FOREIGN) ||
                         !strstr(fixture->fault.text, "nexus.mdb") ||
                         !strstr(fixture->fault.text, "move")))
        fail_msg("%s: error %d, \"%s\"", what, r, fixture->fault.text);
    free(dump);
    if (r < 0) {
        refused++;
        return;
    }
    harmless++;
    expect_life(fixture, what);
}

static void flip(struct fixture *fixture, char *ptr, size_t len, size_t at, const char *original)
{
    char what[64];
    char was = ptr[at];

    ptr[at] = below(2) ? (char)(was ^ (char)(1u << below(8))) : (char)(was + 1 + (char)below(255));
    if (ptr[at] == was)
        ptr[at] = (char)~was;
    (void)snprintf(what, sizeof(what), "byte %zu: %02x for %02x", at, (unsigned char)ptr[at],
            (unsigned char)was);
    expect_refused_or_same(fixture, ptr, len, original, what);
    ptr[at] = was;
}

static void flipped_bytes(void **state)
{
    struct fixture *fixture = *state;
    char *original, *ptr;
    size_t len;

    fill(fixture);
    original = fixture_dump(fixture);
    ptr = read_file(fixture->file, &len);
    refused = harmless = 0;
    /* Both meta pages, byte by byte; every page's head; anywhere. */
    for (size_t at = 0; at < 152; at++) {
        flip(fixture, ptr, len, at, original);
        flip(fixture, ptr, len, PAGE + at, original);
    }
    for (size_t page = 2; page < len / PAGE; page++) {
        for (unsigned i = 0; i < 4; i++)
            flip(fixture, ptr, len, page * PAGE + below(32), original);
    }
    for (unsigned i = 0; i < 400; i++)
        flip(fixture, ptr, len, below((unsigned)len), original);
    print_message("%zu bytes: %u refused, %u harmless\n", len, refused, harmless);
    /* About a third of the bytes of such a file are in use; the sample is random. */
    assert_true(refused > 200 && harmless > 0);
    free(original);
    free(ptr);
}

static void lost_pages(void **state)
{
    struct fixture *fixture = *state;
    char *original, *ptr, *copy;
    char what[64];
    size_t len;

    fill(fixture);
    original = fixture_dump(fixture);
    ptr = read_file(fixture->file, &len);
    copy = malloc(len);
    assert_non_null(copy);
    refused = harmless = 0;
    for (size_t page = 0; page < len / PAGE; page++) {
        (void)snprintf(what, sizeof(what), "zeroed page %zu", page);
        memcpy(copy, ptr, len);
        memset(copy + page * PAGE, 0, PAGE);
        expect_refused_or_same(fixture, copy, len, original, what);
        (void)snprintf(what, sizeof(what), "cut before page %zu", page);
        expect_refused_or_same(fixture, ptr, page * PAGE, original, what);
        (void)snprintf(what, sizeof(what), "cut in page %zu", page);
        expect_refused_or_same(fixture, ptr, page * PAGE + 1 + below(4095), original, what);
        (void)snprintf(what, sizeof(what), "page %zu in place of another", page);
        memcpy(copy, ptr, len);
        memcpy(copy + below((unsigned)(len / PAGE)) * PAGE, ptr + page * PAGE, PAGE);
        expect_refused_or_same(fixture, copy, len, original, what);
    }
    print_message("%zu pages: %u refused, %u harmless\n", len / PAGE, refused, harmless);
    assert_true(refused > 10 && harmless > 0);
    free(original);
    free(copy);
    free(ptr);
}

static void rewrite_one(struct fixture *fixture, unsigned times)
{
    static unsigned count;
    char value[16];

    fixture_open(fixture);
    for (unsigned i = 0; i < times; i++) {
        (void)snprintf(value, sizeof(value), "turn %04u", ++count);
        assert_int_equal(fixture_wait(fixture, fixture_put(fixture, 3, "key-119", value)), 0);
    }
    fixture_close(fixture);
}

/* Each page in turn as it was some commits ago, as by a disk that lost a write. Only the newest
 * meta page by itself is beyond telling (store_check.c); nothing else may pass with other data. */
static void stale_pages(void **state)
{
    struct fixture *fixture = *state;
    char *before, *after, *copy, *original;
    char what[64];
    size_t before_len, after_len;

    fill(fixture);
    /* One leaf again and again, so that it comes back to the same pages with the same keys. */
    rewrite_one(fixture, 8);
    before = read_file(fixture->file, &before_len);
    rewrite_one(fixture, 8);
    original = fixture_dump(fixture);
    after = read_file(fixture->file, &after_len);
    copy = malloc(after_len);
    assert_non_null(copy);
    refused = harmless = 0;
    for (size_t page = 0; page < before_len / PAGE; page++) {
        (void)snprintf(what, sizeof(what), "stale page %zu", page);
        memcpy(copy, after, after_len);
        memcpy(copy + page * PAGE, before + page * PAGE, PAGE);
        expect_refused_or_same(fixture, copy, after_len, original, what);
    }
    print_message("stale: %u refused, %u harmless\n", refused, harmless);
    assert_true(refused > 3);
    free(before);
    free(after);
    free(copy);
    free(original);
}

/* Where LMDB keeps things in a meta page (store_check.c has the whole of it). */
enum { META_FREE_ROOT = 80, META_TXN = 144 };

static uint64_t number_at(const char *ptr)
{
    uint64_t number;

    memcpy(&number, ptr, sizeof(number));
    return number;
}

/* A meta page that lies about its age, and every byte of the list of free pages. */
static void lies_about_age_and_room(void **state)
{
    static const int64_t lies[] = {-4, -2, 2, 4, 1000};
    struct fixture *fixture = *state;
    char *original, *ptr, *meta;
    uint64_t txn, root;
    size_t len, upper;

    fill(fixture);
    original = fixture_dump(fixture);
    ptr = read_file(fixture->file, &len);
    refused = harmless = 0;
    for (unsigned i = 0; i < 2; i++) {
        meta = ptr + i * PAGE;
        txn = number_at(meta + META_TXN);
        for (unsigned k = 0; k < sizeof(lies) / sizeof(lies[0]); k++) {
            uint64_t lie = txn + (uint64_t)lies[k];

            memcpy(meta + META_TXN, &lie, sizeof(lie));
            expect_refused_or_same(fixture, ptr, len, original, "a lie about age");
        }
        memcpy(meta + META_TXN, &txn, sizeof(txn));
    }
    assert_int_equal(harmless, 0);
    meta = ptr + (number_at(ptr + PAGE + META_TXN) > number_at(ptr + META_TXN) ? PAGE : 0);
    root = number_at(meta + META_FREE_ROOT);
    assert_true(root < len / PAGE);
    upper = (unsigned char)ptr[root * PAGE + 14] | (size_t)(unsigned char)ptr[root * PAGE + 15]
                                                           << 8;
    assert_true(upper > 16 && upper < PAGE);
    for (size_t at = root * PAGE + upper; at < (root + 1) * PAGE; at++) {
        char was = ptr[at];

        flip(fixture, ptr, len, at, original);
        ptr[at] = 0;
        expect_refused_or_same(fixture, ptr, len, original, "a zero in the free list");
        ptr[at] = was;
    }
    print_message(
            "free list: %zu bytes, %u refused, %u harmless\n", PAGE - upper, refused, harmless);
    free(original);
    free(ptr);
}

/* The model: the length of each key's value, -1 when it is not there. */
enum { KEYS = 400 };
static int model[KEYS];

static void random_unit(struct fixture *fixture)
{
    static char value[9000];
    char names[4][16];
    struct nx_change changes[4];
    unsigned count = 1 + below(4);

    memset(value, 'r', sizeof(value));
    for (unsigned i = 0; i < count; i++) {
        unsigned key = below(KEYS), kind = below(100);
        int len = (int)(below(20) == 0 ? below(9000) : below(600));

        (void)snprintf(names[i], sizeof(names[i]), "%03u", key);
        changes[i] = (struct nx_change){NX_CHANGE_PUT, 1, nx_bytes_str(names[i]), {0}};
        if (kind < 60) {
            changes[i].value = nx_bytes_of(value, (size_t)len);
            model[key] = len;
        } else if (kind < 97) {
            changes[i].op = NX_CHANGE_DELETE;
            model[key] = -1;
        } else {
            changes[i].op = NX_CHANGE_DELETE_PREFIX;
            changes[i].key.len = 2;
            for (unsigned k = key - key % 10; k < key - key % 10 + 10 && k < KEYS; k++)
                model[k] = -1;
        }
    }
    (void)fixture_submit(fixture, changes, count);
}

static int compare_model(void *ctx, struct nx_bytes key, struct nx_bytes value)
{
    uint64_t index;

    assert_true(nx_bytes_u64(key, &index) && index < KEYS);
    assert_int_equal(model[index], value.len);
    ++*(int *)ctx;
    return 0;
}

static void a_long_random_life(void **state)
{
    struct fixture *fixture = *state;

    for (int i = 0; i < KEYS; i++)
        model[i] = -1;
    for (int round = 0; round < 40; round++) {
        int count = 0;

        fixture_open(fixture);
        for (unsigned i = 0; i < 60; i++) {
            random_unit(fixture);
            if (below(3) == 0)
                assert_int_equal(fixture_wait(fixture, fixture->submitted), 0);
        }
        fixture_close(fixture);
        if (nx_store_open(&fixture->options, &fixture->store, &fixture->fault) < 0)
            fail_msg("round %d: %s", round, fixture->fault.text);
        assert_int_equal(nx_store_each(fixture->store, 1, compare_model, &count), 0);
        for (int i = 0; i < KEYS; i++)
            count -= model[i] >= 0;
        assert_int_equal(count, 0);
        fixture_close(fixture);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(flipped_bytes),
            TEST(lost_pages),
            TEST(stale_pages),
            TEST(lies_about_age_and_room),
            TEST(a_long_random_life),
    };

    seed_random();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
