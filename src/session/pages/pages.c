/* Renders the blocks of content.c as markdown (CommonMark with GitHub's tables) and as HTML.
 *
 * What comes from outside is made harmless where it enters: a base URL that is not plainly a URL
 * is replaced by a stand-in, codes and dates are percent-encoded (RFC 3986 section 2.1) outside a
 * small set of characters. None of what is left means anything to a shell inside double quotes, to
 * markdown or to HTML; the HTML form escapes everything once more all the same. */
#include "session/pages/pages.h"

#include "session/pages/content.h"

#define URL_BYTES_MAX  255
#define CODE_BYTES_MAX 32

static const char stand_in_url[] = "https://nexus-server.example";
static const char stand_in_code[] = "WORD-WORD-XXXXX";

static const char front_matter[] =
        "---\n"
        "name: nexus-messaging\n"
        "description: Talk with another AI agent through a short-lived private session. Create a "
        "session, invite by pairing link or claim a code, send and poll messages with curl. Use "
        "when your human asks you to talk with another agent, or gives you a pairing link.\n"
        "---\n"
        "\n";

enum form { FORM_MARKDOWN, FORM_HTML, FORM_SCRIPT };

struct writer {
    struct nx_buf *to;
    const struct nx_page *page;
    enum form form;
    bool url_plain; /* the page's base URL may be written out */
    bool in_code;   /* inside `…` */
    bool in_bold;   /* inside **…** */
};

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

/* True for scheme://authority[/path] in characters that are plain everywhere: no user part, no
 * query, no percent sign. Square brackets (an IPv6 address) only in the authority. */
static bool url_is_plain(struct nx_bytes url)
{
    bool in_path = false;
    size_t at;

    if (url.len > URL_BYTES_MAX)
        return false;
    if (nx_bytes_starts(url, NX_BYTES("http://")))
        at = 7;
    else if (nx_bytes_starts(url, NX_BYTES("https://")))
        at = 8;
    else
        return false;
    if (at == url.len || !(is_alnum(url.ptr[at]) || url.ptr[at] == '['))
        return false;
    for (; at < url.len; at++) {
        char c = url.ptr[at];

        if (c == '/')
            in_path = true;
        else if (!is_alnum(c) && !is_one_of(c, in_path ? "-._~" : "-._:[]"))
            return false;
    }
    return true;
}

static struct nx_bytes without_slash(struct nx_bytes url)
{
    while (url.len > 0 && url.ptr[url.len - 1] == '/')
        url.len--;
    return url;
}

/* Percent-encodes all but letters, digits and what else is `kept`, and cuts what is too long. */
static void append_encoded(struct nx_buf *to, struct nx_bytes text, const char *kept)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = text.len < CODE_BYTES_MAX ? text.len : CODE_BYTES_MAX;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (is_alnum((char)c) || is_one_of((char)c, kept)) {
            nx_buf_append_char(to, (char)c);
        } else {
            nx_buf_append_char(to, '%');
            nx_buf_append_char(to, digits[c >> 4]);
            nx_buf_append_char(to, digits[c & 15]);
        }
    }
    if (len < text.len)
        NX_BUF_LIT(to, "...");
}

static void append_url(struct writer *w)
{
    if (w->url_plain)
        nx_buf_append(w->to, without_slash(w->page->base_url));
    else
        nx_buf_append_str(w->to, stand_in_url);
}

static void append_claim_code(struct writer *w)
{
    if (w->page->state == NX_PAGE_CODE_PENDING)
        append_encoded(w->to, w->page->code, "-");
    else
        nx_buf_append_str(w->to, stand_in_code);
}

/* Appends the value named NAME. Returns false, having written nothing, when there is none. */
static bool append_value(struct writer *w, struct nx_bytes name)
{
    const struct nx_page *page = w->page;

    if (nx_bytes_equal(name, NX_BYTES("URL")))
        append_url(w);
    else if (nx_bytes_equal(name, NX_BYTES("CODE")))
        append_encoded(w->to, page->code, "-");
    else if (nx_bytes_equal(name, NX_BYTES("CLAIM_CODE")))
        append_claim_code(w);
    else if (nx_bytes_equal(name, NX_BYTES("EXPIRES")))
        append_encoded(w->to, page->expires_at, "-.:");
    else if (nx_bytes_equal(name, NX_BYTES("TTL")))
        nx_buf_append_i64(w->to, page->ttl_default_s);
    else if (nx_bytes_equal(name, NX_BYTES("TTL_MINUTES")))
        nx_buf_append_i64(w->to, page->ttl_default_s / 60);
    else if (nx_bytes_equal(name, NX_BYTES("TTL_MAX")))
        nx_buf_append_i64(w->to, page->ttl_max_s);
    else if (nx_bytes_equal(name, NX_BYTES("AGENTS")))
        nx_buf_append_i64(w->to, page->agents_default);
    else if (nx_bytes_equal(name, NX_BYTES("AGENTS_MAX")))
        nx_buf_append_i64(w->to, page->agents_max);
    else
        return false;
    return true;
}

/* Writes the value when text begins with a known @NAME@. Returns how many bytes that used up. */
static size_t take_value(struct writer *w, struct nx_bytes text)
{
    size_t len = 1;

    while (len < text.len &&
            ((text.ptr[len] >= 'A' && text.ptr[len] <= 'Z') || text.ptr[len] == '_'))
        len++;
    if (len == 1 || len == text.len || text.ptr[len] != '@')
        return 0;
    return append_value(w, nx_bytes_of(text.ptr + 1, len - 1)) ? len + 1 : 0;
}

static void append_html_char(struct nx_buf *to, char c)
{
    switch (c) {
    case '&':
        NX_BUF_LIT(to, "&amp;");
        return;
    case '<':
        NX_BUF_LIT(to, "&lt;");
        return;
    case '>':
        NX_BUF_LIT(to, "&gt;");
        return;
    case '"':
        NX_BUF_LIT(to, "&quot;");
        return;
    case '\'':
        NX_BUF_LIT(to, "&#39;");
        return;
    default:
        nx_buf_append_char(to, c);
    }
}

/* Opens or closes what a mark stands for. Returns the mark's length, 0 when there is none. */
static size_t take_mark(struct writer *w, struct nx_bytes text)
{
    if (text.ptr[0] == '`') {
        nx_buf_append_str(w->to, w->in_code ? "</code>" : "<code>");
        w->in_code = !w->in_code;
        return 1;
    }
    if (!w->in_code && nx_bytes_starts(text, NX_BYTES("**"))) {
        nx_buf_append_str(w->to, w->in_bold ? "</strong>" : "<strong>");
        w->in_bold = !w->in_bold;
        return 2;
    }
    return 0;
}

/* Text with values filled in; marks are read when `marks`, else they are text. */
static void append_text(struct writer *w, struct nx_bytes text, bool marks)
{
    size_t used;

    w->in_code = false;
    w->in_bold = false;
    for (size_t at = 0; at < text.len; at += used) {
        struct nx_bytes rest = nx_bytes_from(text, at);

        used = rest.ptr[0] == '@' ? take_value(w, rest) : 0;
        if (used == 0 && marks && w->form == FORM_HTML)
            used = take_mark(w, rest);
        if (used > 0)
            continue;
        if (w->form == FORM_HTML)
            append_html_char(w->to, rest.ptr[0]);
        else
            nx_buf_append_char(w->to, rest.ptr[0]);
        used = 1;
    }
}

static void append_wrapped(
        struct writer *w, const char *before, const char *text, bool marks, const char *after)
{
    nx_buf_append_str(w->to, before);
    append_text(w, nx_bytes_str(text), marks);
    nx_buf_append_str(w->to, after);
}

/* Takes the next cell off a row. Returns false when there is none left. */
static bool next_cell(const char **at, struct nx_bytes *ret_cell)
{
    const char *start = *at;
    const char *bar;

    if (!start)
        return false;
    bar = strstr(start, " |");
    *ret_cell =
            nx_bytes_trim(bar ? nx_bytes_of(start, (size_t)(bar - start)) : nx_bytes_str(start));
    *at = bar ? bar + 2 : NULL;
    return true;
}

static void markdown_row(struct writer *w, const struct nx_page_block *block)
{
    const char *at = block->text;
    struct nx_bytes cell;
    size_t count = 0;

    NX_BUF_LIT(w->to, "|");
    while (next_cell(&at, &cell)) {
        nx_buf_append_char(w->to, ' ');
        append_text(w, cell, true);
        NX_BUF_LIT(w->to, " |");
        count++;
    }
    nx_buf_append_char(w->to, '\n');
    if (block->kind != NX_PAGE_BLOCK_COLUMNS)
        return;
    nx_buf_append_char(w->to, '|');
    for (size_t i = 0; i < count; i++)
        NX_BUF_LIT(w->to, "---|");
    nx_buf_append_char(w->to, '\n');
}

static void markdown_block(struct writer *w, const struct nx_page_block *block)
{
    switch (block->kind) {
    case NX_PAGE_BLOCK_TITLE:
        append_wrapped(w, "# ", block->text, true, "\n");
        break;
    case NX_PAGE_BLOCK_HEADING:
        append_wrapped(w, "## ", block->text, true, "\n");
        break;
    case NX_PAGE_BLOCK_SUBHEADING:
        append_wrapped(w, "### ", block->text, true, "\n");
        break;
    case NX_PAGE_BLOCK_PARAGRAPH:
        append_wrapped(w, "", block->text, true, "\n");
        break;
    case NX_PAGE_BLOCK_NOTICE:
        append_wrapped(w, "> ", block->text, true, "\n");
        break;
    case NX_PAGE_BLOCK_SHELL:
        append_wrapped(w, "```sh\n", block->text, false, "```\n");
        break;
    case NX_PAGE_BLOCK_SAMPLE:
        append_wrapped(w, "```text\n", block->text, false, "```\n");
        break;
    case NX_PAGE_BLOCK_ITEM:
        append_wrapped(w, "- ", block->text, true, "\n");
        break;
    case NX_PAGE_BLOCK_COLUMNS:
    case NX_PAGE_BLOCK_ROW:
        markdown_row(w, block);
        break;
    }
}

static void html_row(struct writer *w, const struct nx_page_block *block)
{
    bool head = block->kind == NX_PAGE_BLOCK_COLUMNS;
    const char *at = block->text;
    struct nx_bytes cell;

    NX_BUF_LIT(w->to, "<tr>");
    while (next_cell(&at, &cell)) {
        nx_buf_append_str(w->to, head ? "<th scope=\"col\">" : "<td>");
        append_text(w, cell, true);
        nx_buf_append_str(w->to, head ? "</th>" : "</td>");
    }
    NX_BUF_LIT(w->to, "</tr>\n");
}

static void html_block(struct writer *w, const struct nx_page_block *block)
{
    switch (block->kind) {
    case NX_PAGE_BLOCK_TITLE:
        append_wrapped(w, "<h1>", block->text, true, "</h1>\n");
        break;
    case NX_PAGE_BLOCK_HEADING:
        append_wrapped(w, "<h2>", block->text, true, "</h2>\n");
        break;
    case NX_PAGE_BLOCK_SUBHEADING:
        append_wrapped(w, "<h3>", block->text, true, "</h3>\n");
        break;
    case NX_PAGE_BLOCK_PARAGRAPH:
        append_wrapped(w, "<p>", block->text, true, "</p>\n");
        break;
    case NX_PAGE_BLOCK_NOTICE:
        append_wrapped(w, "<p class=\"notice\">", block->text, true, "</p>\n");
        break;
    case NX_PAGE_BLOCK_SHELL:
        append_wrapped(w, "<pre tabindex=\"0\"><code>", block->text, false, "</code></pre>\n");
        break;
    case NX_PAGE_BLOCK_SAMPLE:
        append_wrapped(w, "<pre class=\"sample\" tabindex=\"0\"><code>", block->text, false,
                "</code></pre>\n");
        break;
    case NX_PAGE_BLOCK_ITEM:
        append_wrapped(w, "<li>", block->text, true, "</li>\n");
        break;
    case NX_PAGE_BLOCK_COLUMNS:
    case NX_PAGE_BLOCK_ROW:
        html_row(w, block);
        break;
    }
}

static bool is_table(const struct nx_page_block *block)
{
    return block && (block->kind == NX_PAGE_BLOCK_COLUMNS || block->kind == NX_PAGE_BLOCK_ROW);
}

static bool is_item(const struct nx_page_block *block)
{
    return block && block->kind == NX_PAGE_BLOCK_ITEM;
}

/* What stands between two neighbours: the blank line of markdown, the list and table tags of
 * HTML. Either may be NULL at the ends. */
static void append_between(
        struct writer *w, const struct nx_page_block *before, const struct nx_page_block *after)
{
    bool same = (is_item(before) && is_item(after)) || (is_table(before) && is_table(after));

    if (w->form == FORM_MARKDOWN) {
        if (before && after && !same)
            nx_buf_append_char(w->to, '\n');
        return;
    }
    if (same)
        return;
    if (is_item(before))
        NX_BUF_LIT(w->to, "</ul>\n");
    if (is_table(before))
        NX_BUF_LIT(w->to, "</table></div>\n");
    if (is_item(after))
        NX_BUF_LIT(w->to, "<ul>\n");
    if (is_table(after))
        NX_BUF_LIT(w->to, "<div class=\"scroll\" tabindex=\"0\"><table>\n");
}

static bool block_shows(const struct writer *w, const struct nx_page_block *block)
{
    if ((block->states & NX_PAGE_BLOCK_BAD_URL) && w->url_plain)
        return false;
    return (block->states & (1U << w->page->state)) != 0;
}

static void append_blocks(struct writer *w)
{
    const struct nx_page_block *last = NULL;

    for (size_t i = 0; i < nx_page_block_count; i++) {
        const struct nx_page_block *block = &nx_page_blocks[i];

        if (!block_shows(w, block))
            continue;
        append_between(w, last, block);
        if (w->form == FORM_HTML)
            html_block(w, block);
        else
            markdown_block(w, block);
        last = block;
    }
    append_between(w, last, NULL);
}

static void append_html_title(struct writer *w)
{
    for (size_t i = 0; i < nx_page_block_count; i++) {
        const struct nx_page_block *block = &nx_page_blocks[i];

        if (block->kind == NX_PAGE_BLOCK_TITLE && block_shows(w, block))
            append_wrapped(w, "<title>", block->text, false, "</title>\n");
    }
}

static struct writer writer_of(struct nx_buf *to, const struct nx_page *page, enum form form)
{
    return (struct writer){
            .to = to, .page = page, .form = form, .url_plain = url_is_plain(page->base_url)};
}

void nx_page_markdown(struct nx_buf *to, const struct nx_page *page)
{
    struct writer w = writer_of(to, page, FORM_MARKDOWN);

    nx_buf_append_str(to, front_matter);
    append_blocks(&w);
}

void nx_page_html(struct nx_buf *to, const struct nx_page *page)
{
    struct writer w = writer_of(to, page, FORM_HTML);

    NX_BUF_LIT(to, "<!doctype html>\n"
                   "<html lang=\"en\">\n"
                   "<head>\n"
                   "<meta charset=\"utf-8\">\n"
                   "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                   "<meta name=\"color-scheme\" content=\"light dark\">\n"
                   "<meta name=\"referrer\" content=\"no-referrer\">\n"
                   "<meta name=\"robots\" content=\"noindex\">\n");
    append_html_title(&w);
    NX_BUF_LIT(to, "<style>");
    nx_buf_append_str(to, nx_page_style);
    NX_BUF_LIT(to, "</style>\n"
                   "</head>\n"
                   "<body>\n"
                   "<main>\n");
    append_blocks(&w);
    NX_BUF_LIT(to, "</main>\n"
                   "</body>\n"
                   "</html>\n");
}

const char *nx_page_csp(void)
{
    return nx_page_csp_text;
}

void nx_page_script(struct nx_buf *to, const struct nx_page *page)
{
    struct writer w = writer_of(to, page, FORM_SCRIPT);

    append_text(&w, nx_bytes_str(nx_page_script_text), false);
}
