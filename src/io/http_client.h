/* HTTP requests over libcurl, one at a time, with a deadline and a limit for the answer.
 *
 * Only programs that ask others by HTTP link this (nx_http_client): libcurl brings forty libraries.
 * http and https, proxies as curl takes them from the environment, connections kept between
 * requests. A GET follows up to five redirects, and only to the same host and port, or from http
 * to https on the same host: what a header carries for one server never goes to another. */
#ifndef NX_IO_HTTP_CLIENT_H
#define NX_IO_HTTP_CLIENT_H

#include "base/buf.h"

#define NX_HTTP_REDIRECTS_MAX 5

struct nx_http_client;

struct nx_http_client_header {
    const char *name;
    const char *value; /* no CR, LF or NUL */
};

struct nx_http_client_request {
    const char *method;
    const char *url;
    const struct nx_http_client_header *headers;
    size_t header_count;
    struct nx_bytes body; /* ptr NULL: none */
    int64_t timeout_ms;   /* for the whole, redirects included; at least 1 */
};

/* Returns 0, NX_E_NOMEM or NX_E_INVALID. user_agent is copied. */
NX_MUST_USE int nx_http_client_new(
        const struct nx_mem *mem, const char *user_agent, struct nx_http_client **ret_client);
void nx_http_client_free(struct nx_http_client *client);

/* Sends, waits, and appends the answer's body to `to` (cleared first; its maximum is the limit for
 * the answer). Returns 0 when a whole answer came, and its status; NX_E_TIMEOUT, NX_E_NETWORK,
 * NX_E_TLS, NX_E_TOO_LARGE, NX_E_INVALID (the URL or a header), NX_E_NOMEM. */
NX_MUST_USE int nx_http_client_perform(struct nx_http_client *client,
        const struct nx_http_client_request *request, struct nx_buf *to, int *ret_status);

/* Why the last request failed, for people; "" when it did not. The client's. */
const char *nx_http_client_fault(const struct nx_http_client *client);

#endif
