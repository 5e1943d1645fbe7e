/* Prints one page, for pages_check.py: pages_print FORM STATE BASE_URL CODE, where FORM is
 * markdown, html, csp or script, and STATE a number of enum nx_page_code. */
#include <stdio.h>
#include <stdlib.h>

#include "session/pages/pages.h"

int main(int argc, char **argv)
{
    struct nx_page page = {.ttl_default_s = 3660,
            .ttl_max_s = 86400,
            .agents_default = 50,
            .agents_max = 50,
            .expires_at = NX_BYTES("2026-11-22T18:35:59.123Z")};
    struct nx_buf buf;
    int error;

    if (argc != 5)
        return 2;
    page.state = (enum nx_page_code)strtol(argv[2], NULL, 10);
    page.base_url = nx_bytes_str(argv[3]);
    page.code = nx_bytes_str(argv[4]);
    nx_buf_init(&buf, nx_mem_libc(), 1 << 20);
    if (strcmp(argv[1], "markdown") == 0)
        nx_page_markdown(&buf, &page);
    else if (strcmp(argv[1], "html") == 0)
        nx_page_html(&buf, &page);
    else if (strcmp(argv[1], "script") == 0)
        nx_page_script(&buf, &page);
    else
        nx_buf_append_str(&buf, nx_page_csp());
    error = nx_buf_error(&buf);
    if (!error && buf.len > 0)
        (void)fwrite(buf.ptr, 1, buf.len, stdout);
    nx_buf_done(&buf);
    return error ? 1 : 0;
}
