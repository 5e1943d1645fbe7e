/* Fuzzes the session service without its sockets: bytes → requests through the HTTP/1.1 machine, the
 * API and one shard of sessions, under a made-up clock and a seeded random.
 *
 * Input: one byte of options, then what the peer sends. `@S`, `@T`, `@C` and `@K` stand for the id of
 * the first and the last session, the last pairing code and the last key that were told, so that
 * inputs reach what random bytes cannot guess; `@+` and a byte let that many minutes pass, `@R`
 * restarts the machine from what it stored, `@L` loses what was not committed, `@D` commits.
 *
 * Held: every status is a documented one and never 500; JSON answers are JSON, and errors have their
 * shape; totals agree with the limits; memory is bounded and all given back. */
#include <stdlib.h>

#include "base/json.h"
#include "session/api/api.h"

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"

enum {
    OPTION_SMALL = 1,    /* tiny limits */
    OPTION_MESSAGES = 2, /* durable messages */
    OPTION_IDLE = 4,     /* idle agents go */
    RECORDS_MAX = 512,
    WORD_MAX = 80,
    REQUESTS_MAX = 400,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool ok)
{
    if (!ok)
        abort();
}

struct ledger {
    size_t live;
};

static void *counted(void *ctx, void *ptr, size_t bytes)
{
    struct ledger *ledger = ctx;
    size_t *block = ptr ? (size_t *)ptr - 2 : NULL;

    if (block)
        ledger->live -= block[0];
    if (bytes == 0) {
        free(block);
        return NULL;
    }
    block = realloc(block, bytes + 2 * sizeof(*block));
    must(block != NULL);
    block[0] = bytes;
    ledger->live += bytes;
    return block + 2;
}

/* What was stored, in the order of the changes; small enough to be searched from end to end. */
struct record {
    unsigned table;
    size_t key_len, value_len;
    char key[16];
    char *value;
};

struct word {
    char text[WORD_MAX];
    size_t len;
};

struct service {
    struct ledger ledger;
    struct nx_mem mem;
    struct nx_sessions_limits limits;
    struct nx_api_settings settings;
    struct nx_random_seeded seeded;
    struct nx_random random;
    struct nx_sessions *sessions;
    struct nx_api api;
    struct nx_http1_server *http;
    struct nx_time now;
    uint64_t number, durable;
    struct record records[RECORDS_MAX];
    size_t record_count;
    struct word first, last, code, key;
    unsigned requests;
    bool full; /* the toy store is: no restart from it */
};

static struct record *record_find(struct service *s, unsigned table, struct nx_bytes key)
{
    for (size_t i = 0; i < s->record_count; i++) {
        struct record *record = &s->records[i];

        if (record->table == table &&
                nx_bytes_equal(nx_bytes_of(record->key, record->key_len), key))
            return record;
    }
    return NULL;
}

static void record_drop(struct service *s, struct record *record)
{
    free(record->value);
    *record = s->records[--s->record_count];
}

static void record_put(struct service *s, const struct nx_change *change)
{
    struct record *record = record_find(s, change->table, change->key);

    if (!record && s->record_count == RECORDS_MAX) {
        s->full = true;
        return;
    }
    if (!record) {
        record = &s->records[s->record_count++];
        *record = (struct record){.table = change->table, .key_len = change->key.len};
        must(change->key.len <= sizeof(record->key));
        memcpy(record->key, change->key.ptr, change->key.len);
    }
    free(record->value);
    record->value = malloc(change->value.len + 1);
    must(record->value != NULL);
    memcpy(record->value, change->value.ptr, change->value.len);
    record->value_len = change->value.len;
}

static void drop_prefix(struct service *s, const struct nx_change *change)
{
    for (size_t i = s->record_count; i > 0; i--) {
        struct record *record = &s->records[i - 1];

        if (record->table == change->table &&
                nx_bytes_starts(nx_bytes_of(record->key, record->key_len), change->key))
            record_drop(s, record);
    }
}

/* Every change is durable at once. */
static void take_changes(struct service *s)
{
    size_t count;
    const struct nx_change *changes = nx_sessions_changes(s->sessions, &count);

    for (size_t i = 0; i < count; i++) {
        struct record *record = record_find(s, changes[i].table, changes[i].key);

        switch (changes[i].op) {
        case NX_CHANGE_PUT:
            record_put(s, &changes[i]);
            break;
        case NX_CHANGE_DELETE:
            if (record)
                record_drop(s, record);
            break;
        case NX_CHANGE_DELETE_PREFIX:
            drop_prefix(s, &changes[i]);
            break;
        }
    }
    if (count > 0)
        nx_sessions_stamp(s->sessions, ++s->number);
    must(nx_sessions_waits_for(s->sessions) <= s->number);
}

static void check_totals(const struct service *s)
{
    struct nx_sessions_totals totals = nx_sessions_totals(s->sessions);

    must(totals.sessions <= s->limits.sessions_max);
    must(totals.agents <= totals.sessions * s->limits.agents_max);
    must(totals.message_bytes <= s->limits.message_bytes_max);
    must(totals.messages * 100 <= totals.message_bytes);
    must(s->ledger.live < (size_t)96 << 20);
}

static void tick(struct service *s)
{
    unsigned rounds = 0;

    while (nx_sessions_tick(s->sessions, s->now) <= s->now.mono_ms) {
        take_changes(s);
        must(++rounds < 10000);
    }
    take_changes(s);
    check_totals(s);
}

static int by_key(const void *a, const void *b)
{
    const struct record *x = a;
    const struct record *y = b;

    if (x->table != y->table)
        return x->table < y->table ? -1 : 1;
    return memcmp(x->key, y->key, sizeof(x->key));
}

static void restart(struct service *s)
{
    struct record *copy;
    size_t count = s->record_count;

    if (s->full)
        return;
    nx_sessions_free(s->sessions);
    must(nx_sessions_new(&s->mem, &s->random, &s->limits, &s->sessions) == 0);
    if (count == 0)
        return;
    qsort(s->records, count, sizeof(s->records[0]), by_key);
    copy = malloc(count * sizeof(*copy));
    must(copy != NULL);
    memcpy(copy, s->records, count * sizeof(*copy));
    for (size_t i = 0; i < count; i++) {
        /* a change of this very loading may have removed it */
        struct record *record =
                record_find(s, copy[i].table, nx_bytes_of(copy[i].key, copy[i].key_len));

        int r;

        if (!record)
            continue;
        r = nx_sessions_load(s->sessions, s->now, record->table,
                nx_bytes_of(record->key, record->key_len),
                nx_bytes_of(record->value, record->value_len));
        /* `@L` forgets messages that this store still has */
        must(r == 0 || r == NX_E_LIMIT);
        take_changes(s);
    }
    free(copy);
    check_totals(s);
}

static int read_record(void *ctx, struct nx_bytes key, struct nx_buf *value)
{
    const struct record *record = record_find(ctx, NX_TABLE_SESSIONS, key);

    if (!record)
        return NX_E_NOTFOUND;
    nx_buf_append(value, nx_bytes_of(record->value, record->value_len));
    return nx_buf_error(value);
}

/* ---- answers */

static bool is_documented(unsigned status)
{
    static const unsigned documented[] = {
            200, 201, 301, 400, 401, 403, 404, 405, 409, 413, 415, 503};

    for (size_t i = 0; i < sizeof(documented) / sizeof(documented[0]); i++) {
        if (documented[i] == status)
            return true;
    }
    return false;
}

static void learn(const struct nx_json *object, const char *name, struct word *word)
{
    struct nx_json value;
    struct nx_bytes raw;

    if (!nx_json_get(object, nx_bytes_str(name), &value) || value.kind != NX_JSON_STRING)
        return;
    raw = nx_json_string_raw(&value);
    if (raw.len > WORD_MAX)
        return;
    memcpy(word->text, raw.ptr, raw.len);
    word->len = raw.len;
}

static void check_answer(struct service *s)
{
    const struct nx_api_answer *answer = &s->api.answer;
    struct nx_bytes headers = nx_buf_bytes(&answer->headers);
    struct nx_json object, value;

    must(is_documented(answer->status));
    must(headers.len > 2 && memcmp(headers.ptr + headers.len - 2, "\r\n", 2) == 0);
    must(!memmem(headers.ptr, headers.len, "\r\n\r\n", 4));
    must(memchr(headers.ptr, '\0', headers.len) == NULL);
    if (!memmem(headers.ptr, headers.len, "application/json", 16)) {
        must(nx_utf8_valid(nx_buf_bytes(&answer->body)));
        return;
    }
    must(nx_json_parse(nx_buf_bytes(&answer->body), &object, NULL) == 0);
    must(object.kind == NX_JSON_OBJECT);
    if (answer->status >= 400) {
        must(nx_json_get(&object, NX_BYTES("error"), &value) && value.kind == NX_JSON_STRING);
        must(nx_json_get(&object, NX_BYTES("details"), &value) && value.kind == NX_JSON_ARRAY);
        return;
    }
    if (answer->status == 201 && s->first.len == 0)
        learn(&object, "sessionId", &s->first);
    learn(&object, "sessionId", &s->last);
    learn(&object, "sessionKey", &s->key);
    learn(&object, "code", &s->code);
}

static void respond(struct service *s, const struct nx_http1_request *request)
{
    struct nx_http1_answer reply = {0};
    struct nx_api_call call;
    int r;

    must(nx_api_read(&s->api, request, NX_BYTES("http://origin"), &call) == 0);
    call.totals = nx_sessions_totals(s->sessions);
    if (call.route != NX_API_NONE) {
        bool here = call.place == NX_API_ANY_SHARD || call.place == NX_API_ONE_SHARD;

        must(nx_api_step(&s->api, here ? s->sessions : NULL, s->now, &call) == 0);
        if (here)
            take_changes(s);
    }
    check_answer(s);
    check_totals(s);
    reply.status = s->api.answer.status;
    reply.headers = nx_buf_bytes(&s->api.answer.headers);
    reply.body = nx_buf_bytes(&s->api.answer.body);
    r = nx_http1_server_respond(s->http, s->now.mono_ms, DATE, &reply);
    must(r == 0 || r == NX_E_TOO_LARGE);
    if (r < 0) {
        nx_http1_server_free(s->http);
        must(nx_http1_server_new(&s->mem, &nx_http1_limits_default, s->now.mono_ms, &s->http) == 0);
    }
}

static void offer(struct service *s, struct nx_bytes bytes)
{
    while (bytes.len > 0 && s->requests < REQUESTS_MAX) {
        const struct nx_http1_request *request;
        size_t taken = 0;

        if (nx_http1_server_finished(s->http) || nx_http1_server_refused(s->http)) {
            /* the next connection */
            nx_http1_server_free(s->http);
            must(nx_http1_server_new(&s->mem, &nx_http1_limits_default, s->now.mono_ms, &s->http) ==
                    0);
            s->requests++;
        }
        must(nx_http1_server_read(s->http, s->now.mono_ms, bytes, &taken) == 0);
        bytes = nx_bytes_from(bytes, taken);
        request = nx_http1_server_request(s->http);
        if (request) {
            s->requests++;
            respond(s, request);
        }
        nx_http1_server_written(s->http, s->now.mono_ms, nx_http1_server_output(s->http).len);
        if (!request && taken == 0)
            s->requests++;
    }
}

/* ---- the input's own words */

static void offer_word(struct service *s, const struct word *word)
{
    offer(s, nx_bytes_of(word->text, word->len));
}

/* Returns how many bytes behind the '@' it took; 0: it is none. */
static size_t command(struct service *s, const char *at, size_t len)
{
    if (len == 0)
        return 0;
    switch (at[0]) {
    case 'S':
        offer_word(s, &s->first);
        return 1;
    case 'T':
        offer_word(s, &s->last);
        return 1;
    case 'C':
        offer_word(s, &s->code);
        return 1;
    case 'K':
        offer_word(s, &s->key);
        return 1;
    case 'R':
        restart(s);
        return 1;
    case 'D':
        s->durable = s->number;
        return 1;
    case 'L':
        nx_sessions_rollback(s->sessions, s->now, s->durable, read_record, s);
        s->durable = s->number;
        check_totals(s);
        return 1;
    case '+':
        if (len < 2)
            return 0;
        s->now.mono_ms += (int64_t)(uint8_t)at[1] * 60000;
        s->now.wall_ms += (int64_t)(uint8_t)at[1] * 60000;
        tick(s);
        return 2;
    }
    return 0;
}

static void play(struct service *s, const char *data, size_t len)
{
    const char *end = data + len;

    while (data < end && s->requests < REQUESTS_MAX) {
        const char *at = memchr(data, '@', (size_t)(end - data));
        size_t taken;

        offer(s, nx_bytes_of(data, (size_t)((at ? at : end) - data)));
        if (!at)
            return;
        taken = command(s, at + 1, (size_t)(end - at - 1));
        if (taken == 0)
            offer(s, nx_bytes_of(at, 1));
        data = at + 1 + taken;
    }
}

static void set_limits(struct service *s, unsigned options)
{
    s->limits = (struct nx_sessions_limits){
            .ttl_default_s = 3660,
            .ttl_max_s = 86400,
            .agents_default_v1 = 2,
            .agents_default_v2 = 50,
            .agents_max = 50,
            .inactivity_s = options & OPTION_IDLE ? 300 : 0,
            .durable = true,
            .durable_messages = (options & OPTION_MESSAGES) != 0,
            .sessions_max = options & OPTION_SMALL ? 3 : 300,
            .codes_max = options & OPTION_SMALL ? 2 : 64,
            .message_bytes_max = options & OPTION_SMALL ? 3000 : (size_t)8 << 20,
            .session_bytes_max = options & OPTION_SMALL ? 1500 : (size_t)4 << 20,
            .shards = 1,
    };
    s->settings = (struct nx_api_settings){
            .version = "0",
            .ttl_default_s = 3660,
            .ttl_max_s = 86400,
            .agents_default_v1 = 2,
            .agents_default_v2 = 50,
            .agents_max = 50,
            .poll_bytes_max = options & OPTION_SMALL ? 400 : (size_t)1 << 20,
    };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct service s; /* large for a stack; made anew each time */

    if (len < 2)
        return 0;
    memset(&s, 0, sizeof(s));
    s.mem = (struct nx_mem){counted, &s.ledger};
    s.random = nx_random_from_seed(&s.seeded, 1);
    s.now = (struct nx_time){1000, INT64_C(1800000000000)};
    set_limits(&s, data[0]);
    must(nx_sessions_new(&s.mem, &s.random, &s.limits, &s.sessions) == 0);
    nx_api_init(&s.api, &s.mem, &s.settings);
    must(nx_http1_server_new(&s.mem, &nx_http1_limits_default, s.now.mono_ms, &s.http) == 0);
    play(&s, (const char *)data + 1, len - 1);
    tick(&s);
    nx_http1_server_free(s.http);
    nx_api_done(&s.api);
    nx_sessions_free(s.sessions);
    must(s.ledger.live == 0);
    while (s.record_count > 0)
        record_drop(&s, &s.records[0]);
    return 0;
}
