/* LD_PRELOAD: writes down, in order, all that a program does to the files of one folder, so that
 * replay.py can rebuild the folder as a power loss at any point would leave it.
 *
 * NX_POWERLOSS_DIR  the folder (need not exist yet)
 * NX_POWERLOSS_LOG  the log's path, outside of the folder; appended to
 *
 * An operation and its log entry happen under one lock, so the order is the true one within a
 * process; entries of several processes (fork) are whole, but ordered only by who came first.
 * Failed operations are not logged. Not seen: stdio's own writes (fopen), descriptors made by
 * fcntl(F_DUPFD), io_uring, and pages
 * changed through a shared mapping; making such a mapping, sendfile and copy_file_range are
 * logged as UNSUPPORTED, which replay.py refuses.
 *
 * A program may add marks: void nx_powerloss_mark(const char *text), found by dlsym(RTLD_DEFAULT).
 * Entries bear CLOCK_MONOTONIC times, so that another process's timestamped marks can be merged.
 *
 * Entry, little endian: struct entry, then path, path2, data. */
/* Both kinds of every name are defined here, so none may stand for the other. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define EXPORT  __attribute__((visibility("default")))
#define FDS_MAX 65536
#define MAGIC   UINT32_C(0x4c50584e)

enum kind {
    KIND_OPEN = 1,    /* path; flags */
    KIND_WRITE,       /* handle, offset, data; FLAG_DSYNC: on disk when it returned */
    KIND_TRUNCATE,    /* handle, offset: the new size */
    KIND_SYNC,        /* handle */
    KIND_RENAME,      /* path to path2 */
    KIND_UNLINK,      /* path */
    KIND_MKDIR,       /* path */
    KIND_RMDIR,       /* path */
    KIND_LINK,        /* path2 is a new name of path */
    KIND_MARK,        /* path: the text */
    KIND_UNSUPPORTED, /* path: what */
    KIND_SYNC_ALL,
};

enum { FLAG_CREATED = 1, FLAG_DSYNC = 2, FLAG_TRUNC = 4, FLAG_DIR = 8 };

struct entry {
    uint32_t magic, kind;
    uint64_t start_ns, end_ns;
    uint64_t handle; /* one a successful open, kept by dup */
    int64_t offset;
    uint64_t flags;
    uint32_t path_len, path2_len;
    uint64_t data_len;
};

struct file {
    uint64_t handle; /* 0: not ours */
    bool dsync;
};

static struct file files[FDS_MAX];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX], above[PATH_MAX];
static int log_fd = -1;
static uint64_t handles;

EXPORT void nx_powerloss_mark(const char *text);

/* The library's own names, of which the headers declare only some. */
EXPORT int __open_2(const char *path, int flags);
EXPORT int __open64_2(const char *path, int flags);
EXPORT int __openat_2(int dir, const char *path, int flags);
EXPORT int __openat64_2(int dir, const char *path, int flags);

static uint64_t now(void)
{
    struct timespec at;

    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * UINT64_C(1000000000) + (uint64_t)at.tv_nsec;
}

/* Says it and ends the program: a log with a hole would prove nothing. */
static void give_up(const char *why)
{
    (void)dprintf(STDERR_FILENO, "powerloss shim: %s: %s\n", why, strerror(errno));
    _exit(99);
}

/* The true path of the folder that holds path, and path's last part behind it. */
static bool resolve(int dir, const char *path, char to[PATH_MAX])
{
    char joined[PATH_MAX], parent[PATH_MAX], link[64];
    const char *name;
    char *slash;
    ssize_t n;
    size_t len;

    if (path[0] == '/' || dir == AT_FDCWD) {
        if (snprintf(joined, sizeof(joined), "%s%s", path[0] == '/' ? "" : "./", path) >= PATH_MAX)
            return false;
    } else {
        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
        n = readlink(link, parent, sizeof(parent) - 1);
        if (n < 0)
            return false;
        parent[n] = '\0';
        if (snprintf(joined, sizeof(joined), "%.2000s/%.2000s", parent, path) >= PATH_MAX)
            return false;
    }
    len = strlen(joined);
    while (len > 1 && joined[len - 1] == '/')
        joined[--len] = '\0';
    slash = strrchr(joined, '/');
    if (!slash)
        return false;
    name = slash + 1;
    *slash = '\0';
    if (!realpath(slash == joined ? "/" : joined, parent))
        return false;
    return snprintf(to, PATH_MAX, "%.2040s/%.2040s", strcmp(parent, "/") == 0 ? "" : parent, name) <
           PATH_MAX;
}

static bool inside(const char *path)
{
    size_t len = strlen(root);

    return strncmp(path, root, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

__attribute__((constructor)) static void begin(void)
{
    const char *dir = getenv("NX_POWERLOSS_DIR");
    const char *log = getenv("NX_POWERLOSS_LOG");
    char *slash;

    if (!dir || !log)
        return;
    if (!resolve(AT_FDCWD, dir, root))
        give_up("NX_POWERLOSS_DIR");
    memcpy(above, root, sizeof(above));
    slash = strrchr(above, '/');
    *(slash == above ? slash + 1 : slash) = '\0';
    log_fd = (int)syscall(
            SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0)
        give_up("NX_POWERLOSS_LOG");
    /* Out of the way of programs that count on low numbers. */
    log_fd = fcntl(log_fd, F_DUPFD_CLOEXEC, 900);
    if (log_fd < 0)
        give_up("the log");
}

static void put(const struct entry *entry, const char *path, const char *path2,
        const struct iovec *data, int data_count)
{
    struct iovec iov[IOV_MAX];
    struct entry head = *entry;
    size_t want, left = head.data_len;
    int count = 3;

    head.magic = MAGIC;
    head.end_ns = now();
    head.path_len = path ? (uint32_t)strlen(path) : 0;
    head.path2_len = path2 ? (uint32_t)strlen(path2) : 0;
    iov[0] = (struct iovec){&head, sizeof(head)};
    /* iovec has no const; the kernel only reads. */
    memcpy(&iov[1].iov_base, &path, sizeof(path));
    iov[1].iov_len = head.path_len;
    memcpy(&iov[2].iov_base, &path2, sizeof(path2));
    iov[2].iov_len = head.path2_len;
    for (int i = 0; i < data_count && left > 0; i++) {
        size_t part = data[i].iov_len < left ? data[i].iov_len : left;

        if (count == IOV_MAX)
            give_up("too many parts in one write");
        iov[count++] = (struct iovec){data[i].iov_base, part};
        left -= part;
    }
    want = sizeof(head) + head.path_len + head.path2_len + head.data_len;
    if (syscall(SYS_writev, log_fd, iov, count) != (long)want)
        give_up("writing the log");
}

static bool ours(int fd)
{
    return log_fd >= 0 && fd >= 0 && fd < FDS_MAX && files[fd].handle != 0;
}

static void lock(void)
{
    (void)pthread_mutex_lock(&mutex);
}

static void unlock(void)
{
    int saved = errno;

    (void)pthread_mutex_unlock(&mutex);
    errno = saved;
}

/* ---- opening and closing ---- */

static int open_any(int dir, const char *path, int flags, mode_t mode)
{
    char full[PATH_MAX], link[64];
    struct entry entry = {.kind = KIND_OPEN};
    struct stat st;
    bool existed;
    ssize_t n;
    int fd;

    if (log_fd < 0)
        return (int)syscall(SYS_openat, dir, path, flags, mode);
    lock();
    entry.start_ns = now();
    existed = !(flags & O_CREAT) || syscall(SYS_faccessat, dir, path, F_OK) == 0;
    fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    if (fd < 0 || fd >= FDS_MAX) {
        unlock();
        return fd;
    }
    files[fd] = (struct file){0};
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, full, sizeof(full) - 1);
    full[n > 0 ? n : 0] = '\0';
    if (n > 0 && (inside(full) || strcmp(full, above) == 0) && fstat(fd, &st) == 0) {
        files[fd].handle = (uint64_t)getpid() << 32 | ++handles;
        files[fd].dsync = (flags & O_DSYNC) != 0; /* O_SYNC holds O_DSYNC's bit */
        entry.handle = files[fd].handle;
        entry.flags = (existed ? 0 : FLAG_CREATED) | (files[fd].dsync ? FLAG_DSYNC : 0) |
                      (flags & O_TRUNC ? FLAG_TRUNC : 0) | (S_ISDIR(st.st_mode) ? FLAG_DIR : 0);
        put(&entry, full, NULL, NULL, 0);
    }
    unlock();
    return fd;
}

#define MODE(flags, mode)                                                                          \
    do {                                                                                           \
        if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                   \
            va_list args;                                                                          \
            va_start(args, flags);                                                                 \
            (mode) = va_arg(args, mode_t);                                                         \
            va_end(args);                                                                          \
        }                                                                                          \
    } while (0)

EXPORT int open(const char *path, int flags, ...)
{
    mode_t mode = 0;

    MODE(flags, mode);
    return open_any(AT_FDCWD, path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
    mode_t mode = 0;

    MODE(flags, mode);
    return open_any(AT_FDCWD, path, flags, mode);
}

EXPORT int openat(int dir, const char *path, int flags, ...)
{
    mode_t mode = 0;

    MODE(flags, mode);
    return open_any(dir, path, flags, mode);
}

EXPORT int openat64(int dir, const char *path, int flags, ...)
{
    mode_t mode = 0;

    MODE(flags, mode);
    return open_any(dir, path, flags, mode);
}

EXPORT int __open_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}

EXPORT int __open64_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}

EXPORT int __openat_2(int dir, const char *path, int flags)
{
    return open_any(dir, path, flags, 0);
}

EXPORT int __openat64_2(int dir, const char *path, int flags)
{
    return open_any(dir, path, flags, 0);
}

EXPORT int creat(const char *path, mode_t mode)
{
    return open_any(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

EXPORT int creat64(const char *path, mode_t mode)
{
    return open_any(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

EXPORT int close(int fd)
{
    int r;

    lock();
    if (ours(fd))
        files[fd] = (struct file){0};
    r = (int)syscall(SYS_close, fd);
    unlock();
    return r;
}

static int dup_any(int from, int to)
{
    lock();
    if (to >= 0 && to < FDS_MAX)
        files[to] = ours(from) ? files[from] : (struct file){0};
    unlock();
    return to;
}

EXPORT int dup(int fd)
{
    return dup_any(fd, (int)syscall(SYS_dup, fd));
}

EXPORT int dup2(int fd, int to)
{
    return dup_any(fd, (int)syscall(SYS_dup2, fd, to));
}

EXPORT int dup3(int fd, int to, int flags)
{
    return dup_any(fd, (int)syscall(SYS_dup3, fd, to, flags));
}

/* ---- data ---- */

/* offset < 0: at the file's own position. */
static ssize_t write_any(int fd, const struct iovec *iov, int count, off_t offset, int rw_flags)
{
    struct entry entry = {.kind = KIND_WRITE, .start_ns = now()};
    ssize_t n;

    if (!ours(fd))
        return offset < 0 && rw_flags == 0
                       ? (ssize_t)syscall(SYS_writev, fd, iov, count)
                       : (ssize_t)syscall(SYS_pwritev2, fd, iov, count, offset, 0, rw_flags);
    lock();
    n = (ssize_t)syscall(SYS_pwritev2, fd, iov, count, offset, 0, rw_flags);
    if (n > 0) {
        entry.handle = files[fd].handle;
        entry.offset = offset >= 0 ? offset : lseek(fd, 0, SEEK_CUR) - n;
        entry.flags = files[fd].dsync || rw_flags & (RWF_DSYNC | RWF_SYNC) ? FLAG_DSYNC : 0;
        entry.data_len = (uint64_t)n;
        put(&entry, NULL, NULL, iov, count);
    }
    unlock();
    return n;
}

static ssize_t write_one(int fd, const void *ptr, size_t len, off_t offset)
{
    struct iovec iov = {.iov_len = len};

    memcpy(&iov.iov_base, &ptr, sizeof(ptr));
    return write_any(fd, &iov, 1, offset, 0);
}

EXPORT ssize_t write(int fd, const void *ptr, size_t len)
{
    return ours(fd) ? write_one(fd, ptr, len, -1) : (ssize_t)syscall(SYS_write, fd, ptr, len);
}

EXPORT ssize_t pwrite(int fd, const void *ptr, size_t len, off_t offset)
{
    return write_one(fd, ptr, len, offset);
}

EXPORT ssize_t pwrite64(int fd, const void *ptr, size_t len, off64_t offset)
{
    return write_one(fd, ptr, len, offset);
}

EXPORT ssize_t writev(int fd, const struct iovec *iov, int count)
{
    return write_any(fd, iov, count, -1, 0);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    return write_any(fd, iov, count, offset, 0);
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t offset)
{
    return write_any(fd, iov, count, offset, 0);
}

EXPORT ssize_t pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags)
{
    return write_any(fd, iov, count, offset, flags);
}

EXPORT ssize_t pwritev64v2(int fd, const struct iovec *iov, int count, off64_t offset, int flags)
{
    return write_any(fd, iov, count, offset, flags);
}

static int logged(int fd, enum kind kind, off_t offset, long call, const long args[3])
{
    struct entry entry = {.kind = kind, .start_ns = now(), .offset = offset};
    int r;

    if (!ours(fd))
        return (int)syscall(call, fd, args[0], args[1], args[2]);
    lock();
    r = (int)syscall(call, fd, args[0], args[1], args[2]);
    if (r == 0) {
        entry.handle = files[fd].handle;
        put(&entry, NULL, NULL, NULL, 0);
    }
    unlock();
    return r;
}

EXPORT int ftruncate(int fd, off_t size)
{
    return logged(fd, KIND_TRUNCATE, size, SYS_ftruncate, (long[3]){size, 0, 0});
}

EXPORT int ftruncate64(int fd, off64_t size)
{
    return logged(fd, KIND_TRUNCATE, size, SYS_ftruncate, (long[3]){size, 0, 0});
}

/* Only growth is told: what else fallocate can do (punching holes …) is not supported. */
static int allocate(int fd, int mode, off_t offset, off_t len)
{
    struct stat st;
    off_t size = offset + len;

    if (ours(fd) && mode != 0) {
        errno = EOPNOTSUPP;
        return -1;
    }
    if (ours(fd) && fstat(fd, &st) == 0 && st.st_size > size)
        size = st.st_size;
    return logged(fd, KIND_TRUNCATE, size, SYS_fallocate, (long[3]){mode, offset, len});
}

EXPORT int fallocate(int fd, int mode, off_t offset, off_t len)
{
    return allocate(fd, mode, offset, len);
}

EXPORT int fallocate64(int fd, int mode, off64_t offset, off64_t len)
{
    return allocate(fd, mode, offset, len);
}

EXPORT int posix_fallocate(int fd, off_t offset, off_t len)
{
    return allocate(fd, 0, offset, len) == 0 ? 0 : errno;
}

EXPORT int posix_fallocate64(int fd, off64_t offset, off64_t len)
{
    return allocate(fd, 0, offset, len) == 0 ? 0 : errno;
}

EXPORT int fsync(int fd)
{
    return logged(fd, KIND_SYNC, 0, SYS_fsync, (long[3]){0, 0, 0});
}

EXPORT int fdatasync(int fd)
{
    return logged(fd, KIND_SYNC, 0, SYS_fdatasync, (long[3]){0, 0, 0});
}

EXPORT int syncfs(int fd)
{
    return logged(fd, KIND_SYNC_ALL, 0, SYS_syncfs, (long[3]){0, 0, 0});
}

static void unsupported(const char *what)
{
    struct entry entry = {.kind = KIND_UNSUPPORTED, .start_ns = now()};

    lock();
    put(&entry, what, NULL, NULL, 0);
    unlock();
}

EXPORT void *mmap(void *ptr, size_t len, int prot, int flags, int fd, off_t offset)
{
    if (ours(fd) && flags & MAP_SHARED && prot & PROT_WRITE)
        unsupported("a writable shared mapping");
    return (void *)syscall(SYS_mmap, ptr, len, prot, flags, fd, offset);
}

EXPORT void *mmap64(void *ptr, size_t len, int prot, int flags, int fd, off64_t offset)
{
    return mmap(ptr, len, prot, flags, fd, offset);
}

EXPORT ssize_t sendfile(int out, int in, off_t *offset, size_t count);
EXPORT ssize_t sendfile(int out, int in, off_t *offset, size_t count)
{
    if (ours(out))
        unsupported("sendfile");
    return (ssize_t)syscall(SYS_sendfile, out, in, offset, count);
}

EXPORT ssize_t copy_file_range(
        int in, off64_t *in_at, int out, off64_t *out_at, size_t len, unsigned flags)
{
    if (ours(out))
        unsupported("copy_file_range");
    return (ssize_t)syscall(SYS_copy_file_range, in, in_at, out, out_at, len, flags);
}

/* ---- names ---- */

static int named(enum kind kind, int dir, const char *path, int dir2, const char *path2, long call,
        const long args[5])
{
    char full[PATH_MAX], full2[PATH_MAX];
    struct entry entry = {.kind = kind, .start_ns = now()};
    bool mine, mine2;
    int r;

    if (log_fd < 0)
        return (int)syscall(call, args[0], args[1], args[2], args[3], args[4]);
    lock();
    mine = resolve(dir, path, full) && inside(full);
    mine2 = path2 && resolve(dir2, path2, full2) && inside(full2);
    r = (int)syscall(call, args[0], args[1], args[2], args[3], args[4]);
    if (r == 0 && path2 && mine != mine2)
        put(&(struct entry){.kind = KIND_UNSUPPORTED, .start_ns = entry.start_ns},
                "a name moved into or out of the folder", NULL, NULL, 0);
    else if (r == 0 && mine)
        put(&entry, full, mine2 ? full2 : NULL, NULL, 0);
    unlock();
    return r;
}

static int rename_any(int dir, const char *path, int dir2, const char *path2, unsigned flags)
{
    return named(KIND_RENAME, dir, path, dir2, path2, SYS_renameat2,
            (long[5]){dir, (long)path, dir2, (long)path2, (long)flags});
}

EXPORT int rename(const char *path, const char *path2)
{
    return rename_any(AT_FDCWD, path, AT_FDCWD, path2, 0);
}

EXPORT int renameat(int dir, const char *path, int dir2, const char *path2)
{
    return rename_any(dir, path, dir2, path2, 0);
}

EXPORT int renameat2(int dir, const char *path, int dir2, const char *path2, unsigned flags)
{
    return rename_any(dir, path, dir2, path2, flags);
}

EXPORT int unlinkat(int dir, const char *path, int flags)
{
    return named(flags & AT_REMOVEDIR ? KIND_RMDIR : KIND_UNLINK, dir, path, 0, NULL, SYS_unlinkat,
            (long[5]){dir, (long)path, flags, 0, 0});
}

EXPORT int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

EXPORT int rmdir(const char *path)
{
    return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

EXPORT int remove(const char *path)
{
    int r = unlinkat(AT_FDCWD, path, 0);

    return r < 0 && errno == EISDIR ? unlinkat(AT_FDCWD, path, AT_REMOVEDIR) : r;
}

EXPORT int mkdirat(int dir, const char *path, mode_t mode)
{
    return named(KIND_MKDIR, dir, path, 0, NULL, SYS_mkdirat,
            (long[5]){dir, (long)path, (long)mode, 0, 0});
}

EXPORT int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

EXPORT int linkat(int dir, const char *path, int dir2, const char *path2, int flags)
{
    return named(KIND_LINK, dir, path, dir2, path2, SYS_linkat,
            (long[5]){dir, (long)path, dir2, (long)path2, flags});
}

EXPORT int link(const char *path, const char *path2)
{
    return linkat(AT_FDCWD, path, AT_FDCWD, path2, 0);
}

EXPORT void nx_powerloss_mark(const char *text)
{
    struct entry entry = {.kind = KIND_MARK, .start_ns = now()};

    if (log_fd < 0)
        return;
    lock();
    put(&entry, text, NULL, NULL, 0);
    unlock();
}
