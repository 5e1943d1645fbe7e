/* The secret finder's place in the flow: text goes in before anything is stored, and comes out
 * with what is secret replaced by [REDACTED:<type>].
 *
 * The rules arrive with the sanitizer (docs/ARCHITECTURE.md, "Redaction"); the callers, the
 * reporting of types and the failure path are complete. */
#ifndef NX_REDACT_REDACT_H
#define NX_REDACT_REDACT_H

#include "base/buf.h"

#define NX_REDACT_TYPES_MAX 32

/* Which types of secret were replaced, each once, in order of first appearance. */
struct nx_redact_report {
    const char *types[NX_REDACT_TYPES_MAX];
    size_t count;
};

/* Finds secrets in UTF-8 text. When there are any, appends the cleaned text to `to` and returns 1;
 * when there are none, appends nothing and returns 0. Adds to the report. Errors: NX_E_NOMEM,
 * NX_E_TOO_LARGE (of `to`): the caller must then refuse the text. */
NX_MUST_USE int nx_redact_text(
        struct nx_bytes text, struct nx_buf *to, struct nx_redact_report *report);

#endif
