/* libFuzzer target of the session client: any bytes as a server's answers. The first byte picks the
 * call and the statuses, the rest is the body of every answer. What must hold is spelled out below;
 * a broken promise aborts. */
#include <stdlib.h>

#include "node/session_result.h"
#include "session/client/exchange.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(promise)                                                                              \
    do {                                                                                           \
        if (!(promise))                                                                            \
            abort();                                                                               \
    } while (0)

/* At most three requests: the first, the other spelling's, the status after a refused leave. */
static void exchange_ends(uint8_t choice, struct nx_bytes body)
{
    static const int statuses[] = {200, 404, 401, 0, 500, 204, 404, 403};
    struct nx_call call = {
            .kind = (enum nx_call_kind)(choice % 12),
            .session_id = NX_BYTES("s"),
            .code = NX_BYTES("A-B-C"),
            .agent_id = NX_BYTES("me"),
            .session_key = NX_BYTES("k"),
            .text = NX_BYTES("t"),
    };
    struct nx_exchange exchange;
    int requests = 0;
    int r;

    MUST(nx_exchange_start(&exchange, nx_mem_libc(), &call, choice % 3, 1 << 24) == 0);
    do {
        MUST(exchange.request.path[0] == '/');
        r = nx_exchange_answer(&exchange, statuses[(choice + requests) % 8], body);
        MUST(++requests <= 3);
    } while (r == 1);
    MUST(r == 0);
    MUST(exchange.answer.body.len == body.len);
    nx_exchange_done(&exchange);
}

static void result_is_sound(int status, struct nx_bytes bytes)
{
    struct nx_session_client_result *result;
    struct nx_buf body;
    int r;

    nx_buf_init(&body, nx_mem_libc(), 1 << 24);
    nx_buf_append(&body, bytes);
    r = nx_session_result_make(nx_mem_libc(), status, &body, &result);
    MUST(r == 0 || r == NX_E_LIMIT);
    if (r < 0)
        return;
    MUST(result->body_bytes == bytes.len && result->body[bytes.len] == '\0');
    for (size_t i = 0; i < result->message_count; i++) {
        const struct nx_session_client_message *message = &result->messages[i];

        MUST(message->agent_id && message->text && message->text[message->text_bytes] == '\0');
    }
    for (size_t i = 0; i < result->member_count; i++)
        MUST(result->members[i].agent_id);
    nx_session_client_result_free(result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 1 << 20)
        return 0;
    exchange_ends(data[0], nx_bytes_of(data + 1, size - 1));
    result_is_sound(data[0] % 2 ? 200 : 404, nx_bytes_of(data + 1, size - 1));
    return 0;
}
