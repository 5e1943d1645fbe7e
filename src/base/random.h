/* Randomness is given at init, like memory: the product's comes from the kernel (io/entropy.h), a
 * test's or the simulator's from a seed. */
#ifndef NX_BASE_RANDOM_H
#define NX_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct nx_random {
    /* Fills len bytes; cannot fail. */
    void (*fill)(void *ctx, void *ptr, size_t len);
    void *ctx;
};

static inline void nx_random_fill(const struct nx_random *random, void *ptr, size_t len)
{
    random->fill(random->ctx, ptr, len);
}

/* Returns an unbiased number in 0 … bound - 1; bound >= 1. */
uint32_t nx_random_below(const struct nx_random *random, uint32_t bound);

/* A seeded source for tests and simulation: reproducible, not secret (SplitMix64). */
struct nx_random_seeded {
    uint64_t state;
};
struct nx_random nx_random_from_seed(struct nx_random_seeded *seeded, uint64_t seed);

#endif
