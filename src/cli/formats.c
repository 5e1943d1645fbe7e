/* The forms of addresses, URLs and network lists. URLs: RFC 3986, of which a public address needs
 * scheme, host, port and path; networks: RFC 4632 and RFC 4291 prefixes. */
#include "cli/formats.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdbool.h>

#include "base/bytes.h"

#define URL_MAX     2048
#define NETWORK_MAX 64

static bool is_port(struct nx_bytes text)
{
    uint64_t port;

    return text.len <= 5 && nx_bytes_u64(text, &port) && port <= 65535;
}

/* An address of the given family that fills the whole text. */
static bool is_address(int family, struct nx_bytes text)
{
    char copy[INET6_ADDRSTRLEN + 1];
    unsigned char address[sizeof(struct in6_addr)];

    if (text.len == 0 || text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return inet_pton(family, copy, address) == 1;
}

const char *nx_format_listen(const char *text)
{
    static const char *const wanted = "an address and port such as 127.0.0.1:3000, [::1]:3000 or "
                                      ":3000";
    const char *colon = strrchr(text, ':');
    struct nx_bytes host;

    if (!colon || !is_port(nx_bytes_str(colon + 1)))
        return wanted;
    host = nx_bytes_of(text, (size_t)(colon - text));
    if (host.len == 0 || nx_bytes_equal(host, NX_BYTES("localhost")) || is_address(AF_INET, host))
        return NULL;
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']' &&
            is_address(AF_INET6, nx_bytes_of(host.ptr + 1, host.len - 2)))
        return NULL;
    return wanted;
}

const char *nx_format_path(const char *text)
{
    return *text && strlen(text) < PATH_MAX ? NULL : "a path";
}

static bool is_host(struct nx_bytes host)
{
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        return is_address(AF_INET6, nx_bytes_of(host.ptr + 1, host.len - 2));
    if (host.len == 0 || host.len > 253)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_';
        if (!plain)
            return false;
    }
    return true;
}

/* Path characters of RFC 3986 section 3.3, with '%' left to whoever wrote it. */
static bool is_path(struct nx_bytes path)
{
    for (size_t i = 0; i < path.len; i++) {
        unsigned char c = (unsigned char)path.ptr[i];
        if (c <= 0x20 || c >= 0x7F || strchr("\"#<>?[\\]^`{|}", c))
            return false;
    }
    return true;
}

const char *nx_format_url(const char *text)
{
    static const char *const wanted = "a URL such as https://messaging.example";
    struct nx_bytes rest = nx_bytes_str(text);
    struct nx_bytes authority;
    const char *colon;

    if (rest.len > URL_MAX)
        return wanted;
    if (nx_bytes_starts(rest, NX_BYTES("https://")))
        rest = nx_bytes_from(rest, 8);
    else if (nx_bytes_starts(rest, NX_BYTES("http://")))
        rest = nx_bytes_from(rest, 7);
    else
        return wanted;
    if (rest.len == 0)
        return wanted;
    authority = nx_bytes_of(rest.ptr, strcspn(rest.ptr, "/"));
    if (!is_path(nx_bytes_from(rest, authority.len)))
        return wanted;
    colon = memrchr(authority.ptr, ':', authority.len);
    if (colon && !memchr(colon, ']', (size_t)(authority.ptr + authority.len - colon))) {
        size_t host_len = (size_t)(colon - authority.ptr);
        if (!is_port(nx_bytes_from(authority, host_len + 1)))
            return wanted;
        authority.len = host_len;
    }
    return is_host(authority) ? NULL : wanted;
}

static bool is_network(struct nx_bytes network)
{
    const char *slash = network.len ? memchr(network.ptr, '/', network.len) : NULL;
    struct nx_bytes address = network;
    uint64_t bits = 0;

    if (slash) {
        address.len = (size_t)(slash - network.ptr);
        if (!nx_bytes_u64(nx_bytes_from(network, address.len + 1), &bits))
            return false;
    }
    return (bits <= 32 && is_address(AF_INET, address)) ||
           (bits <= 128 && is_address(AF_INET6, address));
}

const char *nx_format_networks(const char *text)
{
    static const char *const wanted = "a list of addresses such as 10.0.0.1,192.168.0.0/16,::1";
    size_t count = 0;

    for (;;) {
        size_t len = strcspn(text, ",");
        if (++count > NETWORK_MAX || !is_network(nx_bytes_trim(nx_bytes_of(text, len))))
            return wanted;
        if (text[len] == '\0')
            return NULL;
        text += len + 1;
    }
}
