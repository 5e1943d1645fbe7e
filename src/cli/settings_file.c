/* Reads the configuration file: strict JSON (RFC 8259), an object whose members are verbs, each an
 * object whose members are that verb's options. Whatever is not understood is a fault that names
 * file, line and column: a mistyped key that is quietly ignored is a limit that is not in force. */
#include "cli/settings_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/json.h"

#define KEY_MAX   64
#define VALUE_MAX 4096

struct reader {
    struct nx_settings *settings;
    const char *path;
    struct nx_bytes text;
};

/* Says "FILE:LINE:COLUMN: …" about a place in the text; columns count characters. */
static int fault_at(const struct reader *reader, size_t offset, const char *format, ...)
        NX_PRINTF(3, 4);
static int fault_at(const struct reader *reader, size_t offset, const char *format, ...)
{
    char *fault = reader->settings->fault;
    size_t line = 1, column = 1;
    char quoted[NX_QUOTE_MAX];
    va_list list;
    int len;

    for (size_t i = 0; i < offset && i < reader->text.len; i++) {
        if (reader->text.ptr[i] == '\n') {
            line++;
            column = 1;
        } else
            column += ((unsigned char)reader->text.ptr[i] & 0xC0) != 0x80;
    }
    len = snprintf(
            fault, NX_FAULT_TEXT_MAX, "%s:%zu:%zu: ", nx_quote(reader->path, quoted), line, column);
    if (len < 0 || len >= NX_FAULT_TEXT_MAX)
        return NX_EXIT_USAGE;
    va_start(list, format);
    vsnprintf(fault + len, (size_t)(NX_FAULT_TEXT_MAX - len), format, list);
    va_end(list);
    return NX_EXIT_USAGE;
}

static size_t offset_of(const struct reader *reader, const struct nx_json *value)
{
    return (size_t)(value->text.ptr - reader->text.ptr);
}

static const char *kind_name(enum nx_json_kind kind)
{
    switch (kind) {
    case NX_JSON_NULL:
        return "null";
    case NX_JSON_FALSE:
    case NX_JSON_TRUE:
        return "a truth value";
    case NX_JSON_NUMBER:
        return "a number";
    case NX_JSON_STRING:
        return "a string";
    case NX_JSON_ARRAY:
        return "an array";
    case NX_JSON_OBJECT:
        return "an object";
    }
    return "";
}

/* Decodes a string into text of size bytes. Returns false when it does not fit or holds a NUL. */
static bool decode(
        const struct reader *reader, const struct nx_json *string, size_t size, char *text)
{
    struct nx_buf buf;
    bool fits;

    nx_buf_init(&buf, reader->settings->mem, size - 1);
    nx_json_string_decode(string, &buf);
    fits = nx_buf_error(&buf) == 0 && (buf.len == 0 || !memchr(buf.ptr, '\0', buf.len));
    if (fits) {
        if (buf.len)
            memcpy(text, buf.ptr, buf.len);
        text[buf.len] = '\0';
    }
    nx_buf_done(&buf);
    return fits;
}

/* A key as text to show and compare; one that is too long to be known is shown cut. */
static void decode_key(const struct reader *reader, const struct nx_json *key, char text[KEY_MAX])
{
    if (!decode(reader, key, KEY_MAX, text)) {
        struct nx_bytes raw = nx_json_string_raw(key);
        size_t len = raw.len < KEY_MAX - 1 ? raw.len : KEY_MAX - 1;
        memcpy(text, raw.ptr, len);
        text[len] = '\0';
    }
}

/* True when an earlier member of the object has the same key. */
static bool is_repeated(
        const struct nx_json *object, const struct nx_json *key, const char *decoded)
{
    struct nx_json_iter iter;
    struct nx_json other, value;

    nx_json_iter_init(&iter, object);
    while (nx_json_next(&iter, &other, &value) && other.text.ptr < key->text.ptr) {
        if (nx_json_string_equal(&other, nx_bytes_str(decoded)))
            return true;
    }
    return false;
}

static const char *wanted_kind(const struct nx_option *option)
{
    switch (option->kind) {
    case NX_OPTION_FLAG:
        return "true or false";
    case NX_OPTION_TEXT:
        return "a string";
    case NX_OPTION_INT:
        return "a number";
    case NX_OPTION_BYTES:
        return "a number, or a string such as \"16M\"";
    }
    return "";
}

/* The value as the text a flag would have. Returns false when its kind is wrong. */
static bool value_text(const struct reader *reader, const struct nx_option *option,
        const struct nx_json *value, char text[VALUE_MAX])
{
    bool truth = value->kind == NX_JSON_TRUE || value->kind == NX_JSON_FALSE;
    bool number = value->kind == NX_JSON_NUMBER;
    int64_t integer;

    switch (option->kind) {
    case NX_OPTION_FLAG:
        snprintf(text, VALUE_MAX, "%s", value->kind == NX_JSON_TRUE ? "true" : "false");
        return truth;
    case NX_OPTION_TEXT:
        return value->kind == NX_JSON_STRING && decode(reader, value, VALUE_MAX, text);
    case NX_OPTION_BYTES:
        if (value->kind == NX_JSON_STRING)
            return decode(reader, value, VALUE_MAX, text);
        break;
    case NX_OPTION_INT:
        break;
    }
    if (number && nx_json_int(value, &integer))
        snprintf(text, VALUE_MAX, "%lld", (long long)integer);
    else
        snprintf(text, VALUE_MAX, "%.*s", (int)(value->text.len < 64 ? value->text.len : 64),
                value->text.ptr);
    return number;
}

static int read_value(const struct reader *reader, const char *name, struct nx_setting *setting,
        const struct nx_json *value)
{
    const char *verb = reader->settings->verb->name;
    char text[VALUE_MAX], fault[NX_FAULT_TEXT_MAX];
    int r;

    if (!value_text(reader, setting->option, value, text)) {
        bool string =
                value->kind == NX_JSON_STRING && (setting->option->kind == NX_OPTION_TEXT ||
                                                         setting->option->kind == NX_OPTION_BYTES);
        return fault_at(reader, offset_of(reader, value), "%s.%s: %s is wanted here, this is %s",
                verb, name, wanted_kind(setting->option),
                string ? "one that is too long or holds a NUL" : kind_name(value->kind));
    }
    if (!nx_option_check(setting->option, text, fault))
        return fault_at(reader, offset_of(reader, value), "%s.%s: %.300s", verb, name, fault);
    r = nx_settings_replace(reader->settings, setting, text);
    if (r == 0)
        setting->source = NX_SETTING_FILE;
    return r;
}

static int unknown_key(
        const struct reader *reader, const struct nx_json *key, const char *name, const char *where)
{
    const struct nx_verb *verb = reader->settings->verb;
    struct nx_nearest nearest;
    char quoted[NX_QUOTE_MAX];

    nx_nearest_init(&nearest, name);
    if (!where)
        nx_nearest_offer(&nearest, verb->name);
    for (size_t i = 0; where && i < verb->option_count; i++) {
        if (nx_setting_is(&verb->options[i]))
            nx_nearest_offer(&nearest, verb->options[i].name);
    }
    nx_quote(name, quoted);
    if (nearest.best)
        return fault_at(reader, offset_of(reader, key), "unknown %s '%s'; did you mean '%s'?",
                where ? "key" : "section", quoted, nearest.best);
    return fault_at(reader, offset_of(reader, key), "unknown %s '%s'%s%s%s",
            where ? "key" : "section", quoted, where ? " in '" : "", where ? where : "",
            where ? "'; 'nexus config' lists them" : "; the only one is 'serve'");
}

static int read_section(const struct reader *reader, const struct nx_json *section)
{
    struct nx_settings *settings = reader->settings;
    struct nx_json_iter iter;
    struct nx_json key, value;
    int r = 0;

    nx_json_iter_init(&iter, section);
    while (r == 0 && nx_json_next(&iter, &key, &value)) {
        char name[KEY_MAX];
        const struct nx_option *option;
        decode_key(reader, &key, name);
        option = nx_option_find(settings->verb, name);
        if (!option || !nx_setting_is(option))
            return unknown_key(reader, &key, name, settings->verb->name);
        if (is_repeated(section, &key, name))
            return fault_at(reader, offset_of(reader, &key), "%s.%s is set twice",
                    settings->verb->name, name);
        r = read_value(reader, name, nx_settings_get(settings, name), &value);
    }
    return r;
}

int nx_settings_read_text(
        struct nx_settings *settings, const char *path, const char *text, size_t len)
{
    struct reader reader = {settings, path, nx_bytes_of(text, len)};
    struct nx_json_fault fault;
    struct nx_json_iter iter;
    struct nx_json root, key, value;
    int r = 0;

    if (nx_json_parse(reader.text, &root, &fault) < 0)
        return fault_at(&reader, fault.offset, "not JSON: %s", fault.reason);
    if (root.kind != NX_JSON_OBJECT)
        return fault_at(&reader, offset_of(&reader, &root), "an object is wanted here, this is %s",
                kind_name(root.kind));
    nx_json_iter_init(&iter, &root);
    while (r == 0 && nx_json_next(&iter, &key, &value)) {
        char name[KEY_MAX];
        decode_key(&reader, &key, name);
        if (strcmp(name, settings->verb->name) != 0)
            return unknown_key(&reader, &key, name, NULL);
        if (is_repeated(&root, &key, name))
            return fault_at(&reader, offset_of(&reader, &key), "section '%s' is there twice", name);
        if (value.kind != NX_JSON_OBJECT)
            return fault_at(&reader, offset_of(&reader, &value),
                    "%s: an object is wanted here, this is %s", name, kind_name(value.kind));
        r = read_section(&reader, &value);
    }
    return r;
}

/* Reads at most the maximum and one byte. Returns 0 or an errno value. */
static int read_all(int fd, struct nx_buf *buf)
{
    for (;;) {
        char *to = nx_buf_reserve(buf, 4096);
        ssize_t n;
        if (!to)
            return nx_buf_error(buf) == NX_E_TOO_LARGE ? EFBIG : ENOMEM;
        n = read(fd, to, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            return 0;
        buf->len += (size_t)n;
    }
}

/* Only a regular file: a pipe could keep us waiting, a device never end. */
static int open_regular(const char *path, int *ret_fd)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    int fault = 0;

    if (fd < 0)
        return errno;
    if (fstat(fd, &status) < 0)
        fault = errno;
    else if (S_ISDIR(status.st_mode))
        fault = EISDIR;
    else if (!S_ISREG(status.st_mode))
        fault = EINVAL;
    if (fault) {
        close(fd);
        return fault;
    }
    *ret_fd = fd;
    return 0;
}

int nx_settings_read_file(struct nx_settings *settings)
{
    char quoted[NX_QUOTE_MAX];
    struct nx_buf buf;
    int fd = -1, fault, r;

    if (!settings->path)
        return 0;
    nx_quote(settings->path, quoted);
    fault = open_regular(settings->path, &fd);
    if ((fault == ENOENT || fault == ENOTDIR) && !settings->path_given)
        return 0;
    /* Room for the last read, which finds the end. */
    nx_buf_init(&buf, settings->mem, NX_SETTINGS_FILE_MAX + 4096);
    if (!fault) {
        fault = read_all(fd, &buf);
        close(fd);
    }
    if (!fault && buf.len > NX_SETTINGS_FILE_MAX)
        fault = EFBIG;
    if (fault) {
        snprintf(settings->fault, sizeof(settings->fault),
                "cannot read the configuration file %s: %s", quoted,
                fault == EINVAL ? "not a regular file" : strerror(fault));
        r = NX_EXIT_UNAVAILABLE;
    } else {
        settings->path_read = true;
        r = nx_settings_read_text(settings, settings->path, buf.ptr, buf.len);
    }
    nx_buf_done(&buf);
    return r;
}
