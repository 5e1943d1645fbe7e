/* See exchange.h. Paths, bodies and codes: the service's two API generations, one under
 * /v1/session, one under /v1/sessions; /v1/pair, /health and /v1/stats are the same in both. */
#include "session/client/exchange.h"

#include "base/json.h"
#include "session/client/names.h"

#define ANSWER_ERROR_MAX 128

static bool has_spelling(enum nx_call_kind kind)
{
    switch (kind) {
    case NX_CALL_PAIR:
    case NX_CALL_CLAIM:
    case NX_CALL_PAIR_STATUS:
    case NX_CALL_HEALTH:
    case NX_CALL_STATS:
        return false;
    case NX_CALL_CREATE:
    case NX_CALL_STATUS:
    case NX_CALL_JOIN:
    case NX_CALL_SEND:
    case NX_CALL_POLL:
    case NX_CALL_RENEW:
    case NX_CALL_LEAVE:
        return true;
    }
    return false;
}

static const char *method_of(enum nx_call_kind kind)
{
    switch (kind) {
    case NX_CALL_CREATE:
    case NX_CALL_PAIR:
        return "PUT";
    case NX_CALL_JOIN:
    case NX_CALL_CLAIM:
    case NX_CALL_SEND:
    case NX_CALL_RENEW:
        return "POST";
    case NX_CALL_LEAVE:
        return "DELETE";
    case NX_CALL_STATUS:
    case NX_CALL_PAIR_STATUS:
    case NX_CALL_POLL:
    case NX_CALL_HEALTH:
    case NX_CALL_STATS:
        return "GET";
    }
    return "GET";
}

static bool needs_session(enum nx_call_kind kind)
{
    return kind == NX_CALL_PAIR || (has_spelling(kind) && kind != NX_CALL_CREATE);
}

static bool needs_code(enum nx_call_kind kind)
{
    return kind == NX_CALL_CLAIM || kind == NX_CALL_PAIR_STATUS;
}

static bool call_valid(const struct nx_call *call)
{
    struct nx_json value;

    if (needs_session(call->kind) && !nx_name_id_valid(call->session_id))
        return false;
    if (needs_code(call->kind) && !nx_name_code_valid(call->code))
        return false;
    if (call->agent_id.ptr && !nx_name_id_valid(call->agent_id))
        return false;
    if (call->kind == NX_CALL_LEAVE && !call->agent_id.ptr)
        return false;
    if (call->session_key.ptr && !nx_name_key_valid(call->session_key))
        return false;
    if (call->kind == NX_CALL_SEND && !call->text.ptr && !call->json.ptr)
        return false;
    if (call->json.ptr && nx_json_parse(call->json, &value, NULL) < 0)
        return false;
    return call->ttl_s >= 0 && call->max_agents >= 0;
}

/* Percent-encodes all but the unreserved (RFC 3986 section 2.3). */
static void append_encoded(struct nx_buf *to, struct nx_bytes text)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                c == '-' || c == '.' || c == '_' || c == '~') {
            nx_buf_append_char(to, (char)c);
        } else {
            nx_buf_append_char(to, '%');
            nx_buf_append_char(to, hex[c >> 4]);
            nx_buf_append_char(to, hex[c & 15]);
        }
    }
}

/* The next member's name, with the comma before it. */
static void append_key(struct nx_buf *to, const char *name)
{
    if (to->len > 1)
        nx_buf_append_char(to, ',');
    nx_json_append_string(to, nx_bytes_str(name));
    nx_buf_append_char(to, ':');
}

static void append_member(struct nx_buf *to, const char *name, struct nx_bytes value)
{
    if (!value.ptr)
        return;
    append_key(to, name);
    nx_json_append_string(to, value);
}

static void append_number(struct nx_buf *to, const char *name, int64_t value)
{
    if (value == 0)
        return;
    append_key(to, name);
    nx_buf_append_i64(to, value);
}

static void build_body(struct nx_exchange *exchange, const struct nx_call *call)
{
    struct nx_buf *to = &exchange->body;

    exchange->has_body = call->kind == NX_CALL_CREATE || call->kind == NX_CALL_PAIR ||
                         call->kind == NX_CALL_SEND || call->kind == NX_CALL_RENEW;
    if (!exchange->has_body)
        return;
    nx_buf_append_char(to, '{');
    if (call->kind == NX_CALL_PAIR) {
        append_member(to, "sessionId", call->session_id);
    } else if (call->kind == NX_CALL_SEND) {
        append_member(to, "text", call->text);
        if (call->json.ptr) {
            append_key(to, "json");
            nx_buf_append(to, call->json);
        }
    } else {
        append_number(to, "ttl", call->ttl_s);
    }
    if (call->kind == NX_CALL_CREATE) {
        append_number(to, "maxAgents", call->max_agents);
        append_member(to, "greeting", call->greeting);
        append_member(to, "creatorAgentId", call->creator_agent_id);
    }
    nx_buf_append_char(to, '}');
}

static void build_query(struct nx_exchange *exchange, const struct nx_call *call)
{
    struct nx_buf *to = &exchange->query;

    if (call->kind != NX_CALL_POLL)
        return;
    if (call->after.ptr) {
        NX_BUF_LIT(to, "?after=");
        append_encoded(to, call->after);
    }
    if (call->members) {
        nx_buf_append_char(to, call->after.ptr ? '&' : '?');
        NX_BUF_LIT(to, "members=true");
    }
}

static void build_path(struct nx_exchange *exchange, enum nx_call_kind kind)
{
    struct nx_buf *to = &exchange->path;

    nx_buf_clear(to);
    switch (kind) {
    case NX_CALL_HEALTH:
        NX_BUF_LIT(to, "/health");
        return;
    case NX_CALL_STATS:
        NX_BUF_LIT(to, "/v1/stats");
        return;
    case NX_CALL_PAIR:
        NX_BUF_LIT(to, "/v1/pair");
        return;
    case NX_CALL_CLAIM:
    case NX_CALL_PAIR_STATUS:
        NX_BUF_LIT(to, "/v1/pair/");
        append_encoded(to, nx_buf_bytes(&exchange->code));
        nx_buf_append_str(to, kind == NX_CALL_CLAIM ? "/claim" : "/status");
        return;
    case NX_CALL_CREATE:
    case NX_CALL_STATUS:
    case NX_CALL_JOIN:
    case NX_CALL_SEND:
    case NX_CALL_POLL:
    case NX_CALL_RENEW:
    case NX_CALL_LEAVE:
        break;
    }
    nx_buf_append_str(to, exchange->generation == 1 ? "/v1/session" : "/v1/sessions");
    if (kind == NX_CALL_CREATE)
        return;
    nx_buf_append_char(to, '/');
    append_encoded(to, nx_buf_bytes(&exchange->session_id));
    if (kind == NX_CALL_JOIN)
        NX_BUF_LIT(to, "/join");
    else if (kind == NX_CALL_RENEW)
        NX_BUF_LIT(to, "/renew");
    else if (kind == NX_CALL_SEND || kind == NX_CALL_POLL)
        NX_BUF_LIT(to, "/messages");
    if (kind == NX_CALL_POLL)
        nx_buf_append(to, nx_buf_bytes(&exchange->query));
    if (kind == NX_CALL_LEAVE) {
        NX_BUF_LIT(to, "/agents/");
        append_encoded(to, nx_buf_bytes(&exchange->agent_id));
    }
}

/* Points the request at what the buffers hold; the leave's question for the status is bare. */
static int set_request(struct nx_exchange *exchange, enum nx_call_kind kind)
{
    struct nx_exchange_request *request = &exchange->request;
    bool bare = kind != exchange->kind;

    build_path(exchange, kind);
    *request = (struct nx_exchange_request){.method = method_of(kind)};
    request->path = nx_buf_str(&exchange->path);
    if (exchange->agent_id.len > 0)
        request->agent_id = nx_buf_str(&exchange->agent_id);
    if (exchange->session_key.len > 0 && !bare)
        request->session_key = nx_buf_str(&exchange->session_key);
    if (exchange->has_body && !bare)
        request->body = nx_buf_bytes(&exchange->body);
    if (exchange->path.error)
        return exchange->path.error;
    return exchange->agent_id.error ? exchange->agent_id.error : exchange->session_key.error;
}

int nx_exchange_start(struct nx_exchange *exchange, const struct nx_mem *mem,
        const struct nx_call *call, int generation, size_t bytes_max)
{
    struct nx_buf *const all[] = {&exchange->session_id, &exchange->code, &exchange->agent_id,
            &exchange->session_key, &exchange->query, &exchange->path, &exchange->body,
            &exchange->answer.body};

    *exchange = (struct nx_exchange){.mem = mem, .kind = call->kind};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        nx_buf_init(all[i], mem, bytes_max);
    if (!call_valid(call))
        return NX_E_INVALID;
    exchange->generation = generation == 1 ? 1 : 2;
    nx_buf_append(&exchange->session_id, call->session_id);
    nx_buf_append(&exchange->code, call->code);
    nx_buf_append(&exchange->agent_id, call->agent_id);
    nx_buf_append(&exchange->session_key, call->session_key);
    build_query(exchange, call);
    build_body(exchange, call);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i]->error)
            return all[i]->error;
    }
    return set_request(exchange, exchange->kind);
}

void nx_exchange_done(struct nx_exchange *exchange)
{
    nx_wipe(exchange->session_key.ptr, exchange->session_key.len);
    nx_buf_done(&exchange->session_id);
    nx_buf_done(&exchange->code);
    nx_buf_done(&exchange->agent_id);
    nx_buf_done(&exchange->session_key);
    nx_buf_done(&exchange->query);
    nx_buf_done(&exchange->path);
    nx_buf_done(&exchange->body);
    nx_buf_done(&exchange->answer.body);
}

static bool error_is(struct nx_bytes error, const char *code)
{
    return nx_bytes_equal(error, nx_bytes_str(code));
}

/* The code in {"error":"…"} as it is written (codes hold nothing to unescape); empty when there
 * is none. */
static struct nx_bytes error_of(struct nx_bytes body, bool *ret_json)
{
    struct nx_json value, error;

    *ret_json = nx_json_parse(body, &value, NULL) == 0;
    if (!*ret_json || !nx_json_get(&value, NX_BYTES("error"), &error) ||
            error.kind != NX_JSON_STRING)
        return (struct nx_bytes){NULL, 0};
    return nx_json_string_raw(&error);
}

/* A 404 of the router: nothing under this path. One of the sessions names what is missing. */
static bool is_unknown_path(int status, struct nx_bytes error)
{
    return status == 404 && !error_is(error, "session_not_found") &&
           !error_is(error, "agent_not_found");
}

enum nx_leave_outcome nx_leave_decide(int status, struct nx_bytes error, bool *ret_ask)
{
    *ret_ask = error_is(error, "invalid_session_key");
    if (status >= 200 && status < 300)
        return NX_LEAVE_GONE;
    if (error_is(error, "session_not_found") || error_is(error, "agent_not_found"))
        return NX_LEAVE_GONE;
    return NX_LEAVE_KEPT;
}

/* Is the agent among `list`: ids, or objects that name one? */
static bool lists_agent(const struct nx_json *list, struct nx_bytes agent_id)
{
    struct nx_json_iter iter;
    struct nx_json entry, id;

    nx_json_iter_init(&iter, list);
    while (nx_json_next(&iter, NULL, &entry)) {
        if (entry.kind == NX_JSON_STRING && nx_json_string_equal(&entry, agent_id))
            return true;
        if (entry.kind == NX_JSON_OBJECT && nx_json_get(&entry, NX_BYTES("agentId"), &id) &&
                id.kind == NX_JSON_STRING && nx_json_string_equal(&id, agent_id))
            return true;
    }
    return false;
}

/* The session's status after a leave with a wrong key: gone when the session is, or when it lists
 * its agents and ours is none of them. */
static enum nx_leave_outcome leave_after_status(
        const struct nx_exchange *exchange, int status, struct nx_bytes body)
{
    struct nx_bytes agent_id = nx_buf_bytes(&exchange->agent_id);
    struct nx_json value, list;
    bool listed = false;

    if (nx_json_parse(body, &value, NULL) < 0)
        return NX_LEAVE_KEPT;
    if (status == 404)
        return NX_LEAVE_GONE;
    if (status != 200)
        return NX_LEAVE_KEPT;
    if (nx_json_get(&value, NX_BYTES("agents"), &list) && list.kind == NX_JSON_ARRAY) {
        listed = true;
        if (lists_agent(&list, agent_id))
            return NX_LEAVE_KEPT;
    }
    if (nx_json_get(&value, NX_BYTES("members"), &list) && list.kind == NX_JSON_ARRAY) {
        listed = true;
        if (lists_agent(&list, agent_id))
            return NX_LEAVE_KEPT;
    }
    return listed ? NX_LEAVE_GONE : NX_LEAVE_KEPT;
}

static int keep(struct nx_exchange *exchange, int status, bool json, struct nx_bytes body)
{
    nx_buf_clear(&exchange->answer.body);
    nx_buf_append(&exchange->answer.body, body);
    exchange->answer.status = status;
    exchange->answer.json = json;
    return nx_buf_error(&exchange->answer.body);
}

/* The answer that counts is kept; a leave may want one more question. */
static int settle(struct nx_exchange *exchange)
{
    struct nx_bytes body = nx_buf_bytes(&exchange->answer.body);
    int status = exchange->answer.status;
    struct nx_bytes error;
    bool json, ask;
    int r;

    exchange->stage = NX_EXCHANGE_DONE;
    if (exchange->kind != NX_CALL_LEAVE)
        return 0;
    error = error_of(body, &json);
    exchange->leave = nx_leave_decide(status, error, &ask);
    /* A page of some gateway in place of the answer has removed nobody. 204 has no body. */
    if (!json && !(status == 204 && body.len == 0))
        exchange->leave = NX_LEAVE_KEPT;
    if (!ask)
        return 0;
    exchange->stage = NX_EXCHANGE_STATUS;
    r = set_request(exchange, NX_CALL_STATUS);
    return r < 0 ? r : 1;
}

/* Did this answer come from a service that knows the spelling? */
static bool knows_spelling(int status, bool json, struct nx_bytes error)
{
    return json && status > 0 && status < 500 && !is_unknown_path(status, error);
}

static int take_first(struct nx_exchange *exchange, int status, struct nx_bytes body)
{
    struct nx_bytes error;
    bool json;
    int r;

    error = error_of(body, &json);
    r = keep(exchange, status, json, body);
    if (r < 0)
        return r;
    if (!has_spelling(exchange->kind) || !is_unknown_path(status, error)) {
        if (has_spelling(exchange->kind) && knows_spelling(status, json, error))
            exchange->answered_by = exchange->generation;
        return settle(exchange);
    }
    exchange->stage = NX_EXCHANGE_OTHER;
    exchange->generation = exchange->generation == 1 ? 2 : 1;
    r = set_request(exchange, exchange->kind);
    return r < 0 ? r : 1;
}

/* The second answer counts only when it comes from the service: a router's 404, a gateway's page
 * or silence leaves the first one standing. */
static int take_other(struct nx_exchange *exchange, int status, struct nx_bytes body)
{
    struct nx_bytes error;
    bool json;
    int r;

    error = error_of(body, &json);
    if (knows_spelling(status, json, error) || (status == 204 && body.len == 0)) {
        exchange->answered_by = exchange->generation;
        r = keep(exchange, status, json, body);
        if (r < 0)
            return r;
    } else {
        exchange->generation = exchange->generation == 1 ? 2 : 1;
    }
    return settle(exchange);
}

int nx_exchange_answer(struct nx_exchange *exchange, int status, struct nx_bytes body)
{
    switch (exchange->stage) {
    case NX_EXCHANGE_FIRST:
        return take_first(exchange, status, body);
    case NX_EXCHANGE_OTHER:
        return take_other(exchange, status, body);
    case NX_EXCHANGE_STATUS:
        exchange->leave = leave_after_status(exchange, status, body);
        exchange->stage = NX_EXCHANGE_DONE;
        return 0;
    case NX_EXCHANGE_DONE:
        return NX_E_BUG;
    }
    return NX_E_BUG;
}
