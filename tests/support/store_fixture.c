/* See store_fixture.h. */
#include "support/store_fixture.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_S 20

static void on_done(void *ctx, uint64_t upto, int result)
{
    struct fixture *fixture = ctx;

    (void)pthread_mutex_lock(&fixture->mutex);
    if (upto <= fixture->done)
        abort(); /* reports must ascend */
    fixture->done = upto;
    fixture->result = result;
    fixture->reports++;
    (void)pthread_cond_broadcast(&fixture->wake);
    (void)pthread_mutex_unlock(&fixture->mutex);
}

static uint64_t on_failed(void *ctx, int error)
{
    struct fixture *fixture = ctx;
    uint64_t last;

    (void)error;
    if (fixture->failing)
        fixture->failing(fixture);
    (void)pthread_mutex_lock(&fixture->mutex);
    fixture->failed_calls++;
    last = fixture->submitted;
    (void)pthread_mutex_unlock(&fixture->mutex);
    return last;
}

int fixture_setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    if (!fixture)
        return -1;
    /* In memory where that can be: thousands of syncs, none of which matters here. */
    (void)snprintf(fixture->root, sizeof(fixture->root), "%s/nexus-store-XXXXXX",
            access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(fixture->root))
        return -1;
    (void)snprintf(fixture->dir, sizeof(fixture->dir), "%s/data", fixture->root);
    (void)snprintf(fixture->file, sizeof(fixture->file), "%s/data/nexus.mdb", fixture->root);
    fixture->options = (struct nx_store_options){
            .dir = fixture->dir,
            .map_bytes_max = (size_t)64 << 20,
            .queue_bytes_max = (size_t)8 << 20,
            .on_done = on_done,
            .on_failed = on_failed,
            .ctx = fixture,
    };
    (void)pthread_mutex_init(&fixture->mutex, NULL);
    (void)pthread_cond_init(&fixture->wake, NULL);
    *state = fixture;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;

    nx_store_close(fixture->store);
    remove_tree(fixture->root);
    (void)pthread_cond_destroy(&fixture->wake);
    (void)pthread_mutex_destroy(&fixture->mutex);
    free(fixture);
    return 0;
}

void fixture_open(struct fixture *fixture)
{
    int r = nx_store_open(&fixture->options, &fixture->store, &fixture->fault);

    if (r < 0)
        fail_msg("open: %d %s", r, fixture->fault.text);
    fixture->submitted = 0;
    fixture->done = 0;
    assert_int_equal(nx_store_start(fixture->store), 0);
}

void fixture_close(struct fixture *fixture)
{
    nx_store_close(fixture->store);
    fixture->store = NULL;
}

uint64_t fixture_submit(struct fixture *fixture, const struct nx_change *changes, size_t count)
{
    uint64_t number;

    (void)pthread_mutex_lock(&fixture->mutex);
    number = nx_store_submit(fixture->store, changes, count);
    assert_true(number == fixture->submitted + 1);
    fixture->submitted = number;
    (void)pthread_mutex_unlock(&fixture->mutex);
    return number;
}

uint64_t fixture_put(struct fixture *fixture, unsigned table, const char *key, const char *value)
{
    struct nx_change change = {NX_CHANGE_PUT, table, nx_bytes_str(key), nx_bytes_str(value)};

    return fixture_submit(fixture, &change, 1);
}

uint64_t fixture_delete(struct fixture *fixture, unsigned table, const char *key, bool prefix)
{
    struct nx_change change = {prefix ? NX_CHANGE_DELETE_PREFIX : NX_CHANGE_DELETE, table,
            nx_bytes_str(key), {NULL, 0}};

    return fixture_submit(fixture, &change, 1);
}

int fixture_wait(struct fixture *fixture, uint64_t number)
{
    struct timespec until;
    int result, r = 0;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    (void)pthread_mutex_lock(&fixture->mutex);
    while (fixture->done < number && r == 0)
        r = pthread_cond_timedwait(&fixture->wake, &fixture->mutex, &until);
    result = fixture->result;
    (void)pthread_mutex_unlock(&fixture->mutex);
    assert_int_equal(r, 0);
    return result;
}

void fixture_wait_ready(struct fixture *fixture)
{
    struct timespec pause = {0, 10000000};

    for (int i = 0; i < WAIT_S * 100 && nx_store_ready(fixture->store) != 0; i++)
        (void)nanosleep(&pause, NULL);
    assert_int_equal(nx_store_ready(fixture->store), 0);
}

struct dump {
    FILE *out;
    unsigned table;
};

static int dump_visit(void *ctx, struct nx_bytes key, struct nx_bytes value)
{
    struct dump *dump = ctx;

    (void)fprintf(dump->out, "%u ", dump->table);
    if (key.len > 0)
        (void)fwrite(key.ptr, 1, key.len, dump->out);
    (void)fputc('=', dump->out);
    if (value.len > 0)
        (void)fwrite(value.ptr, 1, value.len, dump->out);
    (void)fputc('\n', dump->out);
    return 0;
}

int fixture_try_dump(struct fixture *fixture, char **ret_text)
{
    struct dump dump = {0};
    struct nx_store *store;
    char *text = NULL;
    size_t len;
    int r = nx_store_open(&fixture->options, &store, &fixture->fault);

    if (r < 0)
        return r;
    dump.out = open_memstream(&text, &len);
    assert_non_null(dump.out);
    for (dump.table = 0; r == 0 && dump.table < NX_CHANGE_TABLES; dump.table++)
        r = nx_store_each(store, dump.table, dump_visit, &dump);
    (void)fclose(dump.out);
    nx_store_close(store);
    if (r < 0)
        free(text);
    else
        *ret_text = text;
    return r;
}

char *fixture_dump(struct fixture *fixture)
{
    char *text = NULL;
    int r = fixture_try_dump(fixture, &text);

    if (r < 0)
        fail_msg("dump: %d %s", r, fixture->fault.text);
    return text;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

char *read_file(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "rb");
    struct stat st;
    char *ptr;

    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &st), 0);
    ptr = malloc((size_t)st.st_size + 1);
    assert_non_null(ptr);
    assert_int_equal(fread(ptr, 1, (size_t)st.st_size, file), st.st_size);
    (void)fclose(file);
    *ret_len = (size_t)st.st_size;
    return ptr;
}

void write_file(const char *path, const char *ptr, size_t len)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(ptr, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}
