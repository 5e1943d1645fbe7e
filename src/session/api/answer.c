/* The frame of every answer, and the errors. */
#include "session/api/internal.h"

void answer_begin(struct nx_api *api, unsigned status)
{
    api->answer.status = status;
    nx_buf_clear(&api->answer.headers);
    nx_buf_clear(&api->answer.body);
    /* no-store: a session's answers are for one reader; nosniff: a body is what it says. */
    NX_BUF_LIT(&api->answer.headers, "Content-Type: application/json\r\n"
                                     "Cache-Control: no-store\r\n"
                                     "X-Content-Type-Options: nosniff\r\n");
}

int answer_end(struct nx_api *api)
{
    int r = nx_buf_error(&api->answer.headers);

    return r < 0 ? r : nx_buf_error(&api->answer.body);
}

int nx_api_error(struct nx_api *api, unsigned status, const char *code, const char *message,
        const char *path, const char *why)
{
    struct nx_buf *body = &api->answer.body;

    answer_begin(api, status);
    NX_BUF_LIT(body, "{\"error\":\"");
    nx_buf_append_str(body, code);
    NX_BUF_LIT(body, "\",\"message\":");
    nx_json_append_string(body, nx_bytes_str(message));
    NX_BUF_LIT(body, ",\"details\":[");
    if (path) {
        NX_BUF_LIT(body, "{\"path\":");
        nx_json_append_string(body, nx_bytes_str(path));
        NX_BUF_LIT(body, ",\"message\":");
        nx_json_append_string(body, nx_bytes_str(why));
        NX_BUF_LIT(body, "}");
    }
    NX_BUF_LIT(body, "]}");
    return answer_end(api);
}

int refuse(struct nx_api *api, unsigned status, const char *code, const char *message,
        const char *path, const char *why)
{
    int r = nx_api_error(api, status, code, message, path, why);

    return r < 0 ? r : 1;
}

int with_retry_after(struct nx_api *api, int r, int64_t seconds)
{
    if (r < 0 || seconds == 0)
        return r;
    NX_BUF_LIT(&api->answer.headers, "Retry-After: ");
    nx_buf_append_i64(&api->answer.headers, seconds);
    NX_BUF_LIT(&api->answer.headers, "\r\n");
    return answer_end(api);
}

int nx_api_limited(struct nx_api *api, int64_t retry_after_s)
{
    int r = nx_api_error(api, 429, "rate_limit_exceeded",
            "Too many requests from this address; wait as long as Retry-After says.", NULL, NULL);

    return with_retry_after(api, r, retry_after_s);
}

int nx_api_unavailable(struct nx_api *api)
{
    int r = nx_api_error(api, 503, "service_unavailable",
            "The service cannot store anything at the moment; nothing was changed. Try again "
            "later.",
            NULL, NULL);

    return with_retry_after(api, r, RETRY_AFTER_S);
}
