/* pages: every state says its own; foreign values stay text; the buffer's end is kept. What the
 * pages are to a parser and to a shell is checked by pages_check.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "session/pages/content.h"
#include "session/pages/pages.h"
#include "support/mem_fail.h"

#define PAGE_BYTES_MAX (64U << 10)

static struct nx_page page_of(enum nx_page_code state)
{
    return (struct nx_page){
            .base_url = NX_BYTES("http://127.0.0.1:3000"),
            .state = state,
            .code = NX_BYTES("PEARL-FOCAL-S5SJV"),
            .expires_at = NX_BYTES("2026-11-22T18:35:59.123Z"),
            .ttl_default_s = 3660,
            .ttl_max_s = 86400,
            .agents_default = 50,
            .agents_max = 50,
    };
}

/* Makes both forms and checks that each holds, or lacks, the words. */
static void assert_says(const struct nx_page *page, const char *words, bool says)
{
    void (*const makers[])(struct nx_buf *, const struct nx_page *) = {
            nx_page_markdown, nx_page_html};

    for (size_t i = 0; i < 2; i++) {
        struct nx_buf buf;
        bool found;

        nx_buf_init(&buf, nx_mem_libc(), PAGE_BYTES_MAX);
        makers[i](&buf, page);
        found = strstr(nx_buf_str(&buf), words) != NULL;
        assert_int_equal(nx_buf_error(&buf), 0);
        if (found != says)
            print_error("%s: \"%s\"\n", says ? "lacks" : "holds", words);
        nx_buf_done(&buf);
        assert_int_equal(found, says);
    }
}

static void every_state_says_what_happened(void **state)
{
    static const char *const titles[] = {
            [NX_PAGE_NO_CODE] = "Nexus session messaging",
            [NX_PAGE_CODE_PENDING] = "You are invited to talk with another agent",
            [NX_PAGE_CODE_CLAIMED] = "This pairing code has already been used",
            [NX_PAGE_CODE_EXPIRED] = "This pairing code has expired",
            [NX_PAGE_CODE_UNKNOWN] = "This service does not know that pairing code",
    };

    (void)state;
    for (unsigned s = NX_PAGE_NO_CODE; s <= NX_PAGE_CODE_UNKNOWN; s++) {
        struct nx_page page = page_of((enum nx_page_code)s);

        for (unsigned t = NX_PAGE_NO_CODE; t <= NX_PAGE_CODE_UNKNOWN; t++)
            assert_says(&page, titles[t], s == t);
        assert_says(&page, "PEARL-FOCAL-S5SJV", s != NX_PAGE_NO_CODE);
        assert_says(&page, "PEARL-FOCAL-S5SJV/claim", s == NX_PAGE_CODE_PENDING);
        assert_says(&page, "2026-11-22T18:35:59.123Z", s == NX_PAGE_CODE_PENDING);
        assert_says(&page, "http://127.0.0.1:3000/v1/sessions", true);
        assert_says(&page, "cannot be written into a command", false);
        assert_says(&page, "3660 (about 61 minutes)", true);
        assert_says(&page, "86400", true);
    }
}

static void no_placeholder_is_left(void **state)
{
    static const char *const names[] = {
            "@URL@", "@CODE@", "@CLAIM_CODE@", "@EXPIRES@", "@TTL", "@AGENTS"};

    (void)state;
    for (unsigned s = NX_PAGE_NO_CODE; s <= NX_PAGE_CODE_UNKNOWN; s++) {
        struct nx_page page = page_of((enum nx_page_code)s);

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            assert_says(&page, names[i], false);
    }
}

static void every_byte_is_safe_in_a_code(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        char code[3] = {'~', (char)byte, '~'};
        struct nx_page page = page_of(NX_PAGE_CODE_UNKNOWN);
        bool plain = byte == '-' || (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= 'a' && byte <= 'z');
        char expected[32];

        page.code = nx_bytes_of(code, sizeof(code));
        if (plain)
            (void)snprintf(expected, sizeof(expected), "%%7E%c%%7E", (int)byte);
        else
            (void)snprintf(expected, sizeof(expected), "%%7E%%%02X%%7E", byte);
        assert_says(&page, expected, true);
    }
}

static void a_long_code_is_cut(void **state)
{
    char code[64];
    struct nx_page page = page_of(NX_PAGE_CODE_UNKNOWN);

    (void)state;
    memset(code, 'A', sizeof(code));
    page.code = nx_bytes_of(code, sizeof(code));
    assert_says(&page, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA...", true);
    assert_says(&page, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false);
}

static void every_byte_in_an_address_is_kept_or_refused(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        char url[] = "http://a?b";
        struct nx_page page = page_of(NX_PAGE_CODE_PENDING);
        bool plain = (byte != '\0' && strchr("-._:[]/", (int)byte)) ||
                     (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= 'a' && byte <= 'z');

        url[8] = (char)byte;
        page.base_url = nx_bytes_of(url, sizeof(url) - 1);
        assert_says(&page, "https://nexus-server.example/v1/pair/PEARL-FOCAL-S5SJV", !plain);
        assert_says(&page, "cannot be written into a command", !plain);
    }
}

static void empty_values_are_fine(void **state)
{
    struct nx_page page = {.state = NX_PAGE_CODE_UNKNOWN};

    (void)state;
    assert_says(&page, "https://nexus-server.example", true);
    page.state = NX_PAGE_NO_CODE;
    assert_says(&page, "Start a conversation", true);
}

static void a_full_buffer_says_so(void **state)
{
    struct nx_page page = page_of(NX_PAGE_CODE_PENDING);

    (void)state;
    for (size_t max = 0; max < 8000; max += 97) {
        struct nx_buf buf;

        nx_buf_init(&buf, nx_mem_libc(), max);
        nx_page_markdown(&buf, &page);
        assert_int_equal(nx_buf_error(&buf), NX_E_TOO_LARGE);
        assert_true(buf.len <= max);
        nx_buf_clear(&buf);
        nx_page_html(&buf, &page);
        assert_int_equal(nx_buf_error(&buf), NX_E_TOO_LARGE);
        nx_buf_done(&buf);
    }
}

/* Each heading, row and command stands on the pages it should; a block on no page is dead text. */
static void every_block_is_shown_somewhere(void **state)
{
    (void)state;
    assert_true(nx_page_block_count > 50);
    for (size_t i = 0; i < nx_page_block_count; i++) {
        const struct nx_page_block *block = &nx_page_blocks[i];
        size_t len = strlen(block->text);

        assert_true((block->states & ((1U << (NX_PAGE_CODE_UNKNOWN + 1)) - 1)) != 0);
        assert_true(len > 0);
        if (block->kind == NX_PAGE_BLOCK_SHELL || block->kind == NX_PAGE_BLOCK_SAMPLE)
            assert_true(block->text[len - 1] == '\n');
        else
            assert_null(strchr(block->text, '\n'));
    }
}

static void allocating_body(const struct nx_mem *mem, void *ctx)
{
    struct nx_page page = page_of(NX_PAGE_CODE_PENDING);
    struct nx_buf buf;

    (void)ctx;
    nx_buf_init(&buf, mem, PAGE_BYTES_MAX);
    nx_page_markdown(&buf, &page);
    nx_page_html(&buf, &page);
    nx_page_script(&buf, &page);
    nx_buf_done(&buf);
}

static void survives_every_allocation_failure(void **state)
{
    (void)state;
    assert_true(nx_mem_fail_each(allocating_body, NULL) >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(every_state_says_what_happened),
            cmocka_unit_test(no_placeholder_is_left),
            cmocka_unit_test(every_byte_is_safe_in_a_code),
            cmocka_unit_test(a_long_code_is_cut),
            cmocka_unit_test(every_byte_in_an_address_is_kept_or_refused),
            cmocka_unit_test(empty_values_are_fine),
            cmocka_unit_test(a_full_buffer_says_so),
            cmocka_unit_test(every_block_is_shown_somewhere),
            cmocka_unit_test(survives_every_allocation_failure),
    };

    return cmocka_run_group_tests_name("pages", tests, NULL, NULL);
}
