/* What a request says beside its path: headers, query, JSON body. Every fault names its field. */
#include "session/api/internal.h"

static int invalid(struct nx_api *api, const char *path, const char *why)
{
    return refuse(api, 400, "invalid_request", "The request is not valid; see details.", path, why);
}

/* "application/json" or "application/…+json", with parameters but for another charset. */
static bool is_json_type(struct nx_bytes type)
{
    const char *semicolon = memchr(type.ptr, ';', type.len);
    struct nx_bytes media = {type.ptr, semicolon ? (size_t)(semicolon - type.ptr) : type.len};
    struct nx_bytes rest = nx_bytes_from(type, media.len);

    media = nx_bytes_trim(media);
    if (!nx_bytes_equal_nocase(media, NX_BYTES("application/json")) &&
            !(media.len > 17 &&
                    nx_bytes_equal_nocase(nx_bytes_of(media.ptr, 12), NX_BYTES("application/")) &&
                    nx_bytes_equal_nocase(
                            nx_bytes_of(media.ptr + media.len - 5, 5), NX_BYTES("+json"))))
        return false;
    for (size_t i = 0; i + 8 <= rest.len; i++) {
        struct nx_bytes name = {rest.ptr + i, 8};
        struct nx_bytes charset = nx_bytes_trim(nx_bytes_from(rest, i + 8));

        if (!nx_bytes_equal_nocase(name, NX_BYTES("charset=")))
            continue;
        if (charset.len > 0 && charset.ptr[0] == '"')
            charset = nx_bytes_from(charset, 1);
        return charset.len >= 5 &&
               nx_bytes_equal_nocase(nx_bytes_of(charset.ptr, 5), NX_BYTES("utf-8"));
    }
    return true;
}

/* Clients of the first generation search error texts for "404": an offset must not look like it. */
static size_t speakable(size_t offset)
{
    for (size_t left = offset; left > 0; left /= 10) {
        if (left % 1000 == 404)
            return speakable(offset + 1);
    }
    return offset;
}

/* The body as an object; an empty one is {}. */
static int body_object(
        struct nx_api *api, const struct nx_http1_request *request, struct nx_json *ret_object)
{
    struct nx_json_fault fault;
    struct nx_bytes type;
    int r;

    if (nx_bytes_trim(request->body).len == 0) {
        *ret_object = (struct nx_json){NX_JSON_OBJECT, NX_BYTES("{}")};
        return 0;
    }
    type = nx_http1_header(request, NX_BYTES("content-type"));
    if (!type.ptr || !is_json_type(type))
        return refuse(api, 415, "unsupported_media_type",
                "A body must be sent as Content-Type: application/json, in UTF-8.", "Content-Type",
                type.ptr ? "is something else" : "is missing");
    r = nx_json_parse(request->body, ret_object, &fault);
    if (r == NX_E_SYNTAX) {
        struct nx_buf why;

        nx_buf_init(&why, api->text.mem, 256);
        nx_buf_printf(&why, "%s near byte %zu", fault.reason, speakable(fault.offset));
        r = refuse(
                api, 400, "invalid_body", "The body is not valid JSON.", "body", nx_buf_str(&why));
        nx_buf_done(&why);
        return r;
    }
    if (r < 0)
        return r;
    if (ret_object->kind != NX_JSON_OBJECT)
        return invalid(api, "body", "must be a JSON object");
    return 0;
}

/* A field, when it is there and not null. */
static bool field(const struct nx_json *object, const char *name, struct nx_json *ret_value)
{
    return nx_json_get(object, nx_bytes_str(name), ret_value) && ret_value->kind != NX_JSON_NULL;
}

static int read_int(struct nx_api *api, const struct nx_json *object, const char *name, int64_t max,
        int64_t *ret_value)
{
    struct nx_json value;
    int64_t number;

    if (!field(object, name, &value))
        return 0;
    if (!nx_json_int(&value, &number) || number < 1 || number > max) {
        struct nx_buf why;
        int r;

        nx_buf_init(&why, api->text.mem, 128);
        nx_buf_printf(&why, "must be a whole number from 1 to %lld", (long long)max);
        r = invalid(api, name, nx_buf_str(&why));
        nx_buf_done(&why);
        return r;
    }
    *ret_value = number;
    return 0;
}

/* A string to be stored: through the redactor. Out: the JSON literal, or empty. */
static int read_text(struct nx_api *api, struct nx_api_call *call, const struct nx_json *object,
        const char *name, struct nx_bytes *ret_literal)
{
    struct nx_json value;

    if (!field(object, name, &value))
        return 0;
    if (value.kind != NX_JSON_STRING)
        return invalid(api, name, "must be a string");
    if (nx_json_string_raw(&value).len == 0)
        return 0;
    *ret_literal = value.text;
    return clean_value(api, &call->redacted, ret_literal);
}

static int read_agent_id(struct nx_api *api, const char *path, struct nx_bytes id)
{
    if (!nx_agent_id_valid(id))
        return invalid(api, path, "must be 1 to 128 letters, digits, hyphens and underscores");
    if (nx_bytes_equal(id, NX_BYTES("system")))
        return invalid(api, path, "this name is reserved");
    return 0;
}

static int read_create(struct nx_api *api, struct nx_api_call *call, const struct nx_json *object)
{
    struct nx_json value;
    int64_t agents = 0;
    int r = read_int(api, object, "ttl", api->settings->ttl_max_s, &call->create.ttl_s);

    call->create.v1 = call->v1;
    if (r == 0)
        r = read_int(api, object, "maxAgents", api->settings->agents_max, &agents);
    call->create.agents_max = (unsigned)agents;
    if (r == 0)
        r = read_text(api, call, object, "greeting", &call->create.greeting);
    if (r != 0 || !field(object, "creatorAgentId", &value))
        return r;
    if (value.kind != NX_JSON_STRING)
        return invalid(api, "creatorAgentId", "must be a string");
    nx_buf_clear(&api->decoded);
    nx_json_string_decode(&value, &api->decoded);
    if (nx_buf_error(&api->decoded) < 0)
        return nx_buf_error(&api->decoded);
    r = read_agent_id(api, "creatorAgentId", nx_buf_bytes(&api->decoded));
    if (r == 0)
        call->create.creator = nx_buf_bytes(&api->decoded);
    return r;
}

static int read_send(struct nx_api *api, struct nx_api_call *call, const struct nx_json *object)
{
    struct nx_json value;
    int r;

    call->send.agent = call->agent;
    call->send.key = call->key;
    call->send.v1 = call->v1;
    r = read_text(api, call, object, "text", &call->send.text);
    if (r != 0)
        return r;
    /* null is a value like any other here: it was sent, and comes back. */
    if (nx_json_get(object, NX_BYTES("json"), &value)) {
        call->send.json = value.text;
        r = clean_value(api, &call->redacted, &call->send.json);
        if (r != 0)
            return r;
    }
    if (call->send.text.len == 0 && call->send.json.len == 0)
        return invalid(api, "text", "a message needs text, json, or both");
    return 0;
}

static int read_pair(struct nx_api *api, struct nx_api_call *call, const struct nx_json *object)
{
    struct nx_json value;

    if (!field(object, "sessionId", &value))
        return invalid(api, "sessionId", "is missing");
    if (value.kind != NX_JSON_STRING)
        return invalid(api, "sessionId", "must be a string");
    /* An id has no character that JSON would escape; one written with escapes is still read. */
    nx_buf_clear(&api->decoded);
    nx_json_string_decode(&value, &api->decoded);
    call->session = nx_buf_bytes(&api->decoded);
    return nx_buf_error(&api->decoded);
}

static int read_after(
        struct nx_api *api, const struct nx_http1_request *request, struct nx_api_call *call)
{
    struct nx_bytes value;

    call->members =
            nx_http1_query(request->query, NX_BYTES("members"), &value) &&
            (nx_bytes_equal(value, NX_BYTES("true")) || nx_bytes_equal(value, NX_BYTES("1")));
    if (!nx_http1_query(request->query, NX_BYTES("after"), &value) || value.len == 0)
        return 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return invalid(api, "after", "must be a cursor: decimal digits");
    }
    call->after = value;
    return 0;
}

/* A header that says who somebody is must say it once: of two, a proxy may read the other one. */
static bool single_header(
        const struct nx_http1_request *request, struct nx_bytes name, struct nx_bytes *ret_value)
{
    bool found = false;

    for (size_t i = 0; i < request->header_count; i++) {
        const struct nx_http1_header *header = &request->headers[i];

        if (header->name.len != name.len || !nx_bytes_equal_nocase(header->name, name))
            continue;
        if (found)
            return false;
        *ret_value = header->value;
        found = true;
    }
    return true;
}

static int read_headers(
        struct nx_api *api, const struct nx_http1_request *request, struct nx_api_call *call)
{
    if (!single_header(request, NX_BYTES("x-agent-id"), &call->agent))
        return invalid(api, "X-Agent-Id", "must be given once");
    if (!single_header(request, NX_BYTES("x-session-key"), &call->key))
        return invalid(api, "X-Session-Key", "must be given once");
    switch (call->route) {
    case NX_API_JOIN:
    case NX_API_SEND:
    case NX_API_POLL:
    case NX_API_RENEW:
    case NX_API_CLAIM:
        if (call->agent.len == 0)
            return refuse(api, 400, "missing_agent_id", "Say who you are in the header X-Agent-Id.",
                    "X-Agent-Id", "is missing");
        return read_agent_id(api, "X-Agent-Id", call->agent);
    case NX_API_CODE_PAGE:
    case NX_API_SELF_PAGE: {
        struct nx_bytes accept = nx_http1_header(request, NX_BYTES("accept"));

        call->html = accept.len > 0 && memmem(accept.ptr, accept.len, "text/html", 9);
        return 0;
    }
    case NX_API_CREATE:
    case NX_API_STATUS:
    case NX_API_LEAVE: /* its checks have an order of their own */
    case NX_API_PAIR:
    case NX_API_CODE_STATUS:
    case NX_API_CODE_LINK:
    case NX_API_SELF_SKILL:
    case NX_API_SCRIPT:
    case NX_API_HEALTH:
    case NX_API_STATS:
    case NX_API_NONE:
        break;
    }
    return 0;
}

int body_read(struct nx_api *api, const struct nx_http1_request *request, struct nx_api_call *call)
{
    struct nx_json object;
    int r = read_headers(api, request, call);

    if (r != 0)
        return r;
    if (call->route == NX_API_POLL)
        return read_after(api, request, call);
    if (call->route != NX_API_CREATE && call->route != NX_API_SEND && call->route != NX_API_RENEW &&
            call->route != NX_API_PAIR)
        return 0;
    r = body_object(api, request, &object);
    if (r != 0)
        return r;
    /* Cleaned values never outgrow this in total, so their spans stay where they are. */
    nx_buf_clear(&api->cleaned);
    if (!nx_buf_reserve(&api->cleaned, 16 * request->body.len + 64))
        return nx_buf_error(&api->cleaned);
    if (call->route == NX_API_CREATE)
        return read_create(api, call, &object);
    if (call->route == NX_API_SEND)
        return read_send(api, call, &object);
    if (call->route == NX_API_PAIR)
        return read_pair(api, call, &object);
    return read_int(api, &object, "ttl", api->settings->ttl_max_s, &call->renew_ttl_s);
}
