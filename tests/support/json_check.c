/* See json_check.h. */
#include "support/json_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TEXT_MAX = 16 * 1024 * 1024 };

struct nx_buf nx_check_buf(void)
{
    struct nx_buf b;

    nx_buf_init(&b, nx_mem_libc(), TEXT_MAX);
    return b;
}

void nx_check_bytes(struct nx_bytes is, struct nx_bytes should)
{
    if (!nx_bytes_equal(is, should))
        fail_msg("is \"%.*s\" (%zu bytes), should be \"%.*s\" (%zu)", (int)is.len, is.ptr, is.len,
                (int)should.len, should.ptr, should.len);
}

struct nx_json nx_check_parsed(struct nx_bytes text)
{
    struct nx_json_fault fault = {0};
    struct nx_json value;

    if (nx_json_parse(text, &value, &fault) != 0)
        fail_msg("%.*s: %s at %zu", (int)text.len, text.ptr, fault.reason, fault.offset);
    return value;
}

/* Parses a copy of exactly that size, so that ASan sees a byte read too far. */
int nx_check_parse_copy(
        struct nx_bytes text, struct nx_json *ret_value, struct nx_json_fault *ret_fault)
{
    char *copy = malloc(text.len > 0 ? text.len : 1);
    struct nx_json value;
    int r;

    assert_non_null(copy);
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    r = nx_json_parse(nx_bytes_of(copy, text.len), &value, ret_fault);
    if (r == 0) {
        value.text.ptr = text.ptr + (value.text.ptr - copy);
        *ret_value = value;
    }
    free(copy);
    return r;
}

/* Kinds, names and scalars in order: two texts walk alike when these are equal. */
void nx_check_walk(const struct nx_json *value, struct nx_buf *to)
{
    struct nx_json_iter iter;
    struct nx_json key;
    struct nx_json member;

    nx_buf_append_u64(to, value->kind);
    if (value->kind != NX_JSON_ARRAY && value->kind != NX_JSON_OBJECT) {
        nx_buf_append(to, value->text);
        return;
    }
    NX_BUF_LIT(to, "<");
    nx_json_iter_init(&iter, value);
    while (nx_json_next(&iter, value->kind == NX_JSON_OBJECT ? &key : NULL, &member)) {
        assert_true(member.text.ptr > value->text.ptr);
        assert_true(member.text.ptr + member.text.len < value->text.ptr + value->text.len);
        if (value->kind == NX_JSON_OBJECT) {
            assert_int_equal(key.kind, NX_JSON_STRING);
            nx_buf_append(to, key.text);
            NX_BUF_LIT(to, "=");
        }
        nx_check_walk(&member, to);
        NX_BUF_LIT(to, ";");
    }
    NX_BUF_LIT(to, ">");
}

/* Every shorter text is no JSON any more, unless it was a number or only lost white space. */
static void check_cuts(struct nx_bytes text)
{
    struct nx_json whole = nx_check_parsed(text);
    size_t end = (size_t)(whole.text.ptr - text.ptr) + whole.text.len;

    for (size_t cut = 0; cut<text.len; cut += text.len> 3000 ? text.len / 97 : 1) {
        struct nx_json_fault fault = {0};
        struct nx_json value;
        int r = nx_check_parse_copy(nx_bytes_of(text.ptr, cut), &value, &fault);

        if (cut >= end) {
            assert_int_equal(r, 0);
        } else if (r == 0) {
            assert_int_equal(whole.kind, NX_JSON_NUMBER);
        } else {
            assert_int_equal(r, NX_E_SYNTAX);
            assert_non_null(fault.reason);
            /* The end itself, or the character that it cuts in two. */
            assert_true(fault.offset <= cut && cut - fault.offset < 4);
            for (size_t i = fault.offset; i < cut; i++)
                assert_true((unsigned char)text.ptr[i] >= 0x80);
        }
    }
}

void nx_check_accepted(struct nx_bytes text)
{
    struct nx_json value = nx_check_parsed(text);
    struct nx_buf compact = nx_check_buf();
    struct nx_buf before = nx_check_buf();
    struct nx_buf after = nx_check_buf();
    struct nx_json again;

    assert_int_equal(nx_check_parse_copy(text, &again, NULL), 0);
    nx_check_bytes(again.text, nx_bytes_trim(text));
    nx_json_append_compact(&compact, &value);
    assert_int_equal(nx_buf_error(&compact), 0);
    again = nx_check_parsed(nx_buf_bytes(&compact));
    nx_check_walk(&value, &before);
    nx_check_walk(&again, &after);
    nx_check_bytes(nx_buf_bytes(&after), nx_buf_bytes(&before));
    check_cuts(text);
    nx_buf_done(&compact);
    nx_buf_done(&before);
    nx_buf_done(&after);
}
