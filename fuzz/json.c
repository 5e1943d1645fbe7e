/* libFuzzer target of base/json: any bytes. What must hold is spelled out below; a broken promise
 * aborts. */
#include <stdlib.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(promise)                                                                              \
    do {                                                                                           \
        if (!(promise))                                                                            \
            abort();                                                                               \
    } while (0)

enum { OUT_MAX = 64 * 1024 * 1024 };

static struct nx_buf buf(void)
{
    struct nx_buf b;

    nx_buf_init(&b, nx_mem_libc(), OUT_MAX);
    return b;
}

static bool inside(struct nx_bytes part, struct nx_bytes whole)
{
    return part.len > 0 && part.ptr >= whole.ptr && part.len <= whole.len &&
           (size_t)(part.ptr - whole.ptr) <= whole.len - part.len;
}

/* A span is a JSON text of its own, of the same kind and extent. */
static void check_alone(const struct nx_json *value)
{
    struct nx_json alone;

    MUST(nx_json_parse(value->text, &alone, NULL) == 0);
    MUST(alone.kind == value->kind && alone.text.len == value->text.len);
}

static void check_string(const struct nx_json *value)
{
    struct nx_buf decoded = buf();
    struct nx_buf quoted = buf();
    struct nx_buf again = buf();
    struct nx_json written;

    MUST(inside(value->text, value->text));
    MUST(nx_json_string_raw(value).len == value->text.len - 2);
    nx_json_string_decode(value, &decoded);
    MUST(nx_buf_error(&decoded) == 0 && decoded.len <= value->text.len - 2);
    MUST(nx_utf8_valid(nx_buf_bytes(&decoded)));
    MUST(nx_json_string_equal(value, nx_buf_bytes(&decoded)));
    nx_json_append_string(&quoted, nx_buf_bytes(&decoded));
    MUST(nx_json_parse(nx_buf_bytes(&quoted), &written, NULL) == 0);
    nx_json_string_decode(&written, &again);
    MUST(nx_bytes_equal(nx_buf_bytes(&again), nx_buf_bytes(&decoded)));
    nx_buf_done(&decoded);
    nx_buf_done(&quoted);
    nx_buf_done(&again);
}

/* An integer that is read back from how it is written is the same. */
static void check_number(const struct nx_json *value)
{
    int64_t number;
    int64_t again = 0;

    if (nx_json_int(value, &number)) {
        struct nx_buf text = buf();
        struct nx_json written;

        nx_buf_append_i64(&text, number);
        MUST(nx_json_parse(nx_buf_bytes(&text), &written, NULL) == 0);
        MUST(nx_json_int(&written, &again) && again == number);
        nx_buf_done(&text);
    }
}

/* A member found by its decoded name is the last of that name. */
static void check_get(const struct nx_json *object, const struct nx_json *key)
{
    struct nx_buf name = buf();
    struct nx_json_iter iter;
    struct nx_json other;
    struct nx_json value;
    struct nx_json last = {0};
    struct nx_json found;

    nx_json_string_decode(key, &name);
    nx_json_iter_init(&iter, object);
    while (nx_json_next(&iter, &other, &value)) {
        if (nx_json_string_equal(&other, nx_buf_bytes(&name)))
            last = value;
    }
    MUST(nx_json_get(object, nx_buf_bytes(&name), &found));
    MUST(found.text.ptr == last.text.ptr && found.text.len == last.text.len);
    nx_buf_done(&name);
}

/* Walks to the leaves; `budget` bounds what a wide text may cost. */
static void check_value(const struct nx_json *value, unsigned *budget)
{
    struct nx_json_iter iter;
    struct nx_json key;
    struct nx_json member;
    const char *last = value->text.ptr;

    if (*budget == 0)
        return;
    --*budget;
    check_alone(value);
    if (value->kind == NX_JSON_STRING)
        check_string(value);
    if (value->kind == NX_JSON_NUMBER)
        check_number(value);
    nx_json_iter_init(&iter, value);
    while (nx_json_next(&iter, &key, &member)) {
        MUST(value->kind == NX_JSON_ARRAY || value->kind == NX_JSON_OBJECT);
        MUST(inside(member.text, value->text) && member.text.ptr > last);
        last = member.text.ptr + member.text.len - 1;
        if (value->kind == NX_JSON_OBJECT) {
            MUST(inside(key.text, value->text) && key.kind == NX_JSON_STRING);
            MUST(key.text.ptr + key.text.len < member.text.ptr);
            check_string(&key);
            if (*budget % 8 == 0)
                check_get(value, &key);
        }
        check_value(&member, budget);
    }
    MUST(last < value->text.ptr + value->text.len);
}

/* Kinds and scalars in order. */
static void flatten(const struct nx_json *value, struct nx_buf *to)
{
    struct nx_json_iter iter;
    struct nx_json key;
    struct nx_json member;
    bool object = value->kind == NX_JSON_OBJECT;

    nx_buf_append_char(to, (char)('0' + value->kind));
    if (!object && value->kind != NX_JSON_ARRAY)
        nx_buf_append(to, value->text);
    nx_json_iter_init(&iter, value);
    while (nx_json_next(&iter, &key, &member)) {
        if (object)
            nx_buf_append(to, key.text);
        flatten(&member, to);
    }
    NX_BUF_LIT(to, ";");
}

static void check_compact(const struct nx_json *value)
{
    struct nx_buf compact = buf();
    struct nx_buf twice = buf();
    struct nx_buf before = buf();
    struct nx_buf after = buf();
    struct nx_json again;

    nx_json_append_compact(&compact, value);
    MUST(nx_buf_error(&compact) == 0 && compact.len <= value->text.len);
    MUST(nx_json_parse(nx_buf_bytes(&compact), &again, NULL) == 0 && again.text.len == compact.len);
    nx_json_append_compact(&twice, &again);
    MUST(nx_bytes_equal(nx_buf_bytes(&twice), nx_buf_bytes(&compact)));
    flatten(value, &before);
    flatten(&again, &after);
    MUST(nx_bytes_equal(nx_buf_bytes(&before), nx_buf_bytes(&after)));
    nx_buf_done(&compact);
    nx_buf_done(&twice);
    nx_buf_done(&before);
    nx_buf_done(&after);
}

/* Everything before a fault could still have become JSON. */
static void check_fault(struct nx_bytes text, const struct nx_json_fault *fault)
{
    struct nx_json_fault earlier;
    struct nx_json value;

    MUST(fault->offset <= text.len && fault->reason);
    if (nx_json_parse(nx_bytes_of(text.ptr, fault->offset), &value, &earlier) != 0)
        MUST(earlier.offset == fault->offset);
}

/* Any bytes can be written as a string. */
static void check_written(struct nx_bytes text)
{
    struct nx_buf quoted = buf();
    struct nx_buf decoded = buf();
    struct nx_json value;

    nx_json_append_string(&quoted, text);
    MUST(nx_json_parse(nx_buf_bytes(&quoted), &value, NULL) == 0);
    nx_json_string_decode(&value, &decoded);
    MUST(nx_utf8_valid(text) == nx_bytes_equal(nx_buf_bytes(&decoded), text));
    nx_buf_done(&quoted);
    nx_buf_done(&decoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_bytes text = nx_bytes_of(data, size);
    struct nx_json value;
    struct nx_json_fault fault;
    unsigned budget = 2000;
    int r = nx_json_parse(text, &value, &fault);

    MUST(r == 0 || r == NX_E_SYNTAX);
    if (r == 0) {
        MUST(inside(value.text, text) && nx_utf8_valid(text));
        check_value(&value, &budget);
        check_compact(&value);
    } else {
        check_fault(text, &fault);
    }
    check_written(text);
    return 0;
}
