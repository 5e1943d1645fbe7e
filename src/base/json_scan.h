/* What the three halves of json.h share: stepping over white space and over the plain part of a
 * string, eight bytes at a time. Private to src/base/json*.c. */
#ifndef NX_BASE_JSON_SCAN_H
#define NX_BASE_JSON_SCAN_H

#include "base/json.h"

#define NX_SCAN_EACH(byte) (UINT64_C(0x0101010101010101) * (uint64_t)(byte))

/* Marks (0x80) the bytes of a word that are zero. The borrow of one may mark those above it
 * wrongly, never those below: only the lowest mark is to be used. */
#define NX_SCAN_ZEROS(word) (((word)-NX_SCAN_EACH(1)) & ~(word)&NX_SCAN_EACH(0x80))

/* RFC 8259 section 2: these four and no others. */
static inline bool nx_scan_is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Returns the first byte that is no white space, or end. */
static inline const char *nx_scan_space(const char *at, const char *end)
{
    while (at < end && nx_scan_is_space(*at))
        at++;
    return at;
}

/* The first eight bytes as a number whose lowest byte is the first. */
static inline uint64_t nx_scan_word(const char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* Returns the first byte that a string cannot hold as it is or that needs a look: the quote, the
 * backslash, a control, anything outside ASCII; or end.
 *
 * A byte of a word below n borrows when n is taken from it, which sets its top bit; equality is the
 * same with n = 1 after an exclusive or. A borrow may mark bytes above the first hit wrongly, never
 * below it, and only the lowest mark is used. */
static inline const char *nx_scan_plain(const char *at, const char *end)
{
    while ((size_t)(end - at) >= sizeof(uint64_t)) {
        uint64_t word = nx_scan_word(at);
        uint64_t hit = (word | (word - NX_SCAN_EACH(0x20)) |
                               ((word ^ NX_SCAN_EACH('"')) - NX_SCAN_EACH(1)) |
                               ((word ^ NX_SCAN_EACH('\\')) - NX_SCAN_EACH(1))) &
                       NX_SCAN_EACH(0x80);

        if (hit)
            return at + (__builtin_ctzll(hit) >> 3);
        at += sizeof(word);
    }
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' &&
            *at != '\\')
        at++;
    return at;
}

/* at: behind the opening quote of a string in checked text. Returns the closing quote (or end, only
 * when the text was not checked). */
static inline const char *nx_scan_quote(const char *at, const char *end)
{
    for (;;) {
        while ((size_t)(end - at) >= sizeof(uint64_t)) {
            uint64_t word = nx_scan_word(at);
            uint64_t quote = word ^ NX_SCAN_EACH('"');
            uint64_t slash = word ^ NX_SCAN_EACH('\\');
            uint64_t hit = NX_SCAN_ZEROS(quote) | NX_SCAN_ZEROS(slash);

            if (hit) {
                at += __builtin_ctzll(hit) >> 3;
                break;
            }
            at += sizeof(word);
        }
        while (at < end && *at != '"' && *at != '\\')
            at++;
        if (end - at < 2 || *at == '"')
            return at < end && *at == '"' ? at : end;
        at += 2;
    }
}

/* The kind of the value that begins so, in checked text. */
static inline enum nx_json_kind nx_scan_kind(char first)
{
    switch (first) {
    case 'n':
        return NX_JSON_NULL;
    case 'f':
        return NX_JSON_FALSE;
    case 't':
        return NX_JSON_TRUE;
    case '"':
        return NX_JSON_STRING;
    case '[':
        return NX_JSON_ARRAY;
    case '{':
        return NX_JSON_OBJECT;
    }
    return NX_JSON_NUMBER;
}

#endif
