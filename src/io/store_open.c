/* The store's folder: made, locked, filled, checked, opened, closed.
 *
 * DIR (0700)
 *   nexus.mdb       the database; made whole and synced under another name, then renamed, so that
 *                   an interrupted creation leaves nothing or a good store
 *   nexus.mdb.new   the leftover of an interrupted creation; removed at the next start
 *   lock            held by flock while a process has the store open; holds that process's number
 *   probe           written and removed again while the disk is full
 *
 * LMDB runs without its own lock file: one process, kept so by `lock`, and one thread that writes;
 * the only reader is that thread's own view of the last commit. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/store_internal.h"

#define MAP_BYTES_MIN ((size_t)1 << 18)
#define ENV_FLAGS     (MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS)

/* The smaller of 1/16 of the map and 16 MiB is kept for deletes. */
#define RESERVE_BYTES_MAX ((size_t)16 << 20)

NX_PRINTF(3, 4)
static int fault(struct nx_store_fault *ret_fault, int error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(ret_fault->text, sizeof(ret_fault->text), format, args);
    va_end(args);
    return error;
}

/* What an errno means for the operator. */
static int fault_errno(
        struct nx_store_fault *ret_fault, int error, const char *doing, const char *path)
{
    int r = nx_store_error_of(error);
    const char *advice = "Check the folder's owner and permissions (it must be writable for the "
                         "user that runs nexus) and the disk's health.";

    if (r == NX_E_FULL)
        advice = "The disk is full: make room, then start again.";
    else if (r == NX_E_NOMEM)
        advice = "Out of memory.";
    return fault(
            ret_fault, r, "%s %.200s failed (%.60s). %s", doing, path, mdb_strerror(error), advice);
}

static bool known_file(const char *name)
{
    static const char *const names[] = {
            ".", "..", "lost+found", STORE_FILE_NEW, STORE_FILE_LOCK, STORE_FILE_PROBE};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

/* Makes the folder when it is not there. A fresh entry in the parent is synced; it is on every
 * start, because the process that made it may not have come to that. */
static int make_dir(const char *dir, struct nx_store_fault *ret_fault)
{
    char parent[STORE_PATH_BYTES_MAX + 4];
    int fd;

    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return fault_errno(ret_fault, errno, "Making the data folder", dir);
    (void)snprintf(parent, sizeof(parent), "%s/..", dir);
    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == EACCES)
        return 0; /* not ours to read, so not ours to have written */
    if (fd < 0 || fsync(fd) < 0) {
        int r = fault_errno(ret_fault, errno, "Syncing the folder above", dir);

        if (fd >= 0)
            (void)close(fd);
        return r;
    }
    (void)close(fd);
    return 0;
}

/* A folder without our database must be empty but for our own leftovers. */
static int scan_dir(struct nx_store *store, struct nx_store_fault *ret_fault)
{
    const char *dir = store->options.dir;
    struct dirent *entry;
    int r = 0;
    int fd;
    DIR *list;

    if (faccessat(store->dir_fd, STORE_FILE, F_OK, 0) == 0)
        return 0;
    fd = openat(store->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    list = fd >= 0 ? fdopendir(fd) : NULL;
    if (!list) {
        r = fault_errno(ret_fault, errno, "Listing the data folder", dir);
        if (fd >= 0)
            (void)close(fd);
        return r;
    }
    while (r == 0 && (entry = readdir(list))) {
        if (!known_file(entry->d_name))
            r = fault(ret_fault, NX_E_FOREIGN,
                    "The data folder %.200s holds other things (%.60s) and no %s. Choose a folder "
                    "of its own, or restore %s into it.",
                    dir, entry->d_name, STORE_FILE, STORE_FILE);
    }
    (void)closedir(list);
    return r;
}

static int lock_dir(struct nx_store *store, struct nx_store_fault *ret_fault)
{
    const char *dir = store->options.dir;
    char text[32] = "";
    ssize_t n;
    int len;

    store->lock_fd =
            openat(store->dir_fd, STORE_FILE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (store->lock_fd < 0)
        return fault_errno(ret_fault, errno, "Opening the lock file in", dir);
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return fault_errno(ret_fault, errno, "Locking", dir);
        n = pread(store->lock_fd, text, sizeof(text) - 1, 0);
        len = n > 0 ? (int)strspn(text, "0123456789") : 0;
        return fault(ret_fault, NX_E_BUSY,
                "The data folder %.200s is in use by another process%s%.*s. Stop that one, or "
                "choose another folder.",
                dir, len > 0 ? ", number " : "", len, text);
    }
    len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    /* Only a help for people: a full disk must not keep the store from opening. */
    if (ftruncate(store->lock_fd, 0) == 0)
        (void)!pwrite(store->lock_fd, text, (size_t)len, 0);
    return 0;
}

static int env_open(const char *path, size_t map_bytes, MDB_env **ret_env)
{
    MDB_env *env;
    int r = mdb_env_create(&env);

    if (r != 0)
        return r;
    r = mdb_env_set_mapsize(env, map_bytes);
    if (r == 0)
        r = mdb_env_open(env, path, ENV_FLAGS, 0600);
    if (r != 0) {
        mdb_env_close(env);
        return r;
    }
    *ret_env = env;
    return 0;
}

static int put_own(MDB_txn *txn, MDB_dbi dbi, struct nx_bytes key, const void *ptr, size_t len)
{
    struct nx_bytes value = nx_bytes_of(ptr, len);
    uint64_t sum = nx_store_checksum(key, value);
    char name[8];
    MDB_val mdb_key = {key.len, name};
    MDB_val data = {STORE_SUM_BYTES + len, NULL};
    int r;

    memcpy(name, key.ptr, key.len);
    r = mdb_put(txn, dbi, &mdb_key, &data, MDB_RESERVE);
    if (r == 0) {
        memcpy(data.mv_data, &sum, STORE_SUM_BYTES);
        memcpy((char *)data.mv_data + STORE_SUM_BYTES, ptr, len);
    }
    return r;
}

/* Commit 1: the format, and no records. */
static int fill_new(MDB_env *env)
{
    struct store_format format = {STORE_FORMAT_MARK, STORE_FORMAT, NX_CHANGE_TABLES};
    struct store_commit commit = {0};
    MDB_txn *txn;
    MDB_dbi dbi;
    int r = mdb_txn_begin(env, NULL, 0, &txn);

    if (r != 0)
        return r;
    commit.txn = mdb_txn_id(txn);
    r = mdb_dbi_open(txn, NULL, 0, &dbi);
    if (r == 0)
        r = put_own(txn, dbi, STORE_KEY_FORMAT, &format, sizeof(format));
    if (r == 0)
        r = put_own(txn, dbi, STORE_KEY_COMMIT, &commit, sizeof(commit));
    if (r != 0) {
        mdb_txn_abort(txn);
        return r;
    }
    return mdb_txn_commit(txn);
}

static int create(struct nx_store *store, struct nx_store_fault *ret_fault)
{
    char path[STORE_PATH_BYTES_MAX + 8];
    MDB_env *env;
    int r;

    (void)snprintf(path, sizeof(path), "%s.new", store->path);
    if (unlinkat(store->dir_fd, STORE_FILE_NEW, 0) < 0 && errno != ENOENT)
        return fault_errno(ret_fault, errno, "Removing", path);
    if (faccessat(store->dir_fd, STORE_FILE, F_OK, 0) == 0)
        return 0;
    r = env_open(path, store->options.map_bytes_max, &env);
    if (r == 0) {
        r = fill_new(env);
        mdb_env_close(env);
    }
    if (r == 0 && renameat(store->dir_fd, STORE_FILE_NEW, store->dir_fd, STORE_FILE) < 0)
        r = errno;
    return r == 0 ? 0 : fault_errno(ret_fault, r, "Making", store->path);
}

/* Syncs before reading: what a killed process left in the page cache only must not be shown and
 * then lost. */
static int check(struct nx_store *store, struct nx_store_fault *ret_fault)
{
    struct store_checked checked;
    int fd = openat(store->dir_fd, STORE_FILE, O_RDWR | O_CLOEXEC);
    int r;

    if (fd < 0)
        return fault_errno(ret_fault, errno, "Opening", store->path);
    if (fsync(store->dir_fd) < 0 || fdatasync(fd) < 0) {
        r = fault_errno(ret_fault, errno, "Syncing", store->path);
        (void)close(fd);
        return r;
    }
    r = nx_store_check(store->mem, fd, store->path, &checked, ret_fault);
    (void)close(fd);
    if (r == 0)
        store->commit = checked.commit;
    return r;
}

static int open_env(struct nx_store *store, struct nx_store_fault *ret_fault)
{
    size_t reserve = store->options.map_bytes_max / 16;
    MDB_envinfo info;
    MDB_stat stat;
    int r = env_open(store->path, store->options.map_bytes_max, &store->env);

    if (r == 0)
        r = mdb_env_stat(store->env, &stat);
    if (r == 0)
        r = mdb_env_info(store->env, &info);
    if (r == 0) {
        store->page_bytes = stat.ms_psize;
        if (reserve > RESERVE_BYTES_MAX)
            reserve = RESERVE_BYTES_MAX;
        store->pages_soft_max = (info.me_mapsize - reserve) / stat.ms_psize;
        store->options.map_bytes_max = info.me_mapsize; /* LMDB's map never is below the data */
        r = nx_store_view_open(store);
    }
    return r == 0 ? 0 : fault_errno(ret_fault, r, "Opening", store->path);
}

static int open_all(struct nx_store *store, struct nx_store_fault *ret_fault)
{
    const char *dir = store->options.dir;
    int r = make_dir(dir, ret_fault);

    if (r < 0)
        return r;
    store->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->dir_fd < 0)
        return fault_errno(ret_fault, errno, "Opening the data folder", dir);
    r = scan_dir(store, ret_fault);
    if (r == 0)
        r = lock_dir(store, ret_fault);
    if (r == 0)
        r = create(store, ret_fault);
    if (r == 0)
        r = check(store, ret_fault);
    if (r == 0)
        r = open_env(store, ret_fault);
    return r;
}

static int init_sync(struct nx_store *store)
{
    pthread_condattr_t attr;
    int r = pthread_mutex_init(&store->mutex, NULL);

    if (r != 0)
        return NX_E_NOMEM;
    r = pthread_condattr_init(&attr);
    if (r == 0) {
        r = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        if (r == 0)
            r = pthread_cond_init(&store->wake, &attr);
        (void)pthread_condattr_destroy(&attr);
    }
    if (r != 0)
        (void)pthread_mutex_destroy(&store->mutex);
    return r == 0 ? 0 : NX_E_NOMEM;
}

int nx_store_open(const struct nx_store_options *options, struct nx_store **ret_store,
        struct nx_store_fault *ret_fault)
{
    const struct nx_mem *mem = options->mem ? options->mem : nx_mem_libc();
    struct nx_store *store;
    int len, r;

    ret_fault->text[0] = '\0';
    if (!options->dir || options->dir[0] == '\0' || !options->on_done ||
            options->map_bytes_max < MAP_BYTES_MIN || options->queue_bytes_max == 0)
        return fault(ret_fault, NX_E_INVALID, "The store's options make no sense.");
    store = nx_mem_zalloc(mem, 1, sizeof(*store));
    if (!store || init_sync(store) < 0) {
        nx_mem_free(mem, store);
        return fault(ret_fault, NX_E_NOMEM, "Out of memory.");
    }
    store->mem = mem;
    store->options = *options;
    store->options.map_bytes_max &= ~(size_t)65535;
    store->dir_fd = -1;
    store->lock_fd = -1;
    len = snprintf(store->path, sizeof(store->path), "%s/%s", options->dir, STORE_FILE);
    r = len < (int)sizeof(store->path)
                ? open_all(store, ret_fault)
                : fault(ret_fault, NX_E_INVALID, "The data folder's name is too long.");
    store->options.dir = NULL; /* borrowed until here */
    if (r < 0) {
        nx_store_close(store);
        return r;
    }
    *ret_store = store;
    return 0;
}
