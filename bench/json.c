/* How fast base/json checks the texts we meet, beside jansson (json_loadb, which also builds a
 * tree: the ratio is what a tree would cost us, not a race of equals).
 *
 * Each figure is the median of rounds that alternate between the two, so that a busy machine slows
 * both alike. Prints a table; judges nothing. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/json.h"

enum { ROUNDS = 15, ROUND_NS = 20000000, TEXT_MAX = 1 << 20 };

static const char body[] =
        "{\"text\": \"The build is green again; I pushed the fix for the flaky \\\"retry\\\" "
        "test.\", "
        "\"json\": {\"kind\": \"status\", \"run\": 48213, \"passed\": true, \"took\": 12.75, "
        "\"files\": [\"src/io/http.c\", \"tests/e2e.sh\"], \"next\": null}}";

static volatile int64_t sink; /* keeps the work from being thought away */

static int64_t now_ns(void)
{
    struct timespec t;

    if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
        abort();
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void parse(struct nx_bytes text)
{
    struct nx_json value;

    if (nx_json_parse(text, &value, NULL) != 0)
        abort();
    sink += (int64_t)value.text.len;
}

/* What a server does with a body: check, find both members, unescape one. */
static void parse_and_get(struct nx_bytes text)
{
    char out[512];
    struct nx_buf to = {.ptr = out, .capacity = sizeof(out), .max = sizeof(out)};
    struct nx_json value;
    struct nx_json member;

    if (nx_json_parse(text, &value, NULL) != 0 || !nx_json_get(&value, NX_BYTES("text"), &member))
        abort();
    nx_json_string_decode(&member, &to);
    if (!nx_json_get(&value, NX_BYTES("json"), &member))
        abort();
    sink += (int64_t)(to.len + member.text.len);
}

static void parse_jansson(struct nx_bytes text)
{
    json_t *root = json_loadb(text.ptr, text.len, JSON_DECODE_ANY, NULL);

    if (!root)
        abort();
    sink += (int64_t)json_object_size(root);
    json_decref(root);
}

/* Nanoseconds an operation, over one round. */
static double round_of(void (*work)(struct nx_bytes text), struct nx_bytes text)
{
    int64_t from = now_ns();
    int64_t took;
    int64_t count = 0;
    int64_t batch = text.len > 10000 ? 1 : 1000;

    do {
        for (int64_t i = 0; i < batch; i++)
            work(text);
        count += batch;
        took = now_ns() - from;
    } while (took < ROUND_NS);
    return (double)took / (double)count;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void row(const char *name, void (*work)(struct nx_bytes text), struct nx_bytes text)
{
    double ours[ROUNDS];
    double theirs[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        ours[i] = round_of(work, text);
        theirs[i] = round_of(parse_jansson, text);
    }
    qsort(ours, ROUNDS, sizeof(ours[0]), compare);
    qsort(theirs, ROUNDS, sizeof(theirs[0]), compare);
    printf("%-28s %8zu %12.0f %9.0f %12.0f %9.0f %7.1f\n", name, text.len, ours[ROUNDS / 2],
            (double)text.len * 1000 / ours[ROUNDS / 2], theirs[ROUNDS / 2],
            (double)text.len * 1000 / theirs[ROUNDS / 2], theirs[ROUNDS / 2] / ours[ROUNDS / 2]);
}

/* An array of `unit` again and again, about TEXT_MAX bytes. */
static void big(const char *name, const char *unit)
{
    struct nx_buf text;

    nx_buf_init(&text, nx_mem_libc(), 2 * TEXT_MAX);
    NX_BUF_LIT(&text, "[");
    while (text.len < TEXT_MAX - strlen(unit) - 2) {
        nx_buf_append_str(&text, unit);
        NX_BUF_LIT(&text, ",");
    }
    NX_BUF_LIT(&text, "0]");
    if (nx_buf_error(&text) != 0)
        abort();
    row(name, parse, nx_buf_bytes(&text));
    nx_buf_done(&text);
}

int main(void)
{
    printf("%-28s %8s %12s %9s %12s %9s %7s\n", "text", "bytes", "ns/op", "MB/s", "jansson ns",
            "MB/s", "ratio");
    row("message body", parse, NX_BYTES(body));
    row("message body, read", parse_and_get, NX_BYTES(body));
    big("1 MiB of message bodies", body);
    big("1 MiB of prose",
            "{\"text\":\"A long paragraph of plain English, as people and agents write "
            "it to each other: what was done, what was found, and what comes next. "
            "It goes on for a while before anything needs a backslash.\\n\"}");
    big("1 MiB of Chinese", "\"\u4f60\u597d\u4e16\u754c\uff0c\u8fd9\u662f\u4e00\u4e2a\u6d4b\u8bd5"
                            "\u6d88\u606f\"");
    big("1 MiB of numbers", "[48213,12.75,-1,0,1e10,1763829359123]");
    big("1 MiB of short members", "{\"a\":1,\"b\":[],\"c\":\"x\",\"d\":{\"e\":true}}");
    return 0;
}
