/* The longer answers of bytes.h. */
#include "base/bytes.h"

static unsigned char lower(char c)
{
    unsigned char u = (unsigned char)c;

    return u >= 'A' && u <= 'Z' ? (unsigned char)(u + 32) : u;
}

bool nx_bytes_equal_nocase(struct nx_bytes a, struct nx_bytes b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    }
    return true;
}

bool nx_bytes_equal_secret(struct nx_bytes a, struct nx_bytes b)
{
    volatile unsigned char difference = 0;

    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        difference = (unsigned char)(difference | (a.ptr[i] ^ b.ptr[i]));
    return difference == 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct nx_bytes nx_bytes_trim(struct nx_bytes bytes)
{
    while (bytes.len > 0 && is_space(bytes.ptr[0])) {
        bytes.ptr++;
        bytes.len--;
    }
    while (bytes.len > 0 && is_space(bytes.ptr[bytes.len - 1]))
        bytes.len--;
    return bytes;
}

bool nx_bytes_u64(struct nx_bytes bytes, uint64_t *ret_value)
{
    uint64_t value = 0;

    if (bytes.len == 0)
        return false;
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned digit = (unsigned)(unsigned char)bytes.ptr[i] - '0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret_value = value;
    return true;
}

size_t nx_utf8_sequence(struct nx_bytes bytes, bool *ret_valid)
{
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    size_t len;
    size_t have = 1;

    *ret_valid = p[0] < 0x80;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 1;
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] == 0xe0)
        low = 0xa0;
    else if (p[0] == 0xed)
        high = 0x9f;
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f;
    if (bytes.len > 1 && p[1] >= low && p[1] <= high) {
        have = 2;
        while (have < len && have < bytes.len && (p[have] & 0xc0) == 0x80)
            have++;
    }
    *ret_valid = have == len;
    return have;
}

bool nx_utf8_valid(struct nx_bytes bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    size_t at = 0;

    while (at < bytes.len) {
        uint64_t word;
        bool valid;

        /* Eight ASCII bytes at a time: most text is nothing else. */
        if (bytes.len - at >= sizeof(word)) {
            memcpy(&word, p + at, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof(word);
                continue;
            }
        }
        at += nx_utf8_sequence(nx_bytes_of(p + at, bytes.len - at), &valid);
        if (!valid)
            return false;
    }
    return true;
}

void nx_hex_encode(const uint8_t *data, size_t len, char *hex)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        hex[2 * i] = digits[data[i] >> 4];
        hex[2 * i + 1] = digits[data[i] & 15];
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool nx_hex_decode(struct nx_bytes hex, uint8_t *ret_data, size_t len)
{
    if (hex.len != 2 * len)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (hex_value(hex.ptr[2 * i]) < 0 || hex_value(hex.ptr[2 * i + 1]) < 0)
            return false;
    }
    for (size_t i = 0; i < len; i++)
        ret_data[i] = (uint8_t)(hex_value(hex.ptr[2 * i]) << 4 | hex_value(hex.ptr[2 * i + 1]));
    return true;
}

void nx_wipe(void *ptr, size_t len)
{
    if (len == 0)
        return;
    memset(ptr, 0, len);
    __asm__ __volatile__("" : : "r"(ptr) : "memory");
}
