/* A store as small as can be, for tests of machines that state changes: tables as one sorted array,
 * units with growing numbers that wait until the test commits or fails them. */
#ifndef NX_TESTS_TOY_STORE_H
#define NX_TESTS_TOY_STORE_H

#include "base/buf.h"
#include "base/change.h"

struct toy_record {
    unsigned table;
    enum nx_change_op op; /* of a record that waits in a unit */
    size_t key_len, value_len;
    char key[NX_CHANGE_KEY_BYTES_MAX];
    char *value;
};

struct toy_unit {
    uint64_t number;
    struct toy_record *changes;
    size_t count;
};

struct toy_store {
    struct toy_record *records; /* durable; by table, then key */
    size_t count, capacity;
    struct toy_unit *queue;
    size_t queued, queue_capacity;
    uint64_t submitted, durable; /* numbers */
};

void toy_store_done(struct toy_store *store);
/* Copies the changes. Returns the unit's number. */
uint64_t toy_submit(struct toy_store *store, const struct nx_change *changes, size_t count);
/* The first `units` that wait become durable. */
void toy_commit(struct toy_store *store, size_t units);
/* All that waits is lost, its numbers are used up. */
void toy_lose(struct toy_store *store);
/* What is durable; NULL when there is none. */
const struct toy_record *toy_find(
        const struct toy_store *store, unsigned table, struct nx_bytes key);
/* For nx_sessions_rollback; ctx is the store. */
int toy_read_session(void *ctx, struct nx_bytes key, struct nx_buf *value);

#endif
