/* The keyed hash of every table whose keys a peer chooses: SipHash-2-4 (Aumasson and Bernstein,
 * "SipHash: a fast short-input PRF", 2012). */
#ifndef NX_BASE_HASH_H
#define NX_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct nx_hash_key {
    uint64_t k0, k1;
};

uint64_t nx_hash(const struct nx_hash_key *key, const void *ptr, size_t len);

#endif
