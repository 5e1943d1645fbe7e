/* The table behind error.h. */
#include "base/error.h"

static const struct {
    int value;
    const char *name;
    const char *text;
} table[] = {
        {NX_OK, "NX_OK", "success"},
        {NX_E_NOMEM, "NX_E_NOMEM", "out of memory"},
        {NX_E_LIMIT, "NX_E_LIMIT", "a configured maximum was reached"},
        {NX_E_INVALID, "NX_E_INVALID", "invalid argument"},
        {NX_E_IO, "NX_E_IO", "input/output error"},
        {NX_E_BUSY, "NX_E_BUSY", "in use by another process"},
        {NX_E_FULL, "NX_E_FULL", "no space left"},
        {NX_E_NOTFOUND, "NX_E_NOTFOUND", "not there"},
        {NX_E_EXISTS, "NX_E_EXISTS", "already there"},
        {NX_E_FOREIGN, "NX_E_FOREIGN", "not made by nexus"},
        {NX_E_DAMAGED, "NX_E_DAMAGED", "damaged data"},
        {NX_E_CLOSED, "NX_E_CLOSED", "closed"},
        {NX_E_SYNTAX, "NX_E_SYNTAX", "malformed input"},
        {NX_E_PROTOCOL, "NX_E_PROTOCOL", "protocol violation"},
        {NX_E_TOO_LARGE, "NX_E_TOO_LARGE", "too large"},
        {NX_E_TIMEOUT, "NX_E_TIMEOUT", "timed out"},
        {NX_E_EOF, "NX_E_EOF", "ended early"},
        {NX_E_NETWORK, "NX_E_NETWORK", "network error"},
        {NX_E_TLS, "NX_E_TLS", "TLS error"},
        {NX_E_BUG, "NX_E_BUG", "internal error"},
};

const char *nx_error_name(int error)
{
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].value == error)
            return table[i].name;
    }
    return "NX_E_UNKNOWN";
}

const char *nx_error_text(int error)
{
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].value == error)
            return table[i].text;
    }
    return "unknown error";
}

enum nx_error_class nx_error_class(int error)
{
    if (error >= 0)
        return NX_CLASS_NONE;
    if (error > NX_E_SYNTAX)
        return NX_CLASS_LOCAL;
    if (error > NX_E_BUG)
        return NX_CLASS_PEER;
    return NX_CLASS_FATAL;
}
