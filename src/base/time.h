/* Moments, and how they are written. Nothing here reads a clock: `io` takes a struct nx_time once
 * a step and hands it down. */
#ifndef NX_BASE_TIME_H
#define NX_BASE_TIME_H

#include <stdint.h>

struct nx_time {
    int64_t mono_ms; /* never runs backward; for deadlines and expiry */
    int64_t wall_ms; /* Unix time; for what people and other machines read */
};

#define NX_TIME_NEVER INT64_MAX

/* Length of RFC 3339 UTC with milliseconds: 2026-11-22T18:35:59.123Z */
#define NX_RFC3339_LEN 24
/* Writes NX_RFC3339_LEN characters, no NUL. Moments outside the years 1970–9999 are clamped. */
void nx_time_rfc3339(int64_t wall_ms, char *ret_text);

/* Length of an HTTP date (RFC 9110 section 5.6.7): Sun, 22 Nov 2026 18:35:59 GMT */
#define NX_HTTP_DATE_LEN 29
/* Writes NX_HTTP_DATE_LEN characters, no NUL; clamped likewise. */
void nx_time_http_date(int64_t wall_ms, char *ret_text);

#endif
