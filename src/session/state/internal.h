/* What the files of this room share: the shape of a shard, a session, a message, a code. */
#ifndef NX_SESSION_STATE_INTERNAL_H
#define NX_SESSION_STATE_INTERNAL_H

#include "base/heap.h"
#include "base/map.h"
#include "session/state/sessions.h"

#define SERIAL_LEN 8
#define CHANGE_MAX 130 /* a tick's 64 sessions with two changes each, and one to spare */
#define TICK_MAX   64

struct message {
    uint64_t cursor;
    uint64_t waits_for; /* the change its acknowledgement waited for; 0: none */
    uint32_t len;
    char json[];
};

struct code {
    struct nx_map_node by_text;
    struct nx_session *session;
    struct code *next; /* of the same session, newest first */
    char text[NX_CODE_LEN_MAX];
    uint8_t text_len;
    bool claimed;
    int64_t expires_mono_ms;
    int64_t expires_wall_ms; /* as told when it was made */
};

struct nx_session {
    struct nx_map_node by_id;
    struct nx_map_node by_serial;
    struct nx_heap_node timer;
    char id[NX_SESSION_ID_LEN];
    uint64_t serial;
    int64_t ttl_s;
    unsigned agents_max;
    int64_t created_wall_ms;
    struct nx_time expires;         /* on both clocks, so that what was told stays told */
    int64_t stored_expires_mono_ms; /* what the last emitted record says */
    bool reminded;                  /* the system message of the second join was sent */

    char *creator;
    uint8_t creator_len;
    char *greeting; /* JSON string */
    size_t greeting_len;
    char greeting_id[NX_MESSAGE_ID_LEN];
    int64_t greeting_expires_wall_ms;

    struct nx_agent *agents;
    size_t agent_count;
    struct code *codes;
    size_t code_count;

    struct message **messages; /* by cursor; the greeting, when there is one, first */
    size_t message_count;
    size_t message_capacity;
    size_t message_bytes;

    uint64_t cursor_next;
    uint64_t cursor_reserved; /* the record promises that a restart goes on from here */
    uint64_t number;          /* the last change an answer about this session must wait for */
};

struct nx_sessions {
    const struct nx_mem *mem;
    const struct nx_random *random;
    struct nx_sessions_limits limits;
    struct nx_map by_id;
    struct nx_map by_serial;
    struct nx_map codes;
    struct nx_heap timers;
    uint64_t sequence; /* the highest used: a serial is sequence × shards + shard */
    uint64_t agent_total, message_total;
    size_t message_bytes;

    /* the last step's outcome */
    struct nx_change changes[CHANGE_MAX];
    uint8_t keys[CHANGE_MAX][2 * SERIAL_LEN];
    size_t change_count;
    struct nx_buf record;
    struct nx_session *touched;
    size_t new_from; /* messages of the touched session from here on are this step's */
    bool must_wait;  /* the answer promises these changes */
    bool storing;    /* the owner's store takes changes now */
};

/* sessions.c */
void step_begin(struct nx_sessions *s);
struct nx_session *session_find(struct nx_sessions *s, struct nx_time now, struct nx_bytes id);
struct nx_agent *agent_find(struct nx_session *session, struct nx_bytes id);
void session_touch(struct nx_session *session, struct nx_time now);
void session_view(const struct nx_session *session, struct nx_session_view *ret_view);
void session_remove(struct nx_sessions *s, struct nx_session *session);
int session_schedule(struct nx_sessions *s, struct nx_session *session);
int session_join(struct nx_sessions *s, struct nx_time now, struct nx_session *session,
        struct nx_bytes id, struct nx_bytes key, bool v1, struct nx_joined *ret_joined);
struct nx_session *session_alloc(struct nx_sessions *s);
void session_strip(struct nx_sessions *s, struct nx_session *session);
int session_insert(struct nx_sessions *s, struct nx_session *session);
struct nx_session *session_by_serial(const struct nx_sessions *s, uint64_t serial);
void session_free(struct nx_sessions *s, struct nx_session *session);
bool key_matches(const struct nx_agent *agent, struct nx_bytes key);
int agents_grow(struct nx_sessions *s, struct nx_session *session, struct nx_agent **ret_agent);

/* messages.c */
int message_add(struct nx_sessions *s, struct nx_session *session, struct message *message);
void message_id(struct nx_sessions *s, struct nx_time now, char *ret_id);
int greeting_add(struct nx_sessions *s, struct nx_session *session);
int reminder_add(struct nx_sessions *s, struct nx_session *session, struct nx_time now);
void messages_drop_from(struct nx_sessions *s, struct nx_session *session, size_t index);
/* The next cursor. A new block is reserved when the last is used up: the caller must then emit the
 * record, waiting (*ret_reserved). */
uint64_t cursor_take(struct nx_session *session, bool *ret_reserved);

/* pairing.c */
struct code *code_find(struct nx_sessions *s, struct nx_bytes text);
struct code *code_add(struct nx_sessions *s, struct nx_session *session, struct nx_bytes text);
void codes_drop(struct nx_sessions *s, struct nx_session *session);

/* record.c */
/* Makes room for the session's record with one agent and one code more, so that emitting it cannot
 * fail after the session has changed. Returns 0 or NX_E_NOMEM. */
int record_room(struct nx_sessions *s, const struct nx_session *session);
void emit_record(struct nx_sessions *s, struct nx_session *session);
/* The same for the sliding expiry alone, when the stored one lags too far. */
void emit_touch(struct nx_sessions *s, struct nx_session *session);
void emit_message(struct nx_sessions *s, struct nx_session *session, const struct message *message);
void emit_removal(struct nx_sessions *s, uint64_t serial);
void serial_encode(uint64_t value, uint8_t *key);

/* words.c */
#define CODE_WORDS 512
extern const char code_words[CODE_WORDS][7];

#endif
