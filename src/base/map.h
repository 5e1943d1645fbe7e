/* An intrusive chained hash table: the node lives in the entry, the caller brings the hash and
 * compares the keys. It has a maximum, grows by doubling, and never fails a removal.
 *
 *     for (n = nx_map_first(&map, hash); n; n = nx_map_next(n)) { if (same key) … }
 */
#ifndef NX_BASE_MAP_H
#define NX_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/mem.h"

struct nx_map_node {
    struct nx_map_node *next;
    uint64_t hash;
};

struct nx_map {
    const struct nx_mem *mem;
    struct nx_map_node **slots;
    size_t slot_count; /* a power of two, or 0 */
    size_t count;
    size_t count_max;
};

/* The entry that holds a node. */
#define NX_CONTAINER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

void nx_map_init(struct nx_map *map, const struct nx_mem *mem, size_t count_max);
/* Frees the slots; the entries are their owner's. */
void nx_map_done(struct nx_map *map);
/* Returns 0, NX_E_LIMIT or NX_E_NOMEM. Does not look for an equal key. */
NX_MUST_USE int nx_map_insert(struct nx_map *map, struct nx_map_node *node, uint64_t hash);
/* The node must be in the map. */
void nx_map_remove(struct nx_map *map, struct nx_map_node *node);
/* The first entry under this hash, then the next one under the same; NULL at the end. */
struct nx_map_node *nx_map_first(const struct nx_map *map, uint64_t hash);
struct nx_map_node *nx_map_next(const struct nx_map_node *node);
/* Any entry, or NULL: for taking a map apart. Starts looking at *slot (begin with 0). */
struct nx_map_node *nx_map_any(const struct nx_map *map, size_t *slot);

#endif
