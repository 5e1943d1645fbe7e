/* What is stored passes the redactor first: the text, the greeting, and every string (keys too)
 * inside `json`. The JSON around them stays byte for byte as it came. */
#include "session/api/internal.h"

/* One string literal, quotes included. Appends what to store to api->cleaned; returns 1 when that
 * differs, 0 when not, < 0. */
static int clean_string(
        struct nx_api *api, struct nx_redact_report *report, struct nx_bytes literal)
{
    struct nx_json value = {NX_JSON_STRING, literal};
    struct nx_bytes text = nx_json_string_raw(&value);
    int r;

    nx_buf_clear(&api->decoded);
    if (text.len > 0 && memchr(text.ptr, '\\', text.len)) {
        nx_json_string_decode(&value, &api->decoded);
        if (nx_buf_error(&api->decoded) < 0)
            return nx_buf_error(&api->decoded);
        text = nx_buf_bytes(&api->decoded);
    }
    nx_buf_clear(&api->redacted_text);
    r = nx_redact_text(text, &api->redacted_text, report);
    if (r <= 0) {
        nx_buf_append(&api->cleaned, literal);
        return r < 0 ? r : nx_buf_error(&api->cleaned);
    }
    nx_json_append_string(&api->cleaned, nx_buf_bytes(&api->redacted_text));
    r = nx_buf_error(&api->cleaned);
    return r < 0 ? r : 1;
}

/* The end of the string literal that begins at the quote `at`; the text was checked before. */
static const char *literal_end(const char *at)
{
    for (at++; *at != '"'; at++) {
        if (*at == '\\')
            at++;
    }
    return at + 1;
}

int clean_value(struct nx_api *api, struct nx_redact_report *report, struct nx_bytes *value)
{
    const char *at = value->ptr;
    const char *end = value->ptr + value->len;
    size_t start = api->cleaned.len;
    bool changed = false;

    while (at < end) {
        const char *quote = memchr(at, '"', (size_t)(end - at));
        const char *behind;
        int r;

        nx_buf_append(&api->cleaned, nx_bytes_of(at, (size_t)((quote ? quote : end) - at)));
        if (!quote)
            break;
        behind = literal_end(quote);
        r = clean_string(api, report, nx_bytes_of(quote, (size_t)(behind - quote)));
        if (r < 0)
            return r;
        changed = changed || r > 0;
        at = behind;
    }
    if (nx_buf_error(&api->cleaned) < 0)
        return nx_buf_error(&api->cleaned);
    if (changed)
        *value = nx_bytes_from(nx_buf_bytes(&api->cleaned), start);
    else
        api->cleaned.len = start;
    return 0;
}
