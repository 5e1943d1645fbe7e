/* See toy_store.h. */
#include "support/toy_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void *grown(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    *capacity = *capacity ? 2 * *capacity : 8;
    array = realloc(array, *capacity * size);
    assert_non_null(array);
    return array;
}

static char *copied(struct nx_bytes bytes)
{
    /* Exactly its size, so that ASan sees a byte read too far. */
    char *copy = malloc(bytes.len > 0 ? bytes.len : 1);

    assert_non_null(copy);
    if (bytes.len > 0)
        memcpy(copy, bytes.ptr, bytes.len);
    return copy;
}

static void unit_free(struct toy_unit *unit)
{
    for (size_t i = 0; i < unit->count; i++)
        free(unit->changes[i].value);
    free(unit->changes);
}

void toy_store_done(struct toy_store *store)
{
    toy_lose(store);
    for (size_t i = 0; i < store->count; i++)
        free(store->records[i].value);
    free(store->records);
    free(store->queue);
    *store = (struct toy_store){0};
}

uint64_t toy_submit(struct toy_store *store, const struct nx_change *changes, size_t count)
{
    struct toy_unit *unit;

    store->queue =
            grown(store->queue, store->queued, &store->queue_capacity, sizeof(*store->queue));
    unit = &store->queue[store->queued++];
    *unit = (struct toy_unit){.number = ++store->submitted, .count = count};
    unit->changes = calloc(count, sizeof(*unit->changes));
    assert_non_null(unit->changes);
    for (size_t i = 0; i < count; i++) {
        struct toy_record *to = &unit->changes[i];

        assert_true(changes[i].key.len > 0 && changes[i].key.len <= sizeof(to->key));
        *to = (struct toy_record){.table = changes[i].table,
                .op = changes[i].op,
                .key_len = changes[i].key.len,
                .value_len = changes[i].value.len};
        memcpy(to->key, changes[i].key.ptr, to->key_len);
        to->value = copied(changes[i].value);
    }
    return store->submitted;
}

static int order(const struct toy_record *record, unsigned table, struct nx_bytes key)
{
    size_t common = record->key_len < key.len ? record->key_len : key.len;
    int r;

    if (record->table != table)
        return record->table < table ? -1 : 1;
    r = memcmp(record->key, key.ptr, common);
    if (r != 0)
        return r;
    return record->key_len < key.len ? -1 : record->key_len > key.len;
}

/* Where the key is, or would be. */
static size_t place(const struct toy_store *store, unsigned table, struct nx_bytes key)
{
    size_t low = 0;
    size_t high = store->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (order(&store->records[middle], table, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void take_out(struct toy_store *store, size_t at)
{
    free(store->records[at].value);
    memmove(&store->records[at], &store->records[at + 1],
            (--store->count - at) * sizeof(*store->records));
}

static bool starts(const struct toy_record *record, const struct toy_record *prefix)
{
    return record->table == prefix->table && record->key_len >= prefix->key_len &&
           memcmp(record->key, prefix->key, prefix->key_len) == 0;
}

static void apply(struct toy_store *store, struct toy_record *change)
{
    struct nx_bytes key = nx_bytes_of(change->key, change->key_len);
    size_t at = place(store, change->table, key);
    bool found = at < store->count && order(&store->records[at], change->table, key) == 0;

    switch (change->op) {
    case NX_CHANGE_PUT:
        if (found)
            take_out(store, at);
        store->records =
                grown(store->records, store->count, &store->capacity, sizeof(*store->records));
        memmove(&store->records[at + 1], &store->records[at],
                (store->count++ - at) * sizeof(*store->records));
        store->records[at] = *change;
        change->value = NULL;
        break;
    case NX_CHANGE_DELETE:
        if (found)
            take_out(store, at);
        break;
    case NX_CHANGE_DELETE_PREFIX:
        while (at < store->count && starts(&store->records[at], change))
            take_out(store, at);
        break;
    }
}

void toy_commit(struct toy_store *store, size_t units)
{
    if (units > store->queued)
        units = store->queued;
    for (size_t i = 0; i < units; i++) {
        for (size_t k = 0; k < store->queue[i].count; k++)
            apply(store, &store->queue[i].changes[k]);
        store->durable = store->queue[i].number;
        unit_free(&store->queue[i]);
    }
    store->queued -= units;
    if (store->queued > 0)
        memmove(store->queue, store->queue + units, store->queued * sizeof(*store->queue));
}

void toy_lose(struct toy_store *store)
{
    for (size_t i = 0; i < store->queued; i++)
        unit_free(&store->queue[i]);
    store->queued = 0;
}

const struct toy_record *toy_find(
        const struct toy_store *store, unsigned table, struct nx_bytes key)
{
    size_t at = place(store, table, key);

    return at < store->count && order(&store->records[at], table, key) == 0 ? &store->records[at]
                                                                            : NULL;
}

int toy_read_session(void *ctx, struct nx_bytes key, struct nx_buf *value)
{
    const struct toy_record *record = toy_find(ctx, 0, key);

    if (!record)
        return NX_E_NOTFOUND;
    nx_buf_append(value, nx_bytes_of(record->value, record->value_len));
    return nx_buf_error(value);
}
