/* Messages: sent, numbered, kept as the JSON in which they are handed out, polled. */
#include "session/state/internal.h"

#define CURSOR_BLOCK 1024

/* RFC 9562 section 5.7: 48 bits of Unix milliseconds, version 7, 74 random bits. */
void message_id(struct nx_sessions *s, struct nx_time now, char *ret_id)
{
    uint8_t raw[16];
    char hex[32];
    uint64_t ms = (uint64_t)now.wall_ms;

    nx_random_fill(s->random, raw + 6, 10);
    for (int i = 0; i < 6; i++)
        raw[i] = (uint8_t)(ms >> (40 - 8 * i));
    raw[6] = (uint8_t)((raw[6] & 0x0f) | 0x70);
    raw[8] = (uint8_t)((raw[8] & 0x3f) | 0x80);
    nx_hex_encode(raw, sizeof(raw), hex);
    memcpy(ret_id, hex, 8);
    memcpy(ret_id + 9, hex + 8, 4);
    memcpy(ret_id + 14, hex + 12, 4);
    memcpy(ret_id + 19, hex + 16, 4);
    memcpy(ret_id + 24, hex + 20, 12);
    ret_id[8] = ret_id[13] = ret_id[18] = ret_id[23] = '-';
}

/* Writes what fits into a block that was measured to hold it. */
static char *put(char *to, struct nx_bytes bytes)
{
    if (bytes.len > 0)
        memcpy(to, bytes.ptr, bytes.len);
    return to + bytes.len;
}

static char *put_u64(char *to, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return put(to, nx_bytes_of(digits + at, sizeof(digits) - at));
}

static char *put_time(char *to, int64_t wall_ms)
{
    nx_time_rfc3339(wall_ms, to);
    return to + NX_RFC3339_LEN;
}

/* What a message says of itself beside what its sender wrote. */
struct stamp {
    const char *id;
    uint64_t cursor;
    bool verified;
    int64_t created_wall_ms, expires_wall_ms;
};

/* Returns the message in the JSON it is handed out in, or NULL when memory is short. */
static struct message *render(struct nx_sessions *s, const struct nx_session *session,
        const struct nx_send *send, const struct stamp *stamp)
{
    /* The fixed parts below, three numbers and times, with room to spare. */
    size_t bytes = 320 + 2 * send->agent.len + send->text.len + send->json.len;
    struct message *message;
    char *to;

    message = nx_mem_alloc(s->mem, sizeof(*message) + bytes);
    if (!message)
        return NULL;
    to = put(message->json, NX_BYTES("{\"id\":\""));
    to = put(to, nx_bytes_of(stamp->id, NX_MESSAGE_ID_LEN));
    to = put(to, NX_BYTES("\",\"agentId\":\""));
    to = put(to, send->agent);
    to = put(to, NX_BYTES("\",\"from\":\""));
    to = put(to, send->agent);
    to = put(to, NX_BYTES("\",\"text\":"));
    to = put(to, send->text.len > 0 ? send->text : NX_BYTES("\"\""));
    if (send->json.len > 0) {
        to = put(to, NX_BYTES(",\"json\":"));
        to = put(to, send->json);
    }
    to = put(to, NX_BYTES(",\"cursor\":\""));
    to = put_u64(to, stamp->cursor);
    to = put(to,
            stamp->verified ? NX_BYTES("\",\"verified\":true") : NX_BYTES("\",\"verified\":false"));
    to = put(to, NX_BYTES(",\"createdAt\":\""));
    to = put_time(to, stamp->created_wall_ms);
    to = put(to, NX_BYTES("\",\"expiresAt\":\""));
    to = put_time(to, stamp->expires_wall_ms);
    to = put(to, NX_BYTES("\"}"));
    message->cursor = stamp->cursor;
    message->waits_for = session->number;
    message->len = (uint32_t)(to - message->json);
    return message;
}

static size_t cost(const struct message *message)
{
    return sizeof(*message) + sizeof(message) + message->len;
}

/* Takes the message over on success; on failure it stays the caller's. */
int message_add(struct nx_sessions *s, struct nx_session *session, struct message *message)
{
    if (session->message_bytes + cost(message) > s->limits.session_bytes_max)
        return NX_REFUSE_MESSAGES_FULL;
    if (s->message_bytes + cost(message) > s->limits.message_bytes_max)
        return NX_REFUSE_NO_ROOM;
    if (session->message_count == session->message_capacity) {
        size_t capacity = session->message_capacity ? session->message_capacity * 2 : 4;
        void *messages =
                nx_mem_resize(s->mem, session->messages, capacity * sizeof(struct message *));

        if (!messages)
            return NX_E_NOMEM;
        session->messages = messages;
        session->message_capacity = capacity;
    }
    session->messages[session->message_count++] = message;
    session->message_bytes += cost(message);
    s->message_bytes += cost(message);
    s->message_total++;
    return 0;
}

void messages_drop_from(struct nx_sessions *s, struct nx_session *session, size_t index)
{
    while (session->message_count > index) {
        struct message *message = session->messages[--session->message_count];

        session->message_bytes -= cost(message);
        s->message_bytes -= cost(message);
        s->message_total--;
        nx_mem_free(s->mem, message);
    }
}

uint64_t cursor_take(struct nx_session *session, bool *ret_reserved)
{
    uint64_t cursor = session->cursor_next++;

    if (cursor >= session->cursor_reserved) {
        session->cursor_reserved = cursor + CURSOR_BLOCK;
        *ret_reserved = true;
    }
    return cursor;
}

/* Renders and adds in one. */
static int add(struct nx_sessions *s, struct nx_session *session, const struct nx_send *send,
        const struct stamp *stamp)
{
    struct message *message = render(s, session, send, stamp);
    int r;

    if (!message)
        return NX_E_NOMEM;
    r = message_add(s, session, message);
    if (r != 0)
        nx_mem_free(s->mem, message);
    return r;
}

int greeting_add(struct nx_sessions *s, struct nx_session *session)
{
    struct nx_send send = {
            .agent = NX_BYTES("system"),
            .text = nx_bytes_of(session->greeting, session->greeting_len),
    };
    struct stamp stamp = {
            .id = session->greeting_id,
            .cursor = 0,
            .verified = true,
            .created_wall_ms = session->created_wall_ms,
            .expires_wall_ms = session->greeting_expires_wall_ms,
    };

    return session->greeting_len > 0 ? add(s, session, &send, &stamp) : 0;
}

/* Begins as the seed quotes it. */
static const char reminder[] =
        "\"This is an async conversation. Set up a cron job (every 3-5 minutes), with your human's "
        "permission, to poll this session for new messages and answer them. Stop it when the "
        "conversation is complete or the session has ended.\"";

int reminder_add(struct nx_sessions *s, struct nx_session *session, struct nx_time now)
{
    struct nx_send send = {.agent = NX_BYTES("system"), .text = NX_BYTES(reminder)};
    char id[NX_MESSAGE_ID_LEN];
    struct stamp stamp = {
            .id = id,
            .cursor = session->cursor_next,
            .verified = true,
            .created_wall_ms = now.wall_ms,
            .expires_wall_ms = now.wall_ms + session->ttl_s * 1000,
    };
    bool reserved = false;
    int r;

    message_id(s, now, id);
    r = add(s, session, &send, &stamp);
    if (r != 0)
        return r;
    /* The join's record follows and carries a reservation, if there was one. */
    cursor_take(session, &reserved);
    if (s->limits.durable_messages)
        emit_message(s, session, session->messages[session->message_count - 1]);
    return 0;
}

int nx_sessions_send(struct nx_sessions *s, struct nx_time now, struct nx_bytes id,
        const struct nx_send *send, struct nx_sent *ret_sent)
{
    struct nx_session *session;
    struct nx_agent *agent;
    char message[NX_MESSAGE_ID_LEN];
    struct stamp stamp = {.id = message, .created_wall_ms = now.wall_ms};
    bool reserved = false;
    int r;

    step_begin(s);
    session = session_find(s, now, id);
    if (!session)
        return NX_REFUSE_SESSION_NOT_FOUND;
    agent = agent_find(session, send->agent);
    if (!agent)
        return NX_REFUSE_NOT_JOINED;
    stamp.verified = send->key.len > 0 && key_matches(agent, send->key);
    if (send->key.len > 0 && !stamp.verified && !send->v1)
        return NX_REFUSE_WRONG_KEY;
    r = record_room(s, session);
    if (r < 0)
        return r;
    stamp.cursor = session->cursor_next;
    stamp.expires_wall_ms = now.wall_ms + session->ttl_s * 1000;
    message_id(s, now, message);
    r = add(s, session, send, &stamp);
    if (r != 0)
        return r;
    memcpy(ret_sent->id, message, NX_MESSAGE_ID_LEN);
    ret_sent->cursor = cursor_take(session, &reserved);
    ret_sent->expires_wall_ms = stamp.expires_wall_ms;
    agent->seen = now;
    session_touch(session, now);
    if (reserved)
        emit_record(s, session);
    else
        emit_touch(s, session);
    if (s->limits.durable_messages)
        emit_message(s, session, session->messages[session->message_count - 1]);
    return 0;
}

/* The index of the first message behind a cursor. */
static size_t first_after(const struct nx_session *session, uint64_t after)
{
    size_t low = 0;
    size_t high = session->message_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (session->messages[middle]->cursor <= after)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int nx_sessions_poll(struct nx_sessions *s, struct nx_time now, struct nx_bytes id,
        const struct nx_poll *poll, struct nx_buf *to, struct nx_polled *ret_polled)
{
    struct nx_session *session;
    struct nx_agent *agent;
    size_t at;
    size_t bytes = 0;
    struct nx_polled polled = {0};

    step_begin(s);
    session = session_find(s, now, id);
    if (!session)
        return NX_REFUSE_SESSION_NOT_FOUND;
    agent = agent_find(session, poll->agent);
    if (!agent)
        return NX_REFUSE_NOT_MEMBER;
    agent->seen = now;
    session_touch(session, now);
    if (record_room(s, session) == 0)
        emit_touch(s, session);
    /* A poll tells no expiry: its answer need not wait for one, nor fail with a full disk. */
    s->must_wait = false;
    for (at = poll->all ? 0 : first_after(session, poll->after); at < session->message_count;
            at++) {
        const struct message *message = session->messages[at];

        bytes += message->len + 1;
        if (polled.count > 0 && bytes > poll->bytes_max)
            break;
        if (polled.count > 0)
            nx_buf_append_char(to, ',');
        nx_buf_append(to, nx_bytes_of(message->json, message->len));
        polled.count++;
        polled.last = message->cursor;
    }
    polled.more = at < session->message_count;
    if (nx_buf_error(to) < 0)
        return nx_buf_error(to);
    session_view(session, &polled.view);
    *ret_polled = polled;
    return 0;
}
