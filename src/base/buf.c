/* The growing buffer of buf.h. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

void nx_buf_init(struct nx_buf *buf, const struct nx_mem *mem, size_t bytes_max)
{
    *buf = (struct nx_buf){.mem = mem, .max = bytes_max};
}

void nx_buf_done(struct nx_buf *buf)
{
    if (buf->mem)
        nx_mem_free(buf->mem, buf->ptr);
    *buf = (struct nx_buf){.mem = buf->mem, .max = buf->max};
}

void nx_buf_clear(struct nx_buf *buf)
{
    buf->len = 0;
    buf->error = 0;
}

char *nx_buf_reserve(struct nx_buf *buf, size_t more)
{
    size_t capacity;
    char *ptr;

    if (buf->error)
        return NULL;
    if (more <= buf->capacity - buf->len)
        return buf->ptr + buf->len;
    if (more > buf->max - buf->len) {
        buf->error = NX_E_TOO_LARGE;
        return NULL;
    }
    capacity = buf->capacity ? buf->capacity : 64;
    /* Below half the maximum there is room to double: this cannot run over. */
    while (capacity < buf->len + more && capacity <= buf->max / 2)
        capacity *= 2;
    if (capacity < buf->len + more || capacity > buf->max)
        capacity = buf->max;
    ptr = nx_mem_resize(buf->mem, buf->ptr, capacity);
    if (!ptr) {
        buf->error = NX_E_NOMEM;
        return NULL;
    }
    buf->ptr = ptr;
    buf->capacity = capacity;
    return buf->ptr + buf->len;
}

void nx_buf_append(struct nx_buf *buf, struct nx_bytes bytes)
{
    char *to;

    if (bytes.len == 0)
        return;
    to = nx_buf_reserve(buf, bytes.len);
    if (!to)
        return;
    memcpy(to, bytes.ptr, bytes.len);
    buf->len += bytes.len;
}

void nx_buf_append_str(struct nx_buf *buf, const char *str)
{
    nx_buf_append(buf, nx_bytes_str(str));
}

void nx_buf_append_char(struct nx_buf *buf, char c)
{
    nx_buf_append(buf, nx_bytes_of(&c, 1));
}

void nx_buf_append_u64(struct nx_buf *buf, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    nx_buf_append(buf, nx_bytes_of(digits + at, sizeof(digits) - at));
}

void nx_buf_append_i64(struct nx_buf *buf, int64_t value)
{
    if (value < 0)
        nx_buf_append_char(buf, '-');
    nx_buf_append_u64(buf, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void nx_buf_printf(struct nx_buf *buf, const char *format, ...)
{
    va_list args;
    int len;
    char *to;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0) {
        buf->error = NX_E_BUG;
        return;
    }
    to = nx_buf_reserve(buf, (size_t)len + 1);
    if (!to)
        return;
    va_start(args, format);
    (void)vsnprintf(to, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
}

void nx_buf_drop(struct nx_buf *buf, size_t n)
{
    if (n == 0)
        return;
    memmove(buf->ptr, buf->ptr + n, buf->len - n);
    buf->len -= n;
}

const char *nx_buf_str(struct nx_buf *buf)
{
    char *end = nx_buf_reserve(buf, 1);

    if (!end)
        return "";
    *end = '\0';
    return buf->ptr;
}
