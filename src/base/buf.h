/* A growing run of bytes with a mandatory maximum.
 *
 * Appending is chained and checked once: the first failure sticks in `error`, later appends do
 * nothing, and nx_buf_error says what went wrong. */
#ifndef NX_BASE_BUF_H
#define NX_BASE_BUF_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"

struct nx_buf {
    const struct nx_mem *mem;
    char *ptr;
    size_t len;
    size_t capacity;
    size_t max; /* bytes it may ever hold */
    int error;  /* sticky: 0, NX_E_NOMEM, NX_E_TOO_LARGE */
};

/* Allocates nothing yet. */
void nx_buf_init(struct nx_buf *buf, const struct nx_mem *mem, size_t bytes_max);
/* Frees; the buffer may be initialised anew. Safe on a zeroed one. */
void nx_buf_done(struct nx_buf *buf);
/* Empties and forgets the error; keeps the memory. */
void nx_buf_clear(struct nx_buf *buf);

/* Makes room for `more` bytes behind len. Returns where they go, NULL on failure (sticky). */
char *nx_buf_reserve(struct nx_buf *buf, size_t more);
void nx_buf_append(struct nx_buf *buf, struct nx_bytes bytes);
void nx_buf_append_str(struct nx_buf *buf, const char *str);
void nx_buf_append_char(struct nx_buf *buf, char c);
/* Decimal digits. */
void nx_buf_append_u64(struct nx_buf *buf, uint64_t value);
void nx_buf_append_i64(struct nx_buf *buf, int64_t value);
void nx_buf_printf(struct nx_buf *buf, const char *format, ...) NX_PRINTF(2, 3);
/* Drops the first n bytes (n <= len), moving the rest to the front. */
void nx_buf_drop(struct nx_buf *buf, size_t n);
/* Adds a NUL that does not count into len. Returns the text, "" on failure. */
const char *nx_buf_str(struct nx_buf *buf);

#define NX_BUF_LIT(buf, literal) nx_buf_append((buf), NX_BYTES(literal))

static inline struct nx_bytes nx_buf_bytes(const struct nx_buf *buf)
{
    return (struct nx_bytes){buf->ptr, buf->len};
}

static inline NX_MUST_USE int nx_buf_error(const struct nx_buf *buf)
{
    return buf->error;
}

#endif
