/* Reading what nx_json_parse found well (json.c): members and elements, strings, integers. Nothing
 * is checked twice; still no step leaves the value's own span. */
#include "base/json.h"

#include "base/json_scan.h"

/* Returns the next bracket of either shape or quote, or end. A square bracket differs from the
 * curly one of its side only in bit 0x20. */
static const char *find_bracket(const char *at, const char *end)
{
    while ((size_t)(end - at) >= sizeof(uint64_t)) {
        uint64_t word = nx_scan_word(at);
        uint64_t open = (word | NX_SCAN_EACH(0x20)) ^ NX_SCAN_EACH('{');
        uint64_t close = (word | NX_SCAN_EACH(0x20)) ^ NX_SCAN_EACH('}');
        uint64_t quote = word ^ NX_SCAN_EACH('"');
        uint64_t hit = NX_SCAN_ZEROS(open) | NX_SCAN_ZEROS(close) | NX_SCAN_ZEROS(quote);

        if (hit)
            return at + (__builtin_ctzll(hit) >> 3);
        at += sizeof(word);
    }
    while (at < end && *at != '"' && (*at | 0x20) != '{' && (*at | 0x20) != '}')
        at++;
    return at;
}

/* at: on the opening bracket. Returns behind the one that closes it. */
static const char *skip_container(const char *at, const char *end)
{
    size_t depth = 1;

    for (;;) {
        at = find_bracket(at + 1, end);
        if (at < end && *at == '"')
            at = nx_scan_quote(at + 1, end);
        else if (at < end)
            depth = (*at | 0x20) == '{' ? depth + 1 : depth - 1;
        if (at == end || depth == 0)
            return at < end ? at + 1 : end;
    }
}

/* Returns behind the value that begins at `at`. */
static const char *skip_value(const char *at, const char *end)
{
    if (*at == '"') {
        at = nx_scan_quote(at + 1, end);
        return at < end ? at + 1 : end;
    }
    if (*at == '{' || *at == '[')
        return skip_container(at, end);
    while (at < end && *at != ',' && *at != ']' && *at != '}' && !nx_scan_is_space(*at))
        at++;
    return at;
}

void nx_json_iter_init(struct nx_json_iter *iter, const struct nx_json *container)
{
    struct nx_bytes text = container->text;

    *iter = (struct nx_json_iter){NULL, NULL, container->kind};
    if ((container->kind == NX_JSON_ARRAY || container->kind == NX_JSON_OBJECT) && text.len >= 2) {
        iter->at = text.ptr + 1;
        iter->end = text.ptr + text.len - 1;
    }
}

/* Takes the value at iter->at, which is not the end. */
static struct nx_json take(struct nx_json_iter *iter)
{
    const char *from = iter->at;

    iter->at = skip_value(from, iter->end);
    return (struct nx_json){nx_scan_kind(*from), nx_bytes_of(from, (size_t)(iter->at - from))};
}

/* Steps over white space and the one separator there may be. Returns false at the end. */
static bool step_over(struct nx_json_iter *iter, char separator)
{
    iter->at = nx_scan_space(iter->at, iter->end);
    if (iter->at < iter->end && *iter->at == separator)
        iter->at = nx_scan_space(iter->at + 1, iter->end);
    return iter->at < iter->end;
}

bool nx_json_next(struct nx_json_iter *iter, struct nx_json *ret_key, struct nx_json *ret_value)
{
    if (!step_over(iter, ','))
        return false;
    if (iter->kind == NX_JSON_OBJECT) {
        struct nx_json key = take(iter);

        if (!step_over(iter, ':'))
            return false;
        if (ret_key)
            *ret_key = key;
    }
    *ret_value = take(iter);
    return true;
}

bool nx_json_get(const struct nx_json *object, struct nx_bytes name, struct nx_json *ret_value)
{
    struct nx_json_iter iter;
    struct nx_json key;
    struct nx_json value;
    bool found = false;

    if (object->kind != NX_JSON_OBJECT)
        return false;
    nx_json_iter_init(&iter, object);
    while (nx_json_next(&iter, &key, &value)) {
        if (nx_json_string_equal(&key, name)) {
            *ret_value = value;
            found = true;
        }
    }
    return found;
}

struct nx_bytes nx_json_string_raw(const struct nx_json *value)
{
    if (value->text.len < 2)
        return NX_BYTES("");
    return nx_bytes_of(value->text.ptr + 1, value->text.len - 2);
}

static uint32_t hex4(const char *at)
{
    uint8_t bytes[2] = {0};

    (void)nx_hex_decode(nx_bytes_of(at, 4), bytes, 2);
    return (uint32_t)bytes[0] << 8 | bytes[1];
}

static size_t encode_utf8(uint32_t c, char *to)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3f));
        to[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3f));
    to[2] = (char)(0x80 | (c >> 6 & 0x3f));
    to[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* *at: on "\u". Returns the character, a surrogate pair's two escapes taken as one (RFC 8259
 * section 7), U+FFFD for half a pair; moves *at behind it. */
static uint32_t unescape_u(const char **at, const char *end)
{
    const char *from = *at;
    uint32_t c;

    if (end - from < 6) {
        *at = end;
        return 0xfffd;
    }
    *at = from + 6;
    c = hex4(from + 2);
    if (c < 0xd800 || c > 0xdfff)
        return c;
    if (c < 0xdc00 && end - from >= 12 && from[6] == '\\' && from[7] == 'u') {
        uint32_t low = hex4(from + 8);

        if (low >= 0xdc00 && low <= 0xdfff) {
            *at = from + 12;
            return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return 0xfffd;
}

/* *at: on a backslash with something behind it. Writes the character it stands for, at most four
 * bytes, moves *at behind the escape, returns the bytes written. */
static size_t unescape(const char **at, const char *end, char *to)
{
    char c = (*at)[1];

    if (c == 'u')
        return encode_utf8(unescape_u(at, end), to);
    *at += 2;
    switch (c) {
    case 'b':
        c = '\b';
        break;
    case 'f':
        c = '\f';
        break;
    case 'n':
        c = '\n';
        break;
    case 'r':
        c = '\r';
        break;
    case 't':
        c = '\t';
        break;
    }
    to[0] = c;
    return 1;
}

/* Returns the next backslash that has something behind it, or end. */
static const char *find_escape(const char *at, const char *end)
{
    const char *found = at < end ? memchr(at, '\\', (size_t)(end - at)) : NULL;

    return found && end - found >= 2 ? found : end;
}

void nx_json_string_decode(const struct nx_json *value, struct nx_buf *to)
{
    struct nx_bytes raw = nx_json_string_raw(value);
    const char *at = raw.ptr;
    const char *end = raw.ptr + raw.len;

    while (at < end && nx_buf_error(to) == 0) {
        const char *escape = find_escape(at, end);
        char character[4];

        nx_buf_append(to, nx_bytes_of(at, (size_t)(escape - at)));
        at = escape;
        if (at < end) {
            size_t len = unescape(&at, end, character);

            nx_buf_append(to, nx_bytes_of(character, len));
        }
    }
}

bool nx_json_string_equal(const struct nx_json *value, struct nx_bytes text)
{
    struct nx_bytes raw = nx_json_string_raw(value);
    const char *at = raw.ptr;
    const char *end = raw.ptr + raw.len;

    /* Unescaping never makes a string longer. */
    if (raw.len < text.len)
        return false;
    while (at < end) {
        const char *escape = find_escape(at, end);
        struct nx_bytes plain = nx_bytes_of(at, (size_t)(escape - at));
        char character[4];

        if (!nx_bytes_starts(text, plain))
            return false;
        text = nx_bytes_from(text, plain.len);
        at = escape;
        if (at < end) {
            struct nx_bytes one = nx_bytes_of(character, unescape(&at, end, character));

            if (!nx_bytes_starts(text, one))
                return false;
            text = nx_bytes_from(text, one.len);
        }
    }
    return text.len == 0;
}

/* A number's text, taken apart: digits × 10^scale, the digits without zeros at either end. */
struct decimal {
    uint64_t digits;
    unsigned count; /* of digits; more than 19 are not kept */
    int64_t scale;
};

enum { DIGITS_MAX = 19 }; /* of INT64_MAX; every 19 digits fit uint64_t */

/* No text is so long that its digits make up for such an exponent. */
#define EXPONENT_MAX (INT64_MAX / 4)

/* Returns false when there are more significant digits than any int64_t has. */
static bool read_decimal(const char *at, const char *end, struct decimal *d)
{
    int64_t exponent = 0;
    int64_t zeros = 0; /* seen behind the last other digit */
    bool fraction = false;
    bool minus;

    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        d->scale -= fraction ? 1 : 0;
        if (*at == '0') {
            zeros += d->count > 0 ? 1 : 0;
            continue;
        }
        if (zeros + d->count >= DIGITS_MAX)
            return false;
        for (d->count += (unsigned)zeros + 1; zeros > 0; zeros--)
            d->digits *= 10;
        d->digits = d->digits * 10 + (uint64_t)(*at - '0');
    }
    d->scale += zeros;
    minus = end - at > 1 && at[1] == '-';
    for (at += at < end ? 1 : 0; at < end; at++) {
        if (*at >= '0' && *at <= '9' && exponent < EXPONENT_MAX / 10)
            exponent = exponent * 10 + (*at - '0');
    }
    d->scale += minus ? -exponent : exponent;
    return true;
}

bool nx_json_int(const struct nx_json *value, int64_t *ret_value)
{
    const char *at = value->text.ptr;
    const char *end = at + value->text.len;
    struct decimal d = {0};
    bool negative;

    if (value->kind != NX_JSON_NUMBER || value->text.len == 0)
        return false;
    negative = *at == '-';
    if (!read_decimal(at + (negative ? 1 : 0), end, &d))
        return false;
    if (d.count == 0) {
        *ret_value = 0;
        return true;
    }
    /* The last digit is no zero: a negative scale leaves a fraction. */
    if (d.scale < 0 || d.scale + d.count > DIGITS_MAX)
        return false;
    for (; d.scale > 0; d.scale--)
        d.digits *= 10;
    if (d.digits > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    *ret_value = negative ? (int64_t)(0 - d.digits) : (int64_t)d.digits;
    return true;
}
