/* The verbs about what the client itself keeps: alias, unalias, config, bind. */
#include "base/json.h"
#include "base/time.h"
#include "cli/session/cmd.h"

static void append_text(struct nx_buf *to, const char *key, const char *value)
{
    nx_buf_append_char(to, to->len > 0 ? ',' : '{');
    nx_json_append_string(to, nx_bytes_str(key));
    nx_buf_append_char(to, ':');
    if (value)
        nx_json_append_string(to, nx_bytes_str(value));
    else
        NX_BUF_LIT(to, "true");
}

/* {"ok":true, key: value, …}; NULL keys end the list. */
static int print_ok(struct nx_cmd *cmd, const char *key1, const char *value1, const char *key2,
        const char *value2)
{
    struct nx_buf doc;
    int code;

    nx_buf_init(&doc, cmd->mem, 65536);
    append_text(&doc, "ok", NULL);
    if (key1)
        append_text(&doc, key1, value1);
    if (key2)
        append_text(&doc, key2, value2);
    nx_buf_append_char(&doc, '}');
    code = doc.error ? NX_EXIT_FAILED : nx_cmd_print(cmd, nx_buf_bytes(&doc));
    nx_buf_done(&doc);
    return code;
}

static int set_document(struct nx_cmd *cmd, const char *name, const char *key, const char *text)
{
    struct nx_buf raw;
    int r;

    nx_buf_init(&raw, cmd->mem, 65536);
    nx_json_append_string(&raw, nx_bytes_str(text));
    (void)nx_buf_str(&raw);
    r = nx_buf_error(&raw);
    if (r == 0)
        r = nx_doc_set(cmd, name, key, raw.ptr);
    nx_buf_done(&raw);
    return r;
}

/* Ids as servers make them are 48 hex characters; a name that looks like one would hide a session. */
static bool looks_like_id(const char *text)
{
    return strlen(text) >= 32 && strspn(text, "0123456789abcdefABCDEF") == strlen(text);
}

static bool is_session(struct nx_cmd *cmd, const char *text)
{
    return looks_like_id(text) ||
           (nx_name_id_valid(nx_bytes_str(text)) && nx_state_knows(&cmd->state, text));
}

int nx_verb_run_alias(struct nx_cmd *cmd)
{
    const char *session = cmd->args.operands[0];
    const char *name = cmd->args.operands[1];
    char id[NX_SESSION_ID_MAX + 1];
    char quoted[NX_QUOTE_MAX];
    int code, r;

    /* NAME SESSION is understood too, where it is clear which is which. */
    if (!is_session(cmd, session) && is_session(cmd, name)) {
        session = cmd->args.operands[1];
        name = cmd->args.operands[0];
    }
    if (!nx_name_alias_valid(nx_bytes_str(name)) || looks_like_id(name))
        return nx_cmd_fail(cmd, "invalid_alias",
                "'%s' cannot be an alias: 1 to 128 letters, digits, dashes, dots and underscores, "
                "and not like a session id",
                nx_quote(name, quoted));
    code = nx_cmd_session(cmd, session, id);
    if (code != 0)
        return code;
    r = set_document(cmd, "aliases.json", name, id);
    if (r < 0)
        return nx_cmd_fail(cmd, "state_error", "aliases.json: %s", nx_error_text(r));
    return print_ok(cmd, "alias", name, "sessionId", id);
}

int nx_verb_run_unalias(struct nx_cmd *cmd)
{
    const char *name = cmd->args.operands[0];
    char id[NX_STATE_VALUE_MAX];
    char quoted[NX_QUOTE_MAX];
    struct nx_buf doc;
    bool found;
    int r;

    nx_buf_init(&doc, cmd->mem, NX_STATE_DOCUMENT_MAX);
    r = nx_doc_read(cmd, "aliases.json", &doc);
    found = r == 0 && nx_doc_text(&doc, name, id, sizeof(id));
    nx_buf_done(&doc);
    if (r == NX_E_NOTFOUND || (r == 0 && !found))
        return nx_cmd_fail(
                cmd, "alias_not_found", "there is no alias '%s'", nx_quote(name, quoted));
    if (r == 0)
        r = nx_doc_set(cmd, "aliases.json", name, NULL);
    if (r < 0)
        return nx_cmd_fail(cmd, "state_error", "aliases.json: %s", nx_error_text(r));
    return print_ok(cmd, "removed", name, NULL, NULL);
}

static int config_set_url(struct nx_cmd *cmd, const char *text)
{
    char moment[NX_RFC3339_LEN + 1] = {0};
    char quoted[NX_QUOTE_MAX];
    const char *reason = "";
    struct nx_buf url;
    int r, code;

    nx_buf_init(&url, cmd->mem, NX_URL_BYTES);
    r = nx_server_url_append(&url, nx_bytes_str(text), &reason);
    if (r < 0) {
        nx_buf_done(&url);
        return nx_cmd_fail(
                cmd, "invalid_url", "'%s' is no server's URL: %s", nx_quote(text, quoted), reason);
    }
    (void)nx_buf_str(&url);
    r = nx_buf_error(&url);
    nx_time_rfc3339(nx_cmd_wall_ms(), moment);
    if (r == 0)
        r = set_document(cmd, "config.json", "serverUrl", url.ptr);
    if (r == 0)
        r = set_document(cmd, "config.json", "updatedAt", moment);
    code = r < 0 ? nx_cmd_fail(cmd, "state_error", "config.json: %s", nx_error_text(r))
                 : print_ok(cmd, "serverUrl", url.ptr, NULL, NULL);
    nx_buf_done(&url);
    return code;
}

static int config_show(struct nx_cmd *cmd)
{
    struct nx_server server = {0};
    struct nx_buf path, doc;
    int code = nx_cmd_server(cmd, NULL, &server);

    if (code != 0)
        return code;
    nx_buf_init(&path, cmd->mem, 65536);
    nx_buf_printf(&path, "%s/config.json", cmd->state.root);
    nx_buf_init(&doc, cmd->mem, 65536);
    append_text(&doc, "serverUrl", server.url);
    append_text(&doc, "source", nx_source_name(server.source));
    append_text(&doc, "configPath", nx_buf_str(&path));
    nx_buf_append_char(&doc, '}');
    code = doc.error ? NX_EXIT_FAILED : nx_cmd_print(cmd, nx_buf_bytes(&doc));
    nx_buf_done(&doc);
    nx_buf_done(&path);
    return code;
}

/* What others keep in the file stays; a file of ours alone goes. */
static int config_unset(struct nx_cmd *cmd)
{
    struct nx_json object;
    struct nx_json_iter iter;
    struct nx_json key, value;
    struct nx_buf doc;
    int r = nx_doc_set(cmd, "config.json", "serverUrl", NULL);

    if (r == 0)
        r = nx_doc_set(cmd, "config.json", "updatedAt", NULL);
    nx_buf_init(&doc, cmd->mem, NX_STATE_DOCUMENT_MAX);
    if (r == 0 && nx_doc_read(cmd, "config.json", &doc) == 0 &&
            nx_json_parse(nx_buf_bytes(&doc), &object, NULL) == 0) {
        nx_json_iter_init(&iter, &object);
        if (!nx_json_next(&iter, &key, &value))
            r = nx_state_remove(&cmd->state, "config.json");
    }
    nx_buf_done(&doc);
    if (r < 0)
        return nx_cmd_fail(cmd, "state_error", "config.json: %s", nx_error_text(r));
    return print_ok(cmd, NULL, NULL, NULL, NULL);
}

int nx_verb_run_config(struct nx_cmd *cmd)
{
    const char *what = cmd->args.operands[0];

    if (strcmp(what, "set-url") == 0) {
        if (cmd->args.operand_count < 2) {
            nx_cmd_say(cmd, "URL is missing; usage: %s set-url URL", cmd->path);
            return NX_EXIT_USAGE;
        }
        return config_set_url(cmd, cmd->args.operands[1]);
    }
    if (cmd->args.operand_count > 1) {
        nx_cmd_say(cmd, "%s takes nothing more", what);
        return NX_EXIT_USAGE;
    }
    return strcmp(what, "unset") == 0 ? config_unset(cmd) : config_show(cmd);
}

/* The server to bind to: the second word, else --url, else the one in force without a binding. */
static int bind_target(struct nx_cmd *cmd, struct nx_server *ret_server)
{
    const char *text = cmd->args.operand_count > 1 ? cmd->args.operands[1] : NULL;
    char quoted[NX_QUOTE_MAX];
    const char *reason = "it is too long";
    struct nx_buf url;
    int code = 0;

    if (!text)
        return nx_cmd_server(cmd, NULL, ret_server);
    nx_buf_init(&url, cmd->mem, NX_URL_BYTES);
    if (nx_server_url_append(&url, nx_bytes_str(text), &reason) < 0 || url.len >= NX_URL_BYTES) {
        code = nx_cmd_fail(
                cmd, "invalid_url", "'%s' is no server's URL: %s", nx_quote(text, quoted), reason);
    } else {
        memcpy(ret_server->url, url.ptr, url.len);
        ret_server->url[url.len] = '\0';
        ret_server->source = NX_SOURCE_FLAG;
    }
    nx_buf_done(&url);
    return code;
}

int nx_verb_run_bind(struct nx_cmd *cmd)
{
    struct nx_session_client_result *result = NULL;
    struct nx_session_client *client = NULL;
    char id[NX_SESSION_ID_MAX + 1];
    struct nx_server server = {0};
    int code, r;

    code = nx_cmd_session(cmd, cmd->args.operands[0], id);
    if (code == 0)
        code = bind_target(cmd, &server);
    if (code != 0)
        return code;
    nx_cmd_announce(cmd, &server, NULL);
    code = nx_cmd_open(cmd, server.url, cmd->http_timeout_ms, &client);
    if (code != 0)
        return code;
    r = nx_session_client_status(client, id, &result);
    if (r < 0 || !result->ok) {
        code = nx_cmd_report(cmd, r, client, result);
        if (code == 0)
            code = NX_EXIT_FAILED;
        nx_cmd_say(cmd, "not bound: that server does not know the session");
    } else {
        r = nx_state_set(&cmd->state, id, NX_STATE_SERVER, server.url);
        code = r < 0 ? nx_cmd_fail(cmd, "state_error", "the binding: %s", nx_error_text(r))
                     : print_ok(cmd, "sessionId", id, "server", server.url);
    }
    nx_session_client_result_free(result);
    nx_cmd_close(cmd, client);
    return code;
}
