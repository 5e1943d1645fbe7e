/* The store: what is reported done is there after reopening, in order, whole; what fails leaves no
 * trace. Damage: store_damage.c. Power loss: tests/tools/powerloss. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/store_internal.h"
#include "support/mem_fail.h"
#include "support/store_fixture.h"

static void expect_dump(struct fixture *fixture, const char *text)
{
    char *dump = fixture_dump(fixture);

    assert_string_equal(dump, text);
    free(dump);
}

static void what_is_done_is_there_again(void **state)
{
    struct fixture *fixture = *state;
    struct nx_change changes[3] = {
            {NX_CHANGE_PUT, 1, NX_BYTES("b"), NX_BYTES("2")},
            {NX_CHANGE_PUT, 1, NX_BYTES("a"), NX_BYTES("1")},
            {NX_CHANGE_PUT, 3, NX_BYTES(""), NX_BYTES("")},
    };
    struct stat st;

    fixture_open(fixture);
    assert_int_equal(nx_store_ready(fixture->store), 0);
    assert_int_equal(fixture_submit(fixture, changes, 3), 1);
    assert_int_equal(fixture_wait(fixture, fixture_put(fixture, 0, "k", "v")), 0);
    fixture_close(fixture);
    expect_dump(fixture, "0 k=v\n1 a=1\n1 b=2\n3 =\n");
    assert_int_equal(stat(fixture->dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(fixture->file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);

    fixture_open(fixture);
    (void)fixture_put(fixture, 1, "a", "one");
    (void)fixture_put(fixture, 2, "ab", "");
    (void)fixture_put(fixture, 2, "ac", "");
    (void)fixture_put(fixture, 2, "b", "");
    (void)fixture_delete(fixture, 1, "b", false);
    (void)fixture_delete(fixture, 1, "absent", false);
    (void)fixture_delete(fixture, 2, "a", true);
    fixture_close(fixture); /* commits what is queued */
    expect_dump(fixture, "0 k=v\n1 a=one\n2 b=\n3 =\n");

    fixture_open(fixture);
    for (unsigned table = 0; table < NX_CHANGE_TABLES; table++)
        (void)fixture_delete(fixture, table, "", true);
    fixture_close(fixture);
    expect_dump(fixture, "");
}

static void large_values_and_units(void **state)
{
    struct fixture *fixture = *state;
    struct nx_change changes[16];
    struct nx_store_stats stats;
    size_t len = (size_t)1 << 20;
    char keys[16], *value = malloc(len), *dump;

    assert_non_null(value);
    memset(value, 'x', len);
    for (int i = 0; i < 16; i++) {
        keys[i] = (char)('a' + i);
        changes[i] = (struct nx_change){
                NX_CHANGE_PUT, 0, nx_bytes_of(&keys[i], 1), nx_bytes_of(value, len)};
    }
    fixture_open(fixture);
    assert_int_equal(fixture_wait(fixture, fixture_submit(fixture, changes, 16)), 0);
    nx_store_stats(fixture->store, &stats);
    assert_true(stats.bytes_used > 16 * len && stats.bytes_used < stats.bytes_max);
    assert_int_equal(stats.groups, 1);
    changes[0].value.len = 5000;
    changes[1].value.len = 1;
    assert_int_equal(fixture_wait(fixture, fixture_submit(fixture, changes, 2)), 0);
    assert_int_equal(fixture_wait(fixture, fixture_delete(fixture, 0, "c", false)), 0);
    fixture_close(fixture);
    dump = fixture_dump(fixture);
    assert_int_equal(strlen(dump), 13 * (len + 5) + 5000 + 5 + 1 + 5);
    free(dump);
    free(value);
}

/* A unit larger than any may be, and one that makes no sense, fail like a full disk would. */
static void impossible_units_fail(void **state)
{
    struct fixture *fixture = *state;
    size_t len = STORE_UNIT_BYTES_MAX + 1;
    char *value = calloc(len, 1);
    struct nx_change change = {NX_CHANGE_PUT, 0, NX_BYTES("k"), nx_bytes_of(value, len)};

    fixture_open(fixture);
    assert_int_equal(fixture_wait(fixture, fixture_put(fixture, 0, "a", "1")), 0);
    assert_int_equal(fixture_wait(fixture, fixture_submit(fixture, &change, 1)), NX_E_INVALID);
    change.table = NX_CHANGE_TABLES;
    change.value.len = 1;
    assert_int_equal(fixture_wait(fixture, fixture_submit(fixture, &change, 1)), NX_E_INVALID);
    assert_int_equal(fixture->failed_calls, 2);
    fixture_wait_ready(fixture);
    assert_int_equal(fixture_wait(fixture, fixture_put(fixture, 0, "b", "2")), 0);
    fixture_close(fixture);
    expect_dump(fixture, "0 a=1\n0 b=2\n");
    free(value);
}

static int add_one(void *ctx, struct nx_bytes key, struct nx_bytes value)
{
    (void)key;
    (void)value;
    ++*(int *)ctx;
    return *(int *)ctx == 3 ? NX_E_LIMIT : 0;
}

static void visits_can_end_early(void **state)
{
    struct fixture *fixture = *state;
    int count = 0;

    fixture_open(fixture);
    for (char key[2] = "a"; key[0] < 'k'; key[0]++)
        (void)fixture_put(fixture, 2, key, "v");
    fixture_close(fixture);
    assert_int_equal(nx_store_open(&fixture->options, &fixture->store, &fixture->fault), 0);
    assert_int_equal(nx_store_each(fixture->store, 2, add_one, &count), NX_E_LIMIT);
    assert_int_equal(count, 3);
    assert_int_equal(nx_store_each(fixture->store, 0, add_one, &count), 0);
    assert_int_equal(nx_store_each(fixture->store, 9, add_one, &count), NX_E_INVALID);
}

/* Eight threads; each asserts that its own number is reported and its records come back. */
enum { THREADS = 8, UNITS = 1500 };

struct sender {
    struct fixture *fixture;
    int index;
};

static void *send_units(void *arg)
{
    struct sender *sender = arg;
    char key[32], value[64];

    for (int i = 0; i < UNITS; i++) {
        struct nx_change change = {NX_CHANGE_PUT, (unsigned)i % NX_CHANGE_TABLES, {0}, {0}};

        (void)snprintf(key, sizeof(key), "%d-%05d", sender->index, i);
        (void)snprintf(value, sizeof(value), "value %d of %d", i, sender->index);
        change.key = nx_bytes_str(key);
        change.value = nx_bytes_str(value);
        (void)fixture_submit(sender->fixture, &change, 1);
    }
    return NULL;
}

static void groups_under_eight_threads(void **state)
{
    struct fixture *fixture = *state;
    struct sender senders[THREADS];
    pthread_t threads[THREADS];
    struct nx_store_stats stats;
    char *dump;
    size_t lines = 0;

    fixture_open(fixture);
    for (int i = 0; i < THREADS; i++) {
        senders[i] = (struct sender){fixture, i};
        assert_int_equal(pthread_create(&threads[i], NULL, send_units, &senders[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(fixture_wait(fixture, THREADS * UNITS), 0);
    nx_store_stats(fixture->store, &stats);
    assert_int_equal(stats.units, THREADS * UNITS);
    assert_true(stats.groups < stats.units);
    assert_int_equal(stats.failures, 0);
    fixture_close(fixture);
    dump = fixture_dump(fixture);
    for (char *at = dump; *at; at++)
        lines += *at == '\n';
    assert_int_equal(lines, THREADS * UNITS);
    free(dump);
}

/* Records what nx_store_get says while the group is failing. */
static char seen_value[64];
static int seen_result;

static void look_back(struct fixture *fixture)
{
    struct nx_buf buf;

    nx_buf_init(&buf, nx_mem_libc(), 64);
    seen_result = nx_store_get(fixture->store, 1, NX_BYTES("k"), &buf);
    (void)snprintf(seen_value, sizeof(seen_value), "%.*s", (int)buf.len, buf.ptr ? buf.ptr : "");
    nx_buf_done(&buf);
}

static void a_full_map_fails_and_recovers(void **state)
{
    struct fixture *fixture = *state;
    struct nx_store_stats stats;
    char big[3000], key[16];
    uint64_t number;
    int i, r = 0;

    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    fixture->options.map_bytes_max = (size_t)1 << 20;
    fixture->failing = look_back;
    fixture_open(fixture);
    assert_int_equal(fixture_wait(fixture, fixture_put(fixture, 1, "k", "old")), 0);
    for (i = 0; i < 1000 && r == 0; i++) {
        (void)snprintf(key, sizeof(key), "%04d", i);
        if (i % 10 == 9)
            (void)fixture_put(fixture, 1, "k", "new");
        r = fixture_wait(fixture, fixture_put(fixture, 0, key, big));
        if (i % 10 == 9 && r == 0)
            r = fixture_wait(fixture, fixture_put(fixture, 1, "k", "old"));
    }
    assert_int_equal(r, NX_E_FULL);
    assert_true(i > 100);
    assert_int_equal(nx_store_ready(fixture->store), NX_E_FULL);
    assert_int_equal(seen_result, 0);
    fixture_wait_ready(fixture);
    /* Deleting works in what is kept for it, however hard others try to fill it. */
    for (size_t len = 2000, tries = 0; tries < 40; tries++, len = len * 3 / 4 + 10) {
        (void)snprintf(key, sizeof(key), "try %zu", tries);
        big[len] = '\0';
        (void)fixture_wait(fixture, fixture_put(fixture, 0, key, big));
        big[len] = 'x';
    }
    nx_store_stats(fixture->store, &stats);
    assert_true(stats.bytes_used <= stats.bytes_max - stats.bytes_max / 16);
    assert_true(stats.bytes_used > stats.bytes_max / 2);
    for (i = 0; i < 40; i++) {
        (void)snprintf(key, sizeof(key), "%04d", i * 2);
        assert_int_equal(fixture_wait(fixture, fixture_delete(fixture, 0, key, false)), 0);
    }
    number = fixture_delete(fixture, 0, "", true);
    assert_int_equal(fixture_wait(fixture, number), 0);
    assert_int_equal(fixture_wait(fixture, fixture_put(fixture, 1, "k", "end")), 0);
    assert_int_equal(fixture_wait(fixture, fixture_put(fixture, 1, "k", "end")), 0);
    assert_int_equal(fixture_wait(fixture, fixture_put(fixture, 0, "again", big)), 0);
    assert_int_equal(fixture_wait(fixture, fixture_delete(fixture, 0, "again", false)), 0);
    fixture_close(fixture);
    expect_dump(fixture, "1 k=end\n");
}

/* A file that may not grow (EFBIG) stands for a disk that is full. */
static void a_full_disk_fails_and_recovers(void **state)
{
    struct fixture *fixture = *state;
    struct timespec pause = {1, 500000000};
    struct rlimit old, tight;
    char *big = calloc(1 << 20, 1);

    assert_non_null(big);
    memset(big, 'x', (1 << 20) - 1);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = old;
    tight.rlim_cur = (rlim_t)1 << 19;
    fixture->failing = look_back;
    fixture_open(fixture);
    assert_int_equal(fixture_wait(fixture, fixture_put(fixture, 1, "k", "old")), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    (void)fixture_put(fixture, 1, "k", "new");
    assert_int_equal(fixture_wait(fixture, fixture_put(fixture, 0, "big", big)), NX_E_FULL);
    assert_int_equal(nx_store_ready(fixture->store), NX_E_FULL);
    assert_int_equal(seen_result, 0);
    (void)nanosleep(&pause, NULL); /* a probe comes by and finds the disk still full */
    assert_int_equal(nx_store_ready(fixture->store), NX_E_FULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    fixture_wait_ready(fixture);
    assert_int_equal(fixture_wait(fixture, fixture_put(fixture, 0, "big", "small")), 0);
    fixture_close(fixture);
    expect_dump(
            fixture, seen_value[0] == 'n' ? "0 big=small\n1 k=new\n" : "0 big=small\n1 k=old\n");
    free(big);
}

static void a_long_queue_says_so(void **state)
{
    struct fixture *fixture = *state;
    int r = 0;

    fixture->options.queue_bytes_max = 1000;
    assert_int_equal(nx_store_open(&fixture->options, &fixture->store, &fixture->fault), 0);
    for (int i = 0; i < 100 && r == 0; i++) {
        (void)fixture_put(fixture, 0, "key", "a value of some length, to fill the queue");
        r = nx_store_ready(fixture->store);
    }
    assert_int_equal(r, NX_E_LIMIT);
    assert_int_equal(nx_store_start(fixture->store), 0);
    assert_int_equal(fixture_wait(fixture, fixture->submitted), 0);
    fixture_wait_ready(fixture);
}

static void a_second_process_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char number[32];
    struct nx_store *second;
    int status;
    pid_t child;

    fixture_open(fixture);
    (void)snprintf(number, sizeof(number), "number %ld.", (long)getpid());
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int r = nx_store_open(&fixture->options, &second, &fixture->fault);

        _exit(r == NX_E_BUSY && strstr(fixture->fault.text, number) ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int open_result(struct fixture *fixture)
{
    struct nx_store *store;
    int r = nx_store_open(&fixture->options, &store, &fixture->fault);

    if (r == 0)
        nx_store_close(store);
    else
        assert_true(strlen(fixture->fault.text) > 20);
    return r;
}

static void foreign_folders_are_refused(void **state)
{
    struct fixture *fixture = *state;
    char path[256], path_new[256];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val key = {1, path}, value = {1, path};

    (void)snprintf(path, sizeof(path), "%s/thesis.txt", fixture->dir);
    (void)snprintf(path_new, sizeof(path_new), "%s.new", fixture->file);
    assert_int_equal(mkdir(fixture->dir, 0700), 0);
    write_file(path, "x", 1);
    assert_int_equal(open_result(fixture), NX_E_FOREIGN);
    assert_non_null(strstr(fixture->fault.text, "thesis.txt"));
    assert_int_equal(unlink(path), 0);

    /* What an interrupted creation leaves is cleared away. */
    write_file(path_new, "half", 4);
    assert_int_equal(open_result(fixture), 0);
    assert_int_not_equal(access(path_new, F_OK), 0);
    assert_int_equal(unlink(fixture->file), 0);

    /* Somebody else's LMDB, of our flags. */
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, fixture->file, MDB_NOSUBDIR | MDB_NOLOCK, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    assert_int_equal(open_result(fixture), NX_E_FOREIGN);
    write_file(fixture->file, "", 0);
    assert_int_equal(open_result(fixture), NX_E_DAMAGED);
}

static void a_folder_without_permission_is_refused(void **state)
{
    struct fixture *fixture = *state;

    fixture->options.dir = "/proc/nexus";
    assert_int_equal(open_result(fixture), NX_E_IO);
    fixture->options.dir = "/dev/null";
    assert_int_equal(open_result(fixture), NX_E_IO);
    fixture->options.dir = "";
    assert_int_equal(open_result(fixture), NX_E_INVALID);
}

/* The caller for the allocation harness: no threads, so that every allocation is in turn. */
static void open_with(const struct nx_mem *mem, void *ctx)
{
    struct fixture *fixture = ctx;
    struct nx_change change = {NX_CHANGE_PUT, 0, NX_BYTES("k"), NX_BYTES("v")};
    struct nx_store *store;

    fixture->options.mem = mem;
    if (nx_store_open(&fixture->options, &store, &fixture->fault) < 0)
        return;
    (void)pthread_mutex_lock(&fixture->mutex);
    fixture->done = 0;
    fixture->submitted = 2;
    (void)pthread_mutex_unlock(&fixture->mutex);
    (void)nx_store_submit(store, &change, 1);
    (void)nx_store_submit(store, &change, 1);
    if (nx_store_start(store) == 0)
        assert_true(fixture_wait(fixture, 2) <= 0);
    nx_store_close(store);
}

static void every_allocation_may_fail(void **state)
{
    assert_true(nx_mem_fail_each(open_with, *state) >= 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
            TEST(what_is_done_is_there_again),
            TEST(large_values_and_units),
            TEST(impossible_units_fail),
            TEST(visits_can_end_early),
            TEST(groups_under_eight_threads),
            TEST(a_full_map_fails_and_recovers),
            TEST(a_full_disk_fails_and_recovers),
            TEST(a_long_queue_says_so),
            TEST(a_second_process_is_refused),
            TEST(foreign_folders_are_refused),
            TEST(a_folder_without_permission_is_refused),
            TEST(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
