/* See names.h. RFC 3986 for the URL's parts; no percent-decoding, no IDNA, no DNS. */
#include "session/client/names.h"

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool all_of(struct nx_bytes text, size_t len_max, const char *others)
{
    if (text.len == 0 || text.len > len_max)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (!is_alnum(c) && (c == '\0' || !strchr(others, c)))
            return false;
    }
    return true;
}

bool nx_name_id_valid(struct nx_bytes name)
{
    return all_of(name, NX_SESSION_ID_MAX, "_-");
}

bool nx_name_alias_valid(struct nx_bytes name)
{
    return all_of(name, NX_ALIAS_MAX, "_-.") && name.ptr[0] != '-';
}

bool nx_name_code_valid(struct nx_bytes code)
{
    return all_of(code, 64, "-");
}

bool nx_name_key_valid(struct nx_bytes key)
{
    if (key.len == 0 || key.len > NX_SESSION_KEY_MAX)
        return false;
    for (size_t i = 0; i < key.len; i++) {
        if (key.ptr[i] <= 0x20 || key.ptr[i] >= 0x7f)
            return false;
    }
    return true;
}

bool nx_name_cursor_valid(struct nx_bytes cursor)
{
    if (cursor.len == 0 || cursor.len > 32)
        return false;
    for (size_t i = 0; i < cursor.len; i++) {
        if (cursor.ptr[i] < '0' || cursor.ptr[i] > '9')
            return false;
    }
    return true;
}

static void append_lower(struct nx_buf *to, struct nx_bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        nx_buf_append_char(to, c >= 'A' && c <= 'Z' ? (char)(c + 32) : c);
    }
}

/* Length of "http://" or "https://" at the front, 0 when it is neither. */
static size_t scheme_len(struct nx_bytes url)
{
    if (url.len >= 8 && nx_bytes_equal_nocase(nx_bytes_of(url.ptr, 8), NX_BYTES("https://")))
        return 8;
    if (url.len >= 7 && nx_bytes_equal_nocase(nx_bytes_of(url.ptr, 7), NX_BYTES("http://")))
        return 7;
    return 0;
}

/* host[:port]: a name, an IPv4 address, or an IPv6 address in brackets; port 1 … 65535. */
static const char *authority_fault(struct nx_bytes authority)
{
    struct nx_bytes host = authority;
    const char *bracket;
    const char *colon;
    uint64_t port;

    if (memchr(authority.ptr, '@', authority.len))
        return "it holds a user or a password";
    if (authority.len > 0 && authority.ptr[0] == '[') {
        bracket = memchr(authority.ptr, ']', authority.len);
        if (!bracket)
            return "the bracket of its address is not closed";
        host = nx_bytes_of(authority.ptr + 1, (size_t)(bracket - authority.ptr) - 1);
        if (!all_of(host, 64, ":.%"))
            return "its address makes no sense";
        authority = nx_bytes_from(authority, (size_t)(bracket - authority.ptr) + 1);
        if (authority.len == 0)
            return NULL;
        if (authority.ptr[0] != ':')
            return "something stands between its address and its port";
        colon = authority.ptr;
    } else {
        colon = memchr(authority.ptr, ':', authority.len);
        if (colon)
            host.len = (size_t)(colon - authority.ptr);
        if (!all_of(host, 253, "-._"))
            return "its host makes no sense";
    }
    if (!colon)
        return NULL;
    authority = nx_bytes_from(authority, (size_t)(colon - authority.ptr) + 1);
    if (!nx_bytes_u64(authority, &port) || port == 0 || port > 65535)
        return "its port is not a number from 1 to 65535";
    return NULL;
}

static const char *url_fault(struct nx_bytes url, size_t scheme, size_t authority_len)
{
    if (scheme == 0)
        return "it does not begin with http:// or https://";
    if (url.len > NX_SERVER_URL_MAX)
        return "it is too long";
    for (size_t i = 0; i < url.len; i++) {
        char c = url.ptr[i];

        if (c <= 0x20 || c >= 0x7f || strchr("\"<>\\^`{|}", c))
            return "it holds a character no URL holds";
        if (c == '?' || c == '#')
            return "it holds a query or a fragment";
    }
    return authority_fault(nx_bytes_of(url.ptr + scheme, authority_len));
}

int nx_server_url_append(struct nx_buf *to, struct nx_bytes url, const char **ret_reason)
{
    size_t scheme, authority;
    const char *fault;

    url = nx_bytes_trim(url);
    scheme = scheme_len(url);
    authority = scheme;
    while (authority < url.len && !strchr("/?#", url.ptr[authority]))
        authority++;
    fault = url_fault(url, scheme, authority - scheme);
    if (fault) {
        if (ret_reason)
            *ret_reason = fault;
        return NX_E_INVALID;
    }
    while (url.len > authority && url.ptr[url.len - 1] == '/')
        url.len--;
    append_lower(to, nx_bytes_of(url.ptr, authority));
    nx_buf_append(to, nx_bytes_from(url, authority));
    return nx_buf_error(to);
}

struct nx_bytes nx_server_url_host(struct nx_bytes url)
{
    struct nx_bytes rest = nx_bytes_from(url, scheme_len(url));
    const char *slash = rest.len > 0 ? memchr(rest.ptr, '/', rest.len) : NULL;

    if (slash)
        rest.len = (size_t)(slash - rest.ptr);
    return rest;
}
