/* The check of json.h: is this text JSON (RFC 8259), whole and strict? One pass, no recursion, no
 * allocation; UTF-8 (RFC 3629) is checked on the way. Reading a checked text is json_read.c,
 * writing json_write.c.
 *
 * A fault's offset is the first byte that no JSON text can have there (the length of the text when
 * it just ends too early); for ill-formed UTF-8 it is the first byte of that sequence. So
 * everything before the offset could still have become JSON: the fuzz target holds us to that. */
#include "base/json.h"

#include "base/json_scan.h"

/* All scanners below return false after fault(), with `at` on the culprit. */
struct scan {
    const char *at;
    const char *end;
    const char *reason;
    size_t depth;
    char closers[NX_JSON_DEPTH_MAX]; /* the bracket that ends each open container */
};

static bool fault(struct scan *s, const char *at, const char *reason)
{
    s->at = at;
    s->reason = reason;
    return false;
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
static bool scan_escape(struct scan *s, const char *at)
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
        s->at = at + 1;
        return true;
    case 'u':
        for (int i = 0; i < 4; i++) {
            if (++at == s->end)
                return fault(s, at, "the text ends inside a string");
            if (!is_hex(*at))
                return fault(s, at, "\\u needs four hexadecimal digits");
        }
        s->at = at + 1;
        return true;
    }
    return fault(
            s, at, "unknown escape in a string (allowed: \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u)");
}

/* s->at: on the opening quote; afterwards behind the closing one. */
static bool scan_string(struct scan *s)
{
    const char *at = s->at + 1;

    for (;;) {
        bool valid = true;

        at = nx_scan_plain(at, s->end);
        if (at == s->end)
            return fault(s, at, "the text ends inside a string");
        if (*at == '"') {
            s->at = at + 1;
            return true;
        }
        if (*at == '\\') {
            if (!scan_escape(s, at))
                return false;
            at = s->at;
            continue;
        }
        if ((unsigned char)*at < 0x20)
            return fault(s, at, "raw control character in a string (write it as an escape)");
        /* What is not ASCII seldom stands alone. */
        while (at < s->end && (unsigned char)*at >= 0x80) {
            size_t len = nx_utf8_sequence(nx_bytes_of(at, (size_t)(s->end - at)), &valid);

            if (!valid)
                return fault(s, at, "bytes that are not UTF-8 in a string");
            at += len;
        }
    }
}

/* Digits, at least one. */
static bool scan_digits(struct scan *s, const char *at)
{
    if (at == s->end)
        return fault(s, at, "the text ends inside a number");
    if (!is_digit(*at))
        return fault(s, at, "a digit is missing in a number");
    do {
        at++;
    } while (at < s->end && is_digit(*at));
    s->at = at;
    return true;
}

static bool scan_number(struct scan *s)
{
    if (*s->at == '-')
        s->at++;
    if (s->at < s->end && *s->at == '0') {
        s->at++;
        if (s->at < s->end && is_digit(*s->at))
            return fault(s, s->at, "a number has no leading zeros");
    } else if (!scan_digits(s, s->at)) {
        return false;
    }
    if (s->at < s->end && *s->at == '.' && !scan_digits(s, s->at + 1))
        return false;
    if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
        const char *at = s->at + 1;

        if (at < s->end && (*at == '+' || *at == '-'))
            at++;
        return scan_digits(s, at);
    }
    return true;
}

static bool scan_word(struct scan *s, struct nx_bytes word)
{
    for (size_t i = 0; i < word.len; i++, s->at++) {
        if (s->at == s->end)
            return fault(s, s->at, "the text ends inside a literal");
        if (*s->at != word.ptr[i])
            return fault(s, s->at, "unknown literal (allowed: null, true, false)");
    }
    return true;
}

/* What stands where a value should: says what people most often meant. */
static bool fault_no_value(struct scan *s)
{
    const char *reason = "a value is missing";

    switch (*s->at) {
    case ',':
        reason = "a value is missing before the comma";
        break;
    case ']':
    case '}':
        reason = s->depth == 0 ? "closing bracket without an opening one"
                               : "a value is missing before the closing bracket";
        break;
    case '\'':
        reason = "strings take double quotes";
        break;
    case '/':
    case '#':
        reason = "JSON has no comments";
        break;
    case '+':
    case '.':
    case 'N':
    case 'I':
        reason = "a number begins with a digit or a minus sign";
        break;
    case '\xef':
        if (s->end - s->at >= 3 && memcmp(s->at, "\xef\xbb\xbf", 3) == 0)
            reason = "byte order mark (JSON has none)";
        break;
    }
    return fault(s, s->at, reason);
}

/* s->at: where a member's name must begin. Afterwards behind the colon. */
static bool scan_name(struct scan *s)
{
    if (s->at == s->end)
        return fault(s, s->at, "the text ends inside an object");
    if (*s->at != '"')
        return fault(s, s->at, "a member's name must be a string in double quotes");
    if (!scan_string(s))
        return false;
    s->at = nx_scan_space(s->at, s->end);
    if (s->at == s->end)
        return fault(s, s->at, "the text ends inside an object");
    if (*s->at != ':')
        return fault(s, s->at, "a colon is missing after a member's name");
    s->at++;
    return true;
}

/* s->at: on an opening bracket. Afterwards where the first value begins, or, *ret_ended, behind the
 * bracket that closes what is empty. */
static bool scan_open(struct scan *s, bool *ret_ended)
{
    char closer = *s->at == '{' ? '}' : ']';

    if (s->depth == NX_JSON_DEPTH_MAX)
        return fault(s, s->at, "nested too deep");
    s->at = nx_scan_space(s->at + 1, s->end);
    *ret_ended = s->at < s->end && *s->at == closer;
    if (*ret_ended) {
        s->at++;
        return true;
    }
    s->closers[s->depth++] = closer;
    return closer == ']' || scan_name(s);
}

/* A value, or the beginning of one: *ret_ended tells. */
static bool scan_value(struct scan *s, bool *ret_ended)
{
    *ret_ended = true;
    s->at = nx_scan_space(s->at, s->end);
    if (s->at == s->end)
        return fault(s, s->at, "the text ends where a value is due");
    switch (*s->at) {
    case '"':
        return scan_string(s);
    case '{':
    case '[':
        return scan_open(s, ret_ended);
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return scan_number(s);
    case 'n':
        return scan_word(s, NX_BYTES("null"));
    case 't':
        return scan_word(s, NX_BYTES("true"));
    case 'f':
        return scan_word(s, NX_BYTES("false"));
    }
    return fault_no_value(s);
}

/* Behind a value: closes what ends here, up to where the next value is due or the whole is done
 * (depth 0). */
static bool scan_after(struct scan *s)
{
    while (s->depth > 0) {
        char closer = s->closers[s->depth - 1];

        s->at = nx_scan_space(s->at, s->end);
        if (s->at == s->end)
            return fault(s, s->at,
                    closer == '}' ? "the text ends inside an object"
                                  : "the text ends inside an array");
        if (*s->at == ',') {
            s->at++;
            if (closer == ']')
                return true;
            s->at = nx_scan_space(s->at, s->end);
            return scan_name(s);
        }
        if (*s->at != closer)
            return fault(s, s->at,
                    closer == '}' ? "a comma or } is missing after a member"
                                  : "a comma or ] is missing after an element");
        s->at++;
        s->depth--;
    }
    return true;
}

static bool scan_text(struct scan *s)
{
    const char *last;
    bool ended;

    do {
        if (!scan_value(s, &ended) || (ended && !scan_after(s)))
            return false;
    } while (s->depth > 0);
    last = s->at;
    s->at = nx_scan_space(s->at, s->end);
    if (s->at < s->end)
        return fault(s, s->at, "something follows the value");
    s->at = last;
    return true;
}

int nx_json_parse(struct nx_bytes text, struct nx_json *ret_value, struct nx_json_fault *ret_fault)
{
    struct scan s;
    const char *first;

    if (text.len == 0)
        text = NX_BYTES("");
    first = nx_scan_space(text.ptr, text.ptr + text.len);
    s.at = first;
    s.end = text.ptr + text.len;
    s.depth = 0;
    if (!scan_text(&s)) {
        if (ret_fault)
            *ret_fault = (struct nx_json_fault){(size_t)(s.at - text.ptr), s.reason};
        return NX_E_SYNTAX;
    }
    *ret_value = (struct nx_json){nx_scan_kind(*first), nx_bytes_of(first, (size_t)(s.at - first))};
    return 0;
}
