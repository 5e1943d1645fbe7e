/* Writing JSON (RFC 8259): strings from any bytes, and a checked value without its white space. */
#include "base/json.h"

#include "base/json_scan.h"

static void append_control(struct nx_buf *to, char c)
{
    static const char digits[] = "0123456789abcdef";
    char escape[6] = {'\\', 'u', '0', '0', '0', '0'};
    size_t len = 2;

    switch (c) {
    case '"':
    case '\\':
        escape[1] = c;
        break;
    case '\b':
        escape[1] = 'b';
        break;
    case '\f':
        escape[1] = 'f';
        break;
    case '\n':
        escape[1] = 'n';
        break;
    case '\r':
        escape[1] = 'r';
        break;
    case '\t':
        escape[1] = 't';
        break;
    default:
        escape[4] = digits[(unsigned char)c >> 4];
        escape[5] = digits[(unsigned char)c & 15];
        len = 6;
    }
    nx_buf_append(to, nx_bytes_of(escape, len));
}

void nx_json_append_string(struct nx_buf *to, struct nx_bytes text)
{
    const char *at = text.len > 0 ? text.ptr : "";
    const char *end = at + text.len;
    const char *run = at; /* what is copied as it is begins here */

    nx_buf_append_char(to, '"');
    while (at < end && nx_buf_error(to) == 0) {
        bool valid = false;
        size_t len = 1;

        at = nx_scan_plain(at, end);
        if (at == end)
            break;
        if ((unsigned char)*at >= 0x80)
            len = nx_utf8_sequence(nx_bytes_of(at, (size_t)(end - at)), &valid);
        if (!valid) {
            nx_buf_append(to, nx_bytes_of(run, (size_t)(at - run)));
            if ((unsigned char)*at >= 0x80)
                NX_BUF_LIT(to, "\xef\xbf\xbd");
            else
                append_control(to, *at);
            run = at + len;
        }
        at += len;
    }
    nx_buf_append(to, nx_bytes_of(run, (size_t)(end - run)));
    nx_buf_append_char(to, '"');
}

void nx_json_append_compact(struct nx_buf *to, const struct nx_json *value)
{
    const char *at = value->text.ptr;
    const char *end = at + value->text.len;
    const char *run = at;

    while (at < end && nx_buf_error(to) == 0) {
        if (*at == '"') {
            at = nx_scan_quote(at + 1, end);
            at += at < end ? 1 : 0;
        } else if (nx_scan_is_space(*at)) {
            nx_buf_append(to, nx_bytes_of(run, (size_t)(at - run)));
            at = nx_scan_space(at, end);
            run = at;
        } else {
            at++;
        }
    }
    nx_buf_append(to, nx_bytes_of(run, (size_t)(end - run)));
}
