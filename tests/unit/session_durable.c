/* What the session machine promises about its store: a property test against a reference model that
 * remembers, for each change an answer waited for, what the session then was. At random moments
 * groups are committed, fail, or the machine dies and a new one is loaded.
 *
 *     unit_session_durable             many seeds
 *     NX_TEST_SEED=n …                 that seed alone
 *
 * Held: an answer waits for every change it has seen; what was durable when the machine died or a
 * commit failed is there after, no more and no less; keys and codes still work; cursors go on
 * behind every one that was told; no session dies before the time that was promised. */
#include <stdio.h>

#include "support/session_world.h"

enum { AGENTS = 6, SEATS = 4, CODES = 3, SESSIONS_MAX = 60, VERSIONS_MAX = 4000, LAG_MAX = 60000 };

static const char *const agent_names[AGENTS] = {"a0", "a1", "a2", "a3", "a4", "a5"};

struct m_code {
    char text[NX_CODE_LEN_MAX];
    size_t len;
    bool claimed;
    int64_t expires_wall_ms;
};

/* What of a session must be as it was. */
struct m_state {
    int64_t ttl_s;
    unsigned agents_max;
    int creator; /* -1: none */
    bool greeting, reminded;
    size_t agent_count;
    int agents[SEATS];
    char keys[SEATS][NX_SESSION_KEY_LEN];
    size_t code_count;
    struct m_code codes[CODES];
    int64_t expires_wall_ms; /* at that change: a later load may not be earlier */
};

struct m_version {
    uint64_t number;
    struct m_state state;
};

struct m_message {
    uint64_t cursor;
    uint64_t waits_for;
    char text[12]; /* with its quotes; "" for a message of the system */
};

struct m_session {
    bool alive;
    bool buried; /* removed from memory while a change that would have kept it was lost */
    char id[NX_SESSION_ID_LEN];
    unsigned shard;
    struct m_state state;
    int64_t created_wall_ms;
    struct m_version *versions;
    size_t version_count;
    struct m_message *messages;
    size_t message_count;
    uint64_t number;
    uint64_t told;        /* the greatest cursor an answer that left has told */
    int64_t ever_wall_ms; /* the latest expiry it ever had */
};

struct play {
    struct nx_random_seeded seeded;
    struct nx_random random;
    struct nx_sessions_limits limits;
    struct nx_random_seeded machine_seeds[16];
    struct nx_random machine_randoms[16];
    struct nx_sessions *machines[16];
    struct toy_store store;
    struct nx_time now;
    struct m_session sessions[SESSIONS_MAX];
    size_t session_count;
    uint64_t number; /* of the last step, 0 when it changed nothing */
    uint64_t texts;
    struct nx_buf text;
};

static uint32_t draw(struct play *p, uint32_t below)
{
    return nx_random_below(&p->random, below);
}

static struct nx_bytes name_of(int agent)
{
    return agent < 0 ? nx_bytes_of(NULL, 0) : nx_bytes_str(agent_names[agent]);
}

static struct nx_bytes id_of(const struct m_session *m)
{
    return nx_bytes_of(m->id, NX_SESSION_ID_LEN);
}

static int seat(const struct m_state *state, int agent)
{
    for (size_t i = 0; i < state->agent_count; i++) {
        if (state->agents[i] == agent)
            return (int)i;
    }
    return -1;
}

/* ---- the machine's side of a step */

static struct nx_sessions *machine_of(struct play *p, const struct m_session *m)
{
    return p->machines[m->shard];
}

static uint64_t took(struct play *p, unsigned shard)
{
    size_t count;
    const struct nx_change *changes = nx_sessions_changes(p->machines[shard], &count);

    p->number = 0;
    if (count > 0) {
        p->number = toy_submit(&p->store, changes, count);
        nx_sessions_stamp(p->machines[shard], p->number);
    }
    return nx_sessions_waits_for(p->machines[shard]);
}

/* After a step on a live session: what it must wait for, and whether it made a promise itself. */
static void waits(struct play *p, struct m_session *m, bool promises)
{
    uint64_t waits_for = took(p, m->shard);

    if (promises)
        assert_true(p->number > 0 && waits_for == p->number);
    if (p->number > 0 && waits_for == p->number) {
        m->number = p->number;
        assert_true(m->version_count < VERSIONS_MAX);
        m->versions = realloc(m->versions, (m->version_count + 1) * sizeof(*m->versions));
        assert_non_null(m->versions);
        m->versions[m->version_count++] = (struct m_version){p->number, m->state};
    } else if (m->number > p->store.durable) {
        assert_true(waits_for == m->number);
    } else {
        assert_true(waits_for <= p->store.durable);
    }
}

static void model_message(struct m_session *m, uint64_t cursor, const char *text)
{
    struct m_message *message;

    m->messages = realloc(m->messages, (m->message_count + 1) * sizeof(*m->messages));
    assert_non_null(m->messages);
    message = &m->messages[m->message_count++];
    *message = (struct m_message){.cursor = cursor};
    (void)snprintf(message->text, sizeof(message->text), "%s", text);
}

static void stamp_messages(struct m_session *m, size_t from)
{
    for (size_t i = from; i < m->message_count; i++)
        m->messages[i].waits_for = m->number;
}

static uint64_t next_cursor_at_least(const struct m_session *m)
{
    return m->message_count > 0 ? m->messages[m->message_count - 1].cursor + 1 : 1;
}

static void slid(struct play *p, struct m_session *m)
{
    m->state.expires_wall_ms = p->now.wall_ms + m->state.ttl_s * 1000;
    if (m->state.expires_wall_ms > m->ever_wall_ms)
        m->ever_wall_ms = m->state.expires_wall_ms;
}

/* ---- the operations */

static void op_create(struct play *p)
{
    struct m_session *m;
    struct nx_session_view view;
    struct nx_session_create create = {0};
    unsigned shard = draw(p, p->limits.shards);

    if (p->session_count == SESSIONS_MAX)
        return;
    m = &p->sessions[p->session_count++];
    *m = (struct m_session){.alive = true, .shard = shard};
    m->state.creator = (int)draw(p, AGENTS + 1) - 1;
    m->state.agents_max = 1 + draw(p, SEATS);
    m->state.ttl_s = 1 + draw(p, 3000);
    m->state.greeting = draw(p, 2) == 0;
    m->created_wall_ms = p->now.wall_ms;
    create.creator = name_of(m->state.creator);
    create.agents_max = m->state.agents_max;
    create.ttl_s = m->state.ttl_s;
    create.greeting = m->state.greeting ? NX_BYTES("\"welcome\"") : nx_bytes_of(NULL, 0);
    assert_int_equal(nx_sessions_create(p->machines[shard], p->now, &create, &view), 0);
    memcpy(m->id, view.id.ptr, NX_SESSION_ID_LEN);
    assert_int_equal(nx_session_shard(view.id, p->limits.shards), shard);
    if (m->state.creator >= 0) {
        m->state.agents[0] = m->state.creator;
        memcpy(m->state.keys[0], view.agents[0].key, NX_SESSION_KEY_LEN);
        m->state.agent_count = 1;
    }
    if (m->state.greeting)
        model_message(m, 0, "");
    slid(p, m);
    waits(p, m, true);
    stamp_messages(m, 0);
}

static const char *key_for(struct play *p, const struct m_state *state, int agent)
{
    int at = seat(state, agent);

    switch (draw(p, 3)) {
    case 0:
        return at >= 0 ? state->keys[at] : NULL;
    case 1:
        return state->agent_count > 0 ? state->keys[draw(p, (uint32_t)state->agent_count)] : NULL;
    }
    return NULL;
}

static bool is_key(const struct m_state *state, int agent, const char *key)
{
    int at = seat(state, agent);

    return key && at >= 0 && memcmp(state->keys[at], key, NX_SESSION_KEY_LEN) == 0;
}

static void model_joined(struct play *p, struct m_session *m, int agent, struct nx_bytes key)
{
    if (m->state.agent_count == 1 && !m->state.reminded) {
        /* Its cursor is read back below, with the poll of the members. */
        m->state.reminded = true;
        model_message(m, UINT64_MAX, "");
    }
    m->state.agents[m->state.agent_count] = agent;
    memcpy(m->state.keys[m->state.agent_count++], key.ptr, NX_SESSION_KEY_LEN);
    slid(p, m);
}

/* The reminder's cursor, as the machine numbered it. */
static void learn_reminder(struct play *p, struct m_session *m, int agent)
{
    struct m_message *last = m->message_count > 0 ? &m->messages[m->message_count - 1] : NULL;
    struct nx_poll poll = {.agent = name_of(agent), .bytes_max = SIZE_MAX};
    struct nx_polled polled;

    if (!last || last->cursor != UINT64_MAX)
        return;
    poll.after = m->message_count > 1 ? m->messages[m->message_count - 2].cursor : 0;
    nx_buf_clear(&p->text);
    assert_int_equal(
            nx_sessions_poll(machine_of(p, m), p->now, id_of(m), &poll, &p->text, &polled), 0);
    assert_int_equal(polled.count, 1);
    assert_true(polled.last > poll.after && polled.last > m->told);
    last->cursor = polled.last;
    waits(p, m, false);
}

static int expect_join(const struct m_session *m, int agent, const char *key, bool v1)
{
    if (seat(&m->state, agent) >= 0)
        return is_key(&m->state, agent, key) || v1 ? 0 : NX_REFUSE_AGENT_ID_TAKEN;
    return m->state.agent_count >= m->state.agents_max ? NX_REFUSE_SESSION_FULL : 0;
}

static void op_join(struct play *p, struct m_session *m)
{
    int agent = (int)draw(p, AGENTS);
    bool v1 = draw(p, 2) == 0;
    const char *key = key_for(p, &m->state, agent);
    bool fresh = seat(&m->state, agent) < 0;
    size_t from = m->message_count;
    struct nx_joined joined;
    int r = nx_sessions_join(machine_of(p, m), p->now, id_of(m), name_of(agent),
            nx_bytes_of(key, key ? NX_SESSION_KEY_LEN : 0), v1, &joined);

    assert_int_equal(r, expect_join(m, agent, key, v1));
    if (r == 0 && fresh)
        model_joined(p, m, agent, joined.key);
    else if (r == 0)
        slid(p, m);
    waits(p, m, r == 0 && fresh);
    if (r == 0 && fresh) {
        stamp_messages(m, from);
        learn_reminder(p, m, agent);
    }
}

static void op_send(struct play *p, struct m_session *m)
{
    int agent = (int)draw(p, AGENTS);
    char text[24];
    struct nx_send send = {.agent = name_of(agent)};
    const char *key = key_for(p, &m->state, agent);
    struct nx_sent sent;
    int r;

    (void)snprintf(text, sizeof(text), "\"m%llu\"", (unsigned long long)p->texts++);
    send.text = nx_bytes_str(text);
    send.key = nx_bytes_of(key, key ? NX_SESSION_KEY_LEN : 0);
    r = nx_sessions_send(machine_of(p, m), p->now, id_of(m), &send, &sent);
    if (seat(&m->state, agent) < 0)
        assert_int_equal(r, NX_REFUSE_NOT_JOINED);
    else
        assert_int_equal(r, key && !is_key(&m->state, agent, key) ? NX_REFUSE_WRONG_KEY : 0);
    if (r == 0) {
        assert_true(sent.cursor >= next_cursor_at_least(m) && sent.cursor > m->told);
        model_message(m, sent.cursor, text);
        slid(p, m);
        assert_true(sent.expires_wall_ms == m->state.expires_wall_ms);
    }
    waits(p, m, r == 0 && p->limits.durable_messages);
    if (r == 0)
        stamp_messages(m, m->message_count - 1);
}

/* The messages of the last poll are the model's behind `from`, one for one. */
static void same_messages(struct play *p, const struct m_session *m, size_t from)
{
    const char *at = nx_buf_str(&p->text);

    for (size_t i = from; i < m->message_count; i++) {
        char cursor[48];

        if (m->messages[i].text[0]) {
            char text[24];

            (void)snprintf(text, sizeof(text), "\"text\":%s,", m->messages[i].text);
            at = strstr(at, text);
            assert_non_null(at);
        }
        (void)snprintf(cursor, sizeof(cursor), "\"cursor\":\"%llu\"",
                (unsigned long long)m->messages[i].cursor);
        at = strstr(at, cursor);
        assert_non_null(at);
    }
}

static void op_poll(struct play *p, struct m_session *m, int agent)
{
    struct nx_poll poll = {.agent = name_of(agent), .bytes_max = SIZE_MAX};
    size_t from = draw(p, (uint32_t)m->message_count + 1);
    struct nx_polled polled;
    int r;

    poll.all = from == 0;
    if (from > 0)
        poll.after = m->messages[from - 1].cursor;
    nx_buf_clear(&p->text);
    r = nx_sessions_poll(machine_of(p, m), p->now, id_of(m), &poll, &p->text, &polled);
    assert_int_equal(r, seat(&m->state, agent) < 0 ? NX_REFUSE_NOT_MEMBER : 0);
    if (r == 0) {
        assert_int_equal(polled.count, m->message_count - from);
        same_messages(p, m, from);
        slid(p, m);
    }
    waits(p, m, false);
}

static void op_renew(struct play *p, struct m_session *m)
{
    int agent = (int)draw(p, AGENTS);
    int64_t ttl_s = draw(p, 2000);
    struct nx_session_view view;
    int r = nx_sessions_renew(machine_of(p, m), p->now, id_of(m), name_of(agent), ttl_s, &view);

    assert_int_equal(r, seat(&m->state, agent) < 0 ? NX_REFUSE_NOT_MEMBER : 0);
    if (r == 0) {
        if (ttl_s > 0)
            m->state.ttl_s = ttl_s;
        slid(p, m);
        assert_true(view.expires_wall_ms == m->state.expires_wall_ms);
    }
    waits(p, m, r == 0);
}

static void op_leave(struct play *p, struct m_session *m)
{
    struct m_state *state = &m->state;
    int agent = (int)draw(p, AGENTS);
    const char *key = key_for(p, state, agent);
    int at = seat(state, agent);
    int r = nx_sessions_leave(machine_of(p, m), p->now, id_of(m), name_of(agent),
            nx_bytes_of(key, key ? NX_SESSION_KEY_LEN : 0));
    int expected = at < 0                       ? NX_REFUSE_AGENT_NOT_FOUND
                   : !is_key(state, agent, key) ? NX_REFUSE_WRONG_KEY
                   : agent == state->creator    ? NX_REFUSE_CREATOR_STAYS
                                                : 0;

    assert_int_equal(r, expected);
    if (r == 0) {
        size_t behind = --state->agent_count - (size_t)at;

        memmove(&state->agents[at], &state->agents[at + 1], behind * sizeof(state->agents[0]));
        memmove(state->keys[at], state->keys[at + 1], behind * sizeof(state->keys[0]));
    }
    waits(p, m, r == 0);
}

static void op_pair(struct play *p, struct m_session *m)
{
    struct m_code *code = &m->state.codes[m->state.code_count];
    struct nx_code_view view;
    int r = nx_sessions_pair(machine_of(p, m), p->now, id_of(m), &view);

    assert_int_equal(r, m->state.code_count == CODES ? NX_REFUSE_TOO_MANY_CODES : 0);
    if (r == 0) {
        assert_int_equal(nx_code_shard(view.code, p->limits.shards), m->shard);
        *code = (struct m_code){.len = view.code.len, .expires_wall_ms = view.expires_wall_ms};
        memcpy(code->text, view.code.ptr, view.code.len);
        m->state.code_count++;
    }
    waits(p, m, r == 0);
}

static void op_claim(struct play *p, struct m_session *m)
{
    struct m_code *code;
    int agent = (int)draw(p, AGENTS);
    const char *key = key_for(p, &m->state, agent);
    bool fresh = seat(&m->state, agent) < 0;
    size_t from = m->message_count;
    struct nx_joined joined;
    int expected, r;

    if (m->state.code_count == 0)
        return;
    code = &m->state.codes[draw(p, (uint32_t)m->state.code_count)];
    expected = code->claimed || code->expires_wall_ms <= p->now.wall_ms
                       ? NX_REFUSE_CODE_USED
                       : expect_join(m, agent, key, false);
    r = nx_sessions_claim(machine_of(p, m), p->now, nx_bytes_of(code->text, code->len),
            name_of(agent), nx_bytes_of(key, key ? NX_SESSION_KEY_LEN : 0), &joined);
    assert_int_equal(r, expected);
    if (r == 0) {
        code->claimed = true;
        if (fresh)
            model_joined(p, m, agent, joined.key);
        else
            slid(p, m);
    }
    waits(p, m, r == 0);
    if (r == 0 && fresh) {
        stamp_messages(m, from);
        learn_reminder(p, m, agent);
    }
}

/* ---- what a machine holds against what the model says */

static void same_state(struct play *p, struct nx_sessions *machine, const struct m_session *m)
{
    static const enum nx_code_state states[2][2] = {
            {NX_CODE_PENDING, NX_CODE_EXPIRED}, {NX_CODE_CLAIMED, NX_CODE_CLAIMED}};
    const struct m_state *state = &m->state;
    struct nx_session_view view;

    assert_int_equal(nx_sessions_status(machine, p->now, id_of(m), &view), 0);
    assert_true(view.ttl_s == state->ttl_s && view.agents_max == state->agents_max);
    assert_true(view.created_wall_ms == m->created_wall_ms);
    assert_true(nx_bytes_equal(view.creator, name_of(state->creator)));
    assert_int_equal(view.greeting.len, state->greeting ? 9 : 0);
    assert_int_equal(view.agent_count, state->agent_count);
    for (size_t i = 0; i < state->agent_count; i++) {
        const struct nx_agent *agent = &view.agents[i];

        assert_true(
                nx_bytes_equal(nx_bytes_of(agent->id, agent->id_len), name_of(state->agents[i])));
        assert_memory_equal(agent->key, state->keys[i], NX_SESSION_KEY_LEN);
    }
    for (size_t i = 0; i < state->code_count; i++) {
        const struct m_code *code = &state->codes[i];
        struct nx_code_view got;

        assert_int_equal(
                nx_sessions_code(machine, p->now, nx_bytes_of(code->text, code->len), &got), 0);
        assert_true(got.expires_wall_ms == code->expires_wall_ms);
        assert_int_equal(got.state, states[code->claimed][code->expires_wall_ms <= p->now.wall_ms]);
    }
}

static void check_all(struct play *p)
{
    for (size_t i = 0; i < p->session_count; i++) {
        struct m_session *m = &p->sessions[i];

        if (m->alive && m->state.expires_wall_ms > p->now.wall_ms)
            same_state(p, machine_of(p, m), m);
        if (m->alive && m->state.agent_count > 0 && m->state.expires_wall_ms > p->now.wall_ms)
            op_poll(p, m, m->state.agents[0]);
    }
}

/* The answers that waited for what is durable have left. */
static void release(struct play *p)
{
    for (size_t i = 0; i < p->session_count; i++) {
        struct m_session *m = &p->sessions[i];

        for (size_t k = m->message_count; k > 0; k--) {
            const struct m_message *message = &m->messages[k - 1];

            if (message->waits_for > p->store.durable)
                continue;
            if (message->cursor > m->told)
                m->told = message->cursor;
            break;
        }
    }
}

/* Back to the last durable version; false when there is none. */
static bool model_back(struct play *p, struct m_session *m)
{
    while (m->version_count > 0 && m->versions[m->version_count - 1].number > p->store.durable)
        m->version_count--;
    if (m->version_count == 0) {
        m->alive = false;
        m->message_count = 0;
        return false;
    }
    m->state = m->versions[m->version_count - 1].state;
    return true;
}

static void drop_messages(struct play *p, struct m_session *m)
{
    while (m->message_count > 0 && m->messages[m->message_count - 1].waits_for > p->store.durable)
        m->message_count--;
}

/* Of a session that came back: never earlier than its durable version promised, and at most the
 * allowance later than it ever was. */
static void learn_expiry(struct play *p, struct m_session *m)
{
    struct nx_session_view view;

    assert_int_equal(nx_sessions_status(machine_of(p, m), p->now, id_of(m), &view), 0);
    assert_true(view.expires_wall_ms >= m->state.expires_wall_ms);
    assert_true(view.expires_wall_ms <= m->ever_wall_ms + LAG_MAX);
    /* Each restart may add the allowance anew. */
    m->state.expires_wall_ms = view.expires_wall_ms;
    if (view.expires_wall_ms > m->ever_wall_ms)
        m->ever_wall_ms = view.expires_wall_ms;
}

static bool is_there(struct play *p, struct nx_sessions *machine, const struct m_session *m)
{
    struct nx_session_view view;

    return nx_sessions_status(machine, p->now, id_of(m), &view) == 0;
}

static void machines_load(struct play *p, struct nx_sessions *machines[16])
{
    for (unsigned i = 0; i < p->limits.shards; i++) {
        p->limits.shard = i;
        assert_int_equal(
                nx_sessions_new(nx_mem_libc(), &p->machine_randoms[i], &p->limits, &machines[i]),
                0);
    }
    for (size_t i = 0; i < p->store.count; i++) {
        const struct toy_record *record = &p->store.records[i];
        struct nx_bytes key = nx_bytes_of(record->key, record->key_len);

        assert_int_equal(
                nx_sessions_load(machines[nx_sessions_key_shard(key, p->limits.shards)], p->now,
                        record->table, key, nx_bytes_of(record->value, record->value_len)),
                0);
    }
}

static void machines_free(struct play *p, struct nx_sessions *machines[16])
{
    for (unsigned i = 0; i < p->limits.shards; i++)
        nx_sessions_free(machines[i]);
}

static void pass(struct play *p, int64_t ms)
{
    p->now.mono_ms += ms;
    p->now.wall_ms += ms;
}

static void crash(struct play *p)
{
    toy_commit(&p->store, draw(p, (uint32_t)p->store.queued + 1));
    release(p);
    toy_lose(&p->store);
    machines_free(p, p->machines);
    pass(p, draw(p, 4) == 0 ? draw(p, 60000) : draw(p, 500));
    /* Another boot: the monotonic clock starts anew. */
    p->now.mono_ms = draw(p, 1000000);
    machines_load(p, p->machines);
    for (size_t i = 0; i < p->session_count; i++) {
        struct m_session *m = &p->sessions[i];
        bool durable = model_back(p, m);

        m->number = 0;
        if (!durable || !is_there(p, machine_of(p, m), m)) {
            assert_true(!durable || m->state.expires_wall_ms <= p->now.wall_ms);
            m->alive = false;
            continue;
        }
        learn_expiry(p, m);
        m->alive = true;
        if (p->limits.durable_messages) {
            drop_messages(p, m);
        } else {
            m->message_count = m->state.greeting ? 1 : 0;
        }
        for (size_t k = 0; k < m->message_count; k++)
            m->messages[k].waits_for = 0;
    }
    check_all(p);
}

/* A freshly loaded machine tells the same of every session as the one that was rolled back. */
static void same_as_loaded(struct play *p)
{
    struct nx_sessions *loaded[16];

    machines_load(p, loaded);
    for (size_t i = 0; i < p->session_count; i++) {
        struct m_session *m = &p->sessions[i];

        bool loads = is_there(p, loaded[m->shard], m);

        if (loads && m->alive)
            same_state(p, loaded[m->shard], m);
        else if (loads &&
                 !m->buried) /* over, but its removal was lost: so it is at its next load */
            assert_true(m->state.expires_wall_ms <= p->now.wall_ms);
        else if (m->alive) /* only a later expiry that nothing waited for keeps it in memory */
            assert_true(m->versions[m->version_count - 1].state.expires_wall_ms <= p->now.wall_ms);
    }
    machines_free(p, loaded);
}

static void fail_commit(struct play *p)
{
    toy_commit(&p->store, draw(p, (uint32_t)p->store.queued + 1));
    release(p);
    toy_lose(&p->store);
    for (unsigned i = 0; i < p->limits.shards; i++)
        nx_sessions_rollback(p->machines[i], p->now, p->store.durable, toy_read_session, &p->store);
    for (size_t i = 0; i < p->session_count; i++) {
        struct m_session *m = &p->sessions[i];

        if (m->number <= p->store.durable)
            continue;
        m->number = p->store.durable;
        if (!model_back(p, m)) {
            assert_false(is_there(p, machine_of(p, m), m));
            continue;
        }
        drop_messages(p, m);
        /* One that was over may be back: what shortened its life was lost. */
        m->alive = is_there(p, machine_of(p, m), m);
        if (m->alive)
            learn_expiry(p, m);
        else
            m->buried = true;
    }
    same_as_loaded(p);
    check_all(p);
}

static void tick_all(struct play *p)
{
    for (unsigned i = 0; i < p->limits.shards; i++) {
        int64_t next;

        do {
            next = nx_sessions_tick(p->machines[i], p->now);
            took(p, i);
        } while (next <= p->now.mono_ms);
    }
}

static void bury(struct play *p)
{
    for (size_t i = 0; i < p->session_count; i++) {
        struct m_session *m = &p->sessions[i];

        if (m->alive && m->state.expires_wall_ms <= p->now.wall_ms) {
            assert_false(is_there(p, machine_of(p, m), m));
            m->alive = false;
        }
    }
}

static void one_operation(struct play *p)
{
    static void (*const operations[])(struct play *, struct m_session *) = {
            op_join, op_join, op_send, op_send, op_send, op_renew, op_leave, op_pair, op_claim};
    struct m_session *m;

    if (p->session_count == 0 || draw(p, 12) == 0) {
        op_create(p);
        return;
    }
    m = &p->sessions[draw(p, (uint32_t)p->session_count)];
    if (!m->alive)
        return;
    if (draw(p, 5) == 0)
        op_poll(p, m, (int)draw(p, AGENTS));
    else
        operations[draw(p, sizeof(operations) / sizeof(operations[0]))](p, m);
}

static void one_moment(struct play *p)
{
    uint32_t n = draw(p, 1000);

    one_operation(p);
    if (n < 100) {
        toy_commit(&p->store, draw(p, (uint32_t)p->store.queued + 1));
        release(p);
    } else if (n < 115) {
        crash(p);
    } else if (n < 135) {
        fail_commit(p);
    } else if (n < 300) {
        pass(p, n < 140 ? draw(p, 900000) : draw(p, 20000));
        bury(p);
    }
    if (n % 7 == 0)
        tick_all(p);
}

static void play_seed(uint64_t seed)
{
    struct play *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    p->random = nx_random_from_seed(&p->seeded, seed);
    p->now = (struct nx_time){77, WORLD_WALL};
    p->limits = world_limits();
    p->limits.codes_max = CODES;
    p->limits.agents_max = SEATS;
    p->limits.shards = seed % 2 == 0 ? 16 : 1;
    p->limits.durable_messages = seed / 2 % 2 == 0;
    nx_buf_init(&p->text, nx_mem_libc(), (size_t)1 << 24);
    for (unsigned i = 0; i < 16; i++)
        p->machine_randoms[i] = nx_random_from_seed(&p->machine_seeds[i], seed * 1000 + i);
    machines_load(p, p->machines);
    for (int i = 0; i < 900; i++)
        one_moment(p);
    fail_commit(p);
    crash(p);
    machines_free(p, p->machines);
    toy_store_done(&p->store);
    nx_buf_done(&p->text);
    for (size_t i = 0; i < p->session_count; i++) {
        free(p->sessions[i].versions);
        free(p->sessions[i].messages);
    }
    free(p);
}

static void what_was_told_is_kept(void **state)
{
    const char *only = getenv("NX_TEST_SEED");
    uint64_t seed = only ? strtoull(only, NULL, 10) : 1;
    uint64_t last = only ? seed : 160;

    (void)state;
    for (; seed <= last; seed++) {
        /* The last line before a failure says which seed replays it. */
        (void)fprintf(stderr, "\rseed %llu ", (unsigned long long)seed);
        play_seed(seed);
    }
    (void)fprintf(stderr, "\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_was_told_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
