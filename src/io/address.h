/* Socket addresses as text and as bytes: what to listen on, who is asking, which proxies to
 * believe. Numeric only: no name is looked up here. */
#ifndef NX_IO_ADDRESS_H
#define NX_IO_ADDRESS_H

#include <netinet/in.h>

#include "base/bytes.h"
#include "base/error.h"

struct nx_address {
    struct sockaddr_storage storage;
};

/* Reads "127.0.0.1:3000", "[::1]:3000", ":3000" (every address), "localhost:3000". Returns 0 or
 * NX_E_SYNTAX. */
NX_MUST_USE int nx_address_parse(struct nx_bytes text, struct nx_address *ret_address);
unsigned nx_address_port(const struct nx_address *address);
/* As it stands in a URL: "127.0.0.1:3000", "[::1]:3000"; the unspecified address as loopback. */
#define NX_ADDRESS_TEXT 64
void nx_address_text(const struct nx_address *address, char *ret_text);

/* An IP as 16 bytes, IPv4 mapped into IPv6 (::ffff:a.b.c.d). */
struct nx_ip {
    unsigned char bytes[16];
};
void nx_ip_of(const struct nx_address *address, struct nx_ip *ret_ip);
/* Reads an IPv4 or IPv6 address, brackets and a port behind it allowed. Returns 0, NX_E_SYNTAX. */
NX_MUST_USE int nx_ip_parse(struct nx_bytes text, struct nx_ip *ret_ip);

#define NX_IP_BLOCKS_MAX 32
struct nx_ip_blocks {
    struct {
        struct nx_ip ip;
        unsigned bits; /* of 128 */
    } at[NX_IP_BLOCKS_MAX];
    size_t count;
};
/* Reads "10.0.0.0/8, ::1". Returns 0, NX_E_SYNTAX, NX_E_LIMIT; *ret_bad is the part at fault. */
NX_MUST_USE int nx_ip_blocks_parse(
        struct nx_bytes text, struct nx_ip_blocks *ret_blocks, struct nx_bytes *ret_bad);
bool nx_ip_blocks_hold(const struct nx_ip_blocks *blocks, const struct nx_ip *ip);

#endif
