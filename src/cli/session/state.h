/* What the session client keeps between two commands: files under ~/.config/messaging, folders
 * 0700, files 0600.
 *
 *     sessions/ID/{agent,key,cursor,server}   one line each, trimmed when read
 *     aliases.json config.json server-caps.json server-generations.json
 *
 * Every write goes to a temporary name and is renamed, so a reader sees the old text or the new
 * one. An id is checked before it becomes part of a path, and a session's folder and files are
 * never followed through a symbolic link. State of the older shell client is found too:
 * nexus_agent_ID in the temporary folder (only the user's own file counts there) and
 * ~/.nexus-sessions/ID.cursor. */
#ifndef NX_CLI_SESSION_STATE_H
#define NX_CLI_SESSION_STATE_H

#include "base/buf.h"

#define NX_STATE_VALUE_MAX    2304
#define NX_STATE_SESSIONS_MAX 10000
#define NX_STATE_DOCUMENT_MAX ((size_t)8 << 20)

enum nx_state_field {
    NX_STATE_AGENT,
    NX_STATE_KEY,
    NX_STATE_CURSOR,
    NX_STATE_SERVER,
};
#define NX_STATE_FIELD_COUNT 4

struct nx_state {
    const struct nx_mem *mem;
    char *root;     /* HOME/.config/messaging */
    char *old_root; /* HOME/.nexus-sessions */
    char *temp;     /* TMPDIR or /tmp */
    int lock_fd;
};

enum nx_state_key_file { NX_STATE_KEY_OK, NX_STATE_KEY_INSECURE, NX_STATE_KEY_ABSENT };

/* Returns 0, NX_E_NOTFOUND when there is no home folder, NX_E_NOMEM. Makes nothing on the disk. */
NX_MUST_USE int nx_state_init(struct nx_state *state, const struct nx_mem *mem);
void nx_state_done(struct nx_state *state);

/* In all of these the id is checked first: NX_E_INVALID when it is none. */

/* Returns 0 and the value; NX_E_NOTFOUND; NX_E_DAMAGED when the file holds no such thing; NX_E_IO. */
NX_MUST_USE int nx_state_get(const struct nx_state *state, const char *id,
        enum nx_state_field field, char ret_value[NX_STATE_VALUE_MAX]);
NX_MUST_USE int nx_state_set(
        const struct nx_state *state, const char *id, enum nx_state_field field, const char *value);
/* Removing what is not there is a success. */
NX_MUST_USE int nx_state_unset(
        const struct nx_state *state, const char *id, enum nx_state_field field);
/* Removes the session's folder and what the older client kept of it. */
NX_MUST_USE int nx_state_forget(const struct nx_state *state, const char *id);
/* Is anything kept of this session? */
bool nx_state_knows(const struct nx_state *state, const char *id);
/* Is the key's file for its owner alone? */
enum nx_state_key_file nx_state_key_file(const struct nx_state *state, const char *id);

struct nx_state_list {
    const struct nx_mem *mem;
    char **ids; /* sorted */
    size_t count;
};
NX_MUST_USE int nx_state_sessions(const struct nx_state *state, struct nx_state_list *ret_list);
void nx_state_list_done(struct nx_state_list *list);

/* Reads a file of the root into `to` (cleared first). NX_E_NOTFOUND leaves it empty. */
NX_MUST_USE int nx_state_read(const struct nx_state *state, const char *name, struct nx_buf *to);
NX_MUST_USE int nx_state_write(
        const struct nx_state *state, const char *name, struct nx_bytes content);
NX_MUST_USE int nx_state_remove(const struct nx_state *state, const char *name);

/* One changer at a time for the documents; waits five seconds at most (NX_E_BUSY). */
NX_MUST_USE int nx_state_lock(struct nx_state *state);
void nx_state_unlock(struct nx_state *state);

/* Opens sessions/ID/NAME for reading and writing, made when it is not there; for the poller's
 * mark. Returns a descriptor or a negative error. */
NX_MUST_USE int nx_state_open(
        const struct nx_state *state, const char *id, const char *name, bool make);

#endif
