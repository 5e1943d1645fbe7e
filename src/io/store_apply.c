/* Groups of units as LMDB transactions, and reading back.
 *
 * LMDB writes changed pages to unused places, syncs, and then writes one of two meta pages through
 * a descriptor opened O_DSYNC: a commit that failed before the meta page left no trace, whatever
 * the disk kept of it, because a later transaction rewrites every page it uses. A commit that
 * failed in the meta page makes LMDB refuse all further work (MDB_PANIC), and so do we, after the
 * old meta page is put back. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "io/store_internal.h"

/* Bytes that must be free on the disk before a full one is called usable again. */
#define PROBE_BYTES ((size_t)1 << 20)

#define META_BYTES 152 /* of a meta page: its head and struct meta (store_check.c) */

/* A group's transaction and what its commit record will say. */
struct work {
    struct nx_store *store;
    MDB_txn *txn;
    MDB_cursor *cursor;
    struct store_commit commit;
};

uint64_t nx_store_checksum(struct nx_bytes stored_key, struct nx_bytes value)
{
    static const struct nx_hash_key fixed = {
            UINT64_C(0x6e6578757373746f), UINT64_C(0x7265207265636f72)};
    struct nx_hash_key key = {0, fixed.k1};

    key.k0 = nx_hash(&fixed, stored_key.ptr, stored_key.len);
    return nx_hash(&key, value.ptr, value.len);
}

int nx_store_error_of(int mdb_error)
{
    switch (mdb_error) {
    case 0:
        return 0;
    case MDB_NOTFOUND:
        return NX_E_NOTFOUND;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return NX_E_FULL;
    case ENOMEM:
        return NX_E_NOMEM;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
        return NX_E_DAMAGED;
    default:
        return NX_E_IO;
    }
}

static MDB_val val_of(struct nx_bytes bytes)
{
    union {
        const char *from;
        void *to;
    } ptr = {bytes.ptr};

    return (MDB_val){bytes.len, ptr.to};
}

static struct nx_bytes bytes_of(const MDB_val *val)
{
    return nx_bytes_of(val->mv_data, val->mv_size);
}

static bool own_key(struct nx_bytes stored_key)
{
    return stored_key.len > 0 && stored_key.ptr[0] == 0;
}

/* Takes the record out of count and sum, as it is about to go. */
static int forget(struct work *work, struct nx_bytes stored_key, const MDB_val *value)
{
    uint64_t sum;

    if (own_key(stored_key))
        return 0;
    if (value->mv_size < STORE_SUM_BYTES)
        return MDB_CORRUPTED;
    memcpy(&sum, value->mv_data, sizeof(sum));
    work->commit.count--;
    work->commit.sum -= sum;
    return 0;
}

static int put(struct work *work, struct nx_bytes stored_key, struct nx_bytes value)
{
    uint64_t sum = nx_store_checksum(stored_key, value);
    MDB_val key = val_of(stored_key);
    MDB_val data;
    int r = mdb_cursor_get(work->cursor, &key, &data, MDB_SET);

    if (r == 0)
        r = forget(work, stored_key, &data);
    else if (r == MDB_NOTFOUND)
        r = 0;
    if (r != 0)
        return r;
    key = val_of(stored_key);
    data = (MDB_val){STORE_SUM_BYTES + value.len, NULL};
    r = mdb_cursor_put(work->cursor, &key, &data, MDB_RESERVE);
    if (r != 0)
        return r;
    memcpy(data.mv_data, &sum, sizeof(sum));
    if (value.len > 0)
        memcpy((char *)data.mv_data + STORE_SUM_BYTES, value.ptr, value.len);
    if (!own_key(stored_key)) {
        work->commit.count++;
        work->commit.sum += sum;
    }
    return 0;
}

static int delete_one(struct work *work, struct nx_bytes stored_key)
{
    MDB_val key = val_of(stored_key);
    MDB_val data;
    int r = mdb_cursor_get(work->cursor, &key, &data, MDB_SET);

    if (r == MDB_NOTFOUND)
        return 0;
    if (r == 0)
        r = forget(work, stored_key, &data);
    return r == 0 ? mdb_cursor_del(work->cursor, 0) : r;
}

/* Looks the prefix up anew after each delete: simple, and pages merging under a cursor are no
 * concern of ours. */
static int delete_prefix(struct work *work, struct nx_bytes prefix)
{
    for (;;) {
        MDB_val key = val_of(prefix);
        MDB_val data;
        int r = mdb_cursor_get(work->cursor, &key, &data, MDB_SET_RANGE);

        if (r == MDB_NOTFOUND || (r == 0 && !nx_bytes_starts(bytes_of(&key), prefix)))
            return 0;
        if (r == 0)
            r = forget(work, bytes_of(&key), &data);
        if (r == 0)
            r = mdb_cursor_del(work->cursor, 0);
        if (r != 0)
            return r;
    }
}

static int apply_unit(struct work *work, const char *ptr, uint32_t count)
{
    struct store_change_head head;
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < count; i++) {
        struct nx_bytes key, value;

        memcpy(&head, ptr, sizeof(head));
        key = nx_bytes_of(ptr + sizeof(head), head.key_len);
        value = nx_bytes_of(key.ptr + key.len, head.value_len);
        ptr += sizeof(head) + key.len + value.len;
        switch ((enum nx_change_op)head.op) {
        case NX_CHANGE_PUT:
            r = put(work, key, value);
            break;
        case NX_CHANGE_DELETE:
            r = delete_one(work, key);
            break;
        case NX_CHANGE_DELETE_PREFIX:
            r = delete_prefix(work, key);
            break;
        }
    }
    return r;
}

/* Pages in use by both trees, and the two meta pages. */
static int pages_used(MDB_txn *txn, MDB_dbi dbi, uint64_t *ret_pages)
{
    MDB_stat main, free;
    int r = mdb_stat(txn, dbi, &main);

    if (r == 0)
        r = mdb_stat(txn, 0, &free); /* LMDB's own tree of free pages */
    if (r != 0)
        return r;
    *ret_pages = 2 + main.ms_branch_pages + main.ms_leaf_pages + main.ms_overflow_pages +
                 free.ms_branch_pages + free.ms_leaf_pages + free.ms_overflow_pages;
    return 0;
}

/* Growth past the soft maximum is refused while there is still room to delete something. */
static int refuse_growth(struct work *work)
{
    struct nx_store *store = work->store;
    uint64_t pages;
    int r = pages_used(work->txn, store->dbi, &pages);

    if (r == 0 && pages > store->pages_soft_max &&
            pages * store->page_bytes > atomic_load(&store->bytes_used))
        return MDB_MAP_FULL;
    return r;
}

static int begin(struct nx_store *store, struct work *ret_work)
{
    struct work work = {.store = store, .commit = store->commit};
    int r = mdb_txn_begin(store->env, NULL, 0, &work.txn);

    if (r != 0)
        return r;
    r = mdb_cursor_open(work.txn, store->dbi, &work.cursor);
    if (r != 0) {
        mdb_txn_abort(work.txn);
        return r;
    }
    work.commit.txn = mdb_txn_id(work.txn);
    *ret_work = work;
    return 0;
}

/* The folder, or the database in it, was removed or replaced under us: what we would write to it
 * now nobody would ever read. A folder that was moved is still ours. */
static bool gone(const struct nx_store *store)
{
    struct stat named, open;
    mdb_filehandle_t fd;

    return mdb_env_get_fd(store->env, &fd) != 0 || fstat(fd, &open) < 0 ||
           fstatat(store->dir_fd, STORE_FILE, &named, AT_SYMLINK_NOFOLLOW) < 0 ||
           named.st_dev != open.st_dev || named.st_ino != open.st_ino;
}

/* Moves the view to what has just become durable. A view that cannot move is fatal: the commit
 * stands, but nothing after it could be undone in memory. */
static void renew_view(struct work *work)
{
    struct nx_store *store = work->store;
    uint64_t pages;

    store->commit = work->commit;
    mdb_txn_reset(store->view);
    if (mdb_txn_renew(store->view) != 0 || mdb_txn_id(store->view) != store->commit.txn) {
        store->fatal = true;
        return;
    }
    if (pages_used(store->view, store->dbi, &pages) == 0)
        atomic_store(&store->bytes_used, pages * store->page_bytes);
}

/* The database may not grow by what a probe writes: a limit on the size of files, which a file
 * beside it need not meet. */
static bool size_limited(const struct nx_store *store)
{
    struct rlimit limit;
    struct stat st;
    mdb_filehandle_t fd;

    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
           mdb_env_get_fd(store->env, &fd) == 0 && fstat(fd, &st) == 0 &&
           (rlim_t)st.st_size + PROBE_BYTES > limit.rlim_cur;
}

/* Writes, syncs and removes a file beside the database: LMDB may have free pages of its own and
 * would not notice that the disk is still full. */
static int probe_disk(struct nx_store *store)
{
    static const char block[4096];
    int error = 0;
    int fd;

    if (size_limited(store))
        return NX_E_FULL;
    fd = openat(store->dir_fd, STORE_FILE_PROBE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return nx_store_error_of(errno);
    for (size_t done = 0; error == 0 && done < PROBE_BYTES; done += sizeof(block)) {
        ssize_t n = write(fd, block, sizeof(block));

        if (n != (ssize_t)sizeof(block))
            error = n < 0 ? errno : ENOSPC;
    }
    if (error == 0 && fdatasync(fd) < 0)
        error = errno;
    (void)close(fd);
    (void)unlinkat(store->dir_fd, STORE_FILE_PROBE, 0);
    return nx_store_error_of(error);
}

/* LMDB has met something after which it does nothing more. */
static bool panicked(struct nx_store *store)
{
    MDB_txn *txn;
    int r = mdb_txn_begin(store->env, NULL, 0, &txn);

    if (r == 0)
        mdb_txn_abort(txn);
    return r == MDB_PANIC;
}

/* The meta page that a commit overwrites: kept, because LMDB, when that write fails, puts back its
 * numbers but not its roots (mdb_env_write_meta), which our own check at the next start would
 * rightly call damage. */
struct old_meta {
    char bytes[META_BYTES];
    off_t offset;
    bool known;
};

static void keep_meta(struct work *work, struct old_meta *ret_meta)
{
    struct nx_store *store = work->store;
    mdb_filehandle_t fd;

    ret_meta->offset = (off_t)(work->commit.txn % 2 * store->page_bytes);
    ret_meta->known = mdb_env_get_fd(store->env, &fd) == 0 &&
                      pread(fd, ret_meta->bytes, META_BYTES, ret_meta->offset) == META_BYTES;
}

/* Best effort, on a disk that has just failed: should it not work, the next start sees the failed
 * commit whole, or not at all, or refuses. */
static void restore_meta(struct nx_store *store, const struct old_meta *meta)
{
    int fd = openat(store->dir_fd, STORE_FILE, O_WRONLY | O_DSYNC | O_CLOEXEC);

    if (fd < 0)
        return;
    if (meta->known)
        (void)!pwrite(fd, meta->bytes, META_BYTES, meta->offset);
    (void)close(fd);
}

/* Commits, that is: syncs. Tells a full disk and a failing one apart. */
static int commit(struct work *work)
{
    struct nx_store *store = work->store;
    struct old_meta meta;
    bool final;
    int r;

    keep_meta(work, &meta);
    r = mdb_txn_commit(work->txn);
    if (r == 0) {
        renew_view(work);
        return 0;
    }
    final = panicked(store);
    if (final)
        restore_meta(store, &meta);
    /* LMDB says EIO of a write cut short, which is what a disk does that has just filled up. */
    if (r == EIO && !final && probe_disk(store) == NX_E_FULL)
        r = ENOSPC;
    /* A failed sync may drop what it could not write and succeed when asked again: believe nothing
     * more. */
    if (final || r == EIO)
        store->fatal = true;
    return r;
}

/* Ends the transaction: writes the commit record and syncs when r is 0, else undoes all. */
static int finish(struct work *work, int r)
{
    if (r == 0)
        r = put(work, STORE_KEY_COMMIT, nx_bytes_of(&work->commit, sizeof(work->commit)));
    mdb_cursor_close(work->cursor);
    if (r == 0)
        r = commit(work);
    else
        mdb_txn_abort(work->txn);
    work->store->disk_full = r == ENOSPC || r == EDQUOT || r == EFBIG;
    return r;
}

int nx_store_apply(struct nx_store *store, const char *ptr, size_t len)
{
    struct store_unit_head head;
    struct work work;
    int r;

    if (store->fatal)
        return NX_E_IO;
    if (gone(store))
        return NX_E_NOTFOUND;
    r = begin(store, &work);
    if (r != 0)
        return nx_store_error_of(r);
    for (size_t at = 0; r == 0 && at < len; at += sizeof(head) + head.bytes) {
        memcpy(&head, ptr + at, sizeof(head));
        r = apply_unit(&work, ptr + at + sizeof(head), head.count);
    }
    if (r == 0)
        r = refuse_growth(&work);
    return nx_store_error_of(finish(&work, r));
}

int nx_store_probe(struct nx_store *store)
{
    struct work work;
    int r;

    if (store->fatal)
        return NX_E_IO;
    if (gone(store))
        return NX_E_NOTFOUND;
    if (store->disk_full) {
        r = probe_disk(store);
        if (r < 0)
            return r;
    }
    r = begin(store, &work);
    return nx_store_error_of(r == 0 ? finish(&work, 0) : r);
}

int nx_store_view_open(struct nx_store *store)
{
    uint64_t pages;
    int r = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->view);

    if (r == 0)
        r = mdb_dbi_open(store->view, NULL, 0, &store->dbi);
    if (r == 0)
        r = pages_used(store->view, store->dbi, &pages);
    if (r == 0 && mdb_txn_id(store->view) != store->commit.txn)
        r = MDB_CORRUPTED;
    if (r == 0)
        atomic_store(&store->bytes_used, pages * store->page_bytes);
    return r;
}

/* Checks a record on its way out. */
static int open_record(struct nx_bytes stored_key, const MDB_val *data, struct nx_bytes *ret_value)
{
    struct nx_bytes value = nx_bytes_from(bytes_of(data), STORE_SUM_BYTES);
    uint64_t sum;

    if (data->mv_size < STORE_SUM_BYTES)
        return NX_E_DAMAGED;
    memcpy(&sum, data->mv_data, sizeof(sum));
    if (sum != nx_store_checksum(stored_key, value))
        return NX_E_DAMAGED;
    *ret_value = value;
    return 0;
}

int nx_store_each(struct nx_store *store, unsigned table,
        int (*visit)(void *ctx, struct nx_bytes key, struct nx_bytes value), void *ctx)
{
    char prefix = (char)(table + 1);
    struct nx_bytes value;
    MDB_cursor *cursor;
    MDB_val key = {1, &prefix};
    MDB_val data;
    int error;
    int r = 0;

    if (table >= NX_CHANGE_TABLES)
        return NX_E_INVALID;
    error = mdb_cursor_open(store->view, store->dbi, &cursor);
    if (error != 0)
        return nx_store_error_of(error);
    error = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    while (error == 0 && r == 0 && key.mv_size > 0 && *(char *)key.mv_data == prefix) {
        r = open_record(bytes_of(&key), &data, &value);
        if (r == 0)
            r = visit(ctx, nx_bytes_from(bytes_of(&key), 1), value);
        if (r >= 0) {
            r = 0;
            error = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
        }
    }
    mdb_cursor_close(cursor);
    if (r < 0)
        return r;
    return error == MDB_NOTFOUND ? 0 : nx_store_error_of(error);
}

int nx_store_get(struct nx_store *store, unsigned table, struct nx_bytes key, struct nx_buf *value)
{
    char stored[STORE_KEY_BYTES_MAX];
    struct nx_bytes stored_key, found;
    MDB_val mdb_key, data;
    int r;

    if (table >= NX_CHANGE_TABLES || key.len > NX_CHANGE_KEY_BYTES_MAX)
        return NX_E_INVALID;
    stored[0] = (char)(table + 1);
    if (key.len > 0)
        memcpy(stored + 1, key.ptr, key.len);
    stored_key = nx_bytes_of(stored, key.len + 1);
    mdb_key = val_of(stored_key);
    r = nx_store_error_of(mdb_get(store->view, store->dbi, &mdb_key, &data));
    if (r == 0)
        r = open_record(stored_key, &data, &found);
    if (r < 0)
        return r;
    nx_buf_append(value, found);
    return nx_buf_error(value);
}
