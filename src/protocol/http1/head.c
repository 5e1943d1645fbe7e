/* Heads (RFC 9112 sections 2 to 6): where one ends, and what it says.
 *
 * Two readers must agree before a head counts: a scan of our own that knows only lines (each ended
 * by CRLF, no other control but a tab, none folded) and fixes the request line, and llhttp, which
 * reads the fields. What llhttp 8.1 lets through (bare LF, several blanks in the request line,
 * HTTP/0.9, other protocols' names, fragments) never reaches it or is refused behind it. The head
 * lies whole in one piece before llhttp runs, so its spans need no joining and the result cannot
 * depend on how the bytes came in. */
#include "protocol/http1/internal.h"

#include <llhttp.h>

/* What a request line needs besides its target: a method, two blanks, a version. */
#define REQUEST_LINE_EXTRA 64

static bool is_control(unsigned char c)
{
    return c < 0x20 || c == 0x7f;
}

/* Returns the offset of the first control in p[at … end), or end. Eight bytes at a time: a byte
 * under 0x20 borrows into its top bit when 0x20 is taken from it, and 0x7f is 0 when flipped. A
 * borrow may mark bytes above a control falsely, never below, so the lowest mark is true. */
static size_t next_control(const char *p, size_t at, size_t end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t tops = ones * 0x80;

    while (end - at >= 8) {
        uint64_t word;
        uint64_t flipped;
        uint64_t marks;

        memcpy(&word, p + at, 8);
        flipped = word ^ (ones * 0x7f);
        marks = (((word - ones * 0x20) & ~word) | ((flipped - ones) & ~flipped)) & tops;
        if (marks != 0 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
            return at + (size_t)__builtin_ctzll(marks) / 8;
        if (marks != 0)
            break;
        at += 8;
    }
    while (at < end && !is_control((unsigned char)p[at]))
        at++;
    return at;
}

/* Takes "METHOD target HTTP/1.x" apart. Nothing is skipped: one blank, and only there. */
static int request_line(struct nx_http1_scan *scan, const struct nx_http1_limits *limits,
        const char *line, size_t len, struct nx_http1_fault *fault)
{
    const char *version = line + len - 8;
    size_t method_len = 0;

    while (method_len < len &&
            nx_http1_set_has(&nx_http1_token_set, (unsigned char)line[method_len]))
        method_len++;
    if (method_len == 0 || len < method_len + 11 || line[method_len] != ' ' || line[len - 9] != ' ')
        return nx_http1_fault_set(fault, 400, "the request line is malformed");
    scan->method_len = method_len;
    scan->target_len = len - method_len - 10;
    if (scan->target_len > limits->target_bytes_max)
        return nx_http1_fault_set(fault, 414, "the request target is too long");
    for (size_t i = method_len + 1; i < len - 9; i++) {
        unsigned char c = (unsigned char)line[i];

        if (c <= ' ' || c >= 0x7f || c == '#')
            return nx_http1_fault_set(
                    fault, 400, "the request target holds a character that is not allowed");
    }
    if (memcmp(version, "HTTP/", 5) != 0 || version[5] < '0' || version[5] > '9' ||
            version[6] != '.' || version[7] < '0' || version[7] > '9')
        return nx_http1_fault_set(fault, 400, "the request line is malformed");
    if (version[5] != '1' || version[7] > '1')
        return nx_http1_fault_set(fault, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    scan->minor_zero = version[7] == '0';
    return 0;
}

static size_t scan_limit(const struct nx_http1_scan *scan, const struct nx_http1_limits *limits)
{
    if (scan->line_at == 0 && limits->head_bytes_max > REQUEST_LINE_EXTRA &&
            limits->target_bytes_max < limits->head_bytes_max - REQUEST_LINE_EXTRA)
        return limits->target_bytes_max + REQUEST_LINE_EXTRA;
    return limits->head_bytes_max;
}

static int over_limit(const struct nx_http1_scan *scan, const struct nx_http1_limits *limits,
        struct nx_http1_fault *fault)
{
    if (scan_limit(scan, limits) < limits->head_bytes_max)
        return nx_http1_fault_set(fault, 414, "the request target is too long");
    return nx_http1_fault_set(fault, 431, "the request head is too large");
}

/* A line that is not the last, [scan->line_at … at), has ended. */
static int line_end(struct nx_http1_scan *scan, const struct nx_http1_limits *limits,
        const char *head, size_t at, struct nx_http1_fault *fault)
{
    int r = 0;

    if (scan->line_at == 0)
        r = request_line(scan, limits, head, at, fault);
    else if (head[scan->line_at] == ' ' || head[scan->line_at] == '\t')
        r = nx_http1_fault_set(fault, 400, "a header field is folded over several lines");
    else if (++scan->fields > limits->headers_max)
        r = nx_http1_fault_set(fault, 431, "there are too many header fields");
    scan->line_at = at + 2;
    scan->at = at + 2;
    return r;
}

int nx_http1_head_scan(struct nx_http1_scan *scan, const struct nx_http1_limits *limits,
        const char *head, size_t len, size_t *ret_head_len, struct nx_http1_fault *fault)
{
    for (;;) {
        size_t limit = scan_limit(scan, limits);
        size_t end = len < limit ? len : limit;
        size_t at = next_control(head, scan->at, end);
        int r;

        if (at < end && head[at] == '\t') {
            scan->at = at + 1;
            continue;
        }
        if (at < end && head[at] == '\n')
            return nx_http1_fault_set(fault, 400, "the head holds a bare LF");
        if (at < end && head[at] != '\r')
            return nx_http1_fault_set(fault, 400, "the head holds a control character");
        scan->at = at;
        if (at + 1 >= end) {
            if (end == limit)
                return over_limit(scan, limits, fault);
            *ret_head_len = 0;
            return 0;
        }
        if (head[at + 1] != '\n')
            return nx_http1_fault_set(fault, 400, "the head holds a bare CR");
        if (at == scan->line_at && at > 0) {
            *ret_head_len = at + 2;
            return 0;
        }
        r = line_end(scan, limits, head, at, fault);
        if (r < 0)
            return r;
    }
}

struct fields {
    struct nx_http1_header *list;
    size_t count;
    size_t room;
    bool whole;
};

static int on_field(llhttp_t *parser, const char *at, size_t len)
{
    struct fields *fields = parser->data;

    if (fields->count == fields->room)
        return -1;
    fields->list[fields->count++] = (struct nx_http1_header){{at, len}, {at + len, 0}};
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
    struct fields *fields = parser->data;

    if (fields->count == 0)
        return -1;
    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        len--;
    fields->list[fields->count - 1].value = nx_bytes_of(at, len);
    return 0;
}

/* The head is all llhttp is asked for: it stops here, and its state is dropped. */
static int on_head_end(llhttp_t *parser)
{
    struct fields *fields = parser->data;

    fields->whole = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
        .on_header_field = on_field,
        .on_header_value = on_value,
        .on_headers_complete = on_head_end,
};

static int llhttp_fault(llhttp_errno_t error, struct nx_http1_fault *fault)
{
    switch ((int)error) {
    case HPE_INVALID_METHOD:
        return nx_http1_fault_set(fault, 501, "the request method is not known here");
    case HPE_INVALID_URL:
        return nx_http1_fault_set(fault, 400, "the request target is malformed");
    case HPE_INVALID_HEADER_TOKEN:
        return nx_http1_fault_set(fault, 400, "a header field is malformed");
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return nx_http1_fault_set(
                fault, 400, "Content-Length is doubled or stands beside Transfer-Encoding");
    case HPE_INVALID_CONTENT_LENGTH:
        return nx_http1_fault_set(fault, 400, "Content-Length is not a number");
    case HPE_INVALID_TRANSFER_ENCODING:
        return nx_http1_fault_set(fault, 400, "Transfer-Encoding does not end in chunked");
    default:
        return nx_http1_fault_set(fault, 400, "the request head is malformed");
    }
}

/* Lets llhttp read the fields, and holds what it found against the lines the scan counted. */
static int read_fields(const struct nx_http1_scan *scan, struct nx_bytes head,
        struct fields *fields, struct nx_http1_fault *fault)
{
    llhttp_t parser;
    llhttp_errno_t error;

    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = fields;
    error = llhttp_execute(&parser, head.ptr, head.len);
    if (error != HPE_PAUSED)
        return llhttp_fault(error, fault);
    if (!fields->whole || fields->count != scan->fields || parser.method == HTTP_CONNECT ||
            parser.method == HTTP_PRI)
        return llhttp_fault(fields->whole && fields->count == scan->fields
                                    ? HPE_INVALID_METHOD
                                    : HPE_INVALID_HEADER_TOKEN,
                fault);
    for (size_t i = 0; i < fields->count; i++) {
        struct nx_bytes name = fields->list[i].name;

        if (name.len == 0 || name.ptr[-1] != '\n' || name.ptr[name.len] != ':')
            return llhttp_fault(HPE_INVALID_HEADER_TOKEN, fault);
    }
    return 0;
}

/* Takes the next member off a comma-separated list (RFC 9110 section 5.6.1). */
static bool next_member(struct nx_bytes *list, struct nx_bytes *ret_member)
{
    const char *comma;
    size_t len;

    if (list->len == 0)
        return false;
    comma = memchr(list->ptr, ',', list->len);
    len = comma ? (size_t)(comma - list->ptr) : list->len;
    *ret_member = nx_bytes_trim(nx_bytes_of(list->ptr, len));
    *list = nx_bytes_from(*list, len + 1);
    return true;
}

/* The authority of a target or a Host field: host and port, no user part (RFC 9110 section
 * 4.2.4). Only its letters are judged; nobody here resolves it. */
static bool is_authority(struct nx_bytes text)
{
    /* Letters, digits and !$%&'()*+,-.:;=[]_~ */
    static const struct nx_http1_set set = {
            {UINT64_C(0x2fff7ff200000000), UINT64_C(0x47fffffeaffffffe)}};

    for (size_t i = 0; i < text.len; i++) {
        if (!nx_http1_set_has(&set, (unsigned char)text.ptr[i]))
            return false;
    }
    return true;
}

/* What the fields that steer the connection said. */
struct seen {
    bool host;
    bool content_length;
    bool transfer_encoding;
    bool close;
    bool keep_alive;
};

/* RFC 9112 section 6.1: chunked, once, and last; we know no other coding. */
static int read_coding(struct nx_bytes value, struct nx_http1_fault *fault)
{
    struct nx_bytes member;
    bool last_chunked = false;
    unsigned members = 0;
    unsigned chunked = 0;

    while (next_member(&value, &member)) {
        last_chunked = nx_bytes_equal_nocase(member, NX_BYTES("chunked"));
        chunked += last_chunked;
        members++;
    }
    if (!last_chunked || chunked != 1)
        return llhttp_fault(HPE_INVALID_TRANSFER_ENCODING, fault);
    if (members != 1)
        return nx_http1_fault_set(fault, 501, "no transfer coding but chunked is known here");
    return 0;
}

static void read_connection(struct nx_bytes value, struct seen *seen)
{
    struct nx_bytes member;

    while (next_member(&value, &member)) {
        if (nx_bytes_equal_nocase(member, NX_BYTES("close")))
            seen->close = true;
        else if (nx_bytes_equal_nocase(member, NX_BYTES("keep-alive")))
            seen->keep_alive = true;
    }
}

static int read_expect(
        struct nx_bytes value, struct nx_http1_framing *framing, struct nx_http1_fault *fault)
{
    if (!nx_bytes_equal_nocase(value, NX_BYTES("100-continue")))
        return nx_http1_fault_set(fault, 417, "no expectation but 100-continue is met here");
    framing->expect_continue = true;
    return 0;
}

/* One field: the few the machine itself obeys are told apart by their length first. */
static int read_field(const struct nx_http1_header *field, struct seen *seen,
        struct nx_http1_framing *framing, struct nx_http1_fault *fault)
{
    switch (field->name.len) {
    case 4:
        if (!nx_bytes_equal_nocase(field->name, NX_BYTES("Host")))
            return 0;
        if (seen->host)
            return nx_http1_fault_set(fault, 400, "Host is doubled");
        seen->host = true;
        if (!is_authority(field->value))
            return nx_http1_fault_set(fault, 400, "Host is malformed");
        return 0;
    case 6:
        if (nx_bytes_equal_nocase(field->name, NX_BYTES("Expect")))
            return read_expect(field->value, framing, fault);
        return 0;
    case 10:
        if (nx_bytes_equal_nocase(field->name, NX_BYTES("Connection")))
            read_connection(field->value, seen);
        return 0;
    case 14:
        if (!nx_bytes_equal_nocase(field->name, NX_BYTES("Content-Length")))
            return 0;
        if (seen->content_length)
            return llhttp_fault(HPE_UNEXPECTED_CONTENT_LENGTH, fault);
        seen->content_length = true;
        if (!nx_bytes_u64(field->value, &framing->content_length))
            return llhttp_fault(HPE_INVALID_CONTENT_LENGTH, fault);
        return 0;
    case 17:
        if (!nx_bytes_equal_nocase(field->name, NX_BYTES("Transfer-Encoding")))
            return 0;
        if (seen->transfer_encoding)
            return nx_http1_fault_set(fault, 400, "Transfer-Encoding is doubled");
        seen->transfer_encoding = true;
        framing->chunked = true;
        return read_coding(field->value, fault);
    default:
        return 0;
    }
}

/* RFC 9112 section 3.2: origin-form, absolute-form, and the asterisk of OPTIONS. */
static int read_target(struct nx_http1_request *request, struct nx_http1_fault *fault)
{
    struct nx_bytes rest = request->target;
    const char *mark;
    size_t scheme_len = 0;

    if (nx_bytes_equal(rest, NX_BYTES("*"))) {
        request->path = rest;
        request->query = nx_bytes_of(rest.ptr + 1, 0);
        if (!nx_bytes_equal(request->method, NX_BYTES("OPTIONS")))
            return llhttp_fault(HPE_INVALID_URL, fault);
        return 0;
    }
    if (rest.ptr[0] != '/') {
        size_t host_len = 0;

        if (rest.len > 7 && nx_bytes_equal_nocase(nx_bytes_of(rest.ptr, 7), NX_BYTES("http://")))
            scheme_len = 7;
        else if (rest.len > 8 &&
                 nx_bytes_equal_nocase(nx_bytes_of(rest.ptr, 8), NX_BYTES("https://")))
            scheme_len = 8;
        rest = nx_bytes_from(rest, scheme_len);
        while (host_len < rest.len && rest.ptr[host_len] != '/' && rest.ptr[host_len] != '?')
            host_len++;
        if (scheme_len == 0 || host_len == 0 || !is_authority(nx_bytes_of(rest.ptr, host_len)))
            return llhttp_fault(HPE_INVALID_URL, fault);
        rest = nx_bytes_of(rest.ptr + host_len, rest.len - host_len);
    }
    mark = rest.len > 0 ? memchr(rest.ptr, '?', rest.len) : NULL;
    request->path = nx_bytes_of(rest.ptr, mark ? (size_t)(mark - rest.ptr) : rest.len);
    request->query = nx_bytes_of(rest.ptr + rest.len, 0);
    if (mark)
        request->query = nx_bytes_of(mark + 1, rest.len - request->path.len - 1);
    if (request->path.len == 0)
        request->path = NX_BYTES("/");
    return 0;
}

/* What the fields mean together. */
static int judge(const struct nx_http1_scan *scan, const struct nx_http1_limits *limits,
        const struct seen *seen, struct nx_http1_framing *framing, struct nx_http1_fault *fault)
{
    if (!seen->host && !scan->minor_zero)
        return nx_http1_fault_set(fault, 400, "Host is missing");
    if (seen->transfer_encoding && seen->content_length)
        return llhttp_fault(HPE_UNEXPECTED_CONTENT_LENGTH, fault);
    if (seen->transfer_encoding && scan->minor_zero)
        return nx_http1_fault_set(fault, 400, "HTTP/1.0 knows no Transfer-Encoding");
    if (framing->content_length > limits->body_bytes_max)
        return nx_http1_fault_set(fault, 413, "the request body is too large");
    /* RFC 9110 section 10.1.1: ignored from HTTP/1.0, and pointless without a body. */
    if (scan->minor_zero || (!framing->chunked && framing->content_length == 0))
        framing->expect_continue = false;
    return 0;
}

int nx_http1_head_parse(const struct nx_http1_scan *scan, const struct nx_http1_limits *limits,
        struct nx_bytes head, struct nx_http1_header *headers, struct nx_http1_request *ret_request,
        struct nx_http1_framing *ret_framing, struct nx_http1_fault *fault)
{
    struct fields fields = {.list = headers, .room = scan->fields};
    struct nx_http1_framing framing = {0};
    struct nx_http1_request request = {
            .method = {head.ptr, scan->method_len},
            .target = {head.ptr + scan->method_len + 1, scan->target_len},
            .headers = headers,
            .header_count = scan->fields,
            .body = {head.ptr, 0},
    };
    struct seen seen = {0};
    int r = read_fields(scan, head, &fields, fault);

    for (size_t i = 0; r == 0 && i < fields.count; i++)
        r = read_field(&headers[i], &seen, &framing, fault);
    if (r == 0)
        r = read_target(&request, fault);
    if (r == 0)
        r = judge(scan, limits, &seen, &framing, fault);
    if (r < 0)
        return r;
    request.keep_alive = !seen.close && (!scan->minor_zero || seen.keep_alive);
    request.head_only = nx_bytes_equal(request.method, NX_BYTES("HEAD"));
    *ret_request = request;
    *ret_framing = framing;
    return 0;
}
