/* See mem_fail.h. Blocks carry their size and a mark in front, so that a foreign or double free
 * is seen at once, also without ASan. */
#include "support/mem_fail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define MARK UINT64_C(0x6e6578757320616c)

struct ledger {
    size_t made;    /* allocations so far in this run */
    size_t fail_at; /* 1-based; 0: none */
    size_t live;    /* blocks not yet freed */
};

struct header {
    uint64_t mark;
    uint64_t pad; /* keeps the block 16-byte aligned */
};

static void *resize(void *ctx, void *ptr, size_t bytes)
{
    struct ledger *ledger = ctx;
    struct header *old = ptr ? (struct header *)ptr - 1 : NULL;
    struct header *block;

    if (old)
        assert_true(old->mark == MARK);
    if (bytes == 0) {
        if (old) {
            old->mark = 0;
            ledger->live--;
            free(old);
        }
        return NULL;
    }
    if (++ledger->made == ledger->fail_at)
        return NULL;
    block = realloc(old, sizeof(*block) + bytes);
    if (!block)
        return NULL;
    if (!old)
        ledger->live++;
    block->mark = MARK;
    return block + 1;
}

size_t nx_mem_fail_each(void (*body)(const struct nx_mem *mem, void *ctx), void *ctx)
{
    struct ledger ledger = {0};
    struct nx_mem mem = {resize, &ledger};
    size_t total;

    body(&mem, ctx);
    assert_int_equal(ledger.live, 0);
    total = ledger.made;
    assert_true(total > 0);
    for (size_t n = 1; n <= total; n++) {
        ledger = (struct ledger){.fail_at = n};
        body(&mem, ctx);
        assert_int_equal(ledger.live, 0);
    }
    return total;
}
