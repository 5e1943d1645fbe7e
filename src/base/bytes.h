/* A borrowed run of bytes, and the few questions everybody asks of one. */
#ifndef NX_BASE_BYTES_H
#define NX_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct nx_bytes {
    const char *ptr; /* not NUL-terminated; may be NULL when len is 0 */
    size_t len;
};

/* A string literal as bytes, without its NUL. */
#define NX_BYTES(literal) ((struct nx_bytes){(literal), sizeof(literal) - 1})

static inline struct nx_bytes nx_bytes_of(const void *ptr, size_t len)
{
    return (struct nx_bytes){ptr, len};
}

/* A NUL-terminated string (or NULL) as bytes. */
static inline struct nx_bytes nx_bytes_str(const char *str)
{
    return (struct nx_bytes){str, str ? strlen(str) : 0};
}

static inline bool nx_bytes_equal(struct nx_bytes a, struct nx_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool nx_bytes_starts(struct nx_bytes bytes, struct nx_bytes prefix)
{
    return prefix.len == 0 ||
           (bytes.len >= prefix.len && memcmp(bytes.ptr, prefix.ptr, prefix.len) == 0);
}

/* Returns the bytes from offset on; empty when offset is past the end. */
static inline struct nx_bytes nx_bytes_from(struct nx_bytes bytes, size_t offset)
{
    if (offset >= bytes.len)
        return (struct nx_bytes){NULL, 0};
    return (struct nx_bytes){bytes.ptr + offset, bytes.len - offset};
}

/* ASCII case is ignored; other bytes must be the same. */
bool nx_bytes_equal_nocase(struct nx_bytes a, struct nx_bytes b);

/* Compares without telling by its time where the two differ. Lengths are not secret. */
bool nx_bytes_equal_secret(struct nx_bytes a, struct nx_bytes b);

/* Returns the bytes without blanks, tabs, CR and LF at both ends. */
struct nx_bytes nx_bytes_trim(struct nx_bytes bytes);

/* Reads a whole run of decimal digits. Returns false when it is empty, holds anything else, or
 * does not fit; *ret_value is then untouched. */
bool nx_bytes_u64(struct nx_bytes bytes, uint64_t *ret_value);

/* True when the bytes are well-formed UTF-8 (RFC 3629: no overlong form, no surrogate). */
bool nx_utf8_valid(struct nx_bytes bytes);

/* The first character of a run that is not empty: returns its length, 1–4, and *ret_valid true.
 * Where there is none, returns how many bytes one U+FFFD stands for (the maximal subpart of Unicode
 * 15 section 3.9, as every browser counts) and *ret_valid false. */
size_t nx_utf8_sequence(struct nx_bytes bytes, bool *ret_valid);

/* Writes 2 × len lower-case hex digits to hex; no NUL. */
void nx_hex_encode(const uint8_t *data, size_t len, char *hex);

/* Reads lower- or upper-case hex. Returns false when hex.len is not 2 × len or a digit is none. */
bool nx_hex_decode(struct nx_bytes hex, uint8_t *ret_data, size_t len);

/* Overwrites memory in a way the compiler keeps. */
void nx_wipe(void *ptr, size_t len);

#endif
