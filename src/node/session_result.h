/* From an answer's bytes to the result of include/nexus/session.h. Pure: no socket, no clock. */
#ifndef NX_NODE_SESSION_RESULT_H
#define NX_NODE_SESSION_RESULT_H

#include "base/buf.h"
#include "nexus/session.h"

#define NX_SESSION_RESULT_MESSAGES_MAX 100000
#define NX_SESSION_RESULT_MEMBERS_MAX  10000

/* Takes the body over (also on failure; it is then freed). Returns 0 and a result for
 * nx_session_client_result_free, NX_E_NOMEM, or NX_E_LIMIT when the answer lists more than the
 * maxima above. A body that is no JSON is a result too. */
NX_MUST_USE int nx_session_result_make(const struct nx_mem *mem, int http_status,
        struct nx_buf *body, struct nx_session_client_result **ret_result);

#endif
