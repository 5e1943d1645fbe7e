/* What the service says of itself: the skill that teaches the protocol (docs: wire section 5), as
 * markdown for agents and as HTML for people; the same content, with or without a pairing code.
 * Pure text making: no request, no state. */
#ifndef NX_SESSION_PAGES_H
#define NX_SESSION_PAGES_H

#include "base/buf.h"

enum nx_page_code {
    NX_PAGE_NO_CODE,      /* the service's own page: "/" and "/skill.md" */
    NX_PAGE_CODE_PENDING, /* can be claimed */
    NX_PAGE_CODE_CLAIMED,
    NX_PAGE_CODE_EXPIRED,
    NX_PAGE_CODE_UNKNOWN,
};

struct nx_page {
    struct nx_bytes base_url; /* "http://127.0.0.1:3000", no trailing slash; may come from a Host
                                 header: hostile, escape it */
    enum nx_page_code state;
    struct nx_bytes code;       /* canonical upper case; for UNKNOWN as the visitor wrote it:
                                   hostile, up to 64 bytes, escape it; empty for NO_CODE */
    struct nx_bytes expires_at; /* RFC 3339, of a PENDING code */
    int64_t ttl_default_s, ttl_max_s;
    int64_t agents_default, agents_max;
};

/* text/markdown; begins with a front matter (name, description) so that it installs as a skill. */
void nx_page_markdown(struct nx_buf *to, const struct nx_page *page);
/* text/html; charset=utf-8, one document, no outside resource, no script. */
void nx_page_html(struct nx_buf *to, const struct nx_page *page);
/* The Content-Security-Policy value that fits the HTML (style by hash). Static. */
const char *nx_page_csp(void);
/* text/x-shellscript: the skill package's script that drives the API with curl and jq. */
void nx_page_script(struct nx_buf *to, const struct nx_page *page);

#endif
