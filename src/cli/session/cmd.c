/* See cmd.h: how the verbs speak, and what they all ask first. */
#include "cli/session/cmd.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/json.h"

/* Prints text with what could drive a terminal made harmless; UTF-8 stays. */
static void put_safe(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        bool c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0;

        fputc(*at < 0x20 || *at == 0x7f || c1 ? '?' : *at, stderr);
        if (c1)
            at++;
    }
    fputc('\n', stderr);
}

static NX_PRINTF(1, 0) void put_format(const char *format, va_list args)
{
    char text[4096];

    vsnprintf(text, sizeof(text), format, args);
    put_safe(text);
}

void nx_cmd_say(const struct nx_cmd *cmd, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s: ", cmd->path);
    va_start(args, format);
    put_format(format, args);
    va_end(args);
}

void nx_cmd_hint(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put_format(format, args);
    va_end(args);
}

int nx_cmd_print(const struct nx_cmd *cmd, struct nx_bytes document)
{
    bool ended = document.len > 0 && document.ptr[document.len - 1] == '\n';

    if (fwrite(document.ptr, 1, document.len, stdout) == document.len &&
            (ended || fputc('\n', stdout) != EOF) && fflush(stdout) == 0)
        return 0;
    nx_cmd_say(cmd, "the output could not be written");
    return NX_EXIT_FAILED;
}

int nx_cmd_fail(const struct nx_cmd *cmd, const char *code, const char *format, ...)
{
    char message[1024];
    struct nx_buf doc;
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    nx_cmd_say(cmd, "%s", message);
    nx_buf_init(&doc, cmd->mem, 16384);
    NX_BUF_LIT(&doc, "{\"error\":");
    nx_json_append_string(&doc, nx_bytes_str(code));
    NX_BUF_LIT(&doc, ",\"message\":");
    nx_json_append_string(&doc, nx_bytes_str(message));
    NX_BUF_LIT(&doc, "}");
    if (!doc.error)
        (void)nx_cmd_print(cmd, nx_buf_bytes(&doc));
    nx_buf_done(&doc);
    return NX_EXIT_FAILED;
}

int nx_cmd_state_result(const struct nx_cmd *cmd, int r, const char *what)
{
    if (r >= 0)
        return 0;
    nx_cmd_say(cmd, "%s in %s: %s", what, cmd->state.root, nx_error_text(r));
    return NX_EXIT_FAILED;
}

int64_t nx_cmd_wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int nx_cmd_session(struct nx_cmd *cmd, const char *argument, char ret_id[NX_SESSION_ID_MAX + 1])
{
    char id[NX_SESSION_ID_MAX + 1];
    struct nx_buf aliases;
    bool aliased;
    int r;

    nx_buf_init(&aliases, cmd->mem, NX_STATE_DOCUMENT_MAX);
    r = nx_doc_read(cmd, "aliases.json", &aliases);
    if (r < 0 && r != NX_E_NOTFOUND)
        (void)nx_cmd_state_result(cmd, r, "aliases.json");
    aliased = r == 0 && nx_doc_text(&aliases, argument, id, sizeof(id));
    nx_buf_done(&aliases);
    if (!aliased)
        snprintf(id, sizeof(id), "%.*s", NX_SESSION_ID_MAX, argument);
    if (!nx_name_id_valid(nx_bytes_str(id)) || (!aliased && strlen(argument) > NX_SESSION_ID_MAX)) {
        char quoted[NX_QUOTE_MAX];

        return nx_cmd_fail(cmd, "invalid_session_id",
                "'%s' is neither a session id nor an alias of one", nx_quote(argument, quoted));
    }
    memcpy(ret_id, id, strlen(id) + 1);
    return 0;
}

int nx_cmd_agent(
        struct nx_cmd *cmd, const char *id, char ret_agent[NX_AGENT_ID_MAX + 1], bool *ret_own)
{
    const char *given = nx_args_get(&cmd->args, "agent-id");
    char stored[NX_STATE_VALUE_MAX] = "";
    char quoted[NX_QUOTE_MAX];

    if (nx_state_get(&cmd->state, id, NX_STATE_AGENT, stored) < 0)
        stored[0] = '\0';
    if (given && !nx_name_id_valid(nx_bytes_str(given)))
        return nx_cmd_fail(cmd, "invalid_agent_id",
                "'%s' is no agent id: 1 to 128 letters, digits, dashes and underscores",
                nx_quote(given, quoted));
    snprintf(ret_agent, NX_AGENT_ID_MAX + 1, "%.*s", NX_AGENT_ID_MAX, given ? given : stored);
    *ret_own = stored[0] && strcmp(ret_agent, stored) == 0;
    return 0;
}

int nx_cmd_need_agent(
        struct nx_cmd *cmd, const char *id, char ret_agent[NX_AGENT_ID_MAX + 1], bool *ret_own)
{
    int r = nx_cmd_agent(cmd, id, ret_agent, ret_own);

    if (r != 0 || ret_agent[0])
        return r;
    return nx_cmd_fail(cmd, "missing_agent_id",
            "no agent id is stored for this session: join it first, or give --agent-id");
}

void nx_cmd_key(const struct nx_cmd *cmd, const char *id, char ret_key[NX_STATE_VALUE_MAX])
{
    int r = nx_state_get(&cmd->state, id, NX_STATE_KEY, ret_key);

    if (r == 0)
        return;
    ret_key[0] = '\0';
    if (r != NX_E_NOTFOUND)
        nx_cmd_say(cmd, "the session's key cannot be read (%s); going on without it",
                nx_error_text(r));
}

int nx_cmd_remember(
        struct nx_cmd *cmd, const char *id, const char *agent, const char *key, const char *url)
{
    char before[NX_STATE_VALUE_MAX];
    int known = nx_state_get(&cmd->state, id, NX_STATE_AGENT, before);
    int r = 0;

    if (agent && known == 0 && strcmp(before, agent) != 0) {
        r = nx_state_unset(&cmd->state, id, NX_STATE_KEY);
        if (r == 0)
            r = nx_state_unset(&cmd->state, id, NX_STATE_CURSOR);
    }
    if (r == 0 && agent)
        r = nx_state_set(&cmd->state, id, NX_STATE_AGENT, agent);
    if (r == 0 && key)
        r = nx_state_set(&cmd->state, id, NX_STATE_KEY, key);
    if (r == 0)
        r = nx_state_set(&cmd->state, id, NX_STATE_SERVER, url);
    return nx_cmd_state_result(cmd, r, "the session's state");
}

int nx_cmd_report(const struct nx_cmd *cmd, int r, const struct nx_session_client *client,
        const struct nx_session_client_result *result)
{
    struct nx_bytes host = nx_server_url_host(nx_bytes_str(nx_session_client_url(client)));
    int printed;

    if (r == NX_SESSION_E_INVALID || r == NX_SESSION_E_NOMEM || r == NX_SESSION_E_BUG)
        return nx_cmd_fail(cmd, r == NX_SESSION_E_INVALID ? "invalid_request" : "internal_error",
                "%s", nx_session_client_strerror(r));
    if (r < 0) {
        nx_cmd_say(cmd, "no answer from %.*s: %s", (int)host.len, host.ptr,
                nx_session_client_fault(client));
        (void)nx_cmd_print(cmd, NX_BYTES("{\"error\":\"non_json_response\"}"));
        return NX_EXIT_FAILED;
    }
    if (!result->json && result->ok)
        return nx_cmd_print(cmd, NX_BYTES("{\"ok\":true}"));
    if (!result->json) {
        nx_cmd_say(cmd, "%.*s answered with status %d and no JSON", (int)host.len, host.ptr,
                result->http_status);
        (void)nx_cmd_print(cmd, NX_BYTES("{\"error\":\"non_json_response\"}"));
        return NX_EXIT_FAILED;
    }
    printed = nx_cmd_print(cmd, nx_bytes_of(result->body, result->body_bytes));
    if (result->ok)
        return printed;
    nx_cmd_say(cmd, "%.*s says %d%s%s%s%s", (int)host.len, host.ptr, result->http_status,
            result->error ? " " : "", result->error ? result->error : "",
            result->message ? ": " : "", result->message ? result->message : "");
    return NX_EXIT_FAILED;
}
