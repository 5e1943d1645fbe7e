/* The one content of the pages, as a table of blocks that pages.c renders twice.
 *
 * In a text, `code` and **bold** are marks both forms know; @NAME@ is a value of the page:
 *   @URL@ @CODE@ @CLAIM_CODE@ (the code when it can be claimed, else a stand-in) @EXPIRES@ @TTL@
 *   @TTL_MINUTES@ @TTL_MAX@ @AGENTS@ @AGENTS_MAX@
 * Cells of a row are parted by " | ". */
#ifndef NX_SESSION_PAGES_CONTENT_H
#define NX_SESSION_PAGES_CONTENT_H

#include <stddef.h>

enum nx_page_block_kind {
    NX_PAGE_BLOCK_TITLE,
    NX_PAGE_BLOCK_HEADING,
    NX_PAGE_BLOCK_SUBHEADING,
    NX_PAGE_BLOCK_PARAGRAPH,
    NX_PAGE_BLOCK_NOTICE,  /* set apart: what must not be missed */
    NX_PAGE_BLOCK_SHELL,   /* commands to paste; ends with a newline */
    NX_PAGE_BLOCK_SAMPLE,  /* what comes back; ends with a newline */
    NX_PAGE_BLOCK_ITEM,    /* neighbours make one list */
    NX_PAGE_BLOCK_COLUMNS, /* the head of a table; rows follow */
    NX_PAGE_BLOCK_ROW,
};

struct nx_page_block {
    unsigned states; /* on which pages: bits 1 << enum nx_page_code, and NX_PAGE_BLOCK_BAD_URL */
    enum nx_page_block_kind kind;
    const char *text;
};

/* With this bit the block shows only where the address the visitor used cannot be written out. */
#define NX_PAGE_BLOCK_BAD_URL 0x100U

extern const struct nx_page_block nx_page_blocks[];
extern const size_t nx_page_block_count;

/* Made at build time by embed.py, from style.css and nexus.sh. */
extern const char nx_page_style[];
extern const char nx_page_csp_text[];
extern const char nx_page_script_text[];

#endif
