/* base/json against random documents and random bytes; the seed is printed, NX_TEST_SEED replays
 * one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/random.h"
#include "support/json_check.h"

/* Random documents: `text` with white space, `compact` the same without. */
struct maker {
    struct nx_random random;
    struct nx_buf text;
    struct nx_buf compact;
};

static uint32_t below(struct maker *m, uint32_t bound)
{
    return nx_random_below(&m->random, bound);
}

static void make_space(struct maker *m)
{
    for (uint32_t n = below(m, 6) == 0 ? below(m, 12) : 0; n > 0; n--)
        nx_buf_append_char(&m->text, " \t\r\n"[below(m, 4)]);
}

static void make(struct maker *m, struct nx_bytes token)
{
    nx_buf_append(&m->text, token);
    nx_buf_append(&m->compact, token);
}

static void make_piece(struct maker *m)
{
    static const char *const pieces[] = {"\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t",
            "\\u0000", "\\u00e9", "\\uFFFF", "\\ud83d\\ude00", "\\ud800", "\\udfff", "\xc2\x80",
            "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xef\xbf\xbf", "\xf0\x90\x80\x80",
            "\xf4\x8f\xbf\xbf", "[", "]", "{", "}", ",", ":", " ", "\x7f", "/"};
    char c = (char)('a' + below(m, 26));

    if (below(m, 3) > 0)
        make(m, nx_bytes_of(&c, 1));
    else
        make(m, nx_bytes_str(pieces[below(m, sizeof(pieces) / sizeof(pieces[0]))]));
}

static void make_string(struct maker *m)
{
    make(m, NX_BYTES("\""));
    for (uint32_t n = below(m, 24); n > 0; n--)
        make_piece(m);
    make(m, NX_BYTES("\""));
}

static void make_digits(struct maker *m)
{
    for (uint32_t n = 1 + below(m, below(m, 8) == 0 ? 40 : 4); n > 0; n--) {
        char c = (char)('0' + below(m, 10));

        make(m, nx_bytes_of(&c, 1));
    }
}

static void make_number(struct maker *m)
{
    if (below(m, 3) == 0)
        make(m, NX_BYTES("-"));
    if (below(m, 4) == 0) {
        make(m, NX_BYTES("0"));
    } else {
        make(m, nx_bytes_of(&"123456789"[below(m, 9)], 1));
        if (below(m, 2) == 0)
            make_digits(m);
    }
    if (below(m, 3) == 0) {
        make(m, NX_BYTES("."));
        make_digits(m);
    }
    if (below(m, 3) == 0) {
        static const char *const exponents[] = {"e", "E", "e+", "E-"};

        make(m, nx_bytes_str(exponents[below(m, 4)]));
        make_digits(m);
    }
}

static void make_value(struct maker *m, unsigned depth);

static void make_members(struct maker *m, unsigned depth, bool named)
{
    make(m, named ? NX_BYTES("{") : NX_BYTES("["));
    make_space(m);
    for (uint32_t n = below(m, 5), i = 0; i < n; i++) {
        if (i > 0) {
            make(m, NX_BYTES(","));
            make_space(m);
        }
        if (named) {
            make_string(m);
            make_space(m);
            make(m, NX_BYTES(":"));
            make_space(m);
        }
        make_value(m, depth - 1);
        make_space(m);
    }
    make(m, named ? NX_BYTES("}") : NX_BYTES("]"));
}

static void make_value(struct maker *m, unsigned depth)
{
    static const char *const words[] = {"null", "true", "false"};

    switch (below(m, depth > 0 ? 7 : 3)) {
    case 0:
        make(m, nx_bytes_str(words[below(m, 3)]));
        break;
    case 1:
        make_number(m);
        break;
    case 2:
        make_string(m);
        break;
    case 3:
    case 4:
        make_members(m, depth, false);
        break;
    default:
        make_members(m, depth, true);
        break;
    }
}

static uint64_t test_seed(void)
{
    const char *given = getenv("NX_TEST_SEED");
    struct timespec now;

    if (given)
        return strtoull(given, NULL, 10);
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Unescaping, escaping and unescaping again changes nothing; nor does a look at the parts. */
static void check_strings_of(const struct nx_json *value)
{
    struct nx_json_iter iter;
    struct nx_json key;
    struct nx_json member;

    if (value->kind == NX_JSON_STRING) {
        struct nx_buf first = nx_check_buf();
        struct nx_buf quoted = nx_check_buf();
        struct nx_buf second = nx_check_buf();
        struct nx_json again;

        nx_json_string_decode(value, &first);
        assert_true(nx_utf8_valid(nx_buf_bytes(&first)));
        assert_true(nx_json_string_equal(value, nx_buf_bytes(&first)));
        nx_json_append_string(&quoted, nx_buf_bytes(&first));
        again = nx_check_parsed(nx_buf_bytes(&quoted));
        nx_json_string_decode(&again, &second);
        nx_check_bytes(nx_buf_bytes(&second), nx_buf_bytes(&first));
        nx_buf_done(&first);
        nx_buf_done(&quoted);
        nx_buf_done(&second);
    }
    nx_json_iter_init(&iter, value);
    while (nx_json_next(&iter, &key, &member)) {
        struct nx_json alone = nx_check_parsed(member.text);

        assert_int_equal(alone.kind, member.kind);
        nx_check_bytes(alone.text, member.text);
        if (value->kind == NX_JSON_OBJECT)
            check_strings_of(&key);
        check_strings_of(&member);
    }
}

static void random_documents(void **state)
{
    struct nx_random_seeded seeded;
    uint64_t seed = test_seed();
    struct maker m = {nx_random_from_seed(&seeded, seed), nx_check_buf(), nx_check_buf()};

    (void)state;
    print_message("NX_TEST_SEED=%llu\n", (unsigned long long)seed);
    for (int i = 0; i < 400; i++) {
        struct nx_buf compact = nx_check_buf();
        struct nx_json value;

        nx_buf_clear(&m.text);
        nx_buf_clear(&m.compact);
        make_space(&m);
        make_value(&m, 4);
        make_space(&m);
        nx_check_accepted(nx_buf_bytes(&m.text));
        value = nx_check_parsed(nx_buf_bytes(&m.text));
        nx_json_append_compact(&compact, &value);
        nx_check_bytes(nx_buf_bytes(&compact), nx_buf_bytes(&m.compact));
        check_strings_of(&value);
        nx_buf_done(&compact);
    }
    nx_buf_done(&m.text);
    nx_buf_done(&m.compact);
}

/* Any bytes become a string that is JSON; text that was UTF-8 comes back as it was. */
static void random_bytes_as_strings(void **state)
{
    struct nx_random_seeded seeded;
    uint64_t seed = test_seed();
    struct nx_random random = nx_random_from_seed(&seeded, seed);

    (void)state;
    print_message("NX_TEST_SEED=%llu\n", (unsigned long long)seed);
    for (int i = 0; i < 5000; i++) {
        char bytes[40];
        struct nx_bytes text = {bytes, nx_random_below(&random, sizeof(bytes))};
        uint32_t mask = nx_random_below(&random, 3) == 0 ? 0xff : 0x7f;
        struct nx_buf quoted = nx_check_buf();
        struct nx_buf back = nx_check_buf();
        struct nx_json value;

        nx_random_fill(&random, bytes, sizeof(bytes));
        for (size_t n = 0; n < sizeof(bytes); n++)
            bytes[n] = (char)((uint32_t)bytes[n] & mask);
        nx_json_append_string(&quoted, text);
        value = nx_check_parsed(nx_buf_bytes(&quoted));
        nx_json_string_decode(&value, &back);
        assert_true(nx_utf8_valid(nx_buf_bytes(&back)));
        if (nx_utf8_valid(text))
            nx_check_bytes(nx_buf_bytes(&back), text);
        else
            assert_false(nx_json_string_equal(&value, text));
        nx_buf_done(&quoted);
        nx_buf_done(&back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(random_documents),
            cmocka_unit_test(random_bytes_as_strings),
    };

    return cmocka_run_group_tests_name("json_random", tests, NULL, NULL);
}
