/* What the store holds of a session, and the ways back: loading at start, rolling back after a
 * failed commit.
 *
 * A session is one record, written whole at each change that must last: a group commit makes that
 * as cheap as parts, and what is durable is always one consistent state of a session. Integers are
 * little-endian. Times are wall clock; on load they are turned into monotonic moments. */
#include "session/state/internal.h"

#define VERSION 1

/* The stored expiry may lag behind the sliding one by a part of the time to live, so that polling
 * does not write. A load adds the same allowance: a session may outlive a restart by it, and never
 * dies early. */
static int64_t lag_ms(const struct nx_session *session)
{
    int64_t lag = session->ttl_s * 1000 / 16;

    return lag < 1000 ? 1000 : lag > 60000 ? 60000 : lag;
}

void serial_encode(uint64_t value, uint8_t *key)
{
    for (int i = 0; i < SERIAL_LEN; i++)
        key[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t serial_decode(const char *key)
{
    uint64_t value = 0;

    for (int i = 0; i < SERIAL_LEN; i++)
        value = value << 8 | (uint8_t)key[i];
    return value;
}

int record_room(struct nx_sessions *s, const struct nx_session *session)
{
    size_t bytes = 256 + session->creator_len + session->greeting_len +
                   (session->agent_count + 1) * (sizeof(struct nx_agent) + 16) +
                   (session->code_count + 1) * (NX_CODE_LEN_MAX + 16);

    if (!s->limits.durable)
        return 0;
    return nx_buf_reserve(&s->record, bytes) ? 0 : nx_buf_error(&s->record);
}

static void put_int(struct nx_buf *to, uint64_t value, size_t bytes)
{
    char raw[8];

    for (size_t i = 0; i < bytes; i++)
        raw[i] = (char)(value >> (8 * i));
    nx_buf_append(to, nx_bytes_of(raw, bytes));
}

static void put_text(struct nx_buf *to, struct nx_bytes text, size_t length_bytes)
{
    put_int(to, text.len, length_bytes);
    nx_buf_append(to, text);
}

static void encode(struct nx_buf *to, const struct nx_session *session)
{
    put_int(to, VERSION, 1);
    nx_buf_append(to, nx_bytes_of(session->id, NX_SESSION_ID_LEN));
    put_int(to, (uint64_t)session->created_wall_ms, 8);
    put_int(to, (uint64_t)session->expires.wall_ms, 8);
    put_int(to, (uint64_t)session->ttl_s, 8);
    put_int(to, session->agents_max, 4);
    put_int(to, session->reminded ? 1 : 0, 1);
    put_int(to, session->cursor_reserved, 8);
    put_text(to, nx_bytes_of(session->creator, session->creator_len), 1);
    put_text(to, nx_bytes_of(session->greeting, session->greeting_len), 4);
    if (session->greeting_len > 0) {
        nx_buf_append(to, nx_bytes_of(session->greeting_id, NX_MESSAGE_ID_LEN));
        put_int(to, (uint64_t)session->greeting_expires_wall_ms, 8);
    }
    put_int(to, session->agent_count, 2);
    for (size_t i = 0; i < session->agent_count; i++) {
        const struct nx_agent *agent = &session->agents[i];

        put_text(to, nx_bytes_of(agent->id, agent->id_len), 1);
        nx_buf_append(to, nx_bytes_of(agent->key, NX_SESSION_KEY_LEN));
        put_int(to, (uint64_t)agent->joined_wall_ms, 8);
        put_int(to, (uint64_t)agent->seen.wall_ms, 8);
    }
    put_int(to, session->code_count, 2);
    for (const struct code *code = session->codes; code; code = code->next) {
        put_text(to, nx_bytes_of(code->text, code->text_len), 1);
        put_int(to, code->claimed ? 1 : 0, 1);
        put_int(to, (uint64_t)code->expires_wall_ms, 8);
    }
}

static struct nx_change *change_new(struct nx_sessions *s, size_t key_len, unsigned table)
{
    size_t n = s->change_count++;

    s->changes[n] = (struct nx_change){.table = table, .key = nx_bytes_of(s->keys[n], key_len)};
    return &s->changes[n];
}

void emit_record(struct nx_sessions *s, struct nx_session *session)
{
    struct nx_change *change;

    if (!s->limits.durable)
        return;
    encode(&s->record, session);
    session->stored_expires_mono_ms = session->expires.mono_ms;
    serial_encode(session->serial, s->keys[s->change_count]);
    change = change_new(s, SERIAL_LEN, NX_TABLE_SESSIONS);
    change->op = NX_CHANGE_PUT;
    change->value = nx_buf_bytes(&s->record);
    s->must_wait = true;
}

void emit_touch(struct nx_sessions *s, struct nx_session *session)
{
    if (s->storing && session->expires.mono_ms - session->stored_expires_mono_ms >= lag_ms(session))
        emit_record(s, session);
}

void emit_message(struct nx_sessions *s, struct nx_session *session, const struct message *message)
{
    struct nx_change *change;

    if (!s->limits.durable)
        return;
    serial_encode(session->serial, s->keys[s->change_count]);
    serial_encode(message->cursor, s->keys[s->change_count] + SERIAL_LEN);
    change = change_new(s, (size_t)2 * SERIAL_LEN, NX_TABLE_MESSAGES);
    change->op = NX_CHANGE_PUT;
    change->value = nx_bytes_of(message->json, message->len);
    s->must_wait = true;
}

void emit_removal(struct nx_sessions *s, uint64_t serial)
{
    struct nx_change *change;

    if (!s->limits.durable)
        return;
    serial_encode(serial, s->keys[s->change_count]);
    change = change_new(s, SERIAL_LEN, NX_TABLE_SESSIONS);
    change->op = NX_CHANGE_DELETE;
    serial_encode(serial, s->keys[s->change_count]);
    change = change_new(s, SERIAL_LEN, NX_TABLE_MESSAGES);
    change->op = NX_CHANGE_DELETE_PREFIX;
}

/* A cursor over a record; reading past the end poisons it, and the end is checked once. */
struct reader {
    struct nx_bytes left;
    bool bad;
};

static struct nx_bytes get(struct reader *reader, size_t bytes)
{
    struct nx_bytes got = {reader->left.ptr, bytes};

    if (bytes > reader->left.len) {
        reader->bad = true;
        return (struct nx_bytes){NULL, 0};
    }
    reader->left = nx_bytes_from(reader->left, bytes);
    return got;
}

static uint64_t get_int(struct reader *reader, size_t bytes)
{
    struct nx_bytes raw = get(reader, bytes);
    uint64_t value = 0;

    for (size_t i = 0; i < raw.len; i++)
        value |= (uint64_t)(uint8_t)raw.ptr[i] << (8 * i);
    return value;
}

static struct nx_bytes get_text(struct reader *reader, size_t length_bytes)
{
    return get(reader, (size_t)get_int(reader, length_bytes));
}

/* A stored wall moment, and `lag` behind it, on both clocks; never further off than `most` from now:
 * a clock that was set back meanwhile must not keep a session for ever. A damaged moment may lie
 * anywhere. */
static struct nx_time moment_of(struct nx_time now, int64_t wall_ms, int64_t lag, int64_t most)
{
    int64_t ahead;

    if (__builtin_sub_overflow(wall_ms, now.wall_ms, &ahead))
        ahead = wall_ms < 0 ? -most - lag : most;
    if (ahead < -most - lag)
        ahead = -most - lag;
    ahead = ahead > most ? most : ahead + lag;
    ahead = ahead > most ? most : ahead;
    return (struct nx_time){now.mono_ms + ahead, now.wall_ms + ahead};
}

static int decode_agents(struct nx_sessions *s, struct nx_session *session, struct reader *reader,
        struct nx_time now)
{
    size_t count = (size_t)get_int(reader, 2);

    for (size_t i = 0; i < count && !reader->bad; i++) {
        struct nx_bytes id = get_text(reader, 1);
        struct nx_bytes key = get(reader, NX_SESSION_KEY_LEN);
        int64_t joined = (int64_t)get_int(reader, 8);
        int64_t seen = (int64_t)get_int(reader, 8);
        struct nx_agent *agent;
        int r;

        if (reader->bad || !nx_agent_id_valid(id))
            return NX_E_DAMAGED;
        r = agents_grow(s, session, &agent);
        if (r < 0)
            return r;
        memcpy(agent->id, id.ptr, id.len);
        agent->id_len = (uint8_t)id.len;
        memcpy(agent->key, key.ptr, NX_SESSION_KEY_LEN);
        agent->joined_wall_ms = joined;
        agent->seen = moment_of(now, seen, lag_ms(session), session->ttl_s * 1000);
        if (agent->seen.mono_ms > now.mono_ms)
            agent->seen = now;
        session->agent_count++;
        s->agent_total++;
    }
    return 0;
}

static int decode_codes(struct nx_sessions *s, struct nx_session *session, struct reader *reader,
        struct nx_time now)
{
    size_t count = (size_t)get_int(reader, 2);

    for (size_t i = 0; i < count && !reader->bad; i++) {
        struct nx_bytes text = get_text(reader, 1);
        bool claimed = get_int(reader, 1) != 0;
        int64_t expires = (int64_t)get_int(reader, 8);
        struct code *code;

        if (reader->bad || text.len == 0 || text.len > NX_CODE_LEN_MAX || code_find(s, text))
            return NX_E_DAMAGED;
        code = code_add(s, session, text);
        if (!code)
            return s->codes.count >= s->codes.count_max ? NX_E_LIMIT : NX_E_NOMEM;
        code->claimed = claimed;
        code->expires_wall_ms = expires;
        code->expires_mono_ms = moment_of(now, expires, 0, NX_CODE_LIFETIME_MS).mono_ms;
    }
    return 0;
}

/* Fills a session that holds no agents, codes, creator or greeting. */
static int decode(struct nx_sessions *s, struct nx_session *session, struct nx_time now,
        struct nx_bytes value)
{
    struct reader reader = {value, false};
    struct nx_bytes id, text;
    int64_t expires;
    int r;

    if (get_int(&reader, 1) != VERSION)
        return NX_E_DAMAGED;
    id = get(&reader, NX_SESSION_ID_LEN);
    if (reader.bad)
        return NX_E_DAMAGED;
    memcpy(session->id, id.ptr, NX_SESSION_ID_LEN);
    session->created_wall_ms = (int64_t)get_int(&reader, 8);
    expires = (int64_t)get_int(&reader, 8);
    session->ttl_s = (int64_t)get_int(&reader, 8);
    session->agents_max = (unsigned)get_int(&reader, 4);
    session->reminded = get_int(&reader, 1) != 0;
    session->cursor_reserved = get_int(&reader, 8);
    if (reader.bad || session->ttl_s <= 0 || session->ttl_s > INT32_MAX)
        return NX_E_DAMAGED;
    session->expires = moment_of(now, expires, lag_ms(session), session->ttl_s * 1000);
    session->stored_expires_mono_ms = session->expires.mono_ms - lag_ms(session);
    text = get_text(&reader, 1);
    session->creator = text.len > 0 ? nx_mem_strndup(s->mem, text.ptr, text.len) : NULL;
    session->creator_len = (uint8_t)text.len;
    if (text.len > 0 && !session->creator)
        return NX_E_NOMEM;
    text = get_text(&reader, 4);
    session->greeting = text.len > 0 ? nx_mem_strndup(s->mem, text.ptr, text.len) : NULL;
    session->greeting_len = text.len;
    if (text.len > 0 && !session->greeting)
        return NX_E_NOMEM;
    if (text.len > 0) {
        id = get(&reader, NX_MESSAGE_ID_LEN);
        if (reader.bad)
            return NX_E_DAMAGED;
        memcpy(session->greeting_id, id.ptr, NX_MESSAGE_ID_LEN);
        session->greeting_expires_wall_ms = (int64_t)get_int(&reader, 8);
    }
    r = decode_agents(s, session, &reader, now);
    if (r == 0)
        r = decode_codes(s, session, &reader, now);
    if (r < 0)
        return r;
    return reader.bad || reader.left.len > 0 ? NX_E_DAMAGED : 0;
}

static int load_session(
        struct nx_sessions *s, struct nx_time now, uint64_t serial, struct nx_bytes value)
{
    struct nx_session *session = session_alloc(s);
    int r;

    if (!session)
        return NX_E_NOMEM;
    session->serial = serial;
    if (serial / s->limits.shards > s->sequence)
        s->sequence = serial / s->limits.shards;
    r = decode(s, session, now, value);
    if (r == 0 && session->expires.mono_ms <= now.mono_ms) {
        emit_removal(s, serial);
        session_free(s, session);
        return 0;
    }
    session->cursor_next = session->cursor_reserved;
    if (r == 0)
        r = greeting_add(s, session);
    if (r == 0)
        r = session_insert(s, session);
    if (r != 0) {
        session_free(s, session);
        return r > 0 ? NX_E_LIMIT : r;
    }
    return 0;
}

static int load_message(
        struct nx_sessions *s, struct nx_bytes key, uint64_t serial, struct nx_bytes value)
{
    struct nx_session *session = session_by_serial(s, serial);
    uint64_t cursor = serial_decode(key.ptr + SERIAL_LEN);
    struct message *message;
    int r;

    /* Its session is over, and a change that removes them both is on its way. */
    if (!session)
        return 0;
    if (session->message_count > 0 &&
            session->messages[session->message_count - 1]->cursor >= cursor)
        return NX_E_DAMAGED;
    message = nx_mem_alloc(s->mem, sizeof(*message) + value.len);
    if (!message)
        return NX_E_NOMEM;
    message->cursor = cursor;
    message->waits_for = 0;
    message->len = (uint32_t)value.len;
    memcpy(message->json, value.ptr, value.len);
    r = message_add(s, session, message);
    if (r != 0)
        nx_mem_free(s->mem, message);
    if (r == 0 && cursor >= session->cursor_next)
        session->cursor_next = cursor + 1;
    return r > 0 ? NX_E_LIMIT : r;
}

int nx_sessions_load(struct nx_sessions *s, struct nx_time now, unsigned table, struct nx_bytes key,
        struct nx_bytes value)
{
    step_begin(s);
    if (key.len != (table == NX_TABLE_MESSAGES ? 2 * SERIAL_LEN : SERIAL_LEN))
        return NX_E_DAMAGED;
    if (table == NX_TABLE_MESSAGES)
        return load_message(s, key, serial_decode(key.ptr), value);
    return load_session(s, now, serial_decode(key.ptr), value);
}

unsigned nx_sessions_key_shard(struct nx_bytes key, unsigned shards)
{
    return key.len < SERIAL_LEN ? 0 : (unsigned)serial_decode(key.ptr) & (shards - 1);
}

/* What slides without being stored at once was told all the same, with polls and sends that waited
 * for nothing; while the disk takes no changes it runs far ahead of the record. So it stays: the
 * record alone would end a session, or call a member idle, that was in use a moment ago. */
static void keep_slid(struct nx_session *session, struct nx_time now, struct nx_time expires,
        const struct nx_agent *agents, size_t agent_count)
{
    int64_t ttl_ms = session->ttl_s * 1000;
    struct nx_time latest = {now.mono_ms + ttl_ms, now.wall_ms + ttl_ms};

    if (expires.mono_ms > latest.mono_ms)
        expires = latest;
    if (expires.mono_ms > session->expires.mono_ms)
        session->expires = expires;
    for (size_t i = 0; i < agent_count; i++) {
        struct nx_agent *agent = agent_find(session, nx_bytes_of(agents[i].id, agents[i].id_len));

        if (agent && agents[i].seen.mono_ms > agent->seen.mono_ms)
            agent->seen = agents[i].seen;
    }
}

/* Puts a session back to its durable record; the messages nobody was told of go. */
static int restore(struct nx_sessions *s, struct nx_session *session, struct nx_time now,
        uint64_t durable, struct nx_bytes value)
{
    struct nx_time expires = session->expires;
    struct nx_agent *agents = session->agents;
    size_t agent_count = session->agent_count;
    size_t keep = session->message_count;
    int r;

    while (keep > 0 && session->messages[keep - 1]->waits_for > durable)
        keep--;
    messages_drop_from(s, session, keep);
    session->agents = NULL;
    session_strip(s, session);
    r = decode(s, session, now, value);
    if (r == 0)
        keep_slid(session, now, expires, agents, agent_count);
    if (agents)
        nx_wipe(agents, agent_count * sizeof(*agents));
    nx_mem_free(s->mem, agents);
    if (r < 0)
        return r;
    session->number = durable;
    return session_schedule(s, session);
}

void nx_sessions_rollback(struct nx_sessions *s, struct nx_time now, uint64_t durable,
        int (*read)(void *ctx, struct nx_bytes key, struct nx_buf *value), void *ctx)
{
    struct nx_buf value;

    step_begin(s);
    nx_buf_init(&value, s->mem, SIZE_MAX / 4);
    for (size_t i = 0; i < s->by_id.slot_count; i++) {
        struct nx_map_node *node = s->by_id.slots[i];

        while (node) {
            struct nx_session *session = NX_CONTAINER(node, struct nx_session, by_id);
            uint8_t key[SERIAL_LEN];

            node = node->next;
            /* What was on its way for this session may be lost: state it again at next use. */
            session->stored_expires_mono_ms = INT64_MIN / 2;
            if (session->number <= durable)
                continue;
            serial_encode(session->serial, key);
            nx_buf_clear(&value);
            /* Without its record, or the memory to read it, a session is nowhere but on the
             * disk: what answers next must not be a guess. */
            if (read(ctx, nx_bytes_of(key, SERIAL_LEN), &value) < 0 ||
                    restore(s, session, now, durable, nx_buf_bytes(&value)) < 0)
                session_remove(s, session);
        }
    }
    nx_buf_done(&value);
}
