/* A binary min-heap of moments, for timers: the node lives in what waits. Bounded like all tables. */
#ifndef NX_BASE_HEAP_H
#define NX_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"

struct nx_heap_node {
    int64_t key;  /* the earliest comes first */
    size_t place; /* 1-based index in the heap; 0 = not in it */
};

struct nx_heap {
    const struct nx_mem *mem;
    struct nx_heap_node **nodes;
    size_t count;
    size_t capacity;
    size_t count_max;
};

void nx_heap_init(struct nx_heap *heap, const struct nx_mem *mem, size_t count_max);
/* Frees the array; the nodes are their owner's. */
void nx_heap_done(struct nx_heap *heap);
/* Inserts, or moves a node that is already in. Returns 0, NX_E_LIMIT or NX_E_NOMEM (never when
 * the node was already in). */
NX_MUST_USE int nx_heap_set(struct nx_heap *heap, struct nx_heap_node *node, int64_t key);
/* Takes a node out; no effect on one that is not in. */
void nx_heap_remove(struct nx_heap *heap, struct nx_heap_node *node);
/* The node with the smallest key, NULL when empty. */
struct nx_heap_node *nx_heap_first(const struct nx_heap *heap);

#endif
