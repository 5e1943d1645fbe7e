/* The store's queue and its storage thread (store.h; the folder's layout: store_open.c).
 *
 * Submitting copies a unit behind the others in the front buffer. The thread swaps the buffers and
 * commits what it took, in groups that keep one commit short; meanwhile the next group gathers in
 * front, so that no delay is needed to form one.
 *
 * When a group fails: `ready` turns negative first; then on_failed lets the caller stop and restore
 * its memory and tell the last number it had submitted; of the queue all up to that number goes,
 * what the caller submitted later (on its restored memory) stays. A unit that could not be queued
 * for want of memory fails in its turn, in the same way; the units behind it are dropped unseen,
 * for they may rest on it. */
#include <assert.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "io/store_internal.h"

#define GROUP_UNITS_MAX   4096
#define GROUP_BYTES_MAX   ((size_t)8 << 20)
#define QUEUE_UNITS_EXTRA 16 /* of full size, by callers that asked at the same moment */
#define QUEUE_KEEP_BYTES  ((size_t)1 << 20)
#define PROBE_EVERY_MS    1000
#define IDLE_WAIT_MS      60000

static void update_ready(struct nx_store *store)
{
    int ready = store->failure;

    if (ready == 0 && store->queued_bytes >= store->options.queue_bytes_max)
        ready = NX_E_LIMIT;
    atomic_store(&store->ready, ready);
}

int nx_store_ready(const struct nx_store *store)
{
    return atomic_load(&store->ready);
}

/* Returns the encoded length, or 0 when a change is none. */
static size_t unit_bytes(const struct nx_change *changes, size_t count)
{
    size_t len = sizeof(struct store_unit_head);

    if (count > UINT32_MAX)
        return 0;
    for (size_t i = 0; i < count; i++) {
        const struct nx_change *change = &changes[i];

        if ((unsigned)change->op > NX_CHANGE_DELETE_PREFIX || change->table >= NX_CHANGE_TABLES ||
                change->key.len > NX_CHANGE_KEY_BYTES_MAX ||
                change->value.len > STORE_VALUE_BYTES_MAX)
            return 0;
        len += sizeof(struct store_change_head) + 1 + change->key.len;
        if (change->op == NX_CHANGE_PUT)
            len += change->value.len;
        if (len > STORE_UNIT_BYTES_MAX)
            return 0;
    }
    return len;
}

static char *append(char *to, const void *ptr, size_t len)
{
    if (len > 0)
        memcpy(to, ptr, len);
    return to + len;
}

static void encode(
        char *to, uint64_t number, const struct nx_change *changes, size_t count, size_t len)
{
    struct store_unit_head unit = {number, (uint32_t)(len - sizeof(unit)), (uint32_t)count};

    to = append(to, &unit, sizeof(unit));
    for (size_t i = 0; i < count; i++) {
        const struct nx_change *change = &changes[i];
        struct store_change_head head = {.op = (uint8_t)change->op};

        head.key_len = (uint16_t)(change->key.len + 1);
        head.value_len = change->op == NX_CHANGE_PUT ? (uint32_t)change->value.len : 0;
        to = append(to, &head, sizeof(head));
        *to++ = (char)(change->table + 1);
        to = append(to, change->key.ptr, change->key.len);
        to = append(to, change->value.ptr, head.value_len);
    }
}

/* Makes room for len bytes behind the front queue's. */
static int queue_room(struct nx_store *store, size_t len)
{
    struct store_queue *queue = &store->front;
    size_t capacity = queue->capacity > 0 ? queue->capacity : 65536;
    char *ptr;

    if (store->queued_bytes + len >
            store->options.queue_bytes_max + QUEUE_UNITS_EXTRA * STORE_UNIT_BYTES_MAX)
        return NX_E_LIMIT;
    if (len <= queue->capacity - queue->len)
        return 0;
    while (capacity < queue->len + len)
        capacity *= 2;
    ptr = nx_mem_resize(store->mem, queue->ptr, capacity);
    if (!ptr)
        return NX_E_NOMEM;
    queue->ptr = ptr;
    queue->capacity = capacity;
    return 0;
}

uint64_t nx_store_submit(struct nx_store *store, const struct nx_change *changes, size_t count)
{
    size_t len = unit_bytes(changes, count);
    uint64_t number;
    int r;

    (void)pthread_mutex_lock(&store->mutex);
    number = ++store->last_number;
    if (store->poison == 0) {
        r = len > 0 ? queue_room(store, len) : NX_E_INVALID;
        if (r == 0) {
            encode(store->front.ptr + store->front.len, number, changes, count, len);
            store->front.len += len;
            store->queued_bytes += len;
            update_ready(store);
        } else {
            store->poison = r;
            store->poison_number = number;
        }
    }
    (void)pthread_cond_signal(&store->wake);
    (void)pthread_mutex_unlock(&store->mutex);
    return number;
}

/* Takes all units up to `last` from the head of the front queue. Under the mutex. */
static void drop_until(struct nx_store *store, uint64_t last)
{
    struct store_queue *queue = &store->front;
    struct store_unit_head head;
    size_t at = 0;

    while (at < queue->len) {
        memcpy(&head, queue->ptr + at, sizeof(head));
        if (head.number > last)
            break;
        at += sizeof(head) + head.bytes;
    }
    if (at == 0)
        return;
    memmove(queue->ptr, queue->ptr + at, queue->len - at);
    queue->len -= at;
    store->queued_bytes -= at;
    if (store->poison != 0 && store->poison_number <= last)
        store->poison = 0;
}

/* The group that ended with unit `upto` failed. */
static void fail(struct nx_store *store, int error, uint64_t upto)
{
    uint64_t last;

    atomic_fetch_add(&store->failures, 1);
    (void)pthread_mutex_lock(&store->mutex);
    store->failure = error == NX_E_FULL ? NX_E_FULL : NX_E_IO;
    update_ready(store);
    (void)pthread_mutex_unlock(&store->mutex);

    last = store->options.on_failed ? store->options.on_failed(store->options.ctx, error) : 0;

    (void)pthread_mutex_lock(&store->mutex);
    if (!store->options.on_failed)
        last = store->last_number;
    assert(last >= upto && last <= store->last_number);
    drop_until(store, last);
    if (store->poison != 0 && store->poison_number <= last)
        store->poison = 0;
    update_ready(store);
    (void)pthread_mutex_unlock(&store->mutex);
    store->options.on_done(store->options.ctx, last, error);
}

static void succeeded(struct nx_store *store, size_t bytes)
{
    (void)pthread_mutex_lock(&store->mutex);
    store->queued_bytes -= bytes;
    store->failure = store->fatal ? NX_E_IO : 0;
    update_ready(store);
    (void)pthread_mutex_unlock(&store->mutex);
}

/* Finds the end of the group that begins at `at`: as many units as one commit should carry. */
static size_t group_end(
        const struct store_queue *queue, size_t at, uint64_t *ret_units, uint64_t *ret_upto)
{
    struct store_unit_head head;
    size_t end = at;
    uint64_t units = 0;

    while (end < queue->len && units < GROUP_UNITS_MAX) {
        memcpy(&head, queue->ptr + end, sizeof(head));
        if (units > 0 && end - at + sizeof(head) + head.bytes > GROUP_BYTES_MAX)
            break;
        end += sizeof(head) + head.bytes;
        units++;
        *ret_upto = head.number;
    }
    *ret_units = units;
    return end;
}

/* Commits the back queue, group by group. What is left of it when one fails is dropped: the caller
 * had submitted all of it by then. */
static void run_back(struct nx_store *store)
{
    struct store_queue *queue = &store->back;
    size_t at = 0;

    while (at < queue->len) {
        uint64_t units, upto = 0;
        size_t end = group_end(queue, at, &units, &upto);
        int r = nx_store_apply(store, queue->ptr + at, end - at);

        if (r < 0) {
            (void)pthread_mutex_lock(&store->mutex);
            store->queued_bytes -= queue->len - at;
            (void)pthread_mutex_unlock(&store->mutex);
            queue->len = 0;
            fail(store, r, upto);
            return;
        }
        succeeded(store, end - at);
        atomic_fetch_add(&store->groups, 1);
        atomic_fetch_add(&store->units, units);
        store->options.on_done(store->options.ctx, upto, 0);
        at = end;
    }
    queue->len = 0;
}

static struct timespec after_ms(int64_t ms)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(ms / 1000);
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

/* Waits for work and takes it. Returns false when there is none and the store is closing. */
static bool take(struct nx_store *store, bool *ret_probe, int *ret_poison, uint64_t *ret_number)
{
    struct timespec until;
    struct store_queue empty;
    int waited = 0;
    bool more;

    (void)pthread_mutex_lock(&store->mutex);
    /* A buffer that once had to be large is not kept so for ever. */
    if (store->back.capacity > QUEUE_KEEP_BYTES) {
        nx_mem_free(store->mem, store->back.ptr);
        store->back = (struct store_queue){0};
    }
    until = after_ms(store->failure != 0 && !store->fatal ? PROBE_EVERY_MS : IDLE_WAIT_MS);
    while (store->front.len == 0 && store->poison == 0 && !store->closing && waited == 0)
        waited = pthread_cond_timedwait(&store->wake, &store->mutex, &until);
    *ret_probe = store->failure != 0 && store->front.len == 0 && waited != 0;
    *ret_poison = store->poison;
    *ret_number = store->poison_number;
    more = store->front.len > 0 || store->poison != 0 || !store->closing;
    empty = store->back;
    store->back = store->front;
    store->front = empty;
    (void)pthread_mutex_unlock(&store->mutex);
    return more;
}

static void *run(void *arg)
{
    struct nx_store *store = arg;
    uint64_t number;
    bool probe, still;
    int poison;

    while (take(store, &probe, &poison, &number)) {
        if (probe) {
            if (nx_store_probe(store) == 0)
                succeeded(store, 0);
            continue;
        }
        run_back(store);
        if (poison != 0) {
            /* Unless a failure in the units before has taken it along. */
            (void)pthread_mutex_lock(&store->mutex);
            still = store->poison != 0 && store->poison_number == number;
            if (still)
                store->poison = 0;
            (void)pthread_mutex_unlock(&store->mutex);
            if (still)
                fail(store, poison, number);
        }
    }
    return NULL;
}

int nx_store_start(struct nx_store *store)
{
    sigset_t all, old;
    int r;

    if (store->started)
        return NX_E_INVALID;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are for the caller's threads */
    r = pthread_create(&store->thread, NULL, run, store);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r != 0)
        return NX_E_NOMEM;
    store->started = true;
    return 0;
}

void nx_store_close(struct nx_store *store)
{
    if (!store)
        return;
    if (store->started) {
        (void)pthread_mutex_lock(&store->mutex);
        store->closing = true;
        (void)pthread_cond_signal(&store->wake);
        (void)pthread_mutex_unlock(&store->mutex);
        (void)pthread_join(store->thread, NULL);
    }
    if (store->view)
        mdb_txn_abort(store->view);
    if (store->env)
        mdb_env_close(store->env);
    if (store->lock_fd >= 0)
        (void)close(store->lock_fd);
    if (store->dir_fd >= 0)
        (void)close(store->dir_fd);
    (void)pthread_cond_destroy(&store->wake);
    (void)pthread_mutex_destroy(&store->mutex);
    nx_mem_free(store->mem, store->front.ptr);
    nx_mem_free(store->mem, store->back.ptr);
    nx_mem_free(store->mem, store);
}

void nx_store_stats(struct nx_store *store, struct nx_store_stats *ret_stats)
{
    ret_stats->groups = atomic_load(&store->groups);
    ret_stats->units = atomic_load(&store->units);
    ret_stats->failures = atomic_load(&store->failures);
    ret_stats->bytes_used = atomic_load(&store->bytes_used);
    ret_stats->bytes_max = store->options.map_bytes_max;
}
