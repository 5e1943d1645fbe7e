/* Bounded numbers without bias, and the seeded source. */
#include "base/random.h"

#include <string.h>

uint32_t nx_random_below(const struct nx_random *random, uint32_t bound)
{
    /* Values under this threshold would make the low residues likelier. */
    uint32_t threshold = (0 - bound) % bound;
    uint32_t value;

    do {
        nx_random_fill(random, &value, sizeof(value));
    } while (value < threshold);
    return value % bound;
}

static void seeded_fill(void *ctx, void *ptr, size_t len)
{
    struct nx_random_seeded *seeded = ctx;
    unsigned char *to = ptr;

    while (len > 0) {
        size_t n = len < 8 ? len : 8;
        uint64_t z = seeded->state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        z ^= z >> 31;
        memcpy(to, &z, n);
        to += n;
        len -= n;
    }
}

struct nx_random nx_random_from_seed(struct nx_random_seeded *seeded, uint64_t seed)
{
    seeded->state = seed;
    return (struct nx_random){seeded_fill, seeded};
}
