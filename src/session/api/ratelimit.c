/* Fixed windows per address; see ratelimit.h. */
#include "session/api/ratelimit.h"

#include <string.h>

struct entry {
    struct nx_map_node by_address;
    struct entry *older, *newer; /* in the order in which their windows began */
    struct nx_ratelimit_address address;
    int64_t began_ms;
    unsigned used[NX_RATELIMIT_KINDS];
};

struct nx_ratelimit {
    const struct nx_mem *mem;
    struct nx_hash_key key;
    unsigned limits[NX_RATELIMIT_KINDS];
    struct nx_map map;
    struct entry *oldest, *newest;
};

int nx_ratelimit_new(const struct nx_mem *mem, const struct nx_hash_key *key,
        const unsigned limits[NX_RATELIMIT_KINDS], size_t entries_max,
        struct nx_ratelimit **ret_ratelimit)
{
    struct nx_ratelimit *r = nx_mem_zalloc(mem, 1, sizeof(*r));

    if (!r)
        return NX_E_NOMEM;
    r->mem = mem;
    r->key = *key;
    memcpy(r->limits, limits, sizeof(r->limits));
    nx_map_init(&r->map, mem, entries_max);
    *ret_ratelimit = r;
    return 0;
}

static void unlink_entry(struct nx_ratelimit *r, struct entry *entry)
{
    *(entry->older ? &entry->older->newer : &r->oldest) = entry->newer;
    *(entry->newer ? &entry->newer->older : &r->newest) = entry->older;
}

static void append(struct nx_ratelimit *r, struct entry *entry)
{
    entry->older = r->newest;
    entry->newer = NULL;
    *(r->newest ? &r->newest->newer : &r->oldest) = entry;
    r->newest = entry;
}

static void forget(struct nx_ratelimit *r, struct entry *entry)
{
    unlink_entry(r, entry);
    nx_map_remove(&r->map, &entry->by_address);
    nx_mem_free(r->mem, entry);
}

void nx_ratelimit_free(struct nx_ratelimit *r)
{
    if (!r)
        return;
    while (r->oldest)
        forget(r, r->oldest);
    nx_map_done(&r->map);
    nx_mem_free(r->mem, r);
}

static struct entry *find(
        struct nx_ratelimit *r, const struct nx_ratelimit_address *address, uint64_t hash)
{
    struct nx_map_node *node;

    for (node = nx_map_first(&r->map, hash); node; node = nx_map_next(node)) {
        struct entry *entry = NX_CONTAINER(node, struct entry, by_address);

        if (memcmp(&entry->address, address, sizeof(*address)) == 0)
            return entry;
    }
    return NULL;
}

static struct entry *begin(struct nx_ratelimit *r, int64_t mono_ms,
        const struct nx_ratelimit_address *address, uint64_t hash)
{
    struct entry *entry;

    /* What is over goes first, two at a time, so that the table follows the traffic down. */
    for (int i = 0; i < 2 && r->oldest; i++) {
        if (mono_ms - r->oldest->began_ms < NX_RATELIMIT_WINDOW_MS)
            break;
        forget(r, r->oldest);
    }
    if (r->oldest && r->map.count >= r->map.count_max)
        forget(r, r->oldest);
    entry = nx_mem_zalloc(r->mem, 1, sizeof(*entry));
    if (!entry)
        return NULL;
    entry->address = *address;
    entry->began_ms = mono_ms;
    if (nx_map_insert(&r->map, &entry->by_address, hash) < 0) {
        nx_mem_free(r->mem, entry);
        return NULL;
    }
    append(r, entry);
    return entry;
}

int64_t nx_ratelimit_take(struct nx_ratelimit *r, int64_t mono_ms,
        const struct nx_ratelimit_address *address, enum nx_ratelimit_kind kind)
{
    uint64_t hash;
    struct entry *entry;

    if (r->limits[kind] == 0)
        return 0;
    hash = nx_hash(&r->key, address, sizeof(*address));
    entry = find(r, address, hash);
    if (entry && mono_ms - entry->began_ms >= NX_RATELIMIT_WINDOW_MS) {
        unlink_entry(r, entry);
        memset(entry->used, 0, sizeof(entry->used));
        entry->began_ms = mono_ms;
        append(r, entry);
    }
    if (!entry)
        entry = begin(r, mono_ms, address, hash);
    if (!entry)
        return 0;
    if (entry->used[kind] < r->limits[kind]) {
        entry->used[kind]++;
        return 0;
    }
    return (entry->began_ms + NX_RATELIMIT_WINDOW_MS - mono_ms + 999) / 1000;
}
