/* getrandom(2), with what was handed out wiped from the pool. */
#include "io/entropy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"

static void draw(unsigned char *to, size_t len)
{
    while (len > 0) {
        ssize_t n = getrandom(to, len, 0);

        /* Up to 256 bytes never fail once the kernel is seeded; without randomness there is no
         * key to give out, and nothing safe to go on with. */
        if (n <= 0) {
            (void)fputs("nexus: the kernel gives no randomness (getrandom)\n", stderr);
            abort();
        }
        to += n;
        len -= (size_t)n;
    }
}

static void fill(void *ctx, void *ptr, size_t len)
{
    struct nx_entropy *entropy = ctx;
    unsigned char *to = ptr;

    while (len > 0) {
        size_t n;
        unsigned char *from;

        if (entropy->left == 0) {
            draw(entropy->pool, sizeof(entropy->pool) / 2);
            draw(entropy->pool + sizeof(entropy->pool) / 2, sizeof(entropy->pool) / 2);
            entropy->left = sizeof(entropy->pool);
        }
        n = len < entropy->left ? len : entropy->left;
        from = entropy->pool + entropy->left - n;
        memcpy(to, from, n);
        nx_wipe(from, n);
        entropy->left -= n;
        to += n;
        len -= n;
    }
}

struct nx_random nx_entropy_init(struct nx_entropy *entropy)
{
    entropy->left = 0;
    return (struct nx_random){fill, entropy};
}

void nx_entropy_done(struct nx_entropy *entropy)
{
    nx_wipe(entropy, sizeof(*entropy));
}
