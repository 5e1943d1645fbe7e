/* Durable key-value changes with group commit, on LMDB.
 *
 * Any thread submits changes; one storage thread of the store's own commits all that is waiting in
 * one transaction, syncs, and reports. Submitting never blocks on the disk. Changes carry a
 * sequence number that grows by one a submit; reports come in that order. The store knows a
 * few tables of byte strings and nothing of what they mean. */
#ifndef NX_IO_STORE_H
#define NX_IO_STORE_H

#include "base/buf.h"
#include "base/change.h"
#include "base/mem.h"

struct nx_store_options {
    const char *dir;        /* made (0700) when it is not there */
    size_t map_bytes_max;   /* the database's greatest size; NX_E_FULL beyond */
    size_t queue_bytes_max; /* changes waiting for the disk */
    /* Called on the storage thread after each group: every change numbered up to upto, and after
     * the last report's, is on disk (result 0), or is not and never will be (result < 0). */
    void (*on_done)(void *ctx, uint64_t upto, int result);
    /* Called on the storage thread when a group failed, before on_done: the caller stops
     * submitting (its own locks), restores its memory by nx_store_get, and returns the number of
     * the last change it had submitted; all up to there count as failed. The store drops what was
     * queued. */
    uint64_t (*on_failed)(void *ctx, int error);
    void *ctx;
    const struct nx_mem *mem; /* NULL: the C library's; used from any thread, one at a time */
};

struct nx_store;

/* A sentence for the operator: what is wrong, with which file, and what to do. */
struct nx_store_fault {
    char text[512];
};

/* Opens or creates. Refuses, with a fault: a folder that holds other things (NX_E_FOREIGN), one
 * that another process has open (NX_E_BUSY), damage: bad magic, a file shorter than its own
 * structure says, a page or record that cannot be read or whose checksum is wrong, records missing
 * or older than the last commit (NX_E_DAMAGED; the whole database is read once, by pread and with
 * every offset checked, before LMDB maps it, so that a broken page cannot take this process down),
 * a newer format (NX_E_FOREIGN), no permission (NX_E_IO), a full disk (NX_E_FULL).
 * The storage thread is not running yet. Every value is stored with a checksum. */
NX_MUST_USE int nx_store_open(const struct nx_store_options *options, struct nx_store **ret_store,
        struct nx_store_fault *ret_fault);

/* Visits every record of a table in key order; a visit that returns < 0 ends it with that. Before
 * nx_store_start only. */
NX_MUST_USE int nx_store_each(struct nx_store *store, unsigned table,
        int (*visit)(void *ctx, struct nx_bytes key, struct nx_bytes value), void *ctx);

/* Starts the storage thread. */
NX_MUST_USE int nx_store_start(struct nx_store *store);

/* 0 when changes are welcome; NX_E_LIMIT (queue full: try later), NX_E_FULL or NX_E_IO while the
 * last group failed and no probe has succeeded since (the storage thread retries a small write
 * every second). Cheap: one atomic load. Ask before a step that would change something. */
NX_MUST_USE int nx_store_ready(const struct nx_store *store);

/* Queues changes as one unit (all or none of them become durable). Copies them. Callable from any
 * thread, not from on_done or on_failed. Returns the unit's number, from 1. Never fails: memory is
 * taken from a queue that nx_store_ready guards (a unit of up to 16 MiB fits after a positive
 * answer; out of memory here is recorded and fails the group, as a full disk would). */
uint64_t nx_store_submit(struct nx_store *store, const struct nx_change *changes, size_t count);

/* Reads what is durable now. For on_failed. Returns 0 (appends to value) or NX_E_NOTFOUND, … */
NX_MUST_USE int nx_store_get(
        struct nx_store *store, unsigned table, struct nx_bytes key, struct nx_buf *value);

/* Commits what is queued, ends the thread, closes. NULL is fine. */
void nx_store_close(struct nx_store *store);

struct nx_store_stats {
    uint64_t groups, units, failures; /* since start */
    uint64_t bytes_used, bytes_max;   /* of the database */
};
void nx_store_stats(struct nx_store *store, struct nx_store_stats *ret_stats);

#endif
