/* The defaults of the session server; apart, so that whoever reads settings links no server. */
#include "node/session_server.h"

void nx_session_server_defaults(struct nx_session_server_options *ret_options)
{
    *ret_options = (struct nx_session_server_options){
            .listen = "127.0.0.1:3000",
            .rate_limit = 100,
            .claim_limit = 20,
            .ttl_default_s = 3660,
            .ttl_max_s = 86400,
            .agents_default_v1 = 2,
            .agents_default_v2 = 50,
            .agents_max = 50,
            .sessions_max = 100000,
            .body_bytes_max = (size_t)256 * 1024,
            .session_bytes_max = (size_t)16 * 1024 * 1024,
            .memory_bytes_max = (size_t)1024 * 1024 * 1024,
            .store_bytes_max = (size_t)8 * 1024 * 1024 * 1024,
            .connections_max = 10000,
            .handle_signals = true,
    };
}
