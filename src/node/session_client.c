/* The public API of include/nexus/session.h: the exchange machine (session/client) run over libcurl
 * (io/http_client). */
#include "nexus/session.h"

#include <assert.h>

#include "io/http_client.h"
#include "node/session_result.h"
#include "session/client/exchange.h"
#include "session/client/names.h"

#define BODY_BYTES_MAX     ((size_t)32 << 20)
#define TIMEOUT_DEFAULT_MS 10000
#define TTL_DEFAULT_S      3660

static_assert((int)NX_SESSION_E_NOMEM == (int)NX_E_NOMEM, "one error enum");
static_assert((int)NX_SESSION_E_LIMIT == (int)NX_E_LIMIT, "one error enum");
static_assert((int)NX_SESSION_E_INVALID == (int)NX_E_INVALID, "one error enum");
static_assert((int)NX_SESSION_E_TOO_LARGE == (int)NX_E_TOO_LARGE, "one error enum");
static_assert((int)NX_SESSION_E_TIMEOUT == (int)NX_E_TIMEOUT, "one error enum");
static_assert((int)NX_SESSION_E_NETWORK == (int)NX_E_NETWORK, "one error enum");
static_assert((int)NX_SESSION_E_TLS == (int)NX_E_TLS, "one error enum");
static_assert((int)NX_SESSION_E_BUG == (int)NX_E_BUG, "one error enum");

struct nx_session_client {
    const struct nx_mem *mem;
    struct nx_http_client *http;
    struct nx_buf url;
    char *user_agent;
    int64_t timeout_ms;
    int generation;
    const char *fault; /* static, or http's; NULL: none */
};

int nx_session_client_new(const char *url, struct nx_session_client **ret_client)
{
    const struct nx_mem *mem = nx_mem_libc();
    struct nx_session_client *client;
    int r;

    if (!url || !ret_client)
        return NX_E_INVALID;
    client = nx_mem_zalloc(mem, 1, sizeof(*client));
    if (!client)
        return NX_E_NOMEM;
    client->mem = mem;
    client->timeout_ms = TIMEOUT_DEFAULT_MS;
    nx_buf_init(&client->url, mem, NX_SERVER_URL_MAX + 1);
    r = nx_server_url_append(&client->url, nx_bytes_str(url), NULL);
    (void)nx_buf_str(&client->url);
    if (r == 0)
        r = nx_buf_error(&client->url);
    if (r == 0)
        r = nx_http_client_new(mem, "libnexus-session/0.1", &client->http);
    if (r < 0) {
        nx_session_client_free(client);
        return r;
    }
    *ret_client = client;
    return 0;
}

void nx_session_client_free(struct nx_session_client *client)
{
    if (!client)
        return;
    nx_http_client_free(client->http);
    nx_buf_done(&client->url);
    nx_mem_free(client->mem, client->user_agent);
    nx_mem_free(client->mem, client);
}

const char *nx_session_client_url(const struct nx_session_client *client)
{
    return client->url.ptr;
}

void nx_session_client_set_timeout(struct nx_session_client *client, int64_t timeout_ms)
{
    client->timeout_ms = timeout_ms < 1 ? 1 : timeout_ms > INT32_MAX ? INT32_MAX : timeout_ms;
}

int nx_session_client_set_user_agent(struct nx_session_client *client, const char *name)
{
    size_t len = name ? strlen(name) : 0;
    char *copy;

    if (len == 0 || len > 256)
        return NX_E_INVALID;
    for (size_t i = 0; i < len; i++) {
        if (name[i] < 0x20 || name[i] == 0x7f)
            return NX_E_INVALID;
    }
    copy = nx_mem_strndup(client->mem, name, len);
    if (!copy)
        return NX_E_NOMEM;
    nx_mem_free(client->mem, client->user_agent);
    client->user_agent = copy;
    return 0;
}

void nx_session_client_set_generation(struct nx_session_client *client, int generation)
{
    client->generation = generation == 1 || generation == 2 ? generation : 0;
}

int nx_session_client_generation(const struct nx_session_client *client)
{
    return client->generation;
}

const char *nx_session_client_fault(const struct nx_session_client *client)
{
    return client->fault ? client->fault : "";
}

const char *nx_session_client_strerror(int error)
{
    return nx_error_text(error);
}

/* Sends the request that is out. Returns 0 or why no answer came. */
static int send_request(struct nx_session_client *client, const struct nx_exchange_request *request,
        struct nx_buf *to, int *ret_status)
{
    struct nx_http_client_header headers[5] = {{"Accept", "application/json"}};
    struct nx_http_client_request http = {.method = request->method, .headers = headers};
    struct nx_buf url;
    int r;

    http.header_count = 1;
    if (request->agent_id)
        headers[http.header_count++] =
                (struct nx_http_client_header){"X-Agent-Id", request->agent_id};
    if (request->session_key)
        headers[http.header_count++] =
                (struct nx_http_client_header){"X-Session-Key", request->session_key};
    if (request->body.ptr)
        headers[http.header_count++] =
                (struct nx_http_client_header){"Content-Type", "application/json"};
    if (client->user_agent)
        headers[http.header_count++] =
                (struct nx_http_client_header){"User-Agent", client->user_agent};
    http.body = request->body;
    http.timeout_ms = client->timeout_ms;
    nx_buf_init(&url, client->mem, 2 * (size_t)NX_SERVER_URL_MAX);
    nx_buf_append_str(&url, client->url.ptr);
    nx_buf_append_str(&url, request->path);
    http.url = nx_buf_str(&url);
    r = nx_buf_error(&url);
    if (r == 0)
        r = nx_http_client_perform(client->http, &http, to, ret_status);
    nx_buf_done(&url);
    return r;
}

static int finish(struct nx_session_client *client, struct nx_exchange *exchange,
        struct nx_session_client_result **ret_result)
{
    int r = nx_session_result_make(
            client->mem, exchange->answer.status, &exchange->answer.body, ret_result);

    if (r < 0) {
        client->fault = r == NX_E_LIMIT ? "the answer lists too much" : nx_error_text(r);
        return r;
    }
    (*ret_result)->generation = exchange->answered_by;
    (*ret_result)->gone = exchange->leave == NX_LEAVE_GONE;
    if (exchange->answered_by)
        client->generation = exchange->answered_by;
    client->fault = NULL;
    return 0;
}

/* Runs the machine to its end. When no answer comes to the first request, that is the result. */
static int run(struct nx_session_client *client, const struct nx_call *call,
        struct nx_session_client_result **ret_result)
{
    struct nx_exchange exchange;
    struct nx_buf body;
    int status = 0;
    int failed = 0;
    int r;

    client->fault = NULL;
    nx_buf_init(&body, client->mem, BODY_BYTES_MAX);
    r = nx_exchange_start(&exchange, client->mem, call, client->generation, BODY_BYTES_MAX);
    if (r < 0)
        client->fault = nx_error_text(r);
    else
        r = 1;
    while (r == 1) {
        status = 0;
        failed = send_request(client, &exchange.request, &body, &status);
        if (failed < 0)
            nx_buf_clear(&body);
        r = nx_exchange_answer(&exchange, failed < 0 ? 0 : status, nx_buf_bytes(&body));
    }
    if (r == 0 && exchange.answer.status == 0) {
        r = failed < 0 ? failed : NX_E_NETWORK;
        client->fault = nx_http_client_fault(client->http);
        if (!client->fault[0])
            client->fault = nx_error_text(r);
    } else if (r == 0) {
        r = finish(client, &exchange, ret_result);
    }
    if (body.ptr)
        nx_wipe(body.ptr, body.len);
    nx_buf_done(&body);
    nx_exchange_done(&exchange);
    return r;
}

int nx_session_client_create(struct nx_session_client *client,
        const struct nx_session_client_create *options,
        struct nx_session_client_result **ret_result)
{
    struct nx_call call = {.kind = NX_CALL_CREATE, .ttl_s = TTL_DEFAULT_S};

    if (options) {
        call.ttl_s = options->ttl ? options->ttl : TTL_DEFAULT_S;
        call.max_agents = options->max_agents;
        call.greeting = nx_bytes_str(options->greeting);
        call.creator_agent_id = nx_bytes_str(options->creator_agent_id);
    }
    return run(client, &call, ret_result);
}

int nx_session_client_status(struct nx_session_client *client, const char *session_id,
        struct nx_session_client_result **ret_result)
{
    struct nx_call call = {.kind = NX_CALL_STATUS, .session_id = nx_bytes_str(session_id)};

    return run(client, &call, ret_result);
}

int nx_session_client_join(struct nx_session_client *client, const char *session_id,
        const char *agent_id, const char *session_key, struct nx_session_client_result **ret_result)
{
    struct nx_call call = {
            .kind = NX_CALL_JOIN,
            .session_id = nx_bytes_str(session_id),
            .agent_id = nx_bytes_str(agent_id),
            .session_key = nx_bytes_str(session_key),
    };

    return run(client, &call, ret_result);
}

int nx_session_client_pair(struct nx_session_client *client, const char *session_id,
        struct nx_session_client_result **ret_result)
{
    struct nx_call call = {.kind = NX_CALL_PAIR, .session_id = nx_bytes_str(session_id)};

    return run(client, &call, ret_result);
}

int nx_session_client_claim(struct nx_session_client *client, const char *code,
        const char *agent_id, struct nx_session_client_result **ret_result)
{
    struct nx_call call = {
            .kind = NX_CALL_CLAIM,
            .code = nx_bytes_str(code),
            .agent_id = nx_bytes_str(agent_id),
    };

    return run(client, &call, ret_result);
}

int nx_session_client_pair_status(struct nx_session_client *client, const char *code,
        struct nx_session_client_result **ret_result)
{
    struct nx_call call = {.kind = NX_CALL_PAIR_STATUS, .code = nx_bytes_str(code)};

    return run(client, &call, ret_result);
}

int nx_session_client_send(struct nx_session_client *client,
        const struct nx_session_client_send *message, struct nx_session_client_result **ret_result)
{
    struct nx_call call = {
            .kind = NX_CALL_SEND,
            .session_id = nx_bytes_str(message->session_id),
            .agent_id = nx_bytes_str(message->agent_id),
            .session_key = nx_bytes_str(message->session_key),
            .text = nx_bytes_str(message->text),
            .json = nx_bytes_str(message->json),
    };

    return run(client, &call, ret_result);
}

int nx_session_client_poll(struct nx_session_client *client, const char *session_id,
        const char *agent_id, const char *after, int members,
        struct nx_session_client_result **ret_result)
{
    struct nx_call call = {
            .kind = NX_CALL_POLL,
            .session_id = nx_bytes_str(session_id),
            .agent_id = nx_bytes_str(agent_id),
            .after = nx_bytes_str(after),
            .members = members != 0,
    };

    return run(client, &call, ret_result);
}

int nx_session_client_renew(struct nx_session_client *client, const char *session_id,
        const char *agent_id, int64_t ttl, struct nx_session_client_result **ret_result)
{
    struct nx_call call = {
            .kind = NX_CALL_RENEW,
            .session_id = nx_bytes_str(session_id),
            .agent_id = nx_bytes_str(agent_id),
            .ttl_s = ttl,
    };

    return run(client, &call, ret_result);
}

int nx_session_client_leave(struct nx_session_client *client, const char *session_id,
        const char *agent_id, const char *session_key, struct nx_session_client_result **ret_result)
{
    struct nx_call call = {
            .kind = NX_CALL_LEAVE,
            .session_id = nx_bytes_str(session_id),
            .agent_id = nx_bytes_str(agent_id),
            .session_key = nx_bytes_str(session_key),
    };

    return run(client, &call, ret_result);
}

int nx_session_client_health(
        struct nx_session_client *client, struct nx_session_client_result **ret_result)
{
    struct nx_call call = {.kind = NX_CALL_HEALTH};

    return run(client, &call, ret_result);
}

int nx_session_client_stats(
        struct nx_session_client *client, struct nx_session_client_result **ret_result)
{
    struct nx_call call = {.kind = NX_CALL_STATS};

    return run(client, &call, ret_result);
}
