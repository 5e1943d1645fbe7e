/* The store under power loss, two programs in one:
 *
 *   store_work work DIR UNITS [nosync | nometasync | nodirsync]
 *     submits units 1 … UNITS of a known life (life()), in bursts, and marks each report. The last
 *     word breaks it, from outside of the product, so that the replayer can be seen to notice.
 *   store_work check DIR MARKS
 *     opens what a power loss left and compares it with that life: exactly the state after some
 *     unit, not before the last marked one; and it must live on. */
#include <dlfcn.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "io/store.h"

#define KEYS  97
#define EXTRA 5

static const char *broken = "";
static atomic_uint_fast64_t reported;
static void (*mark)(const char *text);

/* The product's calls end here first: the same symbol in the executable wins. */
__attribute__((visibility("default"))) int mdb_env_open(
        MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode)
{
    int (*real)(MDB_env *, const char *, unsigned, mdb_mode_t);

    *(void **)&real = dlsym(RTLD_NEXT, "mdb_env_open");
    if (strcmp(broken, "nosync") == 0)
        flags |= MDB_NOSYNC;
    if (strcmp(broken, "nometasync") == 0)
        flags |= MDB_NOMETASYNC;
    return real(env, path, flags, mode);
}

__attribute__((visibility("default"))) int fsync(int fd)
{
    int (*real)(int);
    struct stat st;

    if (strcmp(broken, "nodirsync") == 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        return 0;
    *(void **)&real = dlsym(RTLD_NEXT, "fsync");
    return real(fd);
}

static void die(const char *why, const char *what)
{
    (void)fprintf(stdout, "%s: %s\n", why, what);
    (void)fflush(stdout);
    _exit(1);
}

static void on_done(void *ctx, uint64_t upto, int result)
{
    char text[32];

    (void)ctx;
    if (result < 0)
        die("a group failed", nx_error_name(result));
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)upto);
    if (mark)
        mark(text);
    atomic_store(&reported, upto);
}

/* What the life is: unit n puts key n mod KEYS in table 0 with a value that follows from n, the
 * same key with n in table 1, and n alone in table 2; some units delete, or put a large value. */
struct life {
    uint64_t values[KEYS]; /* the unit that wrote the key last, 0: not there */
};

static void life_step(struct life *life, uint64_t n)
{
    life->values[n % KEYS] = n;
    if (n % 7 == 0)
        life->values[(n + 40) % KEYS] = 0;
    if (n % 50 == 0) /* all keys that begin with '1' */
        for (unsigned k = 10; k < 20; k++)
            life->values[k] = 0;
}

static size_t value_of(uint64_t n, char *to)
{
    size_t len = n % 23 == 0 ? 9000 : 100 + n % 400;

    for (size_t i = 0; i < len; i++)
        to[i] = (char)('a' + (n * 31 + i) % 26);
    return len;
}

static uint64_t submit(struct nx_store *store, uint64_t n)
{
    static char value[10000];
    char key[16], gone[16], number[32];
    struct nx_change changes[EXTRA + 2] = {
            {NX_CHANGE_PUT, 0, {0}, {value, value_of(n, value)}},
            {NX_CHANGE_PUT, 1, {0}, {0}},
            {NX_CHANGE_PUT, 2, NX_BYTES("n"), {0}},
    };
    size_t count = 3;

    (void)snprintf(key, sizeof(key), "%02u", (unsigned)(n % KEYS));
    (void)snprintf(gone, sizeof(gone), "%02u", (unsigned)((n + 40) % KEYS));
    (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)n);
    changes[0].key = changes[1].key = nx_bytes_str(key);
    changes[1].value = changes[2].value = nx_bytes_str(number);
    for (unsigned table = 0; n % 7 == 0 && table < 2; table++)
        changes[count++] =
                (struct nx_change){NX_CHANGE_DELETE, table, nx_bytes_str(gone), {NULL, 0}};
    for (unsigned table = 0; n % 50 == 0 && table < 2; table++)
        changes[count++] = (struct nx_change){NX_CHANGE_DELETE_PREFIX, table, NX_BYTES("1"), {0}};
    return nx_store_submit(store, changes, count);
}

static struct nx_store *open_store(const char *dir)
{
    struct nx_store_options options = {.dir = dir,
            .map_bytes_max = (size_t)16 << 20,
            .queue_bytes_max = (size_t)4 << 20,
            .on_done = on_done};
    struct nx_store_fault fault;
    struct nx_store *store;
    int r = nx_store_open(&options, &store, &fault);

    if (r < 0)
        die("cannot open", fault.text);
    return store;
}

static void wait_for(uint64_t number)
{
    struct timespec pause = {0, 200000};

    for (int i = 0; atomic_load(&reported) < number; i++) {
        if (i > 100000)
            die("no report", "within 20 s");
        (void)nanosleep(&pause, NULL);
    }
}

static int work(const char *dir, uint64_t units)
{
    struct nx_store *store = open_store(dir);
    uint64_t burst = 1;

    *(void **)&mark = dlsym(RTLD_DEFAULT, "nx_powerloss_mark");
    if (!mark || nx_store_start(store) < 0)
        die("cannot start", "is the shim preloaded?");
    for (uint64_t n = 1; n <= units; n++) {
        uint64_t number = submit(store, n);

        if (n % burst == 0) {
            wait_for(number);
            burst = 1 + burst * 7 % 13;
        }
    }
    nx_store_close(store);
    return 0;
}

struct seen {
    uint64_t values[2][KEYS];
    uint64_t n;
    unsigned table;
};

static int visit(void *ctx, struct nx_bytes key, struct nx_bytes value)
{
    static char expected[10000];
    struct seen *seen = ctx;
    uint64_t k, n;

    if (seen->table == 2)
        return nx_bytes_u64(value, &seen->n) ? 0 : NX_E_SYNTAX;
    if (!nx_bytes_u64(key, &k) || k >= KEYS)
        return NX_E_SYNTAX;
    if (seen->table == 1)
        return nx_bytes_u64(value, &seen->values[1][k]) ? 0 : NX_E_SYNTAX;
    /* The value tells no number: find it by what table 1 says, which is read first. */
    n = seen->values[1][k];
    if (value.len != value_of(n, expected) || memcmp(expected, value.ptr, value.len) != 0)
        return NX_E_DAMAGED;
    seen->values[0][k] = n;
    return 0;
}

/* A line a mark; the number it begins with. */
static uint64_t last_mark(const char *path)
{
    FILE *file = fopen(path, "r");
    char line[256];
    unsigned long long n = 0;

    if (!file)
        die("cannot read", path);
    while (fgets(line, sizeof(line), file))
        n = strtoull(line, NULL, 10);
    (void)fclose(file);
    return n;
}

static int check(const char *dir, const char *marks)
{
    static const unsigned order[] = {2, 1, 0};
    struct nx_store *store = open_store(dir);
    uint64_t promised = last_mark(marks);
    struct seen seen = {0};
    struct life life = {0};
    char text[128];

    for (unsigned i = 0; i < 3; i++) {
        seen.table = order[i];
        if (nx_store_each(store, order[i], visit, &seen) < 0)
            die("wrong", "a record is not what any unit wrote");
    }
    (void)snprintf(text, sizeof(text), "promised %llu, found %llu", (unsigned long long)promised,
            (unsigned long long)seen.n);
    if (seen.n < promised)
        die("lost", text);
    for (uint64_t n = 1; n <= seen.n; n++)
        life_step(&life, n);
    if (memcmp(life.values, seen.values[0], sizeof(life.values)) != 0 ||
            memcmp(life.values, seen.values[1], sizeof(life.values)) != 0)
        die("half-done", text);
    if (nx_store_start(store) < 0)
        die("cannot start", dir);
    wait_for(submit(store, seen.n + 1));
    nx_store_close(store);
    nx_store_close(open_store(dir));
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 4)
        broken = argv[4];
    if (argc >= 4 && strcmp(argv[1], "work") == 0)
        return work(argv[2], strtoull(argv[3], NULL, 10));
    if (argc == 4 && strcmp(argv[1], "check") == 0)
        return check(argv[2], argv[3]);
    (void)fprintf(stderr, "usage: store_work work DIR UNITS [BROKEN] | check DIR MARKS\n");
    return 2;
}
