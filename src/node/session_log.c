/* A line a request for the operator: what was asked, how it ended, how long it took. Never a
 * session id, key, pairing code, agent id or text: the route is named by its shape. */
#include <stdio.h>

#include "node/session_internal.h"

static const char *route_name(enum nx_api_route route)
{
    switch (route) {
    case NX_API_CREATE:
        return "create";
    case NX_API_STATUS:
        return "status";
    case NX_API_JOIN:
        return "join";
    case NX_API_SEND:
        return "send";
    case NX_API_POLL:
        return "poll";
    case NX_API_RENEW:
        return "renew";
    case NX_API_LEAVE:
        return "leave";
    case NX_API_PAIR:
        return "pair";
    case NX_API_CLAIM:
        return "claim";
    case NX_API_CODE_STATUS:
        return "pair-status";
    case NX_API_CODE_PAGE:
        return "pair-page";
    case NX_API_CODE_LINK:
        return "pair-link";
    case NX_API_SELF_PAGE:
    case NX_API_SELF_SKILL:
    case NX_API_SCRIPT:
        return "skill";
    case NX_API_HEALTH:
        return "health";
    case NX_API_STATS:
        return "stats";
    case NX_API_NONE:
        break;
    }
    return "refused";
}

/* Only the methods that mean something here are named: any other is the client's own text. */
static const char *method_name(struct nx_bytes method)
{
    static const char *const names[] = {"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"};

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (nx_bytes_equal(method, nx_bytes_str(names[i])))
            return names[i];
    }
    return "other";
}

void log_request(struct nx_bytes method, const struct nx_api_call *call, unsigned status,
        const char *request_id, int64_t took_ms)
{
    (void)fprintf(stderr,
            "nexus: request=%.16s method=%s route=%s generation=%d status=%u ms=%lld\n", request_id,
            method_name(method), route_name(call->route), call->v1 ? 1 : 2, status,
            (long long)took_ms);
}
