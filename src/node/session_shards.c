/* The session machine behind its locks: which shard, the step, its changes into the store, and
 * what happens when a commit fails. */
#include <stdio.h>

#include "node/session_internal.h"

#define RATE_ENTRIES_MAX   65536 /* addresses remembered, over all limiters */
#define COMPLAINT_EVERY_MS 60000

static struct nx_sessions_limits shard_limits(
        const struct nx_session_server_options *options, unsigned index)
{
    return (struct nx_sessions_limits){
            .ttl_default_s = options->ttl_default_s,
            .ttl_max_s = options->ttl_max_s,
            .agents_default_v1 = options->agents_default_v1,
            .agents_default_v2 = options->agents_default_v2,
            .agents_max = options->agents_max,
            .inactivity_s = options->inactivity_s,
            .durable = options->data_dir != NULL,
            .durable_messages = options->data_dir != NULL && options->durable_messages,
            /* Totals are kept by the server; a shard alone may hold them all. */
            .sessions_max = options->sessions_max,
            .codes_max = 256,
            .message_bytes_max = options->memory_bytes_max,
            .session_bytes_max = options->session_bytes_max,
            .shard = index,
            .shards = SHARDS,
    };
}

static void on_store_done(void *ctx, uint64_t upto, int result)
{
    struct server *server = ctx;

    if (result == 0)
        atomic_store(&server->durable, upto);
    for (unsigned i = 0; i < server->loop_count; i++)
        server_loop_report(server->loops[i], upto, result);
}

static int read_session(void *ctx, struct nx_bytes key, struct nx_buf *value)
{
    struct server *server = ctx;

    return nx_store_get(server->store, NX_TABLE_SESSIONS, key, value);
}

/* One line a minute: a disk may be full for long, and tried every second. */
static void complain(struct server *server, struct nx_time now, int error)
{
    if (server->complained && now.mono_ms - server->complained_ms < COMPLAINT_EVERY_MS)
        return;
    server->complained = true;
    server->complained_ms = now.mono_ms;
    (void)fprintf(stderr, "nexus: the data folder takes no changes: %s\n", nx_error_text(error));
}

/* Keeps the totals over all shards: what a step, or a way back, added or took. */
static void account(struct server *server, const struct nx_sessions_totals *before,
        const struct nx_sessions_totals *after)
{
    if (after->sessions != before->sessions)
        atomic_fetch_add(&server->session_total, after->sessions - before->sessions);
    if (after->message_bytes != before->message_bytes)
        atomic_fetch_add(&server->message_bytes, after->message_bytes - before->message_bytes);
}

/* The world stands still, memory goes back to what the disk holds. */
static uint64_t on_store_failed(void *ctx, int error)
{
    struct server *server = ctx;
    struct nx_time now = nx_clock_now();
    uint64_t durable = atomic_load(&server->durable);
    uint64_t last = 0;

    complain(server, now, error);
    for (unsigned i = 0; i < SHARDS; i++)
        nx_lock_take(&server->shards[i].lock);
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *shard = &server->shards[i];
        struct nx_sessions_totals before = nx_sessions_totals(shard->sessions);
        struct nx_sessions_totals after;

        if (shard->submitted > last)
            last = shard->submitted;
        nx_sessions_rollback(shard->sessions, now, durable, read_session, server);
        after = nx_sessions_totals(shard->sessions);
        account(server, &before, &after);
    }
    for (unsigned i = 0; i < SHARDS; i++)
        nx_lock_give(&server->shards[i].lock);
    return last;
}

static bool storing(const struct server *server)
{
    return !server->store || nx_store_ready(server->store) == 0;
}

/* Under the shard's lock: the step's changes go to the store, in the order of the steps. */
static void submit(struct server *server, struct shard *shard)
{
    size_t count;
    const struct nx_change *changes = nx_sessions_changes(shard->sessions, &count);

    if (!server->store || count == 0)
        return;
    shard->submitted = nx_store_submit(server->store, changes, count);
    nx_sessions_stamp(shard->sessions, shard->submitted);
}

static struct nx_sessions_totals sum(struct server *server)
{
    struct nx_sessions_totals totals = {0};

    for (unsigned i = 0; i < SHARDS; i++) {
        struct nx_sessions_totals one;

        nx_lock_take(&server->shards[i].lock);
        one = nx_sessions_totals(server->shards[i].sessions);
        nx_lock_give(&server->shards[i].lock);
        totals.sessions += one.sessions;
        totals.agents += one.agents;
        totals.messages += one.messages;
        totals.message_bytes += one.message_bytes;
    }
    return totals;
}

struct load {
    struct server *server;
    struct nx_time now;
    unsigned table;
    struct nx_sessions_totals totals;
};

static int on_load(void *ctx, struct nx_bytes key, struct nx_bytes value)
{
    struct load *load = ctx;
    struct shard *shard = &load->server->shards[nx_sessions_key_shard(key, SHARDS)];
    int r = nx_sessions_load(shard->sessions, load->now, load->table, key, value);

    if (r == 0)
        submit(load->server, shard);
    return r;
}

static int store_open(struct server *server, struct nx_session_server_fault *ret_fault)
{
    const struct nx_session_server_options *options = server->options;
    struct nx_store_options store = {
            .dir = options->data_dir,
            .map_bytes_max = options->store_bytes_max,
            .queue_bytes_max = (size_t)64 * 1024 * 1024,
            .on_done = on_store_done,
            .on_failed = on_store_failed,
            .ctx = server,
    };
    struct load load = {.server = server, .now = nx_clock_now()};
    struct nx_store_fault fault;
    int r = nx_store_open(&store, &server->store, &fault);

    if (r < 0) {
        (void)snprintf(ret_fault->text, sizeof(ret_fault->text), "%s", fault.text);
        return r;
    }
    for (load.table = NX_TABLE_SESSIONS; r == 0 && load.table <= NX_TABLE_MESSAGES; load.table++)
        r = nx_store_each(server->store, load.table, on_load, &load);
    if (r < 0) {
        (void)snprintf(ret_fault->text, sizeof(ret_fault->text),
                r == NX_E_LIMIT
                        ? "%s: it holds more than the limits allow (%s); raise --max-sessions, "
                          "--max-session-bytes or --max-memory"
                        : "%s: cannot load the sessions (%s); restore the folder from a backup, or "
                          "move it away to start empty",
                options->data_dir, nx_error_text(r));
        return r;
    }
    /* Before the storage thread may take something back. */
    load.totals = sum(server);
    for (unsigned i = 0; i < SHARDS; i++) {
        uint64_t sequence = nx_sessions_sequence(server->shards[i].sessions);

        if (sequence > atomic_load(&server->sequence))
            atomic_store(&server->sequence, sequence);
    }
    atomic_store(&server->session_total, load.totals.sessions);
    atomic_store(&server->message_bytes, load.totals.message_bytes);
    r = nx_store_start(server->store);
    if (r < 0)
        (void)snprintf(ret_fault->text, sizeof(ret_fault->text),
                "%s: cannot start the storage thread (%s)", options->data_dir, nx_error_text(r));
    return r;
}

static int limiters_open(struct server *server)
{
    const unsigned limits[NX_RATELIMIT_KINDS] = {
            server->options->rate_limit,
            server->options->rate_limit == 0   ? 0
            : server->options->claim_limit > 0 ? server->options->claim_limit
                                               : server->options->rate_limit,
    };

    for (unsigned i = 0; i < SHARDS; i++) {
        int r;

        nx_lock_init(&server->limiters[i].lock);
        r = nx_ratelimit_new(server->mem, &server->address_key, limits, RATE_ENTRIES_MAX / SHARDS,
                &server->limiters[i].ratelimit);
        if (r < 0)
            return r;
    }
    return 0;
}

int shards_open(struct server *server, struct nx_session_server_fault *ret_fault)
{
    int r;

    for (unsigned i = 0; i < SHARDS; i++)
        nx_lock_init(&server->shards[i].lock);
    r = limiters_open(server);
    for (unsigned i = 0; r == 0 && i < SHARDS; i++) {
        struct shard *shard = &server->shards[i];
        struct nx_sessions_limits limits = shard_limits(server->options, i);

        shard->random = nx_entropy_init(&shard->entropy);
        r = nx_sessions_new(server->mem, &shard->random, &limits, &shard->sessions);
    }
    if (r < 0) {
        (void)snprintf(
                ret_fault->text, sizeof(ret_fault->text), "cannot start: %s", nx_error_text(r));
        return r;
    }
    return server->options->data_dir ? store_open(server, ret_fault) : 0;
}

void shards_close(struct server *server)
{
    nx_store_close(server->store);
    server->store = NULL;
    for (unsigned i = 0; i < SHARDS; i++) {
        nx_sessions_free(server->shards[i].sessions);
        nx_entropy_done(&server->shards[i].entropy);
        nx_lock_done(&server->shards[i].lock);
        nx_ratelimit_free(server->limiters[i].ratelimit);
        nx_lock_done(&server->limiters[i].lock);
    }
}

/* Whether the call may be tried at all: room in memory, and a store that takes what it promises. */
static bool has_room(const struct server *server, const struct nx_api_call *call)
{
    const struct nx_session_server_options *options = server->options;

    if (call->place == NX_API_ANY_SHARD &&
            atomic_load(&server->session_total) >= options->sessions_max)
        return false;
    if ((call->sends || call->place == NX_API_ANY_SHARD) &&
            atomic_load(&server->message_bytes) >= options->memory_bytes_max)
        return false;
    if (server->store && (call->durable || (call->sends && options->durable_messages)))
        return storing(server);
    return true;
}

static unsigned shard_of(struct server_loop *loop, const struct nx_api_call *call)
{
    if (call->place == NX_API_ANY_SHARD)
        return nx_random_below(&loop->random, SHARDS);
    if (call->route == NX_API_CLAIM || call->route == NX_API_CODE_STATUS ||
            call->route == NX_API_CODE_PAGE)
        return nx_code_shard(nx_bytes_of(call->code, call->code_len), SHARDS);
    return nx_session_shard(call->session, SHARDS);
}

int shards_run(struct server_loop *loop, struct nx_time now, struct nx_api_call *call,
        uint64_t *ret_waits_for)
{
    struct server *server = loop->server;
    struct nx_sessions_totals before, after;
    struct shard *shard;
    int r;

    call->uptime_s = (now.mono_ms - server->started_ms) / 1000;
    *ret_waits_for = 0;
    if (call->place == NX_API_ALL_SHARDS)
        call->totals = sum(server);
    if (call->place == NX_API_ALL_SHARDS || call->place == NX_API_ANYWHERE)
        return nx_api_step(&loop->api, NULL, now, call);
    if (!has_room(server, call))
        return nx_api_unavailable(&loop->api);
    if (call->place == NX_API_ANY_SHARD)
        call->create.sequence = atomic_fetch_add(&server->sequence, 1) + 1;
    shard = &server->shards[shard_of(loop, call)];
    nx_lock_take(&shard->lock);
    nx_sessions_storing(shard->sessions, storing(server));
    before = nx_sessions_totals(shard->sessions);
    r = nx_api_step(&loop->api, shard->sessions, now, call);
    submit(server, shard);
    if (server->store)
        *ret_waits_for = nx_sessions_waits_for(shard->sessions);
    after = nx_sessions_totals(shard->sessions);
    nx_lock_give(&shard->lock);
    account(server, &before, &after);
    return r;
}

void shards_beat(struct server_loop *loop, struct nx_time now)
{
    struct server *server = loop->server;

    for (unsigned i = loop->index; i < SHARDS; i += server->loop_count) {
        struct shard *shard = &server->shards[i];
        int64_t next;

        do {
            struct nx_sessions_totals before, after;

            nx_lock_take(&shard->lock);
            nx_sessions_storing(shard->sessions, storing(server));
            before = nx_sessions_totals(shard->sessions);
            next = nx_sessions_tick(shard->sessions, now);
            submit(server, shard);
            after = nx_sessions_totals(shard->sessions);
            nx_lock_give(&shard->lock);
            account(server, &before, &after);
        } while (next <= now.mono_ms);
    }
}

int64_t limiters_take(
        struct server *server, int64_t mono_ms, const struct nx_ip *ip, enum nx_ratelimit_kind kind)
{
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    struct nx_ratelimit_address address;
    struct limiter *limiter;
    int64_t wait_s;

    memcpy(address.bytes, ip->bytes, sizeof(address.bytes));
    /* One customer of an IPv6 network has a /64. */
    if (memcmp(address.bytes, mapped, sizeof(mapped)) != 0)
        memset(address.bytes + 8, 0, 8);
    limiter = &server->limiters[nx_hash(&server->address_key, &address, sizeof(address)) >> 60];
    nx_lock_take(&limiter->lock);
    wait_s = nx_ratelimit_take(limiter->ratelimit, mono_ms, &address, kind);
    nx_lock_give(&limiter->lock);
    return wait_s;
}
