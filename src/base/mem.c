/* The C library as an nx_mem, and the shapes of allocation in use. */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *libc_resize(void *ctx, void *ptr, size_t bytes)
{
    (void)ctx;
    if (bytes == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, bytes);
}

const struct nx_mem *nx_mem_libc(void)
{
    static const struct nx_mem mem = {libc_resize, NULL};

    return &mem;
}

void *nx_mem_alloc(const struct nx_mem *mem, size_t bytes)
{
    return mem->resize(mem->ctx, NULL, bytes > 0 ? bytes : 1);
}

void *nx_mem_zalloc(const struct nx_mem *mem, size_t count, size_t size)
{
    void *ptr;

    if (size > 0 && count > SIZE_MAX / size)
        return NULL;
    ptr = nx_mem_alloc(mem, count * size);
    if (ptr)
        memset(ptr, 0, count * size);
    return ptr;
}

void *nx_mem_resize(const struct nx_mem *mem, void *ptr, size_t bytes)
{
    return mem->resize(mem->ctx, ptr, bytes > 0 ? bytes : 1);
}

char *nx_mem_strndup(const struct nx_mem *mem, const char *str, size_t len)
{
    char *copy = nx_mem_alloc(mem, len + 1);

    if (copy) {
        if (len > 0)
            memcpy(copy, str, len);
        copy[len] = '\0';
    }
    return copy;
}

void nx_mem_free(const struct nx_mem *mem, void *ptr)
{
    if (ptr)
        mem->resize(mem->ctx, ptr, 0);
}
