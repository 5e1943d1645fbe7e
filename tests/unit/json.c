/* base/json: the tables of tests/vectors/json (in the categories of the JSONTestSuite) and every
 * function by itself. Random documents: json_random.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/json.h"
#include "support/json_check.h"
#include "support/mem_fail.h"

static void check_rejected(struct nx_bytes text, size_t offset)
{
    struct nx_json untouched = {NX_JSON_TRUE, NX_BYTES("untouched")};
    struct nx_json value = untouched;
    struct nx_json_fault fault = {0};

    assert_int_equal(nx_check_parse_copy(text, &value, NULL), NX_E_SYNTAX);
    assert_int_equal(nx_check_parse_copy(text, &value, &fault), NX_E_SYNTAX);
    assert_int_equal(value.kind, untouched.kind);
    assert_ptr_equal(value.text.ptr, untouched.text.ptr);
    assert_int_equal(fault.offset, offset);
    assert_true(strlen(fault.reason) > 10);
    /* Up to the offset all was still possible. */
    if (nx_check_parse_copy(nx_bytes_of(text.ptr, offset), &value, &fault) != 0)
        assert_int_equal(fault.offset, offset);
}

/* Reads the notation of the tables: <hh> a byte, <hh*N> N of them, else itself. */
static void unfold(const char *at, struct nx_buf *to)
{
    for (; *at && *at != '\n'; at++) {
        uint8_t byte = (uint8_t)*at;
        unsigned long count = 1;

        if (*at == '<') {
            char *end;

            assert_true(nx_hex_decode(nx_bytes_of(at + 1, 2), &byte, 1));
            at += 3;
            if (*at == '*') {
                count = strtoul(at + 1, &end, 10);
                at = end;
            }
            assert_int_equal(*at, '>');
        }
        for (; count > 0; count--)
            nx_buf_append_char(to, (char)byte);
    }
    assert_int_equal(nx_buf_error(to), 0);
}

static char line[8192]; /* the case at hand; empty when there is none */

static void check_line(struct nx_buf *text)
{
    const char *name = strchr(line, '\t');
    const char *input = name ? strchr(name + 1, '\t') : NULL;

    assert_non_null(input);
    nx_buf_clear(text);
    unfold(input + 1, text);
    if (strncmp(line, "accept\t", 7) == 0) {
        nx_check_accepted(nx_buf_bytes(text));
    } else {
        assert_int_equal(strncmp(line, "reject@", 7), 0);
        check_rejected(nx_buf_bytes(text), strtoul(line + 7, NULL, 10));
    }
}

static int name_the_case(void **state)
{
    (void)state;
    if (line[0])
        print_message("last case: %.200s\n", line);
    return 0;
}

/* Returns how many cases the table holds. */
static unsigned check_table(const char *name)
{
    const char *folder = getenv("NX_TEST_VECTORS");
    struct nx_buf text = nx_check_buf();
    struct nx_buf path = nx_check_buf();
    unsigned count = 0;
    FILE *file;

    assert_non_null(folder);
    nx_buf_printf(&path, "%s/json/%s.txt", folder, name);
    file = fopen(nx_buf_str(&path), "r");
    if (!file)
        fail_msg("cannot open %s", nx_buf_str(&path));
    while (fgets(line, sizeof(line), file)) {
        assert_non_null(strchr(line, '\n'));
        if (line[0] == '#')
            continue;
        check_line(&text);
        count++;
    }
    line[0] = '\0';
    assert_int_equal(fclose(file), 0);
    nx_buf_done(&path);
    nx_buf_done(&text);
    return count;
}

static void tables(void **state)
{
    (void)state;
    assert_true(check_table("numbers") >= 70);
    assert_true(check_table("strings") >= 110);
    assert_true(check_table("utf8") >= 70);
    assert_true(check_table("structure") >= 120);
    assert_true(check_table("implementation-defined") >= 40);
}

static void every_byte_at_every_place(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
        char alone = (char)c;
        struct nx_json value;

        assert_int_equal(nx_check_parse_copy(nx_bytes_of(&alone, 1), &value, NULL),
                c >= '0' && c <= '9' ? 0 : NX_E_SYNTAX);
        for (size_t place = 1; place < 19; place++) {
            char text[] = "\"xxxxxxxxxxxxxxxxxxx\"";
            struct nx_json_fault fault;

            text[place] = (char)c;
            assert_int_equal(
                    nx_check_parse_copy(NX_BYTES(text), &value, &fault), plain ? 0 : NX_E_SYNTAX);
            if (!plain)
                assert_int_equal(fault.offset, c == '"' || c == '\\' ? place + 1 : place);
        }
    }
}

static void null_text_is_empty(void **state)
{
    struct nx_json_fault fault = {7, NULL};
    struct nx_json value;

    (void)state;
    assert_int_equal(nx_json_parse((struct nx_bytes){NULL, 0}, &value, &fault), NX_E_SYNTAX);
    assert_int_equal(fault.offset, 0);
}

static void faults_say_why(void **state)
{
    static const struct {
        const char *text;
        const char *reason;
    } cases[] = {
            {"[1,]", "a value is missing before the closing bracket"},
            {"{\"a\":1,}", "a comma follows the last member"},
            {"{a:1}", "a member's name must be a string in double quotes"},
            {"{\"a\" 1}", "a colon is missing after a member's name"},
            {"['a']", "strings take double quotes"},
            {"// x", "JSON has no comments"},
            {"+1", "a number begins with a digit or a minus sign"},
            {"NaN", "unknown word (allowed: null, true, false; text takes double quotes)"},
            {"nil", "unknown word (allowed: null, true, false; text takes double quotes)"},
            {"\xef\xbb\xbf{}", "byte order mark (JSON has none)"},
            {"\"\xff\"", "bytes that are not UTF-8 in a string"},
            {"\"a", "the text ends inside a string"},
            {"\"\t\"", "raw control character in a string (write it as an escape)"},
            {"01", "a number has no leading zeros"},
            {"{} {}", "something follows the value"},
            {"]", "closing bracket without an opening one"},
            {"", "the text ends where a value is due"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nx_json_fault fault = {0};
        struct nx_json value;

        assert_int_equal(nx_json_parse(nx_bytes_str(cases[i].text), &value, &fault), NX_E_SYNTAX);
        assert_string_equal(fault.reason, cases[i].reason);
    }
}

static void kinds_and_spans(void **state)
{
    static const struct {
        const char *text;
        enum nx_json_kind kind;
    } cases[] = {
            {"null", NX_JSON_NULL},
            {"false", NX_JSON_FALSE},
            {"true", NX_JSON_TRUE},
            {"-1.10", NX_JSON_NUMBER},
            {"\"x\"", NX_JSON_STRING},
            {"[ 1 ]", NX_JSON_ARRAY},
            {"{ }", NX_JSON_OBJECT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nx_buf text = nx_check_buf();
        struct nx_json value;

        nx_buf_printf(&text, " \n%s\t\r", cases[i].text);
        value = nx_check_parsed(nx_buf_bytes(&text));
        assert_int_equal(value.kind, cases[i].kind);
        nx_check_bytes(value.text, nx_bytes_str(cases[i].text));
        nx_buf_done(&text);
    }
}

static void walks_in_order(void **state)
{
    struct nx_json object = nx_check_parsed(
            NX_BYTES("{ \"b\" : [ 1.10 , \"]\\\"\" ,{}] ,\"a\":1e400,\"b\":-0 , \"\":"
                     "12345678901234567890}"));
    struct nx_json scalar = nx_check_parsed(NX_BYTES("1"));
    struct nx_json_iter iter;
    struct nx_json member;
    struct nx_buf to = nx_check_buf();

    (void)state;
    nx_check_walk(&object, &to);
    nx_check_bytes(
            nx_buf_bytes(&to), NX_BYTES("6<\"b\"=5<31.10;4\"]\\\"\";6<>;>;\"a\"=31e400;\"b\"=3-0;"
                                        "\"\"=312345678901234567890;>"));
    nx_json_iter_init(&iter, &scalar);
    assert_false(nx_json_next(&iter, NULL, &member));
    /* A name that nobody asks for, and asking again at the end. */
    nx_json_iter_init(&iter, &object);
    for (int i = 0; i < 4; i++)
        assert_true(nx_json_next(&iter, NULL, &member));
    assert_false(nx_json_next(&iter, NULL, &member));
    assert_false(nx_json_next(&iter, NULL, &member));
    nx_buf_done(&to);
}

static void get_takes_the_last(void **state)
{
    struct nx_json object = nx_check_parsed(
            NX_BYTES("{\"a\":1,\"\\u0061b\":{\"a\":9},\"\\u00e9\\ud83d\\ude00\":3,\"a\":2,\"\":0,"
                     "\"a\\u0000b\":4,\"\\ud800\":5}"));
    struct nx_json array = nx_check_parsed(NX_BYTES("[\"a\",1]"));
    struct nx_json value = {NX_JSON_NULL, NX_BYTES("untouched")};

    (void)state;
    assert_false(nx_json_get(&object, NX_BYTES("c"), &value));
    assert_false(nx_json_get(&object, NX_BYTES("\\u0061b"), &value));
    assert_false(nx_json_get(&array, NX_BYTES("a"), &value));
    nx_check_bytes(value.text, NX_BYTES("untouched"));
    assert_true(nx_json_get(&object, NX_BYTES("a"), &value));
    nx_check_bytes(value.text, NX_BYTES("2"));
    assert_true(nx_json_get(&object, NX_BYTES("ab"), &value));
    nx_check_bytes(value.text, NX_BYTES("{\"a\":9}"));
    assert_true(nx_json_get(&object, NX_BYTES("\xc3\xa9\xf0\x9f\x98\x80"), &value));
    nx_check_bytes(value.text, NX_BYTES("3"));
    assert_true(nx_json_get(&object, NX_BYTES(""), &value));
    nx_check_bytes(value.text, NX_BYTES("0"));
    assert_true(nx_json_get(&object, (struct nx_bytes){NULL, 0}, &value));
    assert_true(nx_json_get(&object, NX_BYTES("a\0b"), &value));
    nx_check_bytes(value.text, NX_BYTES("4"));
    assert_true(nx_json_get(&object, NX_BYTES("\xef\xbf\xbd"), &value));
    nx_check_bytes(value.text, NX_BYTES("5"));
    /* The result may overwrite the object it came from. */
    assert_true(nx_json_get(&object, NX_BYTES("ab"), &object));
    assert_true(nx_json_get(&object, NX_BYTES("a"), &object));
    nx_check_bytes(object.text, NX_BYTES("9"));
}

static void strings_decode(void **state)
{
    static const struct {
        const char *text;
        struct nx_bytes decoded;
    } cases[] = {
            {"\"\"", {"", 0}},
            {"\"plain \xe2\x82\xac\"", {"plain \xe2\x82\xac", 9}},
            {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", {"\"\\/\b\f\n\r\t", 8}},
            {"\"a\\u0000b\"", {"a\0b", 3}},
            {"\"\\u007f\\u0080\\u07FF\\u0800\\uffff\"",
                    {"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 11}},
            {"\"\\ud800\\udc00\\uDBFF\\uDFFF\"", {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8}},
            {"\"\\ud800\"", {"\xef\xbf\xbd", 3}},
            {"\"\\udfff\"", {"\xef\xbf\xbd", 3}},
            {"\"\\ud800x\"", {"\xef\xbf\xbdx", 4}},
            {"\"\\ud800\\n\"", {"\xef\xbf\xbd\n", 4}},
            {"\"\\ud800\\u0041\"", {"\xef\xbf\xbd\x41", 4}},
            {"\"\\ud800\\ud800\\udc00\"", {"\xef\xbf\xbd\xf0\x90\x80\x80", 7}},
            {"\"\\udc00\\ud800\"", {"\xef\xbf\xbd\xef\xbf\xbd", 6}},
            {"\"\\\\u0041\"", {"\\u0041", 6}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nx_json value = nx_check_parsed(nx_bytes_str(cases[i].text));
        struct nx_bytes decoded = cases[i].decoded;
        struct nx_buf to = nx_check_buf();

        nx_json_string_decode(&value, &to);
        assert_int_equal(nx_buf_error(&to), 0);
        nx_check_bytes(nx_buf_bytes(&to), decoded);
        assert_true(nx_json_string_equal(&value, decoded));
        nx_check_bytes(nx_json_string_raw(&value),
                nx_bytes_of(cases[i].text + 1, strlen(cases[i].text) - 2));
        /* One byte less, one more, one other. */
        NX_BUF_LIT(&to, "x");
        assert_false(nx_json_string_equal(&value, nx_buf_bytes(&to)));
        if (decoded.len > 0) {
            assert_false(nx_json_string_equal(&value, nx_bytes_of(to.ptr, decoded.len - 1)));
            to.ptr[decoded.len - 1] ^= 1;
            assert_false(nx_json_string_equal(&value, nx_bytes_of(to.ptr, decoded.len)));
        }
        nx_buf_done(&to);
    }
}

static void integers(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
            {"0", 0},
            {"-0", 0},
            {"0.000", 0},
            {"-0e99", 0},
            {"0e99999999999999999999999", 0},
            {"0.0e-99999999999999999999999", 0},
            {"3", 3},
            {"-3", -3},
            {"3.0", 3},
            {"3e2", 300},
            {"3E+2", 300},
            {"30e-1", 3},
            {"3.5e1", 35},
            {"0.0000000000000000000000000000001e31", 1},
            {"1000000000000000000000000000000e-30", 1},
            {"100.000e-2", 1},
            {"1e18", INT64_C(1000000000000000000)},
            {"9223372036854775807", INT64_MAX},
            {"9223372036854775807.000", INT64_MAX},
            {"922337203685477580.7e1", INT64_MAX},
            {"-9223372036854775808", INT64_MIN},
            {"-0.9223372036854775808e19", INT64_MIN},
            {"1763829359123", INT64_C(1763829359123)},
    };
    static const char *const bad[] = {"3.5", "1e400", "1e-1", "0.1", "35e-1", "9223372036854775808",
            "-9223372036854775809", "18446744073709551616", "99999999999999999999", "1e19",
            "10000000000000000000", "1e999999999", "1e-999999999", "1e99999999999999999999999999",
            "1e-99999999999999999999999999", "-1e99999999999999999999999999",
            "1.00000000000000000001", "12345678901234567890", "1e9223372036854775807",
            "1e-9223372036854775808", "\"3\"", "null", "true", "[3]", "{}"};
    int64_t value = 77;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct nx_json number = nx_check_parsed(nx_bytes_str(good[i].text));

        if (!nx_json_int(&number, &value))
            fail_msg("%s is an integer", good[i].text);
        assert_true(value == good[i].value);
    }
    value = 77;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct nx_json number = nx_check_parsed(nx_bytes_str(bad[i]));

        if (nx_json_int(&number, &value))
            fail_msg("%s is no int64", bad[i]);
    }
    assert_true(value == 77);
}

/* Linear in the text, whatever it says: millions of zeros take as long as reading them. */
static void integers_of_a_megabyte(void **state)
{
    static const char *const shapes[][2] = {{"1", "e-4000000"}, {"0.", "1e4000001"}, {"1", ""},
            {"1e", "1"}, {"1e-", "1"}, {"0.", ""}};
    static const int expect[] = {1, 1, -1, 10, -1, 0}; /* -1: none */

    (void)state;
    for (size_t i = 0; i < sizeof(expect) / sizeof(expect[0]); i++) {
        struct nx_buf text = nx_check_buf();
        int64_t value = -1;
        struct nx_json number;
        clock_t from;

        nx_buf_append_str(&text, shapes[i][0]);
        for (int n = 0; n < 4000; n++)
            nx_buf_printf(&text, "%01000d", 0);
        nx_buf_append_str(&text, shapes[i][1]);
        assert_int_equal(nx_buf_error(&text), 0);
        number = nx_check_parsed(nx_buf_bytes(&text));
        from = clock();
        if (i == 4) {
            assert_false(nx_json_int(&number, &value)); /* 1e-0…01 = 0.1 */
        } else {
            assert_int_equal(nx_json_int(&number, &value), expect[i] >= 0);
            assert_true(value == expect[i]);
        }
        assert_true((clock() - from) / CLOCKS_PER_SEC < 2);
        nx_buf_done(&text);
    }
}

static void strings_are_written(void **state)
{
    static const struct {
        struct nx_bytes text;
        const char *json;
    } cases[] = {
            {{NULL, 0}, "\"\""},
            {{"plain", 5}, "\"plain\""},
            {{"\"\\/", 3}, "\"\\\"\\\\/\""},
            {{"\b\f\n\r\t", 5}, "\"\\b\\f\\n\\r\\t\""},
            {{"\0\x01\x1f\x7f", 4}, "\"\\u0000\\u0001\\u001f\x7f\""},
            {{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x92\xac", 9},
                    "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x92\xac\""},
            /* One mark for each maximal subpart: Unicode 15, tables 3-8 to 3-11. */
            {{"\xc0\xaf\xe0\x80\xbf", 5}, "\"\ufffd\ufffd\ufffd\ufffd\ufffd\""},
            {{"\xed\xa0\x80", 3}, "\"\ufffd\ufffd\ufffd\""},
            {{"\xf4\x91\x92\x93\xff\x41", 6}, "\"\ufffd\ufffd\ufffd\ufffd\ufffdA\""},
            {{"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", 9}, "\"\ufffd\ufffd\ufffd\ufffdA\""},
            {{"a\xff", 2}, "\"a\ufffd\""},
            {{"abcdefgh\xe2\x82", 10}, "\"abcdefgh\ufffd\""},
            {{"abcdefghijkl\nmnopqrstuvwxyz", 27}, "\"abcdefghijkl\\nmnopqrstuvwxyz\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nx_buf to = nx_check_buf();

        nx_json_append_string(&to, cases[i].text);
        assert_int_equal(nx_buf_error(&to), 0);
        nx_check_bytes(nx_buf_bytes(&to), nx_bytes_str(cases[i].json));
        (void)nx_check_parsed(nx_buf_bytes(&to));
        nx_buf_done(&to);
    }
}

static void compact_keeps_everything_else(void **state)
{
    struct nx_json value = nx_check_parsed(
            NX_BYTES(" { \"a b\" : [ 1.10 ,\n\t1e400, -0 , 12345678901234567890 ] , \"a "
                     "b\":\" \\u0020 \\\" \" } "));
    struct nx_buf to = nx_check_buf();
    struct nx_buf small;

    (void)state;
    nx_json_append_compact(&to, &value);
    nx_check_bytes(nx_buf_bytes(&to),
            NX_BYTES("{\"a b\":[1.10,1e400,-0,12345678901234567890],\"a b\":\" \\u0020 \\\" \"}"));
    nx_buf_done(&to);
    /* What does not fit leaves its mark. */
    nx_buf_init(&small, nx_mem_libc(), 10);
    nx_json_append_compact(&small, &value);
    assert_int_equal(nx_buf_error(&small), NX_E_TOO_LARGE);
    nx_buf_clear(&small);
    nx_json_append_string(&small, NX_BYTES("123456789"));
    assert_int_equal(nx_buf_error(&small), NX_E_TOO_LARGE);
    nx_buf_clear(&small);
    nx_json_append_string(&small, NX_BYTES("12345678"));
    assert_int_equal(nx_buf_error(&small), 0);
    nx_buf_clear(&small);
    value = nx_check_parsed(NX_BYTES("\"0123456789\\n\""));
    nx_json_string_decode(&value, &small);
    assert_int_equal(nx_buf_error(&small), NX_E_TOO_LARGE);
    nx_buf_done(&small);
}

static void writing_body(const struct nx_mem *mem, void *ctx)
{
    struct nx_json *value = ctx;
    struct nx_json member;
    struct nx_buf to;

    nx_buf_init(&to, mem, 10000);
    nx_json_append_compact(&to, value);
    nx_buf_done(&to);
    nx_json_append_string(&to, value->text);
    nx_buf_done(&to);
    if (nx_json_get(value, NX_BYTES("a"), &member))
        nx_json_string_decode(&member, &to);
    nx_buf_done(&to);
}

static void survives_every_allocation_failure(void **state)
{
    struct nx_json value = nx_check_parsed(NX_BYTES(
            "{ \"a\" : \"0123456789012345678901234567890123456789012345678901234567890123456789"
            "\\n\\u00e9 0123456789012345678901234567890123456789012345678901234567890123456789\" "
            "}"));

    (void)state;
    assert_true(nx_mem_fail_each(writing_body, &value) >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test_teardown(tables, name_the_case),
            cmocka_unit_test(every_byte_at_every_place),
            cmocka_unit_test(null_text_is_empty),
            cmocka_unit_test(faults_say_why),
            cmocka_unit_test(kinds_and_spans),
            cmocka_unit_test(walks_in_order),
            cmocka_unit_test(get_takes_the_last),
            cmocka_unit_test(strings_decode),
            cmocka_unit_test(integers),
            cmocka_unit_test(integers_of_a_megabyte),
            cmocka_unit_test(strings_are_written),
            cmocka_unit_test(compact_keeps_everything_else),
            cmocka_unit_test(survives_every_allocation_failure),
    };

    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
