/* The verbs that look at every session kept here: ls, poll-all, doctor. Each session is asked at its
 * own server; a server that did not answer once is not waited for again. */
#include <stdio.h>

#include "base/json.h"
#include "cli/session/cmd.h"

#define SERVERS_MAX  16
#define DOCUMENT_MAX ((size_t)64 << 20)

struct known_server {
    struct nx_session_client *client;
    bool silent; /* gave no answer in this run */
};

/* A look at all sessions: what is read once for all of them. */
struct survey {
    struct nx_cmd *cmd;
    struct nx_state_list sessions;
    struct nx_buf aliases;
    struct nx_buf doc; /* what will be printed */
    struct known_server servers[SERVERS_MAX];
    size_t server_count;
    size_t next_victim;
};

static int survey_begin(struct survey *survey, struct nx_cmd *cmd)
{
    int r;

    *survey = (struct survey){.cmd = cmd, .sessions = {.mem = cmd->mem}};
    nx_buf_init(&survey->aliases, cmd->mem, NX_STATE_DOCUMENT_MAX);
    nx_buf_init(&survey->doc, cmd->mem, DOCUMENT_MAX);
    r = nx_state_sessions(&cmd->state, &survey->sessions);
    if (r < 0)
        return nx_cmd_fail(
                cmd, "state_error", "the sessions in %s: %s", cmd->state.root, nx_error_text(r));
    r = nx_doc_read(cmd, "aliases.json", &survey->aliases);
    if (r < 0 && r != NX_E_NOTFOUND) {
        (void)nx_cmd_state_result(cmd, r, "aliases.json");
        nx_buf_clear(&survey->aliases);
    }
    return 0;
}

static int survey_end(struct survey *survey, int code)
{
    for (size_t i = 0; i < survey->server_count; i++)
        nx_cmd_close(survey->cmd, survey->servers[i].client);
    nx_state_list_done(&survey->sessions);
    nx_buf_done(&survey->aliases);
    nx_buf_done(&survey->doc);
    return code;
}

static int survey_print(struct survey *survey)
{
    if (survey->doc.error)
        return nx_cmd_fail(survey->cmd, "internal_error", "the answers together are too large");
    return nx_cmd_print(survey->cmd, nx_buf_bytes(&survey->doc));
}

/* The client of a server; the oldest gives way when there are too many. NULL: out of memory. */
static struct known_server *server_at(struct survey *survey, const char *url, int64_t timeout_ms)
{
    struct known_server *server = NULL;
    struct nx_session_client *client;

    for (size_t i = 0; i < survey->server_count; i++) {
        if (strcmp(nx_session_client_url(survey->servers[i].client), url) == 0)
            return &survey->servers[i];
    }
    if (nx_cmd_open(survey->cmd, url, timeout_ms, &client) != 0)
        return NULL;
    if (survey->server_count < SERVERS_MAX) {
        server = &survey->servers[survey->server_count++];
    } else {
        server = &survey->servers[survey->next_victim];
        survey->next_victim = (survey->next_victim + 1) % SERVERS_MAX;
        nx_cmd_close(survey->cmd, server->client);
    }
    *server = (struct known_server){.client = client};
    return server;
}

/* Where a session is asked. Returns false when its binding cannot be read or memory is out. */
static struct known_server *server_of(
        struct survey *survey, const char *id, int64_t timeout_ms, char ret_url[NX_URL_BYTES])
{
    char bound[NX_URL_BYTES];
    struct nx_server server = {0};
    int r = nx_cmd_binding(survey->cmd, id, bound);

    ret_url[0] = '\0';
    if (r < 0 && r != NX_E_NOTFOUND) {
        nx_cmd_say(survey->cmd, "the server session %s is bound to cannot be read: %s", id,
                nx_error_text(r));
        return NULL;
    }
    if (nx_cmd_server(survey->cmd, id, &server) != 0)
        return NULL;
    snprintf(ret_url, NX_URL_BYTES, "%s", server.url);
    return server_at(survey, server.url, timeout_ms);
}

static void note_silence(struct survey *survey, struct known_server *server)
{
    struct nx_bytes host = nx_server_url_host(nx_bytes_str(nx_session_client_url(server->client)));

    server->silent = true;
    nx_cmd_say(survey->cmd, "no answer from %.*s: %s", (int)host.len, host.ptr,
            nx_session_client_fault(server->client));
}

/* ,"key":"text" or ,"key":null */
static void append_text(struct nx_buf *to, const char *key, const char *text)
{
    nx_buf_append_char(to, ',');
    nx_json_append_string(to, nx_bytes_str(key));
    nx_buf_append_char(to, ':');
    if (text)
        nx_json_append_string(to, nx_bytes_str(text));
    else
        NX_BUF_LIT(to, "null");
}

/* Opens the record of a session: {"sessionId":…,"alias":… */
static void append_record(struct survey *survey, const char *id, bool first)
{
    char alias[NX_ALIAS_MAX + 1];
    bool named = nx_doc_alias_of(&survey->aliases, id, alias);

    nx_buf_append_str(&survey->doc, first ? "\n  " : ",\n  ");
    NX_BUF_LIT(&survey->doc, "{\"sessionId\":");
    nx_json_append_string(&survey->doc, nx_bytes_str(id));
    append_text(&survey->doc, "alias", named ? alias : NULL);
}

/* A member of an answer as it is written, null when it has none. */
static void append_raw(
        struct nx_buf *to, const char *key, const struct nx_session_client_result *result)
{
    struct nx_json object, value;

    if (result &&
            nx_json_parse(nx_bytes_of(result->body, result->body_bytes), &object, NULL) == 0 &&
            nx_json_get(&object, nx_bytes_str(key), &value))
        nx_buf_append(to, value.text);
    else
        NX_BUF_LIT(to, "null");
}

/* The members of an answer of status: with moments where it has them, else the names. */
static void append_members(struct nx_buf *to, const struct nx_session_client_result *result)
{
    size_t before = to->len;

    append_raw(to, "members", result);
    if (result && to->len == before + 4 && !to->error) {
        to->len = before;
        append_raw(to, "agents", result);
    }
}

static const char *stored(const struct nx_cmd *cmd, const char *id, enum nx_state_field field,
        char value[NX_STATE_VALUE_MAX])
{
    return nx_state_get(&cmd->state, id, field, value) == 0 ? value : NULL;
}

static bool is_gone(const struct nx_session_client_result *result)
{
    return (result->http_status == 404 && result->error &&
                   strcmp(result->error, "session_not_found") == 0) ||
           (result->ok && result->state && strcmp(result->state, "expired") == 0);
}

/* Asks a session's status. Returns the word for it; *ret_result NULL when no answer came. */
static const char *ask_status(struct survey *survey, struct known_server *server, const char *id,
        struct nx_session_client_result **ret_result)
{
    *ret_result = NULL;
    if (!server)
        return "error";
    if (server->silent)
        return "unreachable";
    if (nx_session_client_status(server->client, id, ret_result) < 0) {
        note_silence(survey, server);
        return "unreachable";
    }
    if (is_gone(*ret_result))
        return "not_found";
    return (*ret_result)->ok ? "active" : "error";
}

static bool kept_active(const char *status)
{
    return strcmp(status, "active") == 0 || strcmp(status, "unreachable") == 0;
}

static void list_session(struct survey *survey, const char *id, bool *first)
{
    struct nx_cmd *cmd = survey->cmd;
    struct nx_session_client_result *result;
    char value[NX_STATE_VALUE_MAX];
    char url[NX_URL_BYTES];
    struct known_server *server = server_of(survey, id, cmd->status_timeout_ms, url);
    const char *status = ask_status(survey, server, id, &result);

    if (!nx_args_flag(&cmd->args, "active") || kept_active(status)) {
        append_record(survey, id, *first);
        *first = false;
        append_text(&survey->doc, "agentId", stored(cmd, id, NX_STATE_AGENT, value));
        append_text(&survey->doc, "status", status);
        append_text(&survey->doc, "server", url[0] ? url : NULL);
        append_text(&survey->doc, "cursor", stored(cmd, id, NX_STATE_CURSOR, value));
        if (nx_args_flag(&cmd->args, "members")) {
            NX_BUF_LIT(&survey->doc, ",\"members\":");
            append_members(&survey->doc, result && result->ok ? result : NULL);
        }
        nx_buf_append_char(&survey->doc, '}');
    }
    nx_session_client_result_free(result);
}

int nx_verb_run_ls(struct nx_cmd *cmd)
{
    struct survey survey;
    bool first = true;
    int code = survey_begin(&survey, cmd);

    if (code != 0)
        return survey_end(&survey, code);
    if (survey.sessions.count > 0)
        nx_cmd_hint("→ server: each session's own (session)");
    NX_BUF_LIT(&survey.doc, "{\"sessions\":[");
    for (size_t i = 0; i < survey.sessions.count; i++)
        list_session(&survey, survey.sessions.ids[i], &first);
    nx_buf_append_str(&survey.doc, first ? "]}" : "\n]}");
    return survey_end(&survey, survey_print(&survey));
}

struct polled {
    char next[NX_STATE_VALUE_MAX]; /* the cursor to keep once the document is printed, or "" */
};

/* Polls one session. Returns its answer, or NULL after saying why there is none. */
static struct nx_session_client_result *poll_session(struct survey *survey, const char *id)
{
    struct nx_cmd *cmd = survey->cmd;
    struct nx_session_client_result *result = NULL;
    char agent[NX_STATE_VALUE_MAX];
    char after[NX_STATE_VALUE_MAX];
    char url[NX_URL_BYTES];
    struct known_server *server = server_of(survey, id, cmd->http_timeout_ms, url);

    if (!server || server->silent)
        return NULL;
    if (!stored(cmd, id, NX_STATE_AGENT, agent)) {
        nx_cmd_say(cmd, "session %s has no agent here; not polled", id);
        return NULL;
    }
    if (nx_session_client_poll(server->client, id, agent, stored(cmd, id, NX_STATE_CURSOR, after),
                nx_args_flag(&cmd->args, "members"), &result) < 0) {
        note_silence(survey, server);
        return NULL;
    }
    if (!result->ok) {
        nx_cmd_say(cmd, "session %s: %d %s", id, result->http_status,
                result->error ? result->error : "and no JSON");
        nx_session_client_result_free(result);
        return NULL;
    }
    nx_cmd_adopt(cmd, id, url);
    return result;
}

static void append_polled(struct survey *survey, const char *id,
        const struct nx_session_client_result *result, bool first)
{
    bool members = result && nx_args_flag(&survey->cmd->args, "members");

    append_record(survey, id, first);
    NX_BUF_LIT(&survey->doc, ",\"messages\":");
    if (result)
        append_raw(&survey->doc, "messages", result);
    else
        NX_BUF_LIT(&survey->doc, "[]");
    NX_BUF_LIT(&survey->doc, ",\"members\":");
    append_raw(&survey->doc, "members", members ? result : NULL);
    nx_buf_append_char(&survey->doc, '}');
}

/* Polls all, prints, and only then moves the cursors: what was not printed comes again. */
static int poll_all(struct survey *survey, struct polled *polled)
{
    struct nx_cmd *cmd = survey->cmd;
    bool first = true;
    int code;

    NX_BUF_LIT(&survey->doc, "{\"sessions\":[");
    for (size_t i = 0; i < survey->sessions.count; i++) {
        const char *id = survey->sessions.ids[i];
        struct nx_session_client_result *result = poll_session(survey, id);

        if (result || !nx_args_flag(&cmd->args, "active")) {
            append_polled(survey, id, result, first);
            first = false;
        }
        if (result && nx_name_cursor_valid(nx_bytes_str(result->next_cursor)))
            snprintf(polled[i].next, sizeof(polled[i].next), "%s", result->next_cursor);
        nx_session_client_result_free(result);
    }
    nx_buf_append_str(&survey->doc, first ? "]}" : "\n]}");
    code = survey_print(survey);
    for (size_t i = 0; code == 0 && i < survey->sessions.count; i++) {
        if (polled[i].next[0])
            code = nx_cmd_state_result(cmd,
                    nx_state_set(
                            &cmd->state, survey->sessions.ids[i], NX_STATE_CURSOR, polled[i].next),
                    "a cursor");
    }
    return code;
}

int nx_verb_run_poll_all(struct nx_cmd *cmd)
{
    struct polled *polled = NULL;
    struct survey survey;
    int code = survey_begin(&survey, cmd);

    if (code != 0)
        return survey_end(&survey, code);
    polled = nx_mem_zalloc(cmd->mem, survey.sessions.count + 1, sizeof(*polled));
    if (!polled)
        return survey_end(&survey, nx_cmd_fail(cmd, "internal_error", "out of memory"));
    if (survey.sessions.count > 0)
        nx_cmd_hint("→ server: each session's own (session)");
    code = poll_all(&survey, polled);
    nx_mem_free(cmd->mem, polled);
    return survey_end(&survey, code);
}

/* ---- doctor ---- */

static bool examine_server(struct survey *survey, const char *url, bool first)
{
    struct known_server *server = server_at(survey, url, survey->cmd->status_timeout_ms);
    struct nx_session_client_result *result = NULL;
    struct nx_buf *doc = &survey->doc;
    bool reachable = false;

    if (server && nx_session_client_health(server->client, &result) < 0)
        note_silence(survey, server);
    reachable = result && result->ok;
    if (result && !reachable)
        nx_cmd_say(survey->cmd, "%s answers /health with status %d%s", url, result->http_status,
                result->json ? "" : " and no JSON");
    nx_buf_append_str(doc, first ? "\n  {\"server\":" : ",\n  {\"server\":");
    nx_json_append_string(doc, nx_bytes_str(url));
    nx_buf_append_str(doc, reachable ? ",\"reachable\":true" : ",\"reachable\":false");
    append_text(doc, "version", reachable ? result->version : NULL);
    NX_BUF_LIT(doc, ",\"uptime\":");
    if (reachable && result->uptime >= 0)
        nx_buf_append_i64(doc, result->uptime);
    else
        NX_BUF_LIT(doc, "null");
    nx_buf_append_char(doc, '}');
    nx_session_client_result_free(result);
    return reachable;
}

/* The effective server, then each other one that a session is bound to. */
static bool examine_servers(struct survey *survey, const struct nx_server *effective)
{
    struct nx_cmd *cmd = survey->cmd;
    bool ok = examine_server(survey, effective->url, true);

    for (size_t i = 0; i < survey->sessions.count; i++) {
        char url[NX_URL_BYTES], earlier[NX_URL_BYTES];
        bool seen;

        if (nx_cmd_binding(cmd, survey->sessions.ids[i], url) < 0)
            continue;
        seen = strcmp(url, effective->url) == 0;
        for (size_t j = 0; j < i && !seen; j++)
            seen = nx_cmd_binding(cmd, survey->sessions.ids[j], earlier) == 0 &&
                   strcmp(url, earlier) == 0;
        if (!seen && !examine_server(survey, url, false))
            ok = false;
    }
    return ok;
}

static const char *key_word(enum nx_state_key_file file)
{
    switch (file) {
    case NX_STATE_KEY_OK:
        return "ok";
    case NX_STATE_KEY_INSECURE:
        return "insecure";
    case NX_STATE_KEY_ABSENT:
        return "absent";
    }
    return "absent";
}

/* "true", "false", or "null" when it cannot be told. */
static const char *membership(const struct nx_session_client_result *result, const char *agent)
{
    if (!result || !agent)
        return "null";
    if (is_gone(result))
        return "false";
    if (!result->ok)
        return "null";
    for (size_t i = 0; i < result->member_count; i++) {
        if (strcmp(result->members[i].agent_id, agent) == 0)
            return "true";
    }
    return "false";
}

/* Returns false when something about the session is not as it should be. That it has expired is in
 * the nature of sessions. */
static bool examine_session(struct survey *survey, const char *id, bool first)
{
    struct nx_cmd *cmd = survey->cmd;
    struct nx_session_client_result *result;
    enum nx_state_key_file key = nx_state_key_file(&cmd->state, id);
    char bound[NX_URL_BYTES], url[NX_URL_BYTES];
    char agent[NX_STATE_VALUE_MAX];
    bool is_bound = nx_cmd_binding(cmd, id, bound) == 0;
    struct known_server *server;
    const char *status, *member;
    struct nx_buf *doc = &survey->doc;

    server = server_of(survey, id, cmd->status_timeout_ms, url);
    status = ask_status(survey, server, id, &result);
    member = membership(result, stored(cmd, id, NX_STATE_AGENT, agent));
    nx_buf_append_str(doc, first ? "\n  {\"sessionId\":" : ",\n  {\"sessionId\":");
    nx_json_append_string(doc, nx_bytes_str(id));
    append_text(doc, "bound", is_bound ? bound : NULL);
    append_text(doc, "probed", url[0] ? url : NULL);
    nx_buf_printf(doc, ",\"httpCode\":%d,\"memberOfSession\":%s", result ? result->http_status : 0,
            member);
    append_text(doc, "keyFile", key_word(key));
    nx_buf_append_char(doc, '}');
    nx_session_client_result_free(result);
    if (key == NX_STATE_KEY_INSECURE)
        nx_cmd_say(cmd, "others can read the key of session %s: chmod 600 %s/sessions/%s/key", id,
                cmd->state.root, id);
    if (strcmp(status, "not_found") == 0)
        nx_cmd_say(cmd, "session %s is gone; nexus session leave %s forgets it", id, id);
    else if (strcmp(member, "false") == 0)
        nx_cmd_say(cmd, "agent %s is no member of session %s any more", agent, id);
    if (strcmp(status, "not_found") == 0)
        return key != NX_STATE_KEY_INSECURE;
    return key != NX_STATE_KEY_INSECURE && strcmp(status, "active") == 0 &&
           strcmp(member, "false") != 0;
}

static int examine(struct survey *survey, const struct nx_server *effective)
{
    struct nx_cmd *cmd = survey->cmd;
    bool overrides = effective->source == NX_SOURCE_FLAG || effective->source == NX_SOURCE_ENV;
    bool divergence =
            overrides && cmd->config_url[0] && strcmp(cmd->config_url, effective->url) != 0;
    struct nx_buf body;
    bool ok = !divergence;
    int code;

    NX_BUF_LIT(&survey->doc, "\"health\":[");
    if (!examine_servers(survey, effective))
        ok = false;
    NX_BUF_LIT(&survey->doc, "\n],\"sessions\":[");
    for (size_t i = 0; i < survey->sessions.count; i++) {
        if (!examine_session(survey, survey->sessions.ids[i], i == 0))
            ok = false;
    }
    nx_buf_append_str(&survey->doc, survey->sessions.count > 0 ? "\n]}" : "]}");
    /* The verdict stands in front of what it rests on. */
    body = survey->doc;
    nx_buf_init(&survey->doc, cmd->mem, DOCUMENT_MAX);
    NX_BUF_LIT(&survey->doc, "{\"effectiveServer\":");
    nx_json_append_string(&survey->doc, nx_bytes_str(effective->url));
    append_text(&survey->doc, "source", nx_source_name(effective->source));
    nx_buf_printf(&survey->doc, ",\"divergence\":%s,\"ok\":%s,", divergence ? "true" : "false",
            ok ? "true" : "false");
    nx_buf_append(&survey->doc, nx_buf_bytes(&body));
    if (body.error)
        survey->doc.error = body.error;
    nx_buf_done(&body);
    code = survey_print(survey);
    return code != 0 || ok ? code : NX_EXIT_FAILED;
}

int nx_verb_run_doctor(struct nx_cmd *cmd)
{
    struct nx_server effective = {0};
    struct survey survey;
    int code = survey_begin(&survey, cmd);

    if (code == 0)
        code = nx_cmd_server(cmd, NULL, &effective);
    if (code != 0)
        return survey_end(&survey, code);
    nx_cmd_announce(cmd, &effective, NULL);
    return survey_end(&survey, examine(&survey, &effective));
}
