/* Memory is given, never taken: whatever allocates is handed one of these at init.
 *
 * So a test can fail the n-th allocation, the simulator can account per node, and the product
 * can count. */
#ifndef NX_BASE_MEM_H
#define NX_BASE_MEM_H

#include <stddef.h>

struct nx_mem {
    /* Like realloc: NULL with bytes > 0 allocates, bytes == 0 frees and returns NULL. The old
     * block stays valid when NULL is returned for bytes > 0. */
    void *(*resize)(void *ctx, void *ptr, size_t bytes);
    void *ctx;
};

/* The C library's allocator. */
const struct nx_mem *nx_mem_libc(void);

/* Returns uninitialised memory or NULL; bytes 0 counts as 1. */
void *nx_mem_alloc(const struct nx_mem *mem, size_t bytes);
/* Returns zeroed memory or NULL (also when count × size overflows). */
void *nx_mem_zalloc(const struct nx_mem *mem, size_t count, size_t size);
/* Returns the resized block or NULL, the old one then still valid. */
void *nx_mem_resize(const struct nx_mem *mem, void *ptr, size_t bytes);
/* Returns a NUL-terminated copy or NULL. */
char *nx_mem_strndup(const struct nx_mem *mem, const char *str, size_t len);
void nx_mem_free(const struct nx_mem *mem, void *ptr);

#endif
