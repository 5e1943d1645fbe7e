/* See api_talk.h. */
#include "support/api_talk.h"

#include "base/json.h"

void talk_begin(struct talk *talk, const struct nx_sessions_limits *limits)
{
    memset(talk, 0, sizeof(*talk));
    world_begin(&talk->world, limits, 11);
    talk->settings = (struct nx_api_settings){
            .version = "1.2.3",
            .ttl_default_s = 3660,
            .ttl_max_s = 86400,
            .agents_default_v1 = 2,
            .agents_default_v2 = 50,
            .agents_max = 50,
            .poll_bytes_max = (size_t)1 << 20,
    };
    nx_buf_init(&talk->request, nx_mem_libc(), (size_t)1 << 22);
    nx_api_init(&talk->api, talk->world.mem, &talk->settings);
}

void talk_end(struct talk *talk)
{
    nx_api_done(&talk->api);
    nx_buf_done(&talk->request);
    world_end(&talk->world);
}

static void build(struct talk *talk, const char *line, const char *headers, const char *body)
{
    struct nx_buf *to = &talk->request;

    nx_buf_clear(to);
    for (; *line; line++) {
        if (line[0] == '%' && line[1] == 's')
            nx_buf_append_str(to, talk->session);
        else if (line[0] == '%' && line[1] == 'c')
            nx_buf_append_str(to, talk->code);
        else
            nx_buf_append_char(to, *line);
        if (line[0] == '%' && (line[1] == 's' || line[1] == 'c'))
            line++;
    }
    NX_BUF_LIT(to, " HTTP/1.1\r\n");
    nx_buf_append_str(to, headers);
    if (!headers || !strstr(headers, "Host:"))
        NX_BUF_LIT(to, "Host: example.org:3000\r\n");
    if (body) {
        if (!headers || !strstr(headers, "Content-Type:"))
            NX_BUF_LIT(to, "Content-Type: application/json\r\n");
        nx_buf_printf(to, "Content-Length: %zu\r\n", strlen(body));
    }
    NX_BUF_LIT(to, "\r\n");
    nx_buf_append_str(to, body);
    assert_int_equal(nx_buf_error(to), 0);
}

static void learn(struct talk *talk)
{
    const char *value;

    if (talk->call.route == NX_API_CREATE && (value = talk_member(talk, "sessionId")))
        memcpy(talk->session, value, strlen(value) + 1);
    if (talk->call.route == NX_API_PAIR && (value = talk_member(talk, "code")))
        memcpy(talk->code, value, strlen(value) + 1);
}

static unsigned run(struct talk *talk, const struct nx_http1_request *request)
{
    int r = nx_api_read(&talk->api, request, NX_BYTES("http://origin"), &talk->call);

    assert_int_equal(r, 0);
    if (talk->call.route == NX_API_NONE)
        return talk->api.answer.status;
    talk->call.totals = nx_sessions_totals(talk->world.machine);
    talk->call.uptime_s = 42;
    r = nx_api_step(&talk->api, talk->world.machine, talk->world.now, &talk->call);
    assert_int_equal(r, 0);
    if (talk->call.place != NX_API_ANYWHERE && talk->call.place != NX_API_ALL_SHARDS)
        world_took(&talk->world, 0);
    return talk->api.answer.status;
}

unsigned talk(struct talk *talk, const char *line, const char *headers, const char *body)
{
    struct nx_http1_server *server;
    const struct nx_http1_request *request;
    unsigned status;
    size_t taken;

    build(talk, line, headers, body);
    assert_int_equal(nx_http1_server_new(nx_mem_libc(), &nx_http1_limits_default, 0, &server), 0);
    assert_int_equal(nx_http1_server_read(server, 0, nx_buf_bytes(&talk->request), &taken), 0);
    request = nx_http1_server_request(server);
    talk->call = (struct nx_api_call){.route = NX_API_NONE};
    if (request)
        status = run(talk, request);
    else
        status = nx_http1_server_refused(server);
    nx_http1_server_free(server);
    if (request && status < 300)
        learn(talk);
    return status;
}

const char *talk_body(struct talk *talk)
{
    return nx_buf_str(&talk->api.answer.body);
}

const char *talk_headers(struct talk *talk)
{
    return nx_buf_str(&talk->api.answer.headers);
}

static bool member(struct talk *talk, const char *name, struct nx_json *ret_value)
{
    struct nx_json object;

    return nx_json_parse(nx_buf_bytes(&talk->api.answer.body), &object, NULL) == 0 &&
           nx_json_get(&object, nx_bytes_str(name), ret_value);
}

const char *talk_member(struct talk *talk, const char *name)
{
    static char places[64][512];
    static unsigned turn;
    struct nx_bytes raw;
    struct nx_json value;

    if (!member(talk, name, &value) || value.kind != NX_JSON_STRING)
        return NULL;
    raw = nx_json_string_raw(&value);
    turn = (turn + 1) % 64;
    assert_true(raw.len < sizeof(places[0]));
    memcpy(places[turn], raw.ptr, raw.len);
    places[turn][raw.len] = '\0';
    return places[turn];
}

void talk_refused(struct talk *talk, unsigned status, const char *code, const char *path)
{
    struct nx_json details, detail, value;
    struct nx_json_iter iter;

    assert_int_equal(talk->api.answer.status, status);
    assert_string_equal(talk_member(talk, "error"), code);
    assert_non_null(talk_member(talk, "message"));
    assert_non_null(strstr(talk_headers(talk), "Content-Type: application/json\r\n"));
    assert_true(member(talk, "details", &details) && details.kind == NX_JSON_ARRAY);
    nx_json_iter_init(&iter, &details);
    if (!nx_json_next(&iter, NULL, &detail)) {
        assert_null(path);
        return;
    }
    assert_non_null(path);
    assert_true(nx_json_get(&detail, NX_BYTES("path"), &value));
    assert_true(nx_json_string_equal(&value, nx_bytes_str(path)));
    assert_true(nx_json_get(&detail, NX_BYTES("message"), &value));
    assert_false(nx_json_next(&iter, NULL, &detail));
}
