/* Between the files of this room. */
#ifndef NX_SESSION_API_INTERNAL_H
#define NX_SESSION_API_INTERNAL_H

#include "base/json.h"
#include "session/api/api.h"

/* route.c: finds the route and its operands; 0, or > 0 when it answered with an error, or < 0. */
int route_find(
        struct nx_api *api, const struct nx_http1_request *request, struct nx_api_call *call);

/* body.c: reads the body of a call; same results. */
int body_read(struct nx_api *api, const struct nx_http1_request *request, struct nx_api_call *call);

/* clean.c: passes a JSON value (or a string) through the redactor. Out: *value is either as it was
 * or lies in api->cleaned. Returns 0 or < 0. */
int clean_value(struct nx_api *api, struct nx_redact_report *report, struct nx_bytes *value);

/* An error answer was made: 1, or < 0. */
int refuse(struct nx_api *api, unsigned status, const char *code, const char *message,
        const char *path, const char *why);

/* answer.c */
void answer_begin(struct nx_api *api, unsigned status);
int answer_end(struct nx_api *api);

#define RETRY_AFTER_S 5 /* what a 503 tells the client to wait */
/* Adds the header to an answer that r says was made; none for 0 seconds. Returns 0 or < 0. */
int with_retry_after(struct nx_api *api, int r, int64_t seconds);

#endif
