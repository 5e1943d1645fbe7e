/* The documents of the state (cmd.h): small objects of JSON, changed one member at a time. */
#include "base/json.h"
#include "cli/session/cmd.h"

int nx_doc_read(const struct nx_cmd *cmd, const char *name, struct nx_buf *to)
{
    struct nx_json object;
    int r = nx_state_read(&cmd->state, name, to);

    if (r < 0)
        return r;
    if (nx_bytes_trim(nx_buf_bytes(to)).len == 0) {
        nx_buf_clear(to);
        return NX_E_NOTFOUND;
    }
    if (nx_json_parse(nx_buf_bytes(to), &object, NULL) < 0 || object.kind != NX_JSON_OBJECT)
        return NX_E_DAMAGED;
    return 0;
}

static bool object_of(const struct nx_buf *doc, struct nx_json *ret_object)
{
    return doc->len > 0 && nx_json_parse(nx_buf_bytes(doc), ret_object, NULL) == 0 &&
           ret_object->kind == NX_JSON_OBJECT;
}

static bool decode_into(
        const struct nx_mem *mem, const struct nx_json *value, char *ret_text, size_t text_bytes)
{
    struct nx_buf text;
    bool fits;

    nx_buf_init(&text, mem, NX_STATE_DOCUMENT_MAX);
    nx_json_string_decode(value, &text);
    fits = !text.error && text.len < text_bytes &&
           (text.len == 0 || !memchr(text.ptr, '\0', text.len));
    if (fits) {
        if (text.len > 0)
            memcpy(ret_text, text.ptr, text.len);
        ret_text[text.len] = '\0';
    }
    nx_buf_done(&text);
    return fits;
}

bool nx_doc_text(const struct nx_buf *doc, const char *key, char *ret_text, size_t text_bytes)
{
    struct nx_json object, value;

    return object_of(doc, &object) && nx_json_get(&object, nx_bytes_str(key), &value) &&
           value.kind == NX_JSON_STRING && decode_into(doc->mem, &value, ret_text, text_bytes);
}

static void append_member(struct nx_buf *to, struct nx_bytes key_json, struct nx_bytes raw)
{
    if (to->len > 1)
        nx_buf_append_char(to, ',');
    NX_BUF_LIT(to, "\n  ");
    nx_buf_append(to, key_json);
    NX_BUF_LIT(to, ": ");
    nx_buf_append(to, raw);
}

/* Writes the object's members but those of one name, or (id not NULL) but those whose value is that
 * string; then key: raw when raw is not NULL. */
static void rewrite(struct nx_buf *to, const struct nx_buf *doc, const char *key, const char *raw,
        const char *id)
{
    struct nx_json object, name, value;
    struct nx_json_iter iter;

    nx_buf_append_char(to, '{');
    if (object_of(doc, &object)) {
        nx_json_iter_init(&iter, &object);
        while (nx_json_next(&iter, &name, &value)) {
            if (key && nx_json_string_equal(&name, nx_bytes_str(key)))
                continue;
            if (id && value.kind == NX_JSON_STRING &&
                    nx_json_string_equal(&value, nx_bytes_str(id)))
                continue;
            append_member(to, name.text, value.text);
        }
    }
    if (raw) {
        struct nx_buf quoted;

        nx_buf_init(&quoted, to->mem, NX_STATE_DOCUMENT_MAX);
        nx_json_append_string(&quoted, nx_bytes_str(key));
        append_member(to, nx_buf_bytes(&quoted), nx_bytes_str(raw));
        if (quoted.error)
            to->error = quoted.error;
        nx_buf_done(&quoted);
    }
    nx_buf_append_str(to, to->len > 1 ? "\n}\n" : "}\n");
}

static int change(
        struct nx_cmd *cmd, const char *name, const char *key, const char *raw, const char *id)
{
    struct nx_buf doc, changed;
    int r = nx_state_lock(&cmd->state);

    if (r < 0)
        return r;
    nx_buf_init(&doc, cmd->mem, NX_STATE_DOCUMENT_MAX);
    nx_buf_init(&changed, cmd->mem, NX_STATE_DOCUMENT_MAX);
    r = nx_doc_read(cmd, name, &doc);
    if (r == 0 || r == NX_E_NOTFOUND) {
        rewrite(&changed, &doc, key, raw, id);
        r = nx_buf_error(&changed);
    }
    if (r == 0 && doc.len == 0 && !raw)
        r = 0; /* nothing there, nothing to take out */
    else if (r == 0)
        r = nx_state_write(&cmd->state, name, nx_buf_bytes(&changed));
    nx_buf_done(&doc);
    nx_buf_done(&changed);
    nx_state_unlock(&cmd->state);
    return r;
}

int nx_doc_set(struct nx_cmd *cmd, const char *name, const char *key, const char *raw_value)
{
    return change(cmd, name, key, raw_value, NULL);
}

int nx_doc_drop_aliases(struct nx_cmd *cmd, const char *id)
{
    char name[NX_ALIAS_MAX + 1];
    struct nx_buf doc;
    bool found;
    int r;

    nx_buf_init(&doc, cmd->mem, NX_STATE_DOCUMENT_MAX);
    r = nx_doc_read(cmd, "aliases.json", &doc);
    found = r == 0 && nx_doc_alias_of(&doc, id, name);
    nx_buf_done(&doc);
    if (r == NX_E_NOTFOUND || (r == 0 && !found))
        return 0;
    return r < 0 ? r : change(cmd, "aliases.json", NULL, NULL, id);
}

bool nx_doc_alias_of(const struct nx_buf *aliases, const char *id, char ret_name[NX_ALIAS_MAX + 1])
{
    struct nx_json object, name, value;
    struct nx_json_iter iter;

    if (!object_of(aliases, &object))
        return false;
    nx_json_iter_init(&iter, &object);
    while (nx_json_next(&iter, &name, &value)) {
        if (value.kind == NX_JSON_STRING && nx_json_string_equal(&value, nx_bytes_str(id)) &&
                decode_into(aliases->mem, &name, ret_name, NX_ALIAS_MAX + 1))
            return true;
    }
    return false;
}
