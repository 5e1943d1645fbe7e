/* The store on a disk that fails: this program's own pwrite, pwritev and fdatasync stand before
 * the C library's, for LMDB too, and fail on demand. */
/* LMDB calls pwrite; with this it would be compiled as pwrite64. */
#undef _FILE_OFFSET_BITS

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "support/store_fixture.h"

#define EXPORT __attribute__((visibility("default")))

enum fault { FAULT_NONE, FAULT_DATA, FAULT_META, FAULT_SYNC };

static atomic_int fault_kind, fault_errno_value;
static atomic_uint fault_every; /* 0: the next one only */
static atomic_uint calls, hits;

/* True when this call is to fail; errno is then set. */
static bool strikes(enum fault kind)
{
    unsigned every = atomic_load(&fault_every);

    if (atomic_load(&fault_kind) != (int)kind)
        return false;
    if (every > 0 && atomic_fetch_add(&calls, 1) % every != every - 1)
        return false;
    if (every == 0)
        atomic_store(&fault_kind, FAULT_NONE);
    atomic_fetch_add(&hits, 1);
    errno = atomic_load(&fault_errno_value);
    return true;
}

static void arm(enum fault kind, int error, unsigned every)
{
    atomic_store(&hits, 0);
    atomic_store(&fault_errno_value, error);
    atomic_store(&fault_every, every);
    atomic_store(&fault_kind, kind);
}

static ssize_t write_at(int fd, const struct iovec *iov, int count, off_t offset)
{
    bool meta = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;

    if (strikes(meta ? FAULT_META : FAULT_DATA))
        return -1;
    return (ssize_t)syscall(SYS_pwritev, fd, iov, count, offset, 0);
}

EXPORT ssize_t pwrite(int fd, const void *ptr, size_t len, off_t offset)
{
    struct iovec iov = {.iov_len = len};

    memcpy(&iov.iov_base, &ptr, sizeof(ptr));
    return write_at(fd, &iov, 1, offset);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    return write_at(fd, iov, count, offset);
}

EXPORT ssize_t writev(int fd, const struct iovec *iov, int count)
{
    if (strikes(FAULT_DATA))
        return -1;
    return (ssize_t)syscall(SYS_writev, fd, iov, count);
}

EXPORT int fdatasync(int fd)
{
    return strikes(FAULT_SYNC) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

static char seen[64];

static void look_back(struct fixture *fixture)
{
    struct nx_buf buf;
    int r;

    nx_buf_init(&buf, nx_mem_libc(), 64);
    r = nx_store_get(fixture->store, 0, NX_BYTES("k"), &buf);
    (void)snprintf(seen, sizeof(seen), "%d %.*s", r, (int)buf.len, buf.ptr ? buf.ptr : "");
    nx_buf_done(&buf);
}

static void pause_ms(long ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};

    (void)nanosleep(&pause, NULL);
}

/* One group fails; memory can be restored; nothing of it is there afterwards. */
static void fails_once(struct fixture *fixture, enum fault kind, int error, int result)
{
    fixture->failing = look_back;
    fixture_open(fixture);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(fixture_wait(fixture, fixture_put(fixture, 0, "k", "older")), 0);
    assert_int_equal(fixture_wait(fixture, fixture_put(fixture, 0, "k", "old")), 0);
    seen[0] = '\0';
    arm(kind, error, 0);
    assert_int_equal(fixture_wait(fixture, fixture_put(fixture, 0, "k", "new")), result);
    assert_int_equal(atomic_load(&hits), 1);
    assert_string_equal(seen, "0 old");
    assert_int_equal(fixture->failed_calls, 1);
}

static void expect_old(struct fixture *fixture)
{
    char *dump;

    fixture_close(fixture);
    dump = fixture_dump(fixture);
    assert_string_equal(dump, "0 k=old\n");
    free(dump);
}

static void a_failed_sync_is_never_believed_again(void **state)
{
    struct fixture *fixture = *state;

    fails_once(fixture, FAULT_SYNC, EIO, NX_E_IO);
    pause_ms(1300);
    assert_int_equal(nx_store_ready(fixture->store), NX_E_IO);
    assert_int_equal(fixture_wait(fixture, fixture_put(fixture, 0, "k", "later")), NX_E_IO);
    assert_string_equal(seen, "0 old");
    expect_old(fixture);
}

static void a_failed_meta_page_is_final(void **state)
{
    struct fixture *fixture = *state;

    fails_once(fixture, FAULT_META, EIO, NX_E_IO);
    pause_ms(1300);
    assert_int_equal(nx_store_ready(fixture->store), NX_E_IO);
    assert_int_equal(fixture_wait(fixture, fixture_put(fixture, 0, "k", "later")), NX_E_IO);
    assert_string_equal(seen, "0 old");
    expect_old(fixture);
}

static void a_failed_data_write_is_final(void **state)
{
    struct fixture *fixture = *state;

    fails_once(fixture, FAULT_DATA, EIO, NX_E_IO);
    pause_ms(1300);
    assert_int_equal(nx_store_ready(fixture->store), NX_E_IO);
    expect_old(fixture);
}

static void a_full_disk_recovers(void **state)
{
    struct fixture *fixture = *state;
    struct nx_store_stats stats;
    char *dump;

    fails_once(fixture, FAULT_DATA, ENOSPC, NX_E_FULL);
    assert_int_equal(nx_store_ready(fixture->store), NX_E_FULL);
    fixture_wait_ready(fixture);
    nx_store_stats(fixture->store, &stats);
    assert_int_equal(stats.failures, 1);
    assert_int_equal(fixture_wait(fixture, fixture_put(fixture, 0, "k", "late")), 0);
    fixture_close(fixture);
    dump = fixture_dump(fixture);
    assert_string_equal(dump, "0 k=late\n");
    free(dump);
}

static void a_full_disk_at_creation(void **state)
{
    struct fixture *fixture = *state;
    char *dump;

    arm(FAULT_DATA, ENOSPC, 0);
    assert_int_equal(nx_store_open(&fixture->options, &fixture->store, &fixture->fault), NX_E_FULL);
    assert_non_null(strstr(fixture->fault.text, "full"));
    arm(FAULT_SYNC, EIO, 0);
    assert_int_equal(nx_store_open(&fixture->options, &fixture->store, &fixture->fault), NX_E_IO);
    dump = fixture_dump(fixture);
    assert_string_equal(dump, "");
    free(dump);
}

/* What the product does: memory under a lock of its own, restored when a group failed. Whatever
 * fails, and whoever submits meanwhile, memory and store agree at the end. */
enum { COUNTERS = 16, SENDERS = 4, STEPS = 800 };

struct counters {
    pthread_mutex_t mutex;
    struct nx_store *store;
    unsigned values[COUNTERS];
    uint64_t submitted, done;
    unsigned failures;
    atomic_bool wrong;
};

static void counters_done(void *ctx, uint64_t upto, int result)
{
    struct counters *counters = ctx;

    (void)result;
    (void)pthread_mutex_lock(&counters->mutex);
    if (upto <= counters->done || upto > counters->submitted)
        atomic_store(&counters->wrong, true);
    counters->done = upto;
    (void)pthread_mutex_unlock(&counters->mutex);
}

static unsigned stored_value(struct counters *counters, unsigned index)
{
    char key = (char)('a' + index);
    struct nx_buf buf;
    uint64_t value = 0;
    int r;

    nx_buf_init(&buf, nx_mem_libc(), 64);
    r = nx_store_get(counters->store, 3, nx_bytes_of(&key, 1), &buf);
    if (r != NX_E_NOTFOUND && (r < 0 || !nx_bytes_u64(nx_buf_bytes(&buf), &value)))
        atomic_store(&counters->wrong, true);
    nx_buf_done(&buf);
    return (unsigned)value;
}

static uint64_t counters_failed(void *ctx, int error)
{
    struct counters *counters = ctx;
    uint64_t last;

    if (error != NX_E_FULL)
        atomic_store(&counters->wrong, true);
    pause_ms(1); /* others submit on memory that is about to be restored */
    (void)pthread_mutex_lock(&counters->mutex);
    for (unsigned i = 0; i < COUNTERS; i++)
        counters->values[i] = stored_value(counters, i);
    counters->failures++;
    last = counters->submitted;
    (void)pthread_mutex_unlock(&counters->mutex);
    /* Others submit in this gap, before the store has dropped anything. */
    pause_ms(1);
    return last;
}

static void *count_up(void *arg)
{
    struct counters *counters = arg;

    for (unsigned i = 0; i < STEPS; i++) {
        char key = (char)('a' + i % COUNTERS), value[16];
        struct nx_change change = {NX_CHANGE_PUT, 3, {&key, 1}, {value, 0}};

        (void)pthread_mutex_lock(&counters->mutex);
        change.value.len =
                (size_t)snprintf(value, sizeof(value), "%u", ++counters->values[i % COUNTERS]);
        if (nx_store_submit(counters->store, &change, 1) != ++counters->submitted)
            atomic_store(&counters->wrong, true);
        (void)pthread_mutex_unlock(&counters->mutex);
        if (i % 8 == 0)
            pause_ms(1);
    }
    return NULL;
}

static int same_value(void *ctx, struct nx_bytes key, struct nx_bytes value)
{
    struct counters *counters = ctx;
    uint64_t number = 0;

    assert_true(key.len == 1 && nx_bytes_u64(value, &number));
    assert_int_equal(counters->values[key.ptr[0] - 'a'], number);
    return 0;
}

static void memory_and_store_agree_through_failures(void **state)
{
    static struct counters counters;
    struct fixture *fixture = *state;
    struct nx_store_options options = fixture->options;
    pthread_t threads[SENDERS];

    counters = (struct counters){.mutex = PTHREAD_MUTEX_INITIALIZER};
    options.on_done = counters_done;
    options.on_failed = counters_failed;
    options.ctx = &counters;
    assert_int_equal(nx_store_open(&options, &counters.store, &fixture->fault), 0);
    assert_int_equal(nx_store_start(counters.store), 0);
    arm(FAULT_DATA, ENOSPC, 7);
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_up, &counters), 0);
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    nx_store_close(counters.store); /* with failures still coming */
    arm(FAULT_NONE, 0, 0);
    assert_false(atomic_load(&counters.wrong));
    assert_int_equal(counters.done, counters.submitted);
    print_message("%u failures in %u units\n", counters.failures, SENDERS * STEPS);
    assert_true(counters.failures > 3);
    assert_int_equal(nx_store_open(&options, &counters.store, &fixture->fault), 0);
    assert_int_equal(nx_store_each(counters.store, 3, same_value, &counters), 0);
    nx_store_close(counters.store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(a_failed_sync_is_never_believed_again),
            TEST(a_failed_meta_page_is_final),
            TEST(a_failed_data_write_is_final),
            TEST(a_full_disk_recovers),
            TEST(a_full_disk_at_creation),
            TEST(memory_and_store_agree_through_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
