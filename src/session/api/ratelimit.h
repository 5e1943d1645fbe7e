/* How many requests a client address may make: fixed windows of a minute, one for all requests and
 * a tighter one for claims (a claim guesses a code). Bounded: when the table is full, the entry
 * whose window began first is forgotten. A pure machine; the owner shards and locks. */
#ifndef NX_SESSION_API_RATELIMIT_H
#define NX_SESSION_API_RATELIMIT_H

#include "base/hash.h"
#include "base/map.h"
#include "base/time.h"

#define NX_RATELIMIT_WINDOW_MS INT64_C(60000)

/* An address: IPv4 mapped into IPv6; of IPv6 the first 64 bits, the rest zero. */
struct nx_ratelimit_address {
    unsigned char bytes[16];
};

enum nx_ratelimit_kind { NX_RATELIMIT_REQUEST, NX_RATELIMIT_CLAIM, NX_RATELIMIT_KINDS };

struct nx_ratelimit;

/* limits: requests a window, 0 = off, for each kind. entries_max > 0. Returns 0 or NX_E_NOMEM. */
NX_MUST_USE int nx_ratelimit_new(const struct nx_mem *mem, const struct nx_hash_key *key,
        const unsigned limits[NX_RATELIMIT_KINDS], size_t entries_max,
        struct nx_ratelimit **ret_ratelimit);
void nx_ratelimit_free(struct nx_ratelimit *ratelimit);

/* Counts one request. Returns 0 when it may pass, else the seconds (>= 1) until it may. When
 * memory is short the request passes: a limit is no reason to fail. */
int64_t nx_ratelimit_take(struct nx_ratelimit *ratelimit, int64_t mono_ms,
        const struct nx_ratelimit_address *address, enum nx_ratelimit_kind kind);

#endif
