/* Strict JSON (RFC 8259) as spans of the original text.
 *
 * What must come back as it went in (key order, `1.10`, 20-digit integers, duplicate keys) is
 * never turned into numbers and trees: a text is checked once, whole, and then walked; every value
 * is a span of it. Nothing here allocates but into buffers the caller gives. */
#ifndef NX_BASE_JSON_H
#define NX_BASE_JSON_H

#include "base/buf.h"

enum nx_json_kind {
    NX_JSON_NULL,
    NX_JSON_FALSE,
    NX_JSON_TRUE,
    NX_JSON_NUMBER,
    NX_JSON_STRING,
    NX_JSON_ARRAY,
    NX_JSON_OBJECT,
};

/* A value inside a checked text. */
struct nx_json {
    enum nx_json_kind kind;
    struct nx_bytes text; /* from its first to its last character, quotes and brackets included */
};

/* Where and why a text is no JSON. */
struct nx_json_fault {
    size_t offset;      /* bytes from the start */
    const char *reason; /* static, for people: "unterminated string" */
};

/* Deeper nesting is refused: no recursion here, yet those who read our answers recurse. */
#define NX_JSON_DEPTH_MAX 256

/* Checks that text is exactly one JSON value with optional white space around it: grammar, valid
 * UTF-8, no raw controls in strings, no lone surrogate escape accepted as valid text is NOT
 * demanded (RFC 8259 section 8.2 lets them be; they come back as they went in), depth at most
 * NX_JSON_DEPTH_MAX. A byte order mark is refused.
 * Returns 0 and the value, or NX_E_SYNTAX and *ret_fault (may be NULL). */
NX_MUST_USE int nx_json_parse(
        struct nx_bytes text, struct nx_json *ret_value, struct nx_json_fault *ret_fault);

/* Walks the members of an object or the elements of an array, in the order of the text. */
struct nx_json_iter {
    const char *at;
    const char *end;
    enum nx_json_kind kind;
};
void nx_json_iter_init(struct nx_json_iter *iter, const struct nx_json *container);
/* Returns true and the next member: *ret_key is a NX_JSON_STRING value (raw, with quotes). For an
 * array ret_key may be NULL. */
bool nx_json_next(struct nx_json_iter *iter, struct nx_json *ret_key, struct nx_json *ret_value);

/* The last member of that (unescaped, UTF-8) name, as JavaScript reads duplicates. Returns false
 * when there is none or the value is no object. Keys written with escapes are found too. */
bool nx_json_get(const struct nx_json *object, struct nx_bytes name, struct nx_json *ret_value);

/* The string's characters between the quotes, still escaped; value must be NX_JSON_STRING. */
struct nx_bytes nx_json_string_raw(const struct nx_json *value);
/* Appends the unescaped UTF-8; a lone surrogate becomes U+FFFD. value must be NX_JSON_STRING. */
void nx_json_string_decode(const struct nx_json *value, struct nx_buf *to);
/* True when the unescaped string equals text. */
bool nx_json_string_equal(const struct nx_json *value, struct nx_bytes text);

/* Reads a number that is an integer in value (3, 3.0, 3e2 too) and fits. Returns false for
 * anything else. */
bool nx_json_int(const struct nx_json *value, int64_t *ret_value);

/* Appends a quoted JSON string: escapes the quote, the backslash and controls; bytes that are not
 * UTF-8 become U+FFFD. */
void nx_json_append_string(struct nx_buf *to, struct nx_bytes text);
/* Appends the value with the white space between its tokens left out; strings and numbers stay as
 * they are written. */
void nx_json_append_compact(struct nx_buf *to, const struct nx_json *value);

#endif
