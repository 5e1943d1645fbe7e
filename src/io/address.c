/* inet_pton and friends behind address.h. */
#include "io/address.h"

#include <arpa/inet.h>
#include <stdio.h>

static struct nx_bytes part(struct nx_bytes text, size_t from, size_t to)
{
    return nx_bytes_of(text.ptr + from, to - from);
}

/* Numeric text to an IP; out: whether it was IPv4. */
static int to_ip(struct nx_bytes text, struct nx_ip *ret_ip, bool *ret_v4)
{
    static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    char copy[INET6_ADDRSTRLEN + 1];
    struct nx_ip ip;

    if (text.len == 0 || text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len))
        return NX_E_SYNTAX;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, ip.bytes + 12) == 1) {
        memcpy(ip.bytes, mapped, sizeof(mapped));
        *ret_v4 = true;
    } else if (inet_pton(AF_INET6, copy, ip.bytes) == 1) {
        *ret_v4 = false;
    } else {
        return NX_E_SYNTAX;
    }
    *ret_ip = ip;
    return 0;
}

int nx_address_parse(struct nx_bytes text, struct nx_address *ret_address)
{
    struct nx_address address = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&address.storage;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address.storage;
    size_t colon = text.len;
    struct nx_bytes host;
    struct nx_ip ip;
    uint64_t port;
    bool v4;

    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    if (colon == 0 || !nx_bytes_u64(nx_bytes_from(text, colon), &port) || port > 65535)
        return NX_E_SYNTAX;
    host = part(text, 0, colon - 1);
    if (host.len == 0)
        host = NX_BYTES("[::]");
    if (nx_bytes_equal(host, NX_BYTES("localhost")))
        host = NX_BYTES("127.0.0.1");
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = part(host, 1, host.len - 1);
    else if (memchr(host.ptr, ':', host.len))
        return NX_E_SYNTAX;
    if (to_ip(host, &ip, &v4) < 0)
        return NX_E_SYNTAX;
    if (v4) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        memcpy(&in->sin_addr, ip.bytes + 12, 4);
    } else {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        memcpy(&in6->sin6_addr, ip.bytes, 16);
    }
    *ret_address = address;
    return 0;
}

unsigned nx_address_port(const struct nx_address *address)
{
    if (address->storage.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&address->storage)->sin_port);
    return ntohs(((const struct sockaddr_in6 *)&address->storage)->sin6_port);
}

void nx_address_text(const struct nx_address *address, char *ret_text)
{
    char ip[INET6_ADDRSTRLEN] = "";

    if (address->storage.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&address->storage;

        if (in->sin_addr.s_addr == htonl(INADDR_ANY))
            (void)snprintf(ip, sizeof(ip), "127.0.0.1");
        else
            (void)inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
        (void)snprintf(ret_text, NX_ADDRESS_TEXT, "%s:%u", ip, nx_address_port(address));
        return;
    }
    {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address->storage;

        if (IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr))
            (void)snprintf(ip, sizeof(ip), "::1");
        else
            (void)inet_ntop(AF_INET6, &in6->sin6_addr, ip, sizeof(ip));
        (void)snprintf(ret_text, NX_ADDRESS_TEXT, "[%s]:%u", ip, nx_address_port(address));
    }
}

void nx_ip_of(const struct nx_address *address, struct nx_ip *ret_ip)
{
    memset(ret_ip, 0, sizeof(*ret_ip));
    if (address->storage.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&address->storage;

        ret_ip->bytes[10] = ret_ip->bytes[11] = 0xff;
        memcpy(ret_ip->bytes + 12, &in->sin_addr, 4);
    } else if (address->storage.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address->storage;

        memcpy(ret_ip->bytes, &in6->sin6_addr, 16);
    }
}

int nx_ip_parse(struct nx_bytes text, struct nx_ip *ret_ip)
{
    const char *end;
    bool v4;

    text = nx_bytes_trim(text);
    if (text.len > 0 && text.ptr[0] == '[') {
        end = memchr(text.ptr, ']', text.len);
        if (!end)
            return NX_E_SYNTAX;
        return to_ip(part(text, 1, (size_t)(end - text.ptr)), ret_ip, &v4);
    }
    if (to_ip(text, ret_ip, &v4) == 0)
        return 0;
    /* "192.0.2.1:4711" */
    end = text.len > 0 ? memchr(text.ptr, ':', text.len) : NULL;
    return end ? to_ip(part(text, 0, (size_t)(end - text.ptr)), ret_ip, &v4) : NX_E_SYNTAX;
}

static int parse_block(struct nx_bytes text, struct nx_ip *ret_ip, unsigned *ret_bits)
{
    const char *slash = memchr(text.ptr, '/', text.len);
    size_t host_len = slash ? (size_t)(slash - text.ptr) : text.len;
    uint64_t bits;
    bool v4;

    if (to_ip(part(text, 0, host_len), ret_ip, &v4) < 0)
        return NX_E_SYNTAX;
    if (!slash) {
        *ret_bits = 128;
        return 0;
    }
    if (!nx_bytes_u64(nx_bytes_from(text, host_len + 1), &bits) || bits > (v4 ? 32 : 128))
        return NX_E_SYNTAX;
    *ret_bits = (unsigned)bits + (v4 ? 96 : 0);
    return 0;
}

int nx_ip_blocks_parse(
        struct nx_bytes text, struct nx_ip_blocks *ret_blocks, struct nx_bytes *ret_bad)
{
    struct nx_ip_blocks blocks = {.count = 0};

    while (text.len > 0) {
        const char *comma = memchr(text.ptr, ',', text.len);
        size_t len = comma ? (size_t)(comma - text.ptr) : text.len;
        struct nx_bytes item = nx_bytes_trim(part(text, 0, len));

        text = nx_bytes_from(text, len + 1);
        *ret_bad = item;
        if (item.len == 0)
            return NX_E_SYNTAX;
        if (blocks.count == NX_IP_BLOCKS_MAX)
            return NX_E_LIMIT;
        if (parse_block(item, &blocks.at[blocks.count].ip, &blocks.at[blocks.count].bits) < 0)
            return NX_E_SYNTAX;
        blocks.count++;
    }
    *ret_blocks = blocks;
    return 0;
}

static bool same_prefix(const struct nx_ip *a, const struct nx_ip *b, unsigned bits)
{
    unsigned whole = bits / 8;
    unsigned rest = bits % 8;
    unsigned char mask = (unsigned char)(0xff00 >> rest);

    if (memcmp(a->bytes, b->bytes, whole) != 0)
        return false;
    return rest == 0 || ((a->bytes[whole] ^ b->bytes[whole]) & mask) == 0;
}

bool nx_ip_blocks_hold(const struct nx_ip_blocks *blocks, const struct nx_ip *ip)
{
    for (size_t i = 0; i < blocks->count; i++) {
        if (same_prefix(&blocks->at[i].ip, ip, blocks->at[i].bits))
            return true;
    }
    return false;
}
