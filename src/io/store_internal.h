/* What the files of the store share: its state, the shape of a stored record, and who does what.
 * store_open.c makes the folder and opens, store_check.c reads a database without trusting it,
 * store_apply.c carries out groups in LMDB, store.c queues and runs the storage thread.
 *
 * One LMDB tree holds everything. A key is one byte (0: the store's own records; 1 + table) and
 * the caller's key; a value is an 8-byte checksum and the caller's value. Own records: the format
 * ("\0f") and the commit ("\0c": number of the LMDB transaction that wrote it, count and sum of
 * the checksums of all the caller's records), rewritten in every transaction. So a record that
 * vanished, or a page that is an older version of itself, does not add up. */
#ifndef NX_IO_STORE_INTERNAL_H
#define NX_IO_STORE_INTERNAL_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/mem.h"
#include "io/store.h"

#define STORE_FILE           "nexus.mdb"
#define STORE_FILE_NEW       "nexus.mdb.new"
#define STORE_FILE_LOCK      "lock"
#define STORE_FILE_PROBE     "probe"
#define STORE_PATH_BYTES_MAX 4096

#define STORE_SUM_BYTES       8
#define STORE_KEY_BYTES_MAX   (NX_CHANGE_KEY_BYTES_MAX + 1)
#define STORE_UNIT_BYTES_MAX  ((size_t)17 << 20) /* 16 MiB of values and their frames */
#define STORE_VALUE_BYTES_MAX STORE_UNIT_BYTES_MAX

#define STORE_KEY_FORMAT NX_BYTES("\0f")
#define STORE_KEY_COMMIT NX_BYTES("\0c")
#define STORE_FORMAT     1

/* The value of the format record; version is STORE_FORMAT. */
struct store_format {
    char mark[24];
    uint32_t version;
    uint32_t tables;
};
#define STORE_FORMAT_MARK "nexus key-value store\n\0"

/* The value of the commit record. */
struct store_commit {
    uint64_t txn;   /* LMDB's number of the transaction that wrote this record */
    uint64_t count; /* the caller's records */
    uint64_t sum;   /* of their checksums, modulo 2^64 */
};

/* Units as submitted, one after another. Frames are read by memcpy: nothing is aligned. */
struct store_queue {
    char *ptr;
    size_t len, capacity;
};

struct store_unit_head {
    uint64_t number;
    uint32_t bytes; /* of the changes that follow */
    uint32_t count;
};

struct store_change_head {
    uint32_t value_len;
    uint16_t key_len; /* with the table's byte in front */
    uint8_t op;
    uint8_t pad;
};

struct nx_store {
    const struct nx_mem *mem;
    struct nx_store_options options;
    char path[STORE_PATH_BYTES_MAX]; /* of the database's file */
    int dir_fd, lock_fd;
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *view; /* the last snapshot known to be durable; renewed after each commit */
    struct store_commit commit;
    uint64_t pages_soft_max; /* growth beyond is refused, so that deletes still find room */
    uint32_t page_bytes;
    bool fatal;     /* a sync failed: nothing is believed until a restart; storage thread only */
    bool disk_full; /* the last failure was the disk's, not the map's */

    pthread_t thread;
    bool started;
    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t wake;
    struct store_queue front, back; /* back belongs to the storage thread while it works */
    size_t queued_bytes;
    uint64_t last_number; /* issued */
    int poison;           /* why unit poison_number could not be queued; later ones are dropped */
    uint64_t poison_number;
    int failure; /* 0, NX_E_FULL, NX_E_IO: the last group failed */
    bool closing;

    atomic_int ready;
    atomic_uint_fast64_t groups, units, failures, bytes_used;
};

/* store_apply.c */
uint64_t nx_store_checksum(struct nx_bytes stored_key, struct nx_bytes value);
int nx_store_error_of(int mdb_error);
/* Carries out units [ptr, ptr + len) in one transaction and syncs it. On failure nothing changed. */
NX_MUST_USE int nx_store_apply(struct nx_store *store, const char *ptr, size_t len);
/* A small write. Returns 0 when the store may be used again. */
NX_MUST_USE int nx_store_probe(struct nx_store *store);
NX_MUST_USE int nx_store_view_open(struct nx_store *store);

/* store_check.c */
struct store_checked {
    struct store_commit commit;
};
/* Reads the whole database at fd by pread: no byte of it is trusted, no page is mapped, every page
 * is visited once at most. On failure the fault names path and damage. */
NX_MUST_USE int nx_store_check(const struct nx_mem *mem, int fd, const char *path,
        struct store_checked *ret_checked, struct nx_store_fault *ret_fault);

#endif
