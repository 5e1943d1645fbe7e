/* SipHash-2-4. */
#include "base/hash.h"

#include <string.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static void rounds(struct state *s, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotl(s->v1, 13) ^ s->v0;
        s->v3 = rotl(s->v3, 16) ^ s->v2;
        s->v0 = rotl(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = rotl(s->v1, 17) ^ s->v2;
        s->v3 = rotl(s->v3, 21) ^ s->v0;
        s->v2 = rotl(s->v2, 32);
    }
}

uint64_t nx_hash(const struct nx_hash_key *key, const void *ptr, size_t len)
{
    const unsigned char *p = ptr;
    size_t left = len;
    uint64_t last = (uint64_t)len << 56;
    uint64_t word = 0;
    struct state s = {
            key->k0 ^ UINT64_C(0x736f6d6570736575),
            key->k1 ^ UINT64_C(0x646f72616e646f6d),
            key->k0 ^ UINT64_C(0x6c7967656e657261),
            key->k1 ^ UINT64_C(0x7465646279746573),
    };

    for (; left >= 8; left -= 8, p += 8) {
        memcpy(&word, p, 8);
        s.v3 ^= word;
        rounds(&s, 2);
        s.v0 ^= word;
    }
    word = 0;
    if (left > 0)
        memcpy(&word, p, left);
    last |= word;
    s.v3 ^= last;
    rounds(&s, 2);
    s.v0 ^= last;
    s.v2 ^= 0xff;
    rounds(&s, 4);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
