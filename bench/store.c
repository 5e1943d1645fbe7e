/* Units a second through the store with 1, 8 and 64 outstanding (300-byte values, mostly ascending
 * keys), beside what the folder's disk can do at all: a 4 KiB write and fdatasync, one after the
 * other, measured in turn with the store in the same run.
 *
 *   store_bench FOLDER [SECONDS]
 *
 * FOLDER/bench-store is made and removed. A line a measurement: units/s, median and 99th
 * percentile from submit to report, and units per raw write. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/store.h"

#define OUTSTANDING_MAX 64
#define SAMPLES_MAX     4000000

struct bench {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    uint64_t done;
    int result;
    int64_t sent_ns[OUTSTANDING_MAX];
    uint32_t *took_us;
    size_t samples;
};

static int64_t now_ns(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

static void on_done(void *ctx, uint64_t upto, int result)
{
    struct bench *bench = ctx;
    int64_t now = now_ns();

    (void)pthread_mutex_lock(&bench->mutex);
    for (uint64_t n = bench->done + 1; n <= upto && bench->samples < SAMPLES_MAX; n++)
        bench->took_us[bench->samples++] =
                (uint32_t)((now - bench->sent_ns[n % OUTSTANDING_MAX]) / 1000);
    bench->done = upto;
    if (result < 0)
        bench->result = result;
    (void)pthread_cond_signal(&bench->wake);
    (void)pthread_mutex_unlock(&bench->mutex);
}

static int by_size(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static double raw_per_s(const char *folder, double seconds)
{
    char path[4096], page[4096] = {0};
    int64_t start = now_ns(), end = start + (int64_t)(seconds * 1e9), now = start;
    long count = 0;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/bench-raw", folder);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0)
        return 0;
    for (; now < end; now = now_ns()) {
        page[count % 4096]++;
        if (pwrite(fd, page, sizeof(page), 0) != (ssize_t)sizeof(page) || fdatasync(fd) < 0)
            break;
        count++;
    }
    (void)close(fd);
    (void)unlink(path);
    return (double)count * 1e9 / (double)(now - start);
}

/* Keeps `outstanding` units in flight. */
static double units_per_s(
        struct bench *bench, struct nx_store *store, unsigned outstanding, double seconds)
{
    static uint64_t key_number, issued;
    char key[32], value[300];
    int64_t start = now_ns(), end = start + (int64_t)(seconds * 1e9), now = start;
    uint64_t first = issued;

    memset(value, 'v', sizeof(value));
    bench->samples = 0;
    for (; now < end && bench->result == 0; now = now_ns()) {
        struct nx_change change = {NX_CHANGE_PUT, 0, {key, 0}, {value, sizeof(value)}};

        /* One in eight writes an earlier key again. */
        key_number++;
        change.key.len = (size_t)snprintf(key, sizeof(key), "%016llx",
                (unsigned long long)(key_number % 8 ? key_number : key_number / 2));
        (void)pthread_mutex_lock(&bench->mutex);
        while (issued - bench->done >= outstanding)
            (void)pthread_cond_wait(&bench->wake, &bench->mutex);
        bench->sent_ns[(issued + 1) % OUTSTANDING_MAX] = now_ns();
        issued = nx_store_submit(store, &change, 1);
        (void)pthread_mutex_unlock(&bench->mutex);
    }
    (void)pthread_mutex_lock(&bench->mutex);
    while (bench->done < issued)
        (void)pthread_cond_wait(&bench->wake, &bench->mutex);
    (void)pthread_mutex_unlock(&bench->mutex);
    return (double)(issued - first) * 1e9 / (double)(now_ns() - start);
}

/* A percentile of the sorted samples. */
static double took_ms(const struct bench *bench, size_t percent)
{
    size_t at = bench->samples * percent / 100;

    return (double)bench->took_us[at] / 1000.0;
}

static int run(struct bench *bench, struct nx_store *store, const char *folder, double seconds)
{
    static const unsigned outstanding[] = {1, 8, 64};

    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 3; i++) {
            double raw = raw_per_s(folder, seconds / 2);
            double units = units_per_s(bench, store, outstanding[i], seconds);

            if (bench->result < 0 || raw <= 0 || bench->samples == 0)
                return 1;
            qsort(bench->took_us, bench->samples, sizeof(*bench->took_us), by_size);
            (void)printf("outstanding %2u: %7.0f units/s, median %6.2f ms, 99 %% %6.2f ms; "
                         "raw 4 KiB write+fdatasync %6.0f/s; ratio %.2f\n",
                    outstanding[i], units, took_ms(bench, 50), took_ms(bench, 99), raw,
                    units / raw);
            (void)fflush(stdout);
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct bench bench = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, {0}, NULL, 0};
    struct nx_store_options options = {.map_bytes_max = (size_t)8 << 30,
            .queue_bytes_max = (size_t)64 << 20,
            .on_done = on_done,
            .ctx = &bench};
    struct nx_store_fault fault;
    struct nx_store_stats stats;
    struct nx_store *store;
    char dir[4000], path[4096];
    int r;

    if (argc < 2 || argc > 3) {
        (void)fprintf(stderr, "usage: store_bench FOLDER [SECONDS]\n");
        return 2;
    }
    (void)snprintf(dir, sizeof(dir), "%s/bench-store", argv[1]);
    options.dir = dir;
    bench.took_us = malloc(SAMPLES_MAX * sizeof(*bench.took_us));
    if (!bench.took_us || nx_store_open(&options, &store, &fault) < 0 ||
            nx_store_start(store) < 0) {
        (void)fprintf(stderr, "%s\n", bench.took_us ? fault.text : "out of memory");
        return 1;
    }
    r = run(&bench, store, argv[1], argc > 2 ? strtod(argv[2], NULL) : 2);
    nx_store_stats(store, &stats);
    (void)printf("%llu units in %llu groups; database %.1f MiB\n", (unsigned long long)stats.units,
            (unsigned long long)stats.groups, (double)stats.bytes_used / 1048576);
    nx_store_close(store);
    free(bench.took_us);
    (void)snprintf(path, sizeof(path), "%s/nexus.mdb", dir);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s/lock", dir);
    (void)unlink(path);
    (void)rmdir(dir);
    return r;
}
