/* The life of a session: create, status, join, renew, leave, expiry. Messages are in messages.c,
 * pairing codes in pairing.c, what the store holds in record.c. */
#include <assert.h>

#include "base/hash.h"
#include "session/state/internal.h"

static const struct nx_hash_key id_key = {0x6e657875732069, 0x73657373696f6e};

int nx_sessions_new(const struct nx_mem *mem, const struct nx_random *random,
        const struct nx_sessions_limits *limits, struct nx_sessions **ret_sessions)
{
    struct nx_sessions *s;

    if (limits->shards == 0 || limits->shards > NX_SESSION_SHARDS_MAX ||
            (limits->shards & (limits->shards - 1)) != 0 || limits->shard >= limits->shards)
        return NX_E_INVALID;
    s = nx_mem_zalloc(mem, 1, sizeof(*s));
    if (!s)
        return NX_E_NOMEM;
    s->mem = mem;
    s->random = random;
    s->storing = true;
    s->limits = *limits;
    nx_map_init(&s->by_id, mem, limits->sessions_max);
    nx_map_init(&s->by_serial, mem, limits->sessions_max);
    nx_map_init(&s->codes, mem, limits->sessions_max * limits->codes_max);
    nx_heap_init(&s->timers, mem, limits->sessions_max);
    nx_buf_init(&s->record, mem, SIZE_MAX / 4);
    *ret_sessions = s;
    return 0;
}

void nx_sessions_free(struct nx_sessions *s)
{
    struct nx_map_node *node;
    size_t slot = 0;

    if (!s)
        return;
    while ((node = nx_map_any(&s->by_id, &slot)))
        session_remove(s, NX_CONTAINER(node, struct nx_session, by_id));
    nx_map_done(&s->by_id);
    nx_map_done(&s->by_serial);
    nx_map_done(&s->codes);
    nx_heap_done(&s->timers);
    nx_buf_done(&s->record);
    nx_mem_free(s->mem, s);
}

unsigned nx_session_shard(struct nx_bytes session_id, unsigned shards)
{
    uint8_t first = 0;

    if (session_id.len < 2 || !nx_hex_decode(nx_bytes_of(session_id.ptr, 2), &first, 1))
        return 0;
    return first & (shards - 1);
}

bool nx_agent_id_valid(struct nx_bytes id)
{
    if (id.len == 0 || id.len > NX_AGENT_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-'))
            return false;
    }
    return true;
}

void step_begin(struct nx_sessions *s)
{
    s->change_count = 0;
    s->touched = NULL;
    s->must_wait = false;
    nx_buf_clear(&s->record);
}

static uint64_t id_hash(struct nx_bytes id)
{
    return nx_hash(&id_key, id.ptr, id.len);
}

/* Serials of one shard share their low bits; an odd factor and a rotation spread the others. */
static uint64_t serial_hash(uint64_t serial)
{
    uint64_t x = serial * UINT64_C(0x9e3779b97f4a7c15);

    return x >> 32 | x << 32;
}

static struct nx_session *lookup(struct nx_sessions *s, struct nx_bytes id)
{
    struct nx_map_node *node;

    if (id.len != NX_SESSION_ID_LEN)
        return NULL;
    for (node = nx_map_first(&s->by_id, id_hash(id)); node; node = nx_map_next(node)) {
        struct nx_session *session = NX_CONTAINER(node, struct nx_session, by_id);

        if (memcmp(session->id, id.ptr, NX_SESSION_ID_LEN) == 0)
            return session;
    }
    return NULL;
}

struct nx_session *session_find(struct nx_sessions *s, struct nx_time now, struct nx_bytes id)
{
    struct nx_session *session = lookup(s, id);

    /* The timer removes it soon; nobody may see it meanwhile. */
    if (!session || session->expires.mono_ms <= now.mono_ms)
        return NULL;
    s->touched = session;
    s->new_from = session->message_count;
    return session;
}

struct nx_agent *agent_find(struct nx_session *session, struct nx_bytes id)
{
    for (size_t i = 0; i < session->agent_count; i++) {
        struct nx_agent *agent = &session->agents[i];

        if (agent->id_len == id.len && memcmp(agent->id, id.ptr, id.len) == 0)
            return agent;
    }
    return NULL;
}

bool key_matches(const struct nx_agent *agent, struct nx_bytes key)
{
    return nx_bytes_equal_secret(nx_bytes_of(agent->key, NX_SESSION_KEY_LEN), key);
}

/* When the timer must look at the session: its expiry, or the next agent to fall idle. */
static int64_t due(const struct nx_sessions *s, const struct nx_session *session)
{
    int64_t at = session->expires.mono_ms;

    if (s->limits.inactivity_s == 0)
        return at;
    for (size_t i = 0; i < session->agent_count; i++) {
        int64_t idle = session->agents[i].seen.mono_ms + s->limits.inactivity_s * 1000;

        if (idle < at &&
                !nx_bytes_equal(nx_bytes_of(session->agents[i].id, session->agents[i].id_len),
                        nx_bytes_of(session->creator, session->creator_len)))
            at = idle;
    }
    return at;
}

int session_schedule(struct nx_sessions *s, struct nx_session *session)
{
    return nx_heap_set(&s->timers, &session->timer, due(s, session));
}

/* Restarts the expiry. The timer only ever fires too early and then looks again, so sliding costs
 * no heap work; it is moved when the expiry comes nearer. */
void session_touch(struct nx_session *session, struct nx_time now)
{
    session->expires.mono_ms = now.mono_ms + session->ttl_s * 1000;
    session->expires.wall_ms = now.wall_ms + session->ttl_s * 1000;
}

void session_view(const struct nx_session *session, struct nx_session_view *ret_view)
{
    *ret_view = (struct nx_session_view){
            .id = nx_bytes_of(session->id, NX_SESSION_ID_LEN),
            .creator = nx_bytes_of(session->creator, session->creator_len),
            .greeting = nx_bytes_of(session->greeting, session->greeting_len),
            .ttl_s = session->ttl_s,
            .agents_max = session->agents_max,
            .created_wall_ms = session->created_wall_ms,
            .expires_wall_ms = session->expires.wall_ms,
            .agents = session->agents,
            .agent_count = session->agent_count,
    };
}

struct nx_session *session_alloc(struct nx_sessions *s)
{
    return nx_mem_zalloc(s->mem, 1, sizeof(struct nx_session));
}

/* Takes from a session what its record holds: members, codes, texts. */
void session_strip(struct nx_sessions *s, struct nx_session *session)
{
    codes_drop(s, session);
    s->agent_total -= session->agent_count;
    if (session->agents)
        nx_wipe(session->agents, session->agent_count * sizeof(*session->agents));
    nx_mem_free(s->mem, session->agents);
    nx_mem_free(s->mem, session->creator);
    nx_mem_free(s->mem, session->greeting);
    session->agents = NULL;
    session->agent_count = 0;
    session->creator = NULL;
    session->creator_len = 0;
    session->greeting = NULL;
    session->greeting_len = 0;
}

/* Frees a session that is in no table (any more). */
void session_free(struct nx_sessions *s, struct nx_session *session)
{
    messages_drop_from(s, session, 0);
    session_strip(s, session);
    nx_mem_free(s->mem, session->messages);
    nx_mem_free(s->mem, session);
}

/* Into all tables, or none. */
int session_insert(struct nx_sessions *s, struct nx_session *session)
{
    int r = nx_map_insert(
            &s->by_id, &session->by_id, id_hash(nx_bytes_of(session->id, NX_SESSION_ID_LEN)));

    if (r < 0)
        return r;
    r = nx_map_insert(&s->by_serial, &session->by_serial, serial_hash(session->serial));
    if (r == 0) {
        r = session_schedule(s, session);
        if (r == 0)
            return 0;
        nx_map_remove(&s->by_serial, &session->by_serial);
    }
    nx_map_remove(&s->by_id, &session->by_id);
    return r;
}

struct nx_session *session_by_serial(const struct nx_sessions *s, uint64_t serial)
{
    struct nx_map_node *node = nx_map_first(&s->by_serial, serial_hash(serial));

    /* The hash is one to one. */
    return node ? NX_CONTAINER(node, struct nx_session, by_serial) : NULL;
}

void session_remove(struct nx_sessions *s, struct nx_session *session)
{
    nx_map_remove(&s->by_id, &session->by_id);
    nx_map_remove(&s->by_serial, &session->by_serial);
    nx_heap_remove(&s->timers, &session->timer);
    session_free(s, session);
}

/* Adds an agent at the end; the caller fills it in. Its memory may move. */
int agents_grow(struct nx_sessions *s, struct nx_session *session, struct nx_agent **ret_agent)
{
    size_t count = session->agent_count;
    struct nx_agent *agents = session->agents;

    /* Room doubles: 1, 2, 4 … as a power of two is reached. */
    if ((count & (count - 1)) == 0) {
        size_t room = count == 0 ? 1 : count * 2;

        agents = nx_mem_alloc(s->mem, room * sizeof(*agents));
        if (!agents)
            return NX_E_NOMEM;
        if (count > 0) {
            memcpy(agents, session->agents, count * sizeof(*agents));
            nx_wipe(session->agents, count * sizeof(*agents));
        }
        nx_mem_free(s->mem, session->agents);
        session->agents = agents;
    }
    memset(&agents[count], 0, sizeof(*agents));
    *ret_agent = &agents[count];
    return 0;
}

static void agent_fill(
        struct nx_sessions *s, struct nx_agent *agent, struct nx_bytes id, struct nx_time now)
{
    uint8_t key[NX_SESSION_KEY_LEN / 2];

    memcpy(agent->id, id.ptr, id.len);
    agent->id_len = (uint8_t)id.len;
    agent->joined_wall_ms = now.wall_ms;
    agent->seen = now;
    nx_random_fill(s->random, key, sizeof(key));
    nx_hex_encode(key, sizeof(key), agent->key);
    nx_wipe(key, sizeof(key));
}

/* A random id whose first byte says the shard; the shard was drawn at random by the owner. */
static void id_make(struct nx_sessions *s, char *id)
{
    uint8_t raw[NX_SESSION_ID_LEN / 2];

    nx_random_fill(s->random, raw, sizeof(raw));
    raw[0] = (uint8_t)((raw[0] & ~(s->limits.shards - 1)) | s->limits.shard);
    nx_hex_encode(raw, sizeof(raw), id);
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Everything of a new session that may fail for want of memory, before it is in any table. */
static int session_build(struct nx_sessions *s, struct nx_time now,
        const struct nx_session_create *create, struct nx_session *session)
{
    const struct nx_sessions_limits *limits = &s->limits;
    unsigned agents = create->v1 ? limits->agents_default_v1 : limits->agents_default_v2;
    struct nx_agent *agent;
    int r;

    id_make(s, session->id);
    session->ttl_s =
            create->ttl_s > 0 ? create->ttl_s : smaller(limits->ttl_default_s, limits->ttl_max_s);
    session->agents_max = create->agents_max > 0 ? create->agents_max
                                                 : (unsigned)smaller(agents, limits->agents_max);
    session->created_wall_ms = now.wall_ms;
    session->cursor_next = 1;
    session->cursor_reserved = 1;
    session_touch(session, now);
    if (create->creator.len > 0) {
        session->creator = nx_mem_strndup(s->mem, create->creator.ptr, create->creator.len);
        if (!session->creator)
            return NX_E_NOMEM;
        session->creator_len = (uint8_t)create->creator.len;
        r = agents_grow(s, session, &agent);
        if (r < 0)
            return r;
        agent_fill(s, agent, create->creator, now);
        session->agent_count = 1;
        s->agent_total++;
    }
    if (create->greeting.len > 0) {
        session->greeting = nx_mem_strndup(s->mem, create->greeting.ptr, create->greeting.len);
        if (!session->greeting)
            return NX_E_NOMEM;
        session->greeting_len = create->greeting.len;
        message_id(s, now, session->greeting_id);
        session->greeting_expires_wall_ms = session->expires.wall_ms;
        r = greeting_add(s, session);
        if (r != 0)
            return r;
    }
    return record_room(s, session);
}

int nx_sessions_create(struct nx_sessions *s, struct nx_time now,
        const struct nx_session_create *create, struct nx_session_view *ret_view)
{
    struct nx_session *session;
    uint64_t sequence;
    int r;

    step_begin(s);
    if (s->by_id.count >= s->limits.sessions_max)
        return NX_REFUSE_NO_ROOM;
    session = session_alloc(s);
    if (!session)
        return NX_E_NOMEM;
    /* Never one that this shard had before, whatever the owner counts. */
    sequence = create->sequence > s->sequence ? create->sequence : s->sequence + 1;
    session->serial = sequence * s->limits.shards + s->limits.shard;
    r = session_build(s, now, create, session);
    if (r == 0)
        r = session_insert(s, session);
    if (r != 0) {
        session_free(s, session);
        return r;
    }
    s->sequence = sequence;
    s->touched = session;
    s->new_from = 0;
    emit_record(s, session);
    session_view(session, ret_view);
    return 0;
}

int nx_sessions_status(struct nx_sessions *s, struct nx_time now, struct nx_bytes id,
        struct nx_session_view *ret_view)
{
    struct nx_session *session;

    step_begin(s);
    session = session_find(s, now, id);
    if (!session)
        return NX_REFUSE_SESSION_NOT_FOUND;
    session_view(session, ret_view);
    return 0;
}

/* A member joins again: with its key anywhere, without one only in generation 1, which has none. */
static int rejoin(struct nx_sessions *s, struct nx_time now, struct nx_session *session,
        const struct nx_agent *agent, struct nx_bytes key, bool v1, struct nx_joined *ret_joined)
{
    bool proven = key_matches(agent, key);

    if (!proven && !v1)
        return NX_REFUSE_AGENT_ID_TAKEN;
    session_touch(session, now);
    if (record_room(s, session) == 0)
        emit_touch(s, session);
    session_view(session, &ret_joined->view);
    ret_joined->key = proven ? nx_bytes_of(agent->key, NX_SESSION_KEY_LEN) : nx_bytes_of(NULL, 0);
    return 0;
}

int session_join(struct nx_sessions *s, struct nx_time now, struct nx_session *session,
        struct nx_bytes id, struct nx_bytes key, bool v1, struct nx_joined *ret_joined)
{
    struct nx_agent *agent = agent_find(session, id);
    int r;

    if (agent)
        return rejoin(s, now, session, agent, key, v1, ret_joined);
    if (session->agent_count >= session->agents_max)
        return NX_REFUSE_SESSION_FULL;
    r = record_room(s, session);
    if (r < 0)
        return r;
    r = agents_grow(s, session, &agent);
    if (r < 0)
        return r;
    if (session->agent_count == 1 && !session->reminded) {
        r = reminder_add(s, session, now);
        /* A session too full for the reminder can do without it. */
        if (r < 0)
            return r;
        session->reminded = true;
    }
    agent_fill(s, agent, id, now);
    session->agent_count++;
    s->agent_total++;
    session_touch(session, now);
    /* An idle limit may now be nearer than the timer; the node is in the heap, so this holds. */
    r = session_schedule(s, session);
    assert(r == 0);
    emit_record(s, session);
    session_view(session, &ret_joined->view);
    ret_joined->key = nx_bytes_of(agent->key, NX_SESSION_KEY_LEN);
    return 0;
}

int nx_sessions_join(struct nx_sessions *s, struct nx_time now, struct nx_bytes id,
        struct nx_bytes agent, struct nx_bytes key, bool v1, struct nx_joined *ret_joined)
{
    struct nx_session *session;

    step_begin(s);
    session = session_find(s, now, id);
    if (!session)
        return NX_REFUSE_SESSION_NOT_FOUND;
    return session_join(s, now, session, agent, key, v1, ret_joined);
}

int nx_sessions_renew(struct nx_sessions *s, struct nx_time now, struct nx_bytes id,
        struct nx_bytes agent, int64_t ttl_s, struct nx_session_view *ret_view)
{
    struct nx_session *session;
    int r;

    step_begin(s);
    session = session_find(s, now, id);
    if (!session)
        return NX_REFUSE_SESSION_NOT_FOUND;
    if (!agent_find(session, agent))
        return NX_REFUSE_NOT_MEMBER;
    r = record_room(s, session);
    if (r < 0)
        return r;
    if (ttl_s > 0)
        session->ttl_s = ttl_s;
    session_touch(session, now);
    r = session_schedule(s, session);
    assert(r == 0);
    emit_record(s, session);
    session_view(session, ret_view);
    return 0;
}

static void agent_remove(struct nx_sessions *s, struct nx_session *session, struct nx_agent *agent)
{
    size_t index = (size_t)(agent - session->agents);
    size_t last = --session->agent_count;

    memmove(agent, agent + 1, (last - index) * sizeof(*agent));
    nx_wipe(&session->agents[last], sizeof(*agent));
    s->agent_total--;
}

int nx_sessions_leave(struct nx_sessions *s, struct nx_time now, struct nx_bytes id,
        struct nx_bytes agent_id, struct nx_bytes key)
{
    struct nx_session *session;
    struct nx_agent *agent;
    int r;

    step_begin(s);
    session = session_find(s, now, id);
    if (!session)
        return NX_REFUSE_SESSION_NOT_FOUND;
    agent = agent_find(session, agent_id);
    if (!agent)
        return NX_REFUSE_AGENT_NOT_FOUND;
    if (!key_matches(agent, key))
        return NX_REFUSE_WRONG_KEY;
    if (nx_bytes_equal(agent_id, nx_bytes_of(session->creator, session->creator_len)))
        return NX_REFUSE_CREATOR_STAYS;
    r = record_room(s, session);
    if (r < 0)
        return r;
    agent_remove(s, session, agent);
    emit_record(s, session);
    return 0;
}

/* When memory was short, the owner must not spin until it is not. */
#define RETRY_MS 1000

/* Removes the members that fell idle, never the creator. Returns false when memory is short or the
 * store takes no changes: a later tick tries again. */
static bool remove_idle(struct nx_sessions *s, struct nx_session *session, struct nx_time now)
{
    int64_t before = now.mono_ms - s->limits.inactivity_s * 1000;
    struct nx_bytes creator = nx_bytes_of(session->creator, session->creator_len);
    size_t removed = 0;
    size_t i = 0;

    if (!s->storing || record_room(s, session) < 0)
        return false;
    while (i < session->agent_count) {
        struct nx_agent *agent = &session->agents[i];

        if (agent->seen.mono_ms > before ||
                nx_bytes_equal(nx_bytes_of(agent->id, agent->id_len), creator)) {
            i++;
            continue;
        }
        agent_remove(s, session, agent);
        removed++;
    }
    if (removed == 0)
        return true;
    /* What is said of the session from now on waits for this, and a failed commit undoes it. */
    s->touched = session;
    s->new_from = session->message_count;
    emit_record(s, session);
    return true;
}

int64_t nx_sessions_tick(struct nx_sessions *s, struct nx_time now)
{
    struct nx_heap_node *first;

    step_begin(s);
    for (unsigned n = 0; n < TICK_MAX && (first = nx_heap_first(&s->timers)); n++) {
        struct nx_session *session = NX_CONTAINER(first, struct nx_session, timer);
        int64_t at;

        if (first->key > now.mono_ms)
            return first->key;
        if (session->expires.mono_ms <= now.mono_ms) {
            emit_removal(s, session->serial);
            session_remove(s, session);
            continue;
        }
        /* One record a step: the buffer holds one, and a unit is one promise. */
        if (s->limits.inactivity_s > 0 && s->record.len > 0)
            break;
        if (s->limits.inactivity_s > 0 && !remove_idle(s, session, now))
            at = now.mono_ms + RETRY_MS;
        else
            at = due(s, session);
        (void)!nx_heap_set(&s->timers, &session->timer, at > now.mono_ms ? at : now.mono_ms + 1);
    }
    first = nx_heap_first(&s->timers);
    return first ? first->key : NX_TIME_NEVER;
}

void nx_sessions_storing(struct nx_sessions *s, bool storing)
{
    s->storing = storing;
}

uint64_t nx_sessions_sequence(const struct nx_sessions *s)
{
    return s->sequence;
}

struct nx_sessions_totals nx_sessions_totals(const struct nx_sessions *s)
{
    return (struct nx_sessions_totals){
            .sessions = s->by_id.count,
            .agents = s->agent_total,
            .messages = s->message_total,
            .message_bytes = s->message_bytes,
    };
}

const struct nx_change *nx_sessions_changes(const struct nx_sessions *s, size_t *ret_count)
{
    *ret_count = s->change_count;
    return s->changes;
}

void nx_sessions_stamp(struct nx_sessions *s, uint64_t number)
{
    struct nx_session *session = s->touched;

    if (!session || !s->must_wait)
        return;
    session->number = number;
    for (size_t i = s->new_from; i < session->message_count; i++)
        session->messages[i]->waits_for = number;
}

uint64_t nx_sessions_waits_for(const struct nx_sessions *s)
{
    return s->touched ? s->touched->number : 0;
}
