/* See session_result.h. The fields are those of the service's answers, both generations. Texts are
 * decoded into one block: every JSON string of the body is decoded at most once, and loses at
 * least its quotes by that, so the block never outgrows the body. */
#include "node/session_result.h"

#include "base/json.h"

struct holder {
    struct nx_session_client_result result; /* first: what the caller sees */
    const struct nx_mem *mem;
    struct nx_buf body;
    struct nx_buf texts;
};

void nx_session_client_result_free(struct nx_session_client_result *result)
{
    struct holder *holder = (struct holder *)(void *)result;

    if (!holder)
        return;
    if (holder->body.ptr)
        nx_wipe(holder->body.ptr, holder->body.len);
    if (holder->texts.ptr)
        nx_wipe(holder->texts.ptr, holder->texts.len);
    nx_buf_done(&holder->body);
    nx_buf_done(&holder->texts);
    nx_mem_free(holder->mem, holder->result.messages);
    nx_mem_free(holder->mem, holder->result.members);
    nx_mem_free(holder->mem, holder);
}

/* The string's text in the block, NUL-terminated. The block was reserved whole: it never moves. */
static const char *decode(struct holder *holder, const struct nx_json *value, size_t *ret_len)
{
    size_t at = holder->texts.len;

    nx_json_string_decode(value, &holder->texts);
    if (ret_len)
        *ret_len = holder->texts.len - at;
    nx_buf_append_char(&holder->texts, '\0');
    return holder->texts.error ? NULL : holder->texts.ptr + at;
}

static const char *get_text(struct holder *holder, const struct nx_json *object, const char *name)
{
    struct nx_json value;

    if (!nx_json_get(object, nx_bytes_str(name), &value) || value.kind != NX_JSON_STRING)
        return NULL;
    return decode(holder, &value, NULL);
}

/* A cursor or an id: a string, or a number kept as it is written. */
static const char *get_word(struct holder *holder, const struct nx_json *object, const char *name)
{
    size_t at = holder->texts.len;
    struct nx_json value;

    if (!nx_json_get(object, nx_bytes_str(name), &value))
        return NULL;
    if (value.kind == NX_JSON_STRING)
        return decode(holder, &value, NULL);
    if (value.kind != NX_JSON_NUMBER)
        return NULL;
    nx_buf_append(&holder->texts, value.text);
    nx_buf_append_char(&holder->texts, '\0');
    return holder->texts.error ? NULL : holder->texts.ptr + at;
}

static int64_t get_number(const struct nx_json *object, const char *name)
{
    struct nx_json value;
    int64_t number;

    if (!nx_json_get(object, nx_bytes_str(name), &value) || value.kind != NX_JSON_NUMBER ||
            !nx_json_int(&value, &number) || number < 0)
        return -1;
    return number;
}

static size_t count_of(const struct nx_json *array, size_t max)
{
    struct nx_json_iter iter;
    struct nx_json entry;
    size_t count = 0;

    nx_json_iter_init(&iter, array);
    while (count <= max && nx_json_next(&iter, NULL, &entry))
        count++;
    return count;
}

static void read_message(struct holder *holder, const struct nx_json *object,
        struct nx_session_client_message *ret_message)
{
    struct nx_session_client_message message = {.text = ""};
    struct nx_json value;

    message.id = get_word(holder, object, "id");
    message.cursor = get_word(holder, object, "cursor");
    message.agent_id = get_text(holder, object, "agentId");
    if (!message.agent_id)
        message.agent_id = get_text(holder, object, "from");
    if (!message.agent_id)
        message.agent_id = "";
    message.created_at = get_text(holder, object, "createdAt");
    if (nx_json_get(object, NX_BYTES("text"), &value) && value.kind == NX_JSON_STRING)
        message.text = decode(holder, &value, &message.text_bytes);
    if (nx_json_get(object, NX_BYTES("json"), &value)) {
        size_t at = holder->texts.len;

        nx_buf_append(&holder->texts, value.text);
        nx_buf_append_char(&holder->texts, '\0');
        message.json = holder->texts.error ? NULL : holder->texts.ptr + at;
    }
    message.verified =
            nx_json_get(object, NX_BYTES("verified"), &value) && value.kind == NX_JSON_TRUE;
    *ret_message = message;
}

static int read_messages(struct holder *holder, const struct nx_json *object)
{
    struct nx_session_client_result *result = &holder->result;
    struct nx_json array, entry;
    struct nx_json_iter iter;
    size_t count;

    if (!nx_json_get(object, NX_BYTES("messages"), &array) || array.kind != NX_JSON_ARRAY)
        return 0;
    count = count_of(&array, NX_SESSION_RESULT_MESSAGES_MAX);
    if (count > NX_SESSION_RESULT_MESSAGES_MAX)
        return NX_E_LIMIT;
    if (count == 0)
        return 0;
    result->messages = nx_mem_zalloc(holder->mem, count, sizeof(*result->messages));
    if (!result->messages)
        return NX_E_NOMEM;
    nx_json_iter_init(&iter, &array);
    while (nx_json_next(&iter, NULL, &entry)) {
        if (entry.kind == NX_JSON_OBJECT)
            read_message(holder, &entry, &result->messages[result->message_count++]);
    }
    return 0;
}

static void read_member(struct holder *holder, const struct nx_json *entry)
{
    struct nx_session_client_result *result = &holder->result;
    struct nx_session_client_member member = {0};

    if (entry->kind == NX_JSON_STRING) {
        member.agent_id = decode(holder, entry, NULL);
    } else if (entry->kind == NX_JSON_OBJECT) {
        member.agent_id = get_text(holder, entry, "agentId");
        member.joined_at = get_text(holder, entry, "joinedAt");
        member.last_seen_at = get_text(holder, entry, "lastSeenAt");
    }
    if (member.agent_id)
        result->members[result->member_count++] = member;
}

/* `members` where there is one, else `agents`: the names alone. */
static int read_members(struct holder *holder, const struct nx_json *object)
{
    struct nx_session_client_result *result = &holder->result;
    struct nx_json array, entry;
    struct nx_json_iter iter;
    size_t count;

    if ((!nx_json_get(object, NX_BYTES("members"), &array) || array.kind != NX_JSON_ARRAY) &&
            (!nx_json_get(object, NX_BYTES("agents"), &array) || array.kind != NX_JSON_ARRAY))
        return 0;
    count = count_of(&array, NX_SESSION_RESULT_MEMBERS_MAX);
    if (count > NX_SESSION_RESULT_MEMBERS_MAX)
        return NX_E_LIMIT;
    if (count == 0)
        return 0;
    result->members = nx_mem_zalloc(holder->mem, count, sizeof(*result->members));
    if (!result->members)
        return NX_E_NOMEM;
    nx_json_iter_init(&iter, &array);
    while (nx_json_next(&iter, NULL, &entry))
        read_member(holder, &entry);
    return 0;
}

static int accepts_json(const struct nx_json *object)
{
    struct nx_json capabilities, formats, entry;
    struct nx_json_iter iter;

    if (!nx_json_get(object, NX_BYTES("capabilities"), &capabilities) ||
            capabilities.kind != NX_JSON_OBJECT ||
            !nx_json_get(&capabilities, NX_BYTES("messageFormat"), &formats) ||
            formats.kind != NX_JSON_ARRAY)
        return 0;
    nx_json_iter_init(&iter, &formats);
    while (nx_json_next(&iter, NULL, &entry)) {
        if (entry.kind == NX_JSON_STRING && nx_json_string_equal(&entry, NX_BYTES("json")))
            return 1;
    }
    return 0;
}

static void read_texts(struct holder *holder, const struct nx_json *object)
{
    struct nx_session_client_result *result = &holder->result;

    result->error = get_text(holder, object, "error");
    result->message = get_text(holder, object, "message");
    result->session_id = get_text(holder, object, "sessionId");
    result->agent_id = get_text(holder, object, "agentId");
    result->session_key = get_text(holder, object, "sessionKey");
    result->creator_agent_id = get_text(holder, object, "creatorAgentId");
    result->state = get_text(holder, object, "state");
    result->status = get_text(holder, object, "status");
    result->greeting = get_text(holder, object, "greeting");
    result->created_at = get_text(holder, object, "createdAt");
    result->expires_at = get_text(holder, object, "expiresAt");
    result->message_id = get_word(holder, object, "messageId");
    if (!result->message_id)
        result->message_id = get_word(holder, object, "id");
    result->cursor = get_word(holder, object, "cursor");
    result->next_cursor = get_word(holder, object, "nextCursor");
    result->code = get_text(holder, object, "code");
    result->url = get_text(holder, object, "url");
    result->version = get_text(holder, object, "version");
}

static int read_object(struct holder *holder, const struct nx_json *object)
{
    struct nx_session_client_result *result = &holder->result;
    int r;

    /* A NUL for each text takes the place of a quote; numbers kept as words gain one each. */
    nx_buf_init(&holder->texts, holder->mem, holder->body.len * 2 + 64);
    if (!nx_buf_reserve(&holder->texts, holder->texts.max))
        return holder->texts.error;
    read_texts(holder, object);
    result->ttl = get_number(object, "ttl");
    result->max_agents = get_number(object, "maxAgents");
    result->agents_online = get_number(object, "agentsOnline");
    result->uptime = get_number(object, "uptime");
    result->active_sessions = get_number(object, "activeSessions");
    result->total_agents = get_number(object, "totalAgents");
    result->total_messages = get_number(object, "totalMessages");
    result->accepts_json = accepts_json(object);
    r = read_messages(holder, object);
    if (r == 0)
        r = read_members(holder, object);
    return r < 0 ? r : nx_buf_error(&holder->texts);
}

int nx_session_result_make(const struct nx_mem *mem, int http_status, struct nx_buf *body,
        struct nx_session_client_result **ret_result)
{
    struct holder *holder = nx_mem_zalloc(mem, 1, sizeof(*holder));
    struct nx_session_client_result *result;
    struct nx_json value;
    int r = 0;

    if (!holder) {
        nx_buf_done(body);
        return NX_E_NOMEM;
    }
    holder->mem = mem;
    holder->body = *body;
    *body = (struct nx_buf){.mem = mem};
    holder->body.max = holder->body.len + 1;
    result = &holder->result;
    *result = (struct nx_session_client_result){.ttl = -1,
            .max_agents = -1,
            .agents_online = -1,
            .uptime = -1,
            .active_sessions = -1,
            .total_agents = -1,
            .total_messages = -1};
    result->http_status = http_status;
    result->body_bytes = holder->body.len;
    result->body = nx_buf_str(&holder->body);
    if (holder->body.error)
        r = holder->body.error;
    if (r == 0 && nx_json_parse(nx_buf_bytes(&holder->body), &value, NULL) == 0) {
        result->json = 1;
        if (value.kind == NX_JSON_OBJECT)
            r = read_object(holder, &value);
        result->ok = value.kind == NX_JSON_OBJECT && http_status >= 200 && http_status < 300;
    } else if (http_status == 204 && result->body_bytes == 0) {
        result->ok = 1;
    }
    if (r < 0) {
        nx_session_client_result_free(result);
        return r;
    }
    *ret_result = result;
    return 0;
}
