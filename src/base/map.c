/* The hash table of map.h. */
#include "base/map.h"

#include <assert.h>

void nx_map_init(struct nx_map *map, const struct nx_mem *mem, size_t count_max)
{
    *map = (struct nx_map){.mem = mem, .count_max = count_max};
}

void nx_map_done(struct nx_map *map)
{
    if (map->mem)
        nx_mem_free(map->mem, map->slots);
    map->slots = NULL;
    map->slot_count = 0;
    map->count = 0;
}

static int grow(struct nx_map *map)
{
    size_t slot_count = map->slot_count ? map->slot_count * 2 : 16;
    struct nx_map_node **slots = nx_mem_zalloc(map->mem, slot_count, sizeof(*slots));

    /* A fuller table is slower, not wrong: only the first allocation must succeed. */
    if (!slots)
        return map->slot_count ? 0 : NX_E_NOMEM;
    for (size_t i = 0; i < map->slot_count; i++) {
        struct nx_map_node *node = map->slots[i];

        while (node) {
            struct nx_map_node *next = node->next;
            struct nx_map_node **slot = &slots[node->hash & (slot_count - 1)];

            node->next = *slot;
            *slot = node;
            node = next;
        }
    }
    nx_mem_free(map->mem, map->slots);
    map->slots = slots;
    map->slot_count = slot_count;
    return 0;
}

int nx_map_insert(struct nx_map *map, struct nx_map_node *node, uint64_t hash)
{
    struct nx_map_node **slot;

    if (map->count >= map->count_max)
        return NX_E_LIMIT;
    if (map->count >= map->slot_count) {
        int r = grow(map);

        if (r < 0)
            return r;
    }
    slot = &map->slots[hash & (map->slot_count - 1)];
    node->hash = hash;
    node->next = *slot;
    *slot = node;
    map->count++;
    return 0;
}

void nx_map_remove(struct nx_map *map, struct nx_map_node *node)
{
    struct nx_map_node **at;

    assert(map->count > 0);
    at = &map->slots[node->hash & (map->slot_count - 1)];
    while (*at != node) {
        assert(*at);
        at = &(*at)->next;
    }
    *at = node->next;
    node->next = NULL;
    map->count--;
}

struct nx_map_node *nx_map_first(const struct nx_map *map, uint64_t hash)
{
    struct nx_map_node *node;

    if (map->count == 0)
        return NULL;
    node = map->slots[hash & (map->slot_count - 1)];
    while (node && node->hash != hash)
        node = node->next;
    return node;
}

struct nx_map_node *nx_map_next(const struct nx_map_node *node)
{
    struct nx_map_node *next = node->next;

    while (next && next->hash != node->hash)
        next = next->next;
    return next;
}

struct nx_map_node *nx_map_any(const struct nx_map *map, size_t *slot)
{
    if (map->count == 0)
        return NULL;
    for (; *slot < map->slot_count; (*slot)++) {
        if (map->slots[*slot])
            return map->slots[*slot];
    }
    return NULL;
}
