/* The names a session client handles: servers, sessions, agents, aliases; what of them is safe to
 * put on a request line, in a header or in a path of the file system.
 *
 * Whatever comes from a command line, a file or an answer passes here before it is used. */
#ifndef NX_SESSION_CLIENT_NAMES_H
#define NX_SESSION_CLIENT_NAMES_H

#include "base/buf.h"

#define NX_SESSION_ID_MAX  128
#define NX_AGENT_ID_MAX    128
#define NX_ALIAS_MAX       128
#define NX_SERVER_URL_MAX  2048
#define NX_SESSION_KEY_MAX 1024

/* [A-Za-z0-9_-]{1,128}: session and agent ids. Anything else is refused before it gets near a
 * path; the dot is no part of it, so "." and ".." are none. */
bool nx_name_id_valid(struct nx_bytes name);
/* As an id, with dots inside allowed; no leading dash (it would read as an option). */
bool nx_name_alias_valid(struct nx_bytes name);
/* [A-Za-z0-9-]{1,64}: a pairing code. */
bool nx_name_code_valid(struct nx_bytes code);
/* Visible ASCII only, 1 … NX_SESSION_KEY_MAX: fit for a header (RFC 9110 section 5.5). */
bool nx_name_key_valid(struct nx_bytes key);
/* A cursor as servers make them: decimal digits, 1 … 32 of them. */
bool nx_name_cursor_valid(struct nx_bytes cursor);

/* Appends the server's URL in the one form in which URLs are compared and stored: scheme and host
 * in lower case, no trailing slash (RFC 3986 section 6.2.2.1); a path prefix is kept.
 * Returns 0, or NX_E_INVALID when it is no absolute http or https URL, or carries a user, a query
 * or a fragment; *ret_reason (may be NULL) then says why, for people. */
NX_MUST_USE int nx_server_url_append(
        struct nx_buf *to, struct nx_bytes url, const char **ret_reason);
/* The "host[:port]" part of a URL nx_server_url_append made. */
struct nx_bytes nx_server_url_host(struct nx_bytes url);

#endif
