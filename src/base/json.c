/* The check of json.h: is this text JSON (RFC 8259), whole and strict? One pass, no recursion, no
 * allocation; UTF-8 (RFC 3629) is checked on the way. Reading a checked text is json_read.c,
 * writing json_write.c.
 *
 * A fault's offset is the first byte that no JSON text can have there (the length of the text when
 * it just ends too early); for ill-formed UTF-8 it is the first byte of that sequence. So
 * everything before the offset could still have become JSON: the fuzz target holds us to that. */
#include "base/json.h"

#include "base/json_scan.h"

/* A scanner takes where it begins and returns where it ended, NULL after fault(). */
struct scan {
    const char *end;
    const char *culprit;
    const char *reason;
    size_t depth;
    char closers[NX_JSON_DEPTH_MAX]; /* the bracket that ends each open container */
};

static const char *fault(struct scan *s, const char *at, const char *reason)
{
    s->culprit = at;
    s->reason = reason;
    return NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* at: on a backslash. */
static const char *scan_escape(struct scan *s, const char *at)
{
    if (++at == s->end)
        return fault(s, at, "the text ends inside a string");
    switch (*at) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return at + 1;
    case 'u':
        for (int i = 0; i < 4; i++) {
            if (++at == s->end)
                return fault(s, at, "the text ends inside a string");
            if (!is_hex(*at))
                return fault(s, at, "\\u needs four hexadecimal digits");
        }
        return at + 1;
    }
    return fault(
            s, at, "unknown escape in a string (allowed: \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u)");
}

/* at: on the first byte that is not ASCII, of seldom just one. Returns the next that is. */
static const char *scan_utf8(struct scan *s, const char *at)
{
    while (at < s->end && (unsigned char)*at >= 0x80) {
        unsigned char lead = (unsigned char)*at;
        bool valid;
        size_t len;

        /* Three bytes without exceptions, as nearly all of the world's scripts take. */
        if (lead > 0xe0 && lead < 0xf0 && lead != 0xed && s->end - at >= 3 &&
                (at[1] & 0xc0) == 0x80 && (at[2] & 0xc0) == 0x80) {
            at += 3;
            continue;
        }
        len = nx_utf8_sequence(nx_bytes_of(at, (size_t)(s->end - at)), &valid);
        if (!valid)
            return fault(s, at, "bytes that are not UTF-8 in a string");
        at += len;
    }
    return at;
}

/* at: on the opening quote. */
static const char *scan_string(struct scan *s, const char *at)
{
    at = nx_scan_plain(at + 1, s->end);
    while (at < s->end && *at != '"') {
        if (*at == '\\')
            at = scan_escape(s, at);
        else if ((unsigned char)*at >= 0x80)
            at = scan_utf8(s, at);
        else
            at = fault(s, at, "raw control character in a string (write it as an escape)");
        if (!at)
            return NULL;
        at = nx_scan_plain(at, s->end);
    }
    return at < s->end ? at + 1 : fault(s, at, "the text ends inside a string");
}

/* Digits, at least one. */
static const char *scan_digits(struct scan *s, const char *at)
{
    if (at == s->end)
        return fault(s, at, "the text ends inside a number");
    if (!is_digit(*at))
        return fault(s, at, "a digit is missing in a number");
    do {
        at++;
    } while (at < s->end && is_digit(*at));
    return at;
}

static const char *scan_number(struct scan *s, const char *at)
{
    if (*at == '-')
        at++;
    if (at < s->end && *at == '0') {
        at++;
        if (at < s->end && is_digit(*at))
            return fault(s, at, "a number has no leading zeros");
    } else {
        at = scan_digits(s, at);
    }
    if (at && at < s->end && *at == '.')
        at = scan_digits(s, at + 1);
    if (at && at < s->end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < s->end && (*at == '+' || *at == '-'))
            at++;
        at = scan_digits(s, at);
    }
    return at;
}

static const char *scan_word(struct scan *s, const char *at, struct nx_bytes word)
{
    for (size_t i = 0; i < word.len; i++, at++) {
        if (at == s->end)
            return fault(s, at, "the text ends inside a word");
        if (*at != word.ptr[i])
            return fault(
                    s, at, "unknown word (allowed: null, true, false; text takes double quotes)");
    }
    return at;
}

/* What stands where a value should: says what people most often meant. */
static const char *fault_no_value(struct scan *s, const char *at)
{
    switch (*at) {
    case ',':
        return fault(s, at, "a value is missing before the comma");
    case ']':
    case '}':
        return fault(s, at,
                s->depth == 0 ? "closing bracket without an opening one"
                              : "a value is missing before the closing bracket");
    case '\'':
        return fault(s, at, "strings take double quotes");
    case '/':
    case '#':
        return fault(s, at, "JSON has no comments");
    case '+':
    case '.':
        return fault(s, at, "a number begins with a digit or a minus sign");
    case '\xef':
        if (s->end - at >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0)
            return fault(s, at, "byte order mark (JSON has none)");
        break;
    }
    if ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z'))
        return fault(s, at, "unknown word (allowed: null, true, false; text takes double quotes)");
    return fault(s, at, "a value is missing");
}

/* at: where a member's name must begin. Returns behind the colon. */
static const char *scan_name(struct scan *s, const char *at)
{
    if (at == s->end)
        return fault(s, at, "the text ends inside an object");
    if (*at == '}')
        return fault(s, at, "a comma follows the last member");
    if (*at != '"')
        return fault(s, at, "a member's name must be a string in double quotes");
    at = scan_string(s, at);
    if (!at)
        return NULL;
    at = nx_scan_space(at, s->end);
    if (at == s->end)
        return fault(s, at, "the text ends inside an object");
    if (*at != ':')
        return fault(s, at, "a colon is missing after a member's name");
    return at + 1;
}

/* at: on an opening bracket. Returns where the first value begins or, *ret_ended, behind the
 * bracket that closes what is empty. */
static const char *scan_open(struct scan *s, const char *at, bool *ret_ended)
{
    char closer = *at == '{' ? '}' : ']';

    if (s->depth == NX_JSON_DEPTH_MAX)
        return fault(s, at, "nested too deep");
    at = nx_scan_space(at + 1, s->end);
    *ret_ended = at < s->end && *at == closer;
    if (*ret_ended)
        return at + 1;
    s->closers[s->depth++] = closer;
    return closer == ']' ? at : scan_name(s, at);
}

/* A value, or the beginning of one: *ret_ended tells. */
static const char *scan_value(struct scan *s, const char *at, bool *ret_ended)
{
    *ret_ended = true;
    at = nx_scan_space(at, s->end);
    if (at == s->end)
        return fault(s, at, "the text ends where a value is due");
    switch (*at) {
    case '"':
        return scan_string(s, at);
    case '{':
    case '[':
        return scan_open(s, at, ret_ended);
    case 'n':
        return scan_word(s, at, NX_BYTES("null"));
    case 't':
        return scan_word(s, at, NX_BYTES("true"));
    case 'f':
        return scan_word(s, at, NX_BYTES("false"));
    }
    return *at == '-' || is_digit(*at) ? scan_number(s, at) : fault_no_value(s, at);
}

/* Behind a value: closes what ends here. Returns where the next value is due, or behind the
 * outermost one (depth 0). */
static const char *scan_after(struct scan *s, const char *at)
{
    while (s->depth > 0) {
        char closer = s->closers[s->depth - 1];

        at = nx_scan_space(at, s->end);
        if (at == s->end)
            return fault(s, at,
                    closer == '}' ? "the text ends inside an object"
                                  : "the text ends inside an array");
        if (*at == ',')
            return closer == ']' ? at + 1 : scan_name(s, nx_scan_space(at + 1, s->end));
        if (*at != closer)
            return fault(s, at,
                    closer == '}' ? "a comma or } is missing after a member"
                                  : "a comma or ] is missing after an element");
        at++;
        s->depth--;
    }
    return at;
}

static const char *scan_text(struct scan *s, const char *at)
{
    const char *rest;
    bool ended;

    do {
        at = scan_value(s, at, &ended);
        if (at && ended)
            at = scan_after(s, at);
    } while (at && s->depth > 0);
    if (!at)
        return NULL;
    rest = nx_scan_space(at, s->end);
    return rest == s->end ? at : fault(s, rest, "something follows the value");
}

int nx_json_parse(struct nx_bytes text, struct nx_json *ret_value, struct nx_json_fault *ret_fault)
{
    struct scan s; /* not cleared: the stack of closers is larger than most texts */
    const char *first;
    const char *last;

    if (text.len == 0)
        text = NX_BYTES("");
    s.end = text.ptr + text.len;
    s.depth = 0;
    first = nx_scan_space(text.ptr, s.end);
    last = scan_text(&s, first);
    if (!last) {
        if (ret_fault)
            *ret_fault = (struct nx_json_fault){(size_t)(s.culprit - text.ptr), s.reason};
        return NX_E_SYNTAX;
    }
    *ret_value = (struct nx_json){nx_scan_kind(*first), nx_bytes_of(first, (size_t)(last - first))};
    return 0;
}
