/* From method and path to a route: section 1 of the wire facts, both spellings. */
#include "session/api/internal.h"

/* A path's segments, percent-decoded into api->text. */
struct segments {
    struct nx_bytes at[6];
    size_t count;
};

enum method { GET = 1, PUT = 2, POST = 4, DELETE = 8 };

static unsigned method_of(struct nx_bytes method)
{
    /* HEAD is GET without its body: http1 leaves that out. */
    if (nx_bytes_equal(method, NX_BYTES("GET")) || nx_bytes_equal(method, NX_BYTES("HEAD")))
        return GET;
    if (nx_bytes_equal(method, NX_BYTES("POST")))
        return POST;
    if (nx_bytes_equal(method, NX_BYTES("PUT")))
        return PUT;
    return nx_bytes_equal(method, NX_BYTES("DELETE")) ? DELETE : 0;
}

static int not_found(struct nx_api *api)
{
    return refuse(api, 404, "not_found", "There is nothing at this path.", NULL, NULL);
}

/* The shapes of a path: `*` is an operand. Kept in one table so that 405 can name what is
 * allowed. */
static const struct shape {
    const char *segments[6];
    size_t count;
    unsigned method;
    enum nx_api_route route;
    enum nx_api_place place;
    bool durable;
} shapes[] = {
        {{"v1", "sessions", "*", "messages"}, 4, GET, NX_API_POLL, NX_API_ONE_SHARD, false},
        {{"v1", "sessions", "*", "messages"}, 4, POST, NX_API_SEND, NX_API_ONE_SHARD, false},
        {{"v1", "sessions"}, 2, PUT, NX_API_CREATE, NX_API_ANY_SHARD, true},
        {{"v1", "sessions", "*"}, 3, GET, NX_API_STATUS, NX_API_ONE_SHARD, false},
        {{"v1", "sessions", "*", "join"}, 4, POST, NX_API_JOIN, NX_API_ONE_SHARD, true},
        {{"v1", "sessions", "*", "renew"}, 4, POST, NX_API_RENEW, NX_API_ONE_SHARD, true},
        {{"v1", "sessions", "*", "agents", "*"}, 5, DELETE, NX_API_LEAVE, NX_API_ONE_SHARD, true},
        {{"v1", "pair"}, 2, PUT, NX_API_PAIR, NX_API_ONE_SHARD, true},
        {{"v1", "pair", "*", "claim"}, 4, POST, NX_API_CLAIM, NX_API_ONE_SHARD, true},
        {{"v1", "pair", "*", "status"}, 4, GET, NX_API_CODE_STATUS, NX_API_ONE_SHARD, false},
        {{"v1", "pair", "*", "skill"}, 4, GET, NX_API_CODE_PAGE, NX_API_ONE_SHARD, false},
        {{"p", "*"}, 2, GET, NX_API_CODE_LINK, NX_API_ANYWHERE, false},
        {{"v1", "stats"}, 2, GET, NX_API_STATS, NX_API_ALL_SHARDS, false},
        {{"health"}, 1, GET, NX_API_HEALTH, NX_API_ANYWHERE, false},
        {{"skill.md"}, 1, GET, NX_API_SELF_SKILL, NX_API_ANYWHERE, false},
        {{"nexus.sh"}, 1, GET, NX_API_SCRIPT, NX_API_ANYWHERE, false},
        {{""}, 1, GET, NX_API_SELF_PAGE, NX_API_ANYWHERE, false},
};

/* Cuts the path at '/'. An escaped slash stays inside its segment. Returns 0, > 0 refused, < 0. */
static int split(struct nx_api *api, struct nx_bytes path, struct segments *ret_segments)
{
    size_t starts[6];
    struct segments segments = {0};

    nx_buf_clear(&api->text);
    if (path.len == 0 || path.ptr[0] != '/')
        return not_found(api);
    path = nx_bytes_from(path, 1);
    for (;;) {
        const char *slash = path.len > 0 ? memchr(path.ptr, '/', path.len) : NULL;
        struct nx_bytes part = {path.ptr, slash ? (size_t)(slash - path.ptr) : path.len};

        if (segments.count == 6)
            return not_found(api);
        starts[segments.count] = api->text.len;
        if (!nx_http1_unescape(part, &api->text))
            return nx_buf_error(&api->text) ? nx_buf_error(&api->text) : not_found(api);
        segments.at[segments.count].len = api->text.len - starts[segments.count];
        segments.count++;
        if (!slash)
            break;
        path = nx_bytes_from(path, part.len + 1);
    }
    for (size_t i = 0; i < segments.count; i++)
        segments.at[i].ptr = api->text.ptr ? api->text.ptr + starts[i] : NULL;
    *ret_segments = segments;
    return 0;
}

static bool fits(const struct shape *shape, const struct segments *segments)
{
    if (shape->count != segments->count)
        return false;
    for (size_t i = 0; i < shape->count; i++) {
        if (shape->segments[i][0] != '*' &&
                !nx_bytes_equal(nx_bytes_str(shape->segments[i]), segments->at[i]))
            return false;
    }
    return true;
}

static int not_allowed(struct nx_api *api, unsigned allowed)
{
    static const struct {
        unsigned method;
        const char *name;
    } names[] = {{GET, "GET, HEAD"}, {PUT, "PUT"}, {POST, "POST"}, {DELETE, "DELETE"}};
    bool first = true;
    int r = refuse(
            api, 405, "method_not_allowed", "This path does not take that method.", NULL, NULL);

    if (r < 0)
        return r;
    NX_BUF_LIT(&api->answer.headers, "Allow: ");
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!(allowed & names[i].method))
            continue;
        if (!first)
            NX_BUF_LIT(&api->answer.headers, ", ");
        nx_buf_append_str(&api->answer.headers, names[i].name);
        first = false;
    }
    NX_BUF_LIT(&api->answer.headers, "\r\n");
    return nx_buf_error(&api->answer.headers) < 0 ? nx_buf_error(&api->answer.headers) : r;
}

static void set_code(struct nx_api_call *call, struct nx_bytes written)
{
    call->code_written = written;
    if (!nx_code_canonical(written, call->code, &call->code_len))
        call->code_len = 0;
}

static void set_operands(struct nx_api_call *call, const struct segments *segments)
{
    switch (call->route) {
    case NX_API_CODE_LINK:
        set_code(call, segments->at[1]);
        break;
    case NX_API_CLAIM:
    case NX_API_CODE_STATUS:
    case NX_API_CODE_PAGE:
        set_code(call, segments->at[2]);
        break;
    case NX_API_LEAVE:
        call->leaver = segments->at[4];
        call->session = segments->at[2];
        break;
    case NX_API_STATUS:
    case NX_API_JOIN:
    case NX_API_SEND:
    case NX_API_POLL:
    case NX_API_RENEW:
        call->session = segments->at[2];
        break;
    case NX_API_CREATE:
    case NX_API_PAIR:
    case NX_API_SELF_PAGE:
    case NX_API_SELF_SKILL:
    case NX_API_SCRIPT:
    case NX_API_HEALTH:
    case NX_API_STATS:
    case NX_API_NONE:
        break;
    }
}

int route_find(struct nx_api *api, const struct nx_http1_request *request, struct nx_api_call *call)
{
    struct segments segments = {0};
    unsigned method = method_of(request->method);
    unsigned allowed = 0;
    int r = split(api, request->path, &segments);

    if (r != 0)
        return r;
    if (segments.count >= 2 && nx_bytes_equal(segments.at[0], NX_BYTES("v1")) &&
            nx_bytes_equal(segments.at[1], NX_BYTES("session"))) {
        call->v1 = true;
        segments.at[1] = NX_BYTES("sessions");
    }
    for (unsigned i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        if (!fits(&shapes[i], &segments))
            continue;
        if (shapes[i].method != method) {
            allowed |= shapes[i].method;
            continue;
        }
        call->route = shapes[i].route;
        call->place = shapes[i].place;
        call->durable = shapes[i].durable;
        call->sends = call->route == NX_API_SEND;
        set_operands(call, &segments);
        /* "/p/" leads nowhere; an empty session id is only one that does not exist. */
        if (call->route == NX_API_CODE_LINK && call->code_written.len == 0)
            return not_found(api);
        return 0;
    }
    return allowed ? not_allowed(api, allowed) : not_found(api);
}
