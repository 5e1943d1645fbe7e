/* The small questions about HTTP text: field lookup, reason phrases (RFC 9110 section 15),
 * percent-decoding (RFC 3986 section 2.1) and query strings. Nothing here keeps state. */
#include "protocol/http1/internal.h"

struct nx_bytes nx_http1_header(const struct nx_http1_request *request, struct nx_bytes name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (request->headers[i].name.len == name.len &&
                nx_bytes_equal_nocase(request->headers[i].name, name))
            return request->headers[i].value;
    }
    return (struct nx_bytes){NULL, 0};
}

static const struct {
    unsigned short status;
    const char *reason;
} reasons[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {203, "Non-Authoritative Information"},
        {204, "No Content"},
        {205, "Reset Content"},
        {206, "Partial Content"},
        {300, "Multiple Choices"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {305, "Use Proxy"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {423, "Locked"},
        {425, "Too Early"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
        {511, "Network Authentication Required"},
};

const char *nx_http1_reason(unsigned status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "";
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool nx_http1_unescape(struct nx_bytes text, struct nx_buf *to)
{
    while (text.len > 0) {
        const char *escape = memchr(text.ptr, '%', text.len);
        size_t plain = escape ? (size_t)(escape - text.ptr) : text.len;
        int high;
        int low;

        if (memchr(text.ptr, '\0', plain))
            return false;
        nx_buf_append(to, nx_bytes_of(text.ptr, plain));
        if (!escape)
            break;
        if (text.len - plain < 3)
            return false;
        high = hex_value(escape[1]);
        low = hex_value(escape[2]);
        if (high < 0 || low < 0 || high + low == 0)
            return false;
        nx_buf_append_char(to, (char)(high * 16 + low));
        text = nx_bytes_from(text, plain + 3);
    }
    return nx_buf_error(to) == 0;
}

bool nx_http1_query(struct nx_bytes query, struct nx_bytes name, struct nx_bytes *ret_value)
{
    while (query.len > 0) {
        const char *amp = memchr(query.ptr, '&', query.len);
        size_t len = amp ? (size_t)(amp - query.ptr) : query.len;

        if (len >= name.len && nx_bytes_starts(query, name)) {
            if (len == name.len) {
                *ret_value = nx_bytes_of(query.ptr + len, 0);
                return true;
            }
            if (query.ptr[name.len] == '=') {
                *ret_value = nx_bytes_of(query.ptr + name.len + 1, len - name.len - 1);
                return true;
            }
        }
        query = nx_bytes_from(query, len + 1);
    }
    return false;
}
