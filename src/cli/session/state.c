/* See state.h. All access is by descriptors of folders (openat), so that no name is looked up
 * twice. */
#include "cli/session/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "session/client/names.h"

#define LOCK_TRIES   100
#define LOCK_STEP_MS 50

static const char *const field_names[NX_STATE_FIELD_COUNT] = {"agent", "key", "cursor", "server"};

static char *join(const struct nx_mem *mem, const char *a, const char *b)
{
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    char *path = nx_mem_alloc(mem, a_len + b_len + 1);

    if (path) {
        memcpy(path, a, a_len);
        memcpy(path + a_len, b, b_len + 1);
    }
    return path;
}

int nx_state_init(struct nx_state *state, const struct nx_mem *mem)
{
    const char *home = getenv("HOME");
    const char *temp = getenv("TMPDIR");

    *state = (struct nx_state){.mem = mem, .lock_fd = -1};
    if (!home || home[0] != '/') {
        const struct passwd *user = getpwuid(geteuid());

        home = user ? user->pw_dir : NULL;
    }
    if (!home || home[0] != '/')
        return NX_E_NOTFOUND;
    state->root = join(mem, home, "/.config/messaging");
    state->old_root = join(mem, home, "/.nexus-sessions");
    state->temp = join(mem, temp && temp[0] == '/' ? temp : "/tmp", "");
    return state->root && state->old_root && state->temp ? 0 : NX_E_NOMEM;
}

void nx_state_done(struct nx_state *state)
{
    nx_state_unlock(state);
    nx_mem_free(state->mem, state->root);
    nx_mem_free(state->mem, state->old_root);
    nx_mem_free(state->mem, state->temp);
}

static int error_of_errno(void)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        return NX_E_NOTFOUND;
    case ENOSPC:
    case EDQUOT:
        return NX_E_FULL;
    case ENOMEM:
        return NX_E_NOMEM;
    default:
        return NX_E_IO;
    }
}

static bool id_valid(const char *id)
{
    return nx_name_id_valid(nx_bytes_str(id));
}

/* Makes every folder of the path that is missing, ours alone. */
static int make_path(const struct nx_mem *mem, const char *path)
{
    char *copy = nx_mem_strndup(mem, path, strlen(path));
    int r = 0;

    if (!copy)
        return NX_E_NOMEM;
    for (char *at = copy + 1; r == 0; at++) {
        bool end = *at == '\0';

        if (*at != '/' && !end)
            continue;
        *at = '\0';
        if (mkdir(copy, 0700) < 0 && errno != EEXIST)
            r = error_of_errno();
        if (end)
            break;
        *at = '/';
    }
    nx_mem_free(mem, copy);
    return r;
}

/* A folder below dir, ours alone also when it was made otherwise. */
static int open_below(int dir, const char *name, bool make)
{
    struct stat st;
    int fd;

    if (make && mkdirat(dir, name, 0700) < 0 && errno != EEXIST)
        return error_of_errno();
    fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_of_errno();
    if (make && fstat(fd, &st) == 0 && (st.st_mode & 0777) != 0700)
        (void)fchmod(fd, 0700);
    return fd;
}

static int open_root(const struct nx_state *state, bool make)
{
    struct stat st;
    int fd, r;

    if (make) {
        r = make_path(state->mem, state->root);
        if (r < 0)
            return r;
    }
    /* The user may have linked it elsewhere: his own doing. */
    fd = open(state->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_of_errno();
    if (make && fstat(fd, &st) == 0 && (st.st_mode & 0777) != 0700)
        (void)fchmod(fd, 0700);
    return fd;
}

static int open_sessions(const struct nx_state *state, bool make)
{
    int root = open_root(state, make);
    int fd;

    if (root < 0)
        return root;
    fd = open_below(root, "sessions", make);
    close(root);
    return fd;
}

static int open_session(const struct nx_state *state, const char *id, bool make)
{
    int sessions, fd;

    if (!id_valid(id))
        return NX_E_INVALID;
    sessions = open_sessions(state, make);
    if (sessions < 0)
        return sessions;
    fd = open_below(sessions, id, make);
    close(sessions);
    return fd;
}

/* Appends what the file holds. own_only: a file of another user counts as none. */
static int read_at(int dir, const char *name, bool own_only, struct nx_buf *to)
{
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    int r = 0;

    if (fd < 0)
        return error_of_errno();
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (own_only && st.st_uid != geteuid())) {
        close(fd);
        return NX_E_NOTFOUND;
    }
    while (r == 0) {
        char *at = nx_buf_reserve(to, 4096);
        ssize_t n;

        if (!at) {
            r = nx_buf_error(to) == NX_E_TOO_LARGE ? NX_E_DAMAGED : NX_E_NOMEM;
            break;
        }
        n = read(fd, at, 4096);
        if (n < 0 && errno != EINTR)
            r = error_of_errno();
        if (n == 0)
            break;
        if (n > 0)
            to->len += (size_t)n;
    }
    close(fd);
    return r;
}

static int write_all(int fd, struct nx_bytes content)
{
    while (content.len > 0) {
        ssize_t n = write(fd, content.ptr, content.len);

        if (n < 0 && errno != EINTR)
            return error_of_errno();
        if (n > 0)
            content = nx_bytes_from(content, (size_t)n);
    }
    return 0;
}

/* To a name of this process, to the disk, then in place of the old file in one step. */
static int write_at(int dir, const char *name, struct nx_bytes content)
{
    char temp[128];
    int fd, r;

    snprintf(temp, sizeof(temp), ".%s.%ld.tmp", name, (long)getpid());
    (void)unlinkat(dir, temp, 0); /* left by a process that had our number and was killed */
    fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_of_errno();
    r = write_all(fd, content);
    if (r == 0 && (fchmod(fd, 0600) < 0 || fsync(fd) < 0))
        r = error_of_errno();
    if (close(fd) < 0 && r == 0)
        r = error_of_errno();
    if (r == 0 && renameat(dir, temp, dir, name) < 0)
        r = error_of_errno();
    if (r < 0)
        (void)unlinkat(dir, temp, 0);
    return r;
}

static int remove_at(int dir, const char *name)
{
    if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)
        return error_of_errno();
    return 0;
}

/* The old client's file for a field: a folder and a name, or false when it had none. */
static bool old_place(const struct nx_state *state, const char *id, enum nx_state_field field,
        const char **ret_folder, char ret_name[NX_SESSION_ID_MAX + 32])
{
    if (field == NX_STATE_AGENT) {
        *ret_folder = state->temp;
        snprintf(ret_name, NX_SESSION_ID_MAX + 32, "nexus_agent_%s", id);
        return true;
    }
    if (field == NX_STATE_CURSOR) {
        *ret_folder = state->old_root;
        snprintf(ret_name, NX_SESSION_ID_MAX + 32, "%s.cursor", id);
        return true;
    }
    return false;
}

static int read_old(
        const struct nx_state *state, const char *id, enum nx_state_field field, struct nx_buf *to)
{
    char name[NX_SESSION_ID_MAX + 32];
    const char *folder;
    int dir, r;

    if (!old_place(state, id, field, &folder, name))
        return NX_E_NOTFOUND;
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return NX_E_NOTFOUND;
    r = read_at(dir, name, true, to);
    close(dir);
    return r;
}

static bool value_valid(enum nx_state_field field, struct nx_bytes value)
{
    switch (field) {
    case NX_STATE_AGENT:
        return nx_name_id_valid(value);
    case NX_STATE_KEY:
        return nx_name_key_valid(value);
    case NX_STATE_CURSOR:
        return nx_name_cursor_valid(value);
    case NX_STATE_SERVER:
        return value.len > 0 && value.len <= NX_SERVER_URL_MAX;
    }
    return false;
}

int nx_state_get(const struct nx_state *state, const char *id, enum nx_state_field field,
        char ret_value[NX_STATE_VALUE_MAX])
{
    struct nx_bytes value;
    struct nx_buf text;
    int dir, r;

    if (!id_valid(id))
        return NX_E_INVALID;
    nx_buf_init(&text, state->mem, 16384);
    dir = open_session(state, id, false);
    r = dir;
    if (dir >= 0) {
        r = read_at(dir, field_names[field], false, &text);
        close(dir);
    }
    value = nx_bytes_trim(nx_buf_bytes(&text));
    if (r == NX_E_NOTFOUND || (r == 0 && value.len == 0)) {
        nx_buf_clear(&text);
        r = read_old(state, id, field, &text);
        value = nx_bytes_trim(nx_buf_bytes(&text));
        if (r == 0 && value.len == 0)
            r = NX_E_NOTFOUND;
    }
    if (r == 0 && (value.len >= NX_STATE_VALUE_MAX || !value_valid(field, value)))
        r = NX_E_DAMAGED;
    if (r == 0) {
        memcpy(ret_value, value.ptr, value.len);
        ret_value[value.len] = '\0';
    }
    if (text.ptr)
        nx_wipe(text.ptr, text.len);
    nx_buf_done(&text);
    return r;
}

int nx_state_set(
        const struct nx_state *state, const char *id, enum nx_state_field field, const char *value)
{
    struct nx_buf line;
    int dir, r;

    if (!id_valid(id) || !value_valid(field, nx_bytes_str(value)))
        return NX_E_INVALID;
    dir = open_session(state, id, true);
    if (dir < 0)
        return dir;
    nx_buf_init(&line, state->mem, NX_STATE_VALUE_MAX + 1);
    nx_buf_append_str(&line, value);
    nx_buf_append_char(&line, '\n');
    r = nx_buf_error(&line);
    if (r == 0)
        r = write_at(dir, field_names[field], nx_buf_bytes(&line));
    if (line.ptr)
        nx_wipe(line.ptr, line.len);
    nx_buf_done(&line);
    close(dir);
    return r;
}

static int remove_old(const struct nx_state *state, const char *id, enum nx_state_field field)
{
    char name[NX_SESSION_ID_MAX + 32];
    const char *folder;
    int dir, r = 0;
    struct stat st;

    if (!old_place(state, id, field, &folder, name))
        return 0;
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return 0;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_uid == geteuid())
        r = remove_at(dir, name);
    close(dir);
    return r;
}

int nx_state_unset(const struct nx_state *state, const char *id, enum nx_state_field field)
{
    int dir, r;

    if (!id_valid(id))
        return NX_E_INVALID;
    dir = open_session(state, id, false);
    if (dir < 0 && dir != NX_E_NOTFOUND)
        return dir;
    r = 0;
    if (dir >= 0) {
        r = remove_at(dir, field_names[field]);
        close(dir);
    }
    if (r == 0)
        r = remove_old(state, id, field);
    return r;
}

/* All files of a folder; what else lies there keeps the folder. */
static void empty_folder(int dir)
{
    int copy = dup(dir);
    DIR *stream = copy >= 0 ? fdopendir(copy) : NULL;
    const struct dirent *entry;

    if (!stream) {
        if (copy >= 0)
            close(copy);
        return;
    }
    while ((entry = readdir(stream))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)unlinkat(dir, entry->d_name, 0);
    }
    closedir(stream);
}

int nx_state_forget(const struct nx_state *state, const char *id)
{
    int sessions, dir, r;

    if (!id_valid(id))
        return NX_E_INVALID;
    r = remove_old(state, id, NX_STATE_AGENT);
    if (r == 0)
        r = remove_old(state, id, NX_STATE_CURSOR);
    sessions = open_sessions(state, false);
    if (sessions < 0)
        return sessions == NX_E_NOTFOUND ? r : sessions;
    dir = open_below(sessions, id, false);
    if (dir >= 0) {
        empty_folder(dir);
        close(dir);
        if (unlinkat(sessions, id, AT_REMOVEDIR) < 0 && errno != ENOENT)
            r = error_of_errno();
    } else if (dir != NX_E_NOTFOUND) {
        r = dir;
    }
    close(sessions);
    return r;
}

bool nx_state_knows(const struct nx_state *state, const char *id)
{
    char value[NX_STATE_VALUE_MAX];
    int dir = open_session(state, id, false);

    if (dir >= 0) {
        close(dir);
        return true;
    }
    return nx_state_get(state, id, NX_STATE_AGENT, value) == 0 ||
           nx_state_get(state, id, NX_STATE_CURSOR, value) == 0;
}

enum nx_state_key_file nx_state_key_file(const struct nx_state *state, const char *id)
{
    int dir = open_session(state, id, false);
    struct stat st;
    bool found;

    if (dir < 0)
        return NX_STATE_KEY_ABSENT;
    found = fstatat(dir, "key", &st, AT_SYMLINK_NOFOLLOW) == 0;
    close(dir);
    if (!found)
        return NX_STATE_KEY_ABSENT;
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0)
        return NX_STATE_KEY_INSECURE;
    return NX_STATE_KEY_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_id(struct nx_state_list *list, const char *id, size_t len)
{
    char **ids;

    if (!nx_name_id_valid(nx_bytes_of(id, len)))
        return 0;
    if (list->count == NX_STATE_SESSIONS_MAX)
        return NX_E_LIMIT;
    ids = nx_mem_resize(list->mem, list->ids, (list->count + 1) * sizeof(*ids));
    if (!ids)
        return NX_E_NOMEM;
    list->ids = ids;
    ids[list->count] = nx_mem_strndup(list->mem, id, len);
    if (!ids[list->count])
        return NX_E_NOMEM;
    list->count++;
    return 0;
}

/* Adds the ids of a folder's entries PREFIX id SUFFIX that are of the wanted type and ours. */
static int scan(
        struct nx_state_list *list, int dir, const char *prefix, const char *suffix, mode_t type)
{
    DIR *stream = fdopendir(dir);
    const struct dirent *entry;
    int r = 0;

    if (!stream) {
        close(dir);
        return NX_E_IO;
    }
    while (r == 0 && (entry = readdir(stream))) {
        size_t len = strlen(entry->d_name);
        size_t around = strlen(prefix) + strlen(suffix);
        struct stat st;

        if (len <= around || strncmp(entry->d_name, prefix, strlen(prefix)) != 0 ||
                strcmp(entry->d_name + len - strlen(suffix), suffix) != 0)
            continue;
        if (fstatat(dirfd(stream), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                (st.st_mode & S_IFMT) != type || st.st_uid != geteuid())
            continue;
        r = add_id(list, entry->d_name + strlen(prefix), len - around);
    }
    closedir(stream);
    return r;
}

static void drop_doubles(struct nx_state_list *list)
{
    size_t kept = 0;

    if (list->count == 0)
        return;
    qsort(list->ids, list->count, sizeof(*list->ids), by_name);
    for (size_t i = 1; i < list->count; i++) {
        if (strcmp(list->ids[i], list->ids[kept]) == 0)
            nx_mem_free(list->mem, list->ids[i]);
        else
            list->ids[++kept] = list->ids[i];
    }
    list->count = kept + 1;
}

int nx_state_sessions(const struct nx_state *state, struct nx_state_list *ret_list)
{
    struct nx_state_list list = {.mem = state->mem};
    int dir = open_sessions(state, false);
    int r = dir == NX_E_NOTFOUND ? 0 : dir;

    if (dir >= 0)
        r = scan(&list, dir, "", "", S_IFDIR);
    if (r == 0) {
        dir = open(state->temp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir >= 0)
            r = scan(&list, dir, "nexus_agent_", "", S_IFREG);
    }
    if (r == 0) {
        dir = open(state->old_root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir >= 0)
            r = scan(&list, dir, "", ".cursor", S_IFREG);
    }
    if (r < 0) {
        nx_state_list_done(&list);
        return r;
    }
    drop_doubles(&list);
    *ret_list = list;
    return 0;
}

void nx_state_list_done(struct nx_state_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        nx_mem_free(list->mem, list->ids[i]);
    nx_mem_free(list->mem, list->ids);
    *list = (struct nx_state_list){.mem = list->mem};
}

int nx_state_read(const struct nx_state *state, const char *name, struct nx_buf *to)
{
    int root = open_root(state, false);
    int r;

    nx_buf_clear(to);
    if (root < 0)
        return root;
    r = read_at(root, name, false, to);
    close(root);
    return r;
}

int nx_state_write(const struct nx_state *state, const char *name, struct nx_bytes content)
{
    int root = open_root(state, true);
    int r;

    if (root < 0)
        return root;
    r = write_at(root, name, content);
    close(root);
    return r;
}

int nx_state_remove(const struct nx_state *state, const char *name)
{
    int root = open_root(state, false);
    int r;

    if (root < 0)
        return root == NX_E_NOTFOUND ? 0 : root;
    r = remove_at(root, name);
    close(root);
    return r;
}

int nx_state_lock(struct nx_state *state)
{
    int root = open_root(state, true);
    int fd;

    if (root < 0)
        return root;
    fd = openat(root, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    close(root);
    if (fd < 0)
        return error_of_errno();
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
        if (i == LOCK_TRIES || (errno != EWOULDBLOCK && errno != EINTR)) {
            close(fd);
            return NX_E_BUSY;
        }
        (void)poll(NULL, 0, LOCK_STEP_MS);
    }
    state->lock_fd = fd;
    return 0;
}

void nx_state_unlock(struct nx_state *state)
{
    if (state->lock_fd >= 0)
        close(state->lock_fd);
    state->lock_fd = -1;
}

int nx_state_open(const struct nx_state *state, const char *id, const char *name, bool make)
{
    int dir = open_session(state, id, make);
    int fd;

    if (dir < 0)
        return dir;
    fd = openat(dir, name, O_RDWR | (make ? O_CREAT : 0) | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        fd = error_of_errno();
    close(dir);
    return fd;
}
