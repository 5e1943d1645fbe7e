/* The binary heap of heap.h. */
#include "base/heap.h"

void nx_heap_init(struct nx_heap *heap, const struct nx_mem *mem, size_t count_max)
{
    *heap = (struct nx_heap){.mem = mem, .count_max = count_max};
}

void nx_heap_done(struct nx_heap *heap)
{
    if (heap->mem)
        nx_mem_free(heap->mem, heap->nodes);
    heap->nodes = NULL;
    heap->count = 0;
    heap->capacity = 0;
}

static void put(struct nx_heap *heap, size_t at, struct nx_heap_node *node)
{
    heap->nodes[at] = node;
    node->place = at + 1;
}

static void sift_up(struct nx_heap *heap, size_t at)
{
    struct nx_heap_node *node = heap->nodes[at];

    while (at > 0) {
        size_t parent = (at - 1) / 2;

        if (heap->nodes[parent]->key <= node->key)
            break;
        put(heap, at, heap->nodes[parent]);
        at = parent;
    }
    put(heap, at, node);
}

static void sift_down(struct nx_heap *heap, size_t at)
{
    struct nx_heap_node *node = heap->nodes[at];

    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && heap->nodes[child + 1]->key < heap->nodes[child]->key)
            child++;
        if (node->key <= heap->nodes[child]->key)
            break;
        put(heap, at, heap->nodes[child]);
        at = child;
    }
    put(heap, at, node);
}

int nx_heap_set(struct nx_heap *heap, struct nx_heap_node *node, int64_t key)
{
    if (node->place == 0) {
        if (heap->count >= heap->count_max)
            return NX_E_LIMIT;
        if (heap->count == heap->capacity) {
            size_t capacity = heap->capacity ? heap->capacity * 2 : 16;
            void *nodes = nx_mem_resize(heap->mem, heap->nodes, capacity * sizeof(*heap->nodes));

            if (!nodes)
                return NX_E_NOMEM;
            heap->nodes = nodes;
            heap->capacity = capacity;
        }
        node->key = key;
        put(heap, heap->count++, node);
        sift_up(heap, node->place - 1);
        return 0;
    }
    if (key < node->key) {
        node->key = key;
        sift_up(heap, node->place - 1);
    } else {
        node->key = key;
        sift_down(heap, node->place - 1);
    }
    return 0;
}

void nx_heap_remove(struct nx_heap *heap, struct nx_heap_node *node)
{
    size_t at = node->place;

    if (at == 0)
        return;
    node->place = 0;
    heap->count--;
    at--;
    if (at == heap->count)
        return;
    put(heap, at, heap->nodes[heap->count]);
    sift_down(heap, at);
    sift_up(heap, heap->nodes[at]->place - 1);
}

struct nx_heap_node *nx_heap_first(const struct nx_heap *heap)
{
    return heap->count > 0 ? heap->nodes[0] : NULL;
}
