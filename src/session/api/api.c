/* Reading a request and running it: the two halves of api.h. */
#include "session/api/internal.h"

#include "session/pages/pages.h"

#define BODY_MAX       ((size_t)256 * 1024 * 1024)
#define KEEP_BYTES_MAX ((size_t)256 * 1024) /* of one buffer, from one request to the next */

void nx_api_init(
        struct nx_api *api, const struct nx_mem *mem, const struct nx_api_settings *settings)
{
    *api = (struct nx_api){.settings = settings};
    nx_buf_init(&api->text, mem, BODY_MAX);
    nx_buf_init(&api->cleaned, mem, BODY_MAX);
    nx_buf_init(&api->decoded, mem, BODY_MAX);
    nx_buf_init(&api->redacted_text, mem, BODY_MAX);
    nx_buf_init(&api->origin, mem, 1024);
    nx_buf_init(&api->answer.headers, mem, 4096);
    nx_buf_init(&api->answer.body, mem, BODY_MAX);
}

static void trim(struct nx_buf *buf)
{
    if (buf->capacity > KEEP_BYTES_MAX)
        nx_buf_done(buf);
}

void nx_api_trim(struct nx_api *api)
{
    trim(&api->text);
    trim(&api->cleaned);
    trim(&api->decoded);
    trim(&api->redacted_text);
    trim(&api->answer.body);
}

void nx_api_done(struct nx_api *api)
{
    nx_buf_done(&api->text);
    nx_buf_done(&api->cleaned);
    nx_buf_done(&api->decoded);
    nx_buf_done(&api->redacted_text);
    nx_buf_done(&api->origin);
    nx_buf_done(&api->answer.headers);
    nx_buf_done(&api->answer.body);
}

/* A Host that may stand in a link: a name or address with an optional port. */
static bool host_is_sane(struct nx_bytes host)
{
    if (host.len == 0 || host.len > 255)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    memchr(".-:[]_", c, 6)))
            return false;
    }
    return true;
}

static struct nx_bytes base_url(
        struct nx_api *api, const struct nx_http1_request *request, struct nx_bytes origin)
{
    struct nx_bytes host;

    if (api->settings->public_url.len > 0)
        return api->settings->public_url;
    host = nx_http1_header(request, NX_BYTES("host"));
    if (!host_is_sane(host))
        return origin;
    nx_buf_clear(&api->origin);
    NX_BUF_LIT(&api->origin, "http://");
    nx_buf_append(&api->origin, host);
    return nx_buf_error(&api->origin) < 0 ? origin : nx_buf_bytes(&api->origin);
}

/* Only these answers show the service's own address. */
static bool needs_base_url(enum nx_api_route route)
{
    return route == NX_API_PAIR || route == NX_API_CODE_PAGE || route == NX_API_SELF_PAGE ||
           route == NX_API_SELF_SKILL || route == NX_API_SCRIPT;
}

int nx_api_read(struct nx_api *api, const struct nx_http1_request *request, struct nx_bytes origin,
        struct nx_api_call *ret_call)
{
    int r;

    *ret_call = (struct nx_api_call){.route = NX_API_NONE};
    r = route_find(api, request, ret_call);
    if (r == 0)
        r = body_read(api, request, ret_call);
    if (r == NX_E_TOO_LARGE)
        r = refuse(api, 413, "payload_too_large", "The request is too large.", NULL, NULL);
    if (r < 0)
        return r;
    if (r > 0) {
        ret_call->route = NX_API_NONE;
        ret_call->place = NX_API_ANYWHERE;
    } else if (needs_base_url(ret_call->route)) {
        ret_call->base_url = base_url(api, request, origin);
    }
    return 0;
}

static const struct {
    unsigned status;
    const char *code;
    const char *message;
} refusals[] = {
        [NX_REFUSE_SESSION_NOT_FOUND] = {404, "session_not_found", "Session not found."},
        [NX_REFUSE_SESSION_FULL] = {409, "session_full", "This session has all its members."},
        [NX_REFUSE_AGENT_ID_TAKEN] = {409, "agent_id_taken",
                "A member has this id already. If it is you, send your X-Session-Key along."},
        [NX_REFUSE_NOT_JOINED] = {403, "forbidden", "Join the session before you send to it."},
        [NX_REFUSE_NOT_MEMBER] = {403, "agent_not_in_session",
                "You are no member of this session; join it first."},
        [NX_REFUSE_WRONG_KEY] = {403, "invalid_session_key",
                "The X-Session-Key is not this member's."},
        [NX_REFUSE_AGENT_NOT_FOUND] = {404, "agent_not_found", "Agent not found in this session."},
        [NX_REFUSE_CREATOR_STAYS] = {403, "forbidden", "Who created a session cannot leave it."},
        [NX_REFUSE_CODE_NOT_FOUND] = {404, "code_not_found", "There is no such pairing code."},
        [NX_REFUSE_CODE_USED] = {404, "code_expired_or_used",
                "This pairing code has expired or was used already. Ask for a new one."},
        [NX_REFUSE_TOO_MANY_CODES] = {409, "too_many_codes",
                "This session has as many pairing codes as it may have."},
        [NX_REFUSE_MESSAGES_FULL] = {413, "payload_too_large",
                "This session holds as many message bytes as it may. Start a new one."},
        [NX_REFUSE_NO_ROOM] = {503, "service_unavailable",
                "The service holds as much as it may. Try again later."},
};

static int refused(struct nx_api *api, const struct nx_api_call *call, int refusal)
{
    unsigned status = refusals[refusal].status;

    /* Leaving proves who one is; that is 401's matter (the wire's table). */
    if (refusal == NX_REFUSE_WRONG_KEY && call->route == NX_API_LEAVE)
        status = 401;
    return with_retry_after(api,
            nx_api_error(
                    api, status, refusals[refusal].code, refusals[refusal].message, NULL, NULL),
            status == 503 ? RETRY_AFTER_S : 0);
}

static void put_string(struct nx_buf *body, const char *name, struct nx_bytes value)
{
    /* For values without a character to escape: ids, keys, codes, times. */
    nx_buf_append_str(body, name);
    NX_BUF_LIT(body, "\"");
    nx_buf_append(body, value);
    NX_BUF_LIT(body, "\"");
}

static void put_time(struct nx_buf *body, const char *name, int64_t wall_ms)
{
    char text[NX_RFC3339_LEN];

    nx_time_rfc3339(wall_ms, text);
    put_string(body, name, nx_bytes_of(text, sizeof(text)));
}

static void put_number(struct nx_buf *body, const char *name, int64_t value)
{
    nx_buf_append_str(body, name);
    nx_buf_append_i64(body, value);
}

static struct nx_bytes agent_id(const struct nx_agent *agent)
{
    return nx_bytes_of(agent->id, agent->id_len);
}

static void put_agents(struct nx_buf *body, const struct nx_session_view *view)
{
    NX_BUF_LIT(body, ",\"agents\":[");
    for (size_t i = 0; i < view->agent_count; i++)
        put_string(body, i > 0 ? "," : "", agent_id(&view->agents[i]));
    NX_BUF_LIT(body, "]");
}

static int create(struct nx_api *api, struct nx_sessions *sessions, struct nx_time now,
        struct nx_api_call *call)
{
    struct nx_buf *body = &api->answer.body;
    struct nx_session_view view;
    int r = nx_sessions_create(sessions, now, &call->create, &view);

    if (r != 0)
        return r;
    answer_begin(api, 201);
    put_string(body, "{\"sessionId\":", view.id);
    put_number(body, ",\"ttl\":", view.ttl_s);
    put_number(body, ",\"maxAgents\":", view.agents_max);
    NX_BUF_LIT(body, ",\"state\":\"active\"");
    if (view.creator.len > 0) {
        put_string(body, ",\"creatorAgentId\":", view.creator);
        put_string(body, ",\"sessionKey\":", nx_bytes_of(view.agents[0].key, NX_SESSION_KEY_LEN));
    }
    NX_BUF_LIT(body, "}");
    return 0;
}

static int status(struct nx_api *api, struct nx_sessions *sessions, struct nx_time now,
        struct nx_api_call *call)
{
    struct nx_buf *body = &api->answer.body;
    struct nx_session_view view;
    int r = nx_sessions_status(sessions, now, call->session, &view);

    if (r != 0)
        return r;
    answer_begin(api, 200);
    put_string(body, "{\"sessionId\":", view.id);
    NX_BUF_LIT(body, ",\"state\":\"active\"");
    put_agents(body, &view);
    NX_BUF_LIT(body, ",\"members\":[");
    for (size_t i = 0; i < view.agent_count; i++) {
        put_string(body, i > 0 ? ",{\"agentId\":" : "{\"agentId\":", agent_id(&view.agents[i]));
        put_time(body, ",\"joinedAt\":", view.agents[i].joined_wall_ms);
        put_time(body, ",\"lastSeenAt\":", view.agents[i].seen.wall_ms);
        NX_BUF_LIT(body, "}");
    }
    put_number(body, "],\"ttl\":", view.ttl_s);
    put_number(body, ",\"maxAgents\":", view.agents_max);
    if (view.creator.len > 0)
        put_string(body, ",\"creatorAgentId\":", view.creator);
    if (view.greeting.len > 0) {
        NX_BUF_LIT(body, ",\"greeting\":");
        nx_buf_append(body, view.greeting);
    }
    put_time(body, ",\"createdAt\":", view.created_wall_ms);
    put_time(body, ",\"expiresAt\":", view.expires_wall_ms);
    NX_BUF_LIT(body, "}");
    return 0;
}

static int join(struct nx_api *api, struct nx_sessions *sessions, struct nx_time now,
        struct nx_api_call *call)
{
    struct nx_buf *body = &api->answer.body;
    struct nx_joined joined;
    int r = nx_sessions_join(
            sessions, now, call->session, call->agent, call->key, call->v1, &joined);

    if (r != 0)
        return r;
    answer_begin(api, 200);
    put_string(body, "{\"status\":\"joined\",\"sessionId\":", joined.view.id);
    put_number(body, ",\"agentsOnline\":", (int64_t)joined.view.agent_count);
    if (joined.key.len > 0)
        put_string(body, ",\"sessionKey\":", joined.key);
    put_time(body, ",\"expiresAt\":", joined.view.expires_wall_ms);
    NX_BUF_LIT(body, "}");
    return 0;
}

static int send(struct nx_api *api, struct nx_sessions *sessions, struct nx_time now,
        struct nx_api_call *call)
{
    struct nx_buf *body = &api->answer.body;
    struct nx_sent sent = {0};
    int r = nx_sessions_send(sessions, now, call->session, &call->send, &sent);

    if (r != 0)
        return r;
    answer_begin(api, 201);
    put_string(body, "{\"ok\":true,\"id\":", nx_bytes_of(sent.id, sizeof(sent.id)));
    put_string(body, ",\"messageId\":", nx_bytes_of(sent.id, sizeof(sent.id)));
    NX_BUF_LIT(body, ",\"cursor\":\"");
    nx_buf_append_u64(body, sent.cursor);
    put_time(body, "\",\"expiresAt\":", sent.expires_wall_ms);
    if (call->redacted.count > 0) {
        NX_BUF_LIT(body, ",\"redacted\":[");
        for (size_t i = 0; i < call->redacted.count; i++)
            put_string(body, i > 0 ? "," : "", nx_bytes_str(call->redacted.types[i]));
        NX_BUF_LIT(body, "]");
    }
    NX_BUF_LIT(body, "}");
    return 0;
}

static int poll(struct nx_api *api, struct nx_sessions *sessions, struct nx_time now,
        struct nx_api_call *call)
{
    struct nx_buf *body = &api->answer.body;
    struct nx_polled polled;
    struct nx_poll query = {
            .agent = call->agent,
            .all = call->after.len == 0,
            .bytes_max =
                    call->page_bytes_max > 0 ? call->page_bytes_max : api->settings->poll_bytes_max,
    };
    int r;

    /* A cursor too large for a number is beyond the last one all the same. */
    if (!query.all && !nx_bytes_u64(call->after, &query.after))
        query.after = UINT64_MAX;
    answer_begin(api, 200);
    NX_BUF_LIT(body, "{\"messages\":[");
    r = nx_sessions_poll(sessions, now, call->session, &query, body, &polled);
    if (r != 0)
        return r;
    NX_BUF_LIT(body, "],\"nextCursor\":\"");
    if (polled.count > 0)
        nx_buf_append_u64(body, polled.last);
    else
        nx_buf_append(body, query.all ? NX_BYTES("0") : call->after);
    NX_BUF_LIT(body, "\"");
    if (polled.more)
        NX_BUF_LIT(body, ",\"hasMore\":true");
    if (call->members) {
        NX_BUF_LIT(body, ",\"members\":[");
        for (size_t i = 0; i < polled.view.agent_count; i++) {
            const struct nx_agent *agent = &polled.view.agents[i];

            put_string(body, i > 0 ? ",{\"agentId\":" : "{\"agentId\":", agent_id(agent));
            put_time(body, ",\"lastSeenAt\":", agent->seen.wall_ms);
            NX_BUF_LIT(body, "}");
        }
        NX_BUF_LIT(body, "]");
    }
    NX_BUF_LIT(body, "}");
    return 0;
}

static int renew(struct nx_api *api, struct nx_sessions *sessions, struct nx_time now,
        struct nx_api_call *call)
{
    struct nx_buf *body = &api->answer.body;
    struct nx_session_view view;
    int r = nx_sessions_renew(sessions, now, call->session, call->agent, call->renew_ttl_s, &view);

    if (r != 0)
        return r;
    answer_begin(api, 200);
    put_string(body, "{\"sessionId\":", view.id);
    put_number(body, ",\"state\":\"active\",\"ttl\":", view.ttl_s);
    put_time(body, ",\"expiresAt\":", view.expires_wall_ms);
    put_agents(body, &view);
    NX_BUF_LIT(body, "}");
    return 0;
}

/* The checks in the order that clients rely on. */
static int leave(struct nx_api *api, struct nx_sessions *sessions, struct nx_time now,
        struct nx_api_call *call)
{
    struct nx_buf *body = &api->answer.body;
    struct nx_session_view view;
    int r = nx_sessions_status(sessions, now, call->session, &view);

    if (r != 0)
        return r;
    if (call->agent.len == 0)
        return nx_api_error(api, 400, "missing_agent_id",
                "Say who you are in the header X-Agent-Id.", "X-Agent-Id", "is missing");
    if (!nx_bytes_equal(call->agent, call->leaver))
        return nx_api_error(api, 403, "forbidden", "Only a member itself can leave.", NULL, NULL);
    if (call->key.len == 0)
        return nx_api_error(api, 401, "missing_session_key", "Leaving needs your X-Session-Key.",
                "X-Session-Key", "is missing");
    r = nx_sessions_leave(sessions, now, call->session, call->leaver, call->key);
    if (r != 0)
        return r;
    answer_begin(api, 200);
    put_string(body, "{\"ok\":true,\"sessionId\":", call->session);
    put_string(body, ",\"agentId\":", call->leaver);
    NX_BUF_LIT(body, ",\"message\":\"You have left the session.\",\"status\":\"removed\"}");
    return 0;
}

static int pair(struct nx_api *api, struct nx_sessions *sessions, struct nx_time now,
        struct nx_api_call *call)
{
    struct nx_buf *body = &api->answer.body;
    struct nx_code_view code;
    int r = nx_sessions_pair(sessions, now, call->session, &code);

    if (r != 0)
        return r;
    answer_begin(api, 201);
    put_string(body, "{\"code\":", code.code);
    NX_BUF_LIT(body, ",\"url\":\"");
    nx_buf_append(body, call->base_url);
    NX_BUF_LIT(body, "/p/");
    nx_buf_append(body, code.code);
    put_time(body, "\",\"expiresAt\":", code.expires_wall_ms);
    NX_BUF_LIT(body, "}");
    return 0;
}

static int claim(struct nx_api *api, struct nx_sessions *sessions, struct nx_time now,
        struct nx_api_call *call)
{
    struct nx_buf *body = &api->answer.body;
    struct nx_joined joined;
    int r = nx_sessions_claim(sessions, now, nx_bytes_of(call->code, call->code_len), call->agent,
            call->key, &joined);

    if (r != 0)
        return r;
    answer_begin(api, 200);
    put_string(body, "{\"sessionId\":", joined.view.id);
    put_string(body, ",\"status\":\"claimed\",\"sessionKey\":", joined.key);
    NX_BUF_LIT(body, "}");
    return 0;
}

static int code_status(struct nx_api *api, struct nx_sessions *sessions, struct nx_time now,
        struct nx_api_call *call)
{
    static const char *const names[] = {"pending", "claimed", "expired"};
    struct nx_code_view code;
    int r = nx_sessions_code(sessions, now, nx_bytes_of(call->code, call->code_len), &code);

    if (r != 0)
        return r;
    answer_begin(api, 200);
    put_string(&api->answer.body, "{\"state\":", nx_bytes_str(names[code.state]));
    NX_BUF_LIT(&api->answer.body, "}");
    return 0;
}

static void page_headers(struct nx_api *api, const char *type)
{
    nx_buf_clear(&api->answer.headers);
    nx_buf_printf(&api->answer.headers,
            "Content-Type: %s; charset=utf-8\r\nCache-Control: no-store\r\n"
            "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n",
            type);
}

static int page(struct nx_api *api, struct nx_sessions *sessions, struct nx_time now,
        struct nx_api_call *call)
{
    static const enum nx_page_code states[] = {
            NX_PAGE_CODE_PENDING, NX_PAGE_CODE_CLAIMED, NX_PAGE_CODE_EXPIRED};
    const struct nx_api_settings *settings = api->settings;
    char expires[NX_RFC3339_LEN];
    struct nx_code_view code;
    struct nx_page shown = {
            .base_url = call->base_url,
            .state = NX_PAGE_NO_CODE,
            .ttl_default_s = settings->ttl_default_s,
            .ttl_max_s = settings->ttl_max_s,
            .agents_default = settings->agents_default_v2,
            .agents_max = settings->agents_max,
    };

    if (call->route == NX_API_CODE_PAGE) {
        shown.state = NX_PAGE_CODE_UNKNOWN;
        shown.code = call->code_written;
        if (shown.code.len > 64)
            shown.code.len = 64;
        /* Asked even for what cannot be a code: the owner submits the changes of the last step,
         * and without a step of this call these would be another's, again. */
        if (nx_sessions_code(sessions, now, nx_bytes_of(call->code, call->code_len), &code) == 0) {
            shown.state = states[code.state];
            shown.code = code.code;
            nx_time_rfc3339(code.expires_wall_ms, expires);
            shown.expires_at = nx_bytes_of(expires, sizeof(expires));
        }
    }
    answer_begin(api, 200);
    page_headers(api, call->html ? "text/html" : "text/markdown");
    if (call->route != NX_API_SELF_SKILL)
        NX_BUF_LIT(&api->answer.headers, "Vary: Accept\r\n");
    if (call->html)
        nx_buf_printf(&api->answer.headers,
                "Content-Security-Policy: %s\r\nX-Frame-Options: DENY\r\n", nx_page_csp());
    if (call->route == NX_API_SCRIPT) {
        page_headers(api, "text/x-shellscript");
        nx_page_script(&api->answer.body, &shown);
    } else if (call->html) {
        nx_page_html(&api->answer.body, &shown);
    } else {
        nx_page_markdown(&api->answer.body, &shown);
    }
    return 0;
}

/* The short link leads to the skill; what cannot be a code is carried along escaped. */
static int code_link(struct nx_api *api, const struct nx_api_call *call)
{
    struct nx_buf *headers = &api->answer.headers;
    struct nx_bytes code =
            call->code_len > 0 ? nx_bytes_of(call->code, call->code_len) : call->code_written;

    answer_begin(api, 301);
    /* The service may stand below a path of a larger site. */
    NX_BUF_LIT(headers, "Location: ");
    nx_buf_append(headers, api->settings->public_url);
    NX_BUF_LIT(headers, "/v1/pair/");
    for (size_t i = 0; i < code.len && i < 64; i++) {
        char c = code.ptr[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-')
            nx_buf_append_char(headers, c);
        else
            nx_buf_printf(headers, "%%%02X", (unsigned)(unsigned char)c);
    }
    NX_BUF_LIT(headers, "/skill\r\n");
    NX_BUF_LIT(&api->answer.body, "{\"message\":\"See the Location header.\"}");
    return 0;
}

static int health(struct nx_api *api, const struct nx_api_call *call)
{
    struct nx_buf *body = &api->answer.body;

    answer_begin(api, 200);
    put_string(body, "{\"status\":\"ok\",\"version\":", nx_bytes_str(api->settings->version));
    put_number(body, ",\"uptime\":", call->uptime_s);
    NX_BUF_LIT(body, ",\"capabilities\":{\"messageFormat\":[\"text\",\"json\"]}}");
    return 0;
}

static int stats(struct nx_api *api, const struct nx_api_call *call)
{
    struct nx_buf *body = &api->answer.body;

    answer_begin(api, 200);
    put_number(body, "{\"activeSessions\":", (int64_t)call->totals.sessions);
    put_number(body, ",\"totalAgents\":", (int64_t)call->totals.agents);
    put_number(body, ",\"totalMessages\":", (int64_t)call->totals.messages);
    put_number(body, ",\"uptime\":", call->uptime_s);
    NX_BUF_LIT(body, "}");
    return 0;
}

static int dispatch(struct nx_api *api, struct nx_sessions *sessions, struct nx_time now,
        struct nx_api_call *call)
{
    switch (call->route) {
    case NX_API_CREATE:
        return create(api, sessions, now, call);
    case NX_API_STATUS:
        return status(api, sessions, now, call);
    case NX_API_JOIN:
        return join(api, sessions, now, call);
    case NX_API_SEND:
        return send(api, sessions, now, call);
    case NX_API_POLL:
        return poll(api, sessions, now, call);
    case NX_API_RENEW:
        return renew(api, sessions, now, call);
    case NX_API_LEAVE:
        return leave(api, sessions, now, call);
    case NX_API_PAIR:
        return pair(api, sessions, now, call);
    case NX_API_CLAIM:
        return claim(api, sessions, now, call);
    case NX_API_CODE_STATUS:
        return code_status(api, sessions, now, call);
    case NX_API_CODE_PAGE:
    case NX_API_SELF_PAGE:
    case NX_API_SELF_SKILL:
    case NX_API_SCRIPT:
        return page(api, sessions, now, call);
    case NX_API_CODE_LINK:
        return code_link(api, call);
    case NX_API_HEALTH:
        return health(api, call);
    case NX_API_STATS:
        return stats(api, call);
    case NX_API_NONE:
        break;
    }
    return 0;
}

/* Room for the answer of every step that changes something: once it has, its answer must not fail
 * for want of memory (a key told to nobody would shut its member out). */
static int answer_room(struct nx_api *api, const struct nx_api_call *call)
{
    size_t bytes =
            2048 + call->base_url.len + (size_t)api->settings->agents_max * (NX_AGENT_ID_MAX + 3);

    for (size_t i = 0; i < call->redacted.count; i++)
        bytes += strlen(call->redacted.types[i]) + 3;
    nx_buf_clear(&api->answer.headers);
    nx_buf_clear(&api->answer.body);
    if (!nx_buf_reserve(&api->answer.headers, 512))
        return nx_buf_error(&api->answer.headers);
    return nx_buf_reserve(&api->answer.body, bytes) ? 0 : nx_buf_error(&api->answer.body);
}

int nx_api_step(struct nx_api *api, struct nx_sessions *sessions, struct nx_time now,
        struct nx_api_call *call)
{
    int r = answer_room(api, call);

    if (r == 0)
        r = dispatch(api, sessions, now, call);
    if (r > 0)
        r = refused(api, call, r);
    if (r == 0)
        r = answer_end(api);
    if (r < 0)
        r = nx_api_error(api, 500, "internal_error",
                "Something failed inside the service; the request may be tried again.", NULL, NULL);
    return r;
}
