/* The verbs that talk to one server about one session: create, status, join, pair, claim,
 * pair-status, send, poll, renew, leave. */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "cli/session/cmd.h"

#define STDIN_TEXT_MAX ((size_t)16 << 20)

/* One command's conversation: the session, the server, the client, the answer. */
struct talk {
    char id[NX_SESSION_ID_MAX + 1];
    struct nx_server server;
    struct nx_session_client *client;
    struct nx_session_client_result *result; /* NULL until an answer came */
};

/* Finds the server, says so, and makes the client. bound: the session's binding counts. */
static int begin(struct nx_cmd *cmd, struct talk *talk, bool bound)
{
    int r = nx_cmd_server(cmd, bound ? talk->id : NULL, &talk->server);

    if (r != 0)
        return r;
    nx_cmd_announce(cmd, &talk->server, bound ? talk->id : NULL);
    return nx_cmd_open(cmd, talk->server.url, cmd->http_timeout_ms, &talk->client);
}

/* As begin, for a verb whose first operand is a session. */
static int begin_session(struct nx_cmd *cmd, struct talk *talk, bool bound)
{
    int r = nx_cmd_session(cmd, cmd->args.operands[0], talk->id);

    return r != 0 ? r : begin(cmd, talk, bound);
}

static int end(struct nx_cmd *cmd, struct talk *talk, int code)
{
    nx_session_client_result_free(talk->result);
    nx_cmd_close(cmd, talk->client);
    return code;
}

/* Prints the answer; after a success an unbound session adopts the server. */
static int report(struct nx_cmd *cmd, struct talk *talk, int r)
{
    int code = nx_cmd_report(cmd, r, talk->client, talk->result);

    if (r == 0 && talk->result->ok && talk->id[0])
        nx_cmd_adopt(cmd, talk->id, talk->server.url);
    return code;
}

static int64_t number(const struct nx_cmd *cmd, const char *name)
{
    const char *text = nx_args_get(&cmd->args, name);

    return text ? strtoll(text, NULL, 10) : 0; /* checked by nx_args_parse */
}

/* An answer's session id, fit to be a folder's name. */
static bool answered_id(const struct nx_cmd *cmd, const struct nx_session_client_result *result)
{
    if (nx_name_id_valid(nx_bytes_str(result->session_id)))
        return true;
    nx_cmd_say(cmd, "the answer holds no usable sessionId; nothing is stored");
    return false;
}

static const char *answered_key(const struct nx_session_client_result *result)
{
    return nx_name_key_valid(nx_bytes_str(result->session_key)) ? result->session_key : NULL;
}

/* What a creation leaves: the server, and its creator as our agent when the server knows him. */
static int remember_created(struct nx_cmd *cmd, struct talk *talk)
{
    const char *creator = nx_args_get(&cmd->args, "creator-agent-id");
    const char *key = answered_key(talk->result);

    if (!answered_id(cmd, talk->result))
        return NX_EXIT_FAILED;
    if (!nx_name_id_valid(nx_bytes_str(creator)) || (!key && !talk->result->creator_agent_id))
        creator = NULL;
    return nx_cmd_remember(
            cmd, talk->result->session_id, creator, creator ? key : NULL, talk->server.url);
}

int nx_verb_run_create(struct nx_cmd *cmd)
{
    struct nx_session_client_create options = {
            .ttl = number(cmd, "ttl"),
            .max_agents = number(cmd, "max-agents"),
            .greeting = nx_args_get(&cmd->args, "greeting"),
            .creator_agent_id = nx_args_get(&cmd->args, "creator-agent-id"),
    };
    struct talk talk = {0};
    int code = begin(cmd, &talk, false);
    int stored = 0;
    int r;

    if (code != 0)
        return end(cmd, &talk, code);
    r = nx_session_client_create(talk.client, &options, &talk.result);
    if (r == 0 && talk.result->ok)
        stored = remember_created(cmd, &talk);
    code = nx_cmd_report(cmd, r, talk.client, talk.result);
    return end(cmd, &talk, code != 0 ? code : stored);
}

int nx_verb_run_status(struct nx_cmd *cmd)
{
    struct talk talk = {0};
    int code = begin_session(cmd, &talk, true);

    if (code == 0)
        code = report(cmd, &talk, nx_session_client_status(talk.client, talk.id, &talk.result));
    return end(cmd, &talk, code);
}

/* The stored key only ever goes where it came from: with --url elsewhere it stays at home. */
static void key_for(
        struct nx_cmd *cmd, const struct talk *talk, bool own, char ret_key[NX_STATE_VALUE_MAX])
{
    char bound[NX_URL_BYTES];

    ret_key[0] = '\0';
    if (!own)
        return;
    if (nx_cmd_binding(cmd, talk->id, bound) == 0 && strcmp(bound, talk->server.url) != 0) {
        nx_cmd_say(cmd, "the session's key belongs to %s and is not sent to another server", bound);
        return;
    }
    nx_cmd_key(cmd, talk->id, ret_key);
}

int nx_verb_run_join(struct nx_cmd *cmd)
{
    char agent[NX_AGENT_ID_MAX + 1];
    char key[NX_STATE_VALUE_MAX];
    struct talk talk = {0};
    int stored = 0;
    bool own;
    int code, r;

    code = nx_cmd_session(cmd, cmd->args.operands[0], talk.id);
    if (code == 0)
        code = nx_cmd_need_agent(cmd, talk.id, agent, &own);
    if (code == 0)
        code = begin(cmd, &talk, false);
    if (code != 0)
        return end(cmd, &talk, code);
    key_for(cmd, &talk, own, key);
    r = nx_session_client_join(talk.client, talk.id, agent, key[0] ? key : NULL, &talk.result);
    nx_wipe(key, sizeof(key));
    if (r == 0 && talk.result->ok)
        stored = nx_cmd_remember(cmd, talk.id, agent, answered_key(talk.result), talk.server.url);
    code = nx_cmd_report(cmd, r, talk.client, talk.result);
    return end(cmd, &talk, code != 0 ? code : stored);
}

int nx_verb_run_pair(struct nx_cmd *cmd)
{
    struct talk talk = {0};
    int code = begin_session(cmd, &talk, true);

    if (code == 0)
        code = report(cmd, &talk, nx_session_client_pair(talk.client, talk.id, &talk.result));
    if (code == 0 && talk.result->url)
        nx_cmd_hint("💡 Give this link to your human, to share with the other agent's human: %s",
                talk.result->url);
    return end(cmd, &talk, code);
}

static int check_code(struct nx_cmd *cmd, const char *text)
{
    char quoted[NX_QUOTE_MAX];

    if (nx_name_code_valid(nx_bytes_str(text)))
        return 0;
    return nx_cmd_fail(cmd, "invalid_code", "'%s' is no pairing code, such as PEARL-FOCAL-S5SJV",
            nx_quote(text, quoted));
}

int nx_verb_run_claim(struct nx_cmd *cmd)
{
    const char *agent = nx_args_get(&cmd->args, "agent-id");
    const char *pairing_code = cmd->args.operands[0];
    struct talk talk = {0};
    int code = check_code(cmd, pairing_code);
    int stored = 0;
    int r;

    if (code == 0 && !agent)
        code = nx_cmd_fail(cmd, "missing_agent_id", "claim needs --agent-id ID");
    else if (code == 0 && !nx_name_id_valid(nx_bytes_str(agent)))
        code = nx_cmd_fail(cmd, "invalid_agent_id",
                "an agent id is 1 to 128 letters, digits, dashes and underscores");
    if (code == 0)
        code = begin(cmd, &talk, false);
    if (code != 0)
        return end(cmd, &talk, code);
    r = nx_session_client_claim(talk.client, pairing_code, agent, &talk.result);
    if (r == 0 && talk.result->ok) {
        stored = NX_EXIT_FAILED;
        if (answered_id(cmd, talk.result))
            stored = nx_cmd_remember(cmd, talk.result->session_id, agent, answered_key(talk.result),
                    talk.server.url);
    }
    code = nx_cmd_report(cmd, r, talk.client, talk.result);
    if (code == 0 && stored == 0)
        nx_cmd_hint("✅ Claimed! Tip: poll for messages: nexus session poll %s",
                talk.result->session_id);
    return end(cmd, &talk, code != 0 ? code : stored);
}

int nx_verb_run_pair_status(struct nx_cmd *cmd)
{
    struct talk talk = {0};
    int code = check_code(cmd, cmd->args.operands[0]);
    int r;

    if (code == 0)
        code = begin(cmd, &talk, false);
    if (code == 0) {
        r = nx_session_client_pair_status(talk.client, cmd->args.operands[0], &talk.result);
        code = nx_cmd_report(cmd, r, talk.client, talk.result);
    }
    return end(cmd, &talk, code);
}

static int read_stdin(struct nx_cmd *cmd, struct nx_buf *to)
{
    while (!to->error) {
        char *at = nx_buf_reserve(to, 65536);
        size_t n = at ? fread(at, 1, 65536, stdin) : 0;

        if (n == 0)
            break;
        to->len += n;
    }
    if (to->error || ferror(stdin))
        return nx_cmd_fail(cmd, "invalid_request", "the text on standard input could not be read%s",
                to->error == NX_E_TOO_LARGE ? ": it is over 16 MiB" : "");
    if (to->len > 0 && to->ptr[to->len - 1] == '\n')
        to->len--;
    if (to->len > 0 && memchr(to->ptr, '\0', to->len))
        return nx_cmd_fail(cmd, "invalid_request", "the text on standard input holds a NUL byte");
    return 0;
}

/* The words behind the session, joined by blanks; "-" alone is standard input. Leaves to->ptr NULL
 * when there are none. */
static int gather_text(struct nx_cmd *cmd, struct nx_buf *to)
{
    if (cmd->args.operand_count == 2 && strcmp(cmd->args.operands[1], "-") == 0) {
        int r = read_stdin(cmd, to);

        if (r != 0)
            return r;
    } else {
        for (size_t i = 1; i < cmd->args.operand_count; i++) {
            if (i > 1)
                nx_buf_append_char(to, ' ');
            nx_buf_append_str(to, cmd->args.operands[i]);
        }
    }
    if (cmd->args.operand_count > 1)
        (void)nx_buf_str(to);
    return to->error ? nx_cmd_fail(cmd, "invalid_request", "the text is too long") : 0;
}

/* A server without JSON messages gets the payload as text, behind the text when there is one; or
 * nothing at all with --strict. */
static int fall_back_to_text(struct nx_cmd *cmd, const char *json, struct nx_buf *text)
{
    if (nx_args_flag(&cmd->args, "strict"))
        return nx_cmd_fail(cmd, "json_not_supported",
                "the server takes no JSON messages, and --strict forbids to send it as text");
    nx_cmd_hint("⚠ warning: the server takes no JSON messages; the payload goes as text");
    if (text->len > 0)
        nx_buf_append_char(text, '\n');
    nx_buf_append_str(text, json);
    (void)nx_buf_str(text);
    return text->error ? nx_cmd_fail(cmd, "invalid_request", "the text is too long") : 0;
}

static int send_message(struct nx_cmd *cmd, struct talk *talk, struct nx_buf *text,
        const char *json, const char *agent, bool own)
{
    struct nx_session_client_send message = {.session_id = talk->id, .agent_id = agent};
    char key[NX_STATE_VALUE_MAX];
    int code, r;

    code = begin(cmd, talk, true);
    if (code == 0 && json && !nx_cmd_accepts_json(cmd, talk->client)) {
        code = fall_back_to_text(cmd, json, text);
        json = NULL;
    }
    if (code != 0)
        return code;
    key_for(cmd, talk, own, key);
    message.session_key = key[0] ? key : NULL;
    message.text = text->ptr;
    message.json = json;
    r = nx_session_client_send(talk->client, &message, &talk->result);
    nx_wipe(key, sizeof(key));
    return report(cmd, talk, r);
}

int nx_verb_run_send(struct nx_cmd *cmd)
{
    const char *json = nx_args_get(&cmd->args, "json");
    char agent[NX_AGENT_ID_MAX + 1];
    struct talk talk = {0};
    struct nx_json value;
    struct nx_buf text;
    bool own = false;
    int code;

    if (cmd->args.operand_count < 2 && !json) {
        nx_cmd_say(cmd, "there is nothing to send; usage: %s SESSION TEXT, or --json PAYLOAD",
                cmd->path);
        return NX_EXIT_USAGE;
    }
    nx_buf_init(&text, cmd->mem, STDIN_TEXT_MAX + 65536);
    code = nx_cmd_session(cmd, cmd->args.operands[0], talk.id);
    if (code == 0)
        code = nx_cmd_need_agent(cmd, talk.id, agent, &own);
    if (code == 0 && json && nx_json_parse(nx_bytes_str(json), &value, NULL) < 0)
        code = nx_cmd_fail(cmd, "invalid_json", "what stands behind --json is no JSON");
    if (code == 0)
        code = gather_text(cmd, &text);
    if (code == 0)
        code = send_message(cmd, &talk, &text, json, agent, own);
    nx_buf_done(&text);
    return end(cmd, &talk, code);
}

static void poll_tips(const struct talk *talk)
{
    nx_cmd_hint("💡 Send a message: nexus session send %s \"message\"", talk->id);
    if (talk->result->message_count == 0)
        nx_cmd_hint("💡 Nothing new. The other agent may answer at any time: poll again in a few "
                    "minutes (a cron job every 3-5 minutes, with your human's permission).");
}

int nx_verb_run_poll(struct nx_cmd *cmd)
{
    const char *given = nx_args_get(&cmd->args, "after");
    char agent[NX_AGENT_ID_MAX + 1];
    char after[NX_STATE_VALUE_MAX] = "";
    struct talk talk = {0};
    bool own;
    int code, r;

    code = nx_cmd_session(cmd, cmd->args.operands[0], talk.id);
    if (code == 0)
        code = nx_cmd_need_agent(cmd, talk.id, agent, &own);
    if (code == 0)
        code = begin(cmd, &talk, true);
    if (code != 0)
        return end(cmd, &talk, code);
    if (given && strcmp(given, "0") != 0)
        snprintf(after, sizeof(after), "%s", given);
    else if (!given && nx_state_get(&cmd->state, talk.id, NX_STATE_CURSOR, after) < 0)
        after[0] = '\0';
    r = nx_session_client_poll(talk.client, talk.id, agent, after[0] ? after : NULL,
            nx_args_flag(&cmd->args, "members"), &talk.result);
    code = report(cmd, &talk, r);
    if (code != 0)
        return end(cmd, &talk, code);
    /* Only what was really handed on is behind us. */
    if (!given && nx_name_cursor_valid(nx_bytes_str(talk.result->next_cursor)))
        code = nx_cmd_state_result(cmd,
                nx_state_set(&cmd->state, talk.id, NX_STATE_CURSOR, talk.result->next_cursor),
                "the cursor");
    poll_tips(&talk);
    return end(cmd, &talk, code);
}

int nx_verb_run_renew(struct nx_cmd *cmd)
{
    char agent[NX_AGENT_ID_MAX + 1];
    struct talk talk = {0};
    bool own;
    int code;

    code = nx_cmd_session(cmd, cmd->args.operands[0], talk.id);
    if (code == 0)
        code = nx_cmd_need_agent(cmd, talk.id, agent, &own);
    if (code == 0)
        code = begin(cmd, &talk, true);
    if (code == 0)
        code = report(cmd, &talk,
                nx_session_client_renew(
                        talk.client, talk.id, agent, number(cmd, "ttl"), &talk.result));
    return end(cmd, &talk, code);
}

static int forget(struct nx_cmd *cmd, const char *id)
{
    int r = nx_doc_drop_aliases(cmd, id);
    int code = nx_cmd_state_result(cmd, r, "aliases.json");

    r = nx_state_forget(&cmd->state, id);
    if (nx_cmd_state_result(cmd, r, "the session's state") != 0)
        code = NX_EXIT_FAILED;
    return code;
}

int nx_verb_run_leave(struct nx_cmd *cmd)
{
    char agent[NX_AGENT_ID_MAX + 1];
    char key[NX_STATE_VALUE_MAX];
    struct talk talk = {0};
    bool own;
    int code, r;

    code = nx_cmd_session(cmd, cmd->args.operands[0], talk.id);
    if (code == 0)
        code = nx_cmd_need_agent(cmd, talk.id, agent, &own);
    if (code == 0)
        code = begin(cmd, &talk, true);
    if (code != 0)
        return end(cmd, &talk, code);
    key_for(cmd, &talk, own, key);
    r = nx_session_client_leave(talk.client, talk.id, agent, key[0] ? key : NULL, &talk.result);
    nx_wipe(key, sizeof(key));
    (void)nx_cmd_report(cmd, r, talk.client, talk.result);
    if (r == 0 && talk.result->gone) {
        code = forget(cmd, talk.id);
        nx_cmd_hint("✅ Left: what was stored of session %s is removed", talk.id);
    } else {
        code = NX_EXIT_FAILED;
        nx_cmd_hint("⚠ Not left: what is stored of session %s is kept", talk.id);
    }
    return end(cmd, &talk, code);
}
