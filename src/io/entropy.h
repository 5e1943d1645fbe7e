/* The kernel's randomness as an nx_random, drawn a pool at a time. Not for two threads at once. */
#ifndef NX_IO_ENTROPY_H
#define NX_IO_ENTROPY_H

#include "base/random.h"

struct nx_entropy {
    unsigned char pool[512];
    size_t left;
};

/* The result borrows entropy. */
struct nx_random nx_entropy_init(struct nx_entropy *entropy);
/* Wipes what was not handed out. */
void nx_entropy_done(struct nx_entropy *entropy);

#endif
