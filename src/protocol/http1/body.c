/* Chunked bodies (RFC 9112 section 7.1): decoded here and not by llhttp, because 8.1 takes bare LF
 * and unbounded extensions there. Extensions and trailers are read, bounded and dropped; their
 * contents are not judged beyond what keeps two readers from disagreeing about where they end. */
#include "protocol/http1/internal.h"

static int hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

static bool is_text(unsigned char c)
{
    return (c >= 0x20 && c != 0x7f) || c == '\t';
}

static int bad_chunk(struct nx_http1_fault *fault)
{
    return nx_http1_fault_set(fault, 400, "the chunked body is malformed");
}

/* A byte of the line that opens a chunk, its LF excepted. */
static int size_byte(struct nx_http1_chunked *chunked, const struct nx_http1_limits *limits,
        size_t body_len, unsigned char c, struct nx_http1_fault *fault)
{
    int digit;

    if (chunked->state == NX_HTTP1_CHUNK_SIZE) {
        digit = hex_value(c);
        if (digit >= 0) {
            if (++chunked->digits > 16)
                return bad_chunk(fault);
            chunked->left = chunked->left * 16 + (unsigned)digit;
            if (chunked->left > limits->body_bytes_max - body_len)
                return nx_http1_fault_set(fault, 413, "the request body is too large");
            return 0;
        }
        if (chunked->digits == 0)
            return bad_chunk(fault);
    }
    if (c == '\r' && chunked->state != NX_HTTP1_CHUNK_BLANK) {
        chunked->state = NX_HTTP1_CHUNK_SIZE_LF;
        return 0;
    }
    if (++chunked->extension_bytes > limits->head_bytes_max)
        return nx_http1_fault_set(fault, 400, "the chunk extensions are too large");
    if (chunked->state == NX_HTTP1_CHUNK_EXTENSION)
        return is_text(c) ? 0 : bad_chunk(fault);
    if (c == ';')
        chunked->state = NX_HTTP1_CHUNK_EXTENSION;
    else if (c == ' ' || c == '\t')
        chunked->state = NX_HTTP1_CHUNK_BLANK;
    else
        return bad_chunk(fault);
    return 0;
}

/* A byte of the trailer section: field lines as in a head, ended by an empty line. */
static int trailer_byte(struct nx_http1_chunked *chunked, const struct nx_http1_limits *limits,
        unsigned char c, struct nx_http1_fault *fault)
{
    enum nx_http1_chunk_state state = chunked->state;

    if (state == NX_HTTP1_CHUNK_TRAILER_START && c == '\r') {
        chunked->state = NX_HTTP1_CHUNK_LAST_LF;
        return 0;
    }
    if (++chunked->trailer_bytes > limits->head_bytes_max)
        return nx_http1_fault_set(fault, 431, "the trailer fields are too large");
    if (state == NX_HTTP1_CHUNK_TRAILER_VALUE) {
        if (c == '\r')
            chunked->state = NX_HTTP1_CHUNK_TRAILER_LF;
        return c == '\r' || is_text(c) ? 0 : bad_chunk(fault);
    }
    if (state == NX_HTTP1_CHUNK_TRAILER_NAME && c == ':') {
        chunked->state = NX_HTTP1_CHUNK_TRAILER_VALUE;
        return 0;
    }
    if (!nx_http1_set_has(&nx_http1_token_set, c))
        return bad_chunk(fault);
    if (state == NX_HTTP1_CHUNK_TRAILER_START && ++chunked->trailers > limits->headers_max)
        return nx_http1_fault_set(fault, 431, "there are too many trailer fields");
    chunked->state = NX_HTTP1_CHUNK_TRAILER_NAME;
    return 0;
}

/* One byte of framing. */
static int framing_byte(struct nx_http1_chunked *chunked, const struct nx_http1_limits *limits,
        size_t body_len, unsigned char c, struct nx_http1_fault *fault)
{
    switch (chunked->state) {
    case NX_HTTP1_CHUNK_SIZE:
    case NX_HTTP1_CHUNK_BLANK:
    case NX_HTTP1_CHUNK_EXTENSION:
        return size_byte(chunked, limits, body_len, c, fault);
    case NX_HTTP1_CHUNK_SIZE_LF:
        chunked->digits = 0;
        chunked->state = chunked->left > 0 ? NX_HTTP1_CHUNK_DATA : NX_HTTP1_CHUNK_TRAILER_START;
        return c == '\n' ? 0 : bad_chunk(fault);
    case NX_HTTP1_CHUNK_DATA_CR:
        chunked->state = NX_HTTP1_CHUNK_DATA_LF;
        return c == '\r' ? 0 : bad_chunk(fault);
    case NX_HTTP1_CHUNK_DATA_LF:
        chunked->state = NX_HTTP1_CHUNK_SIZE;
        return c == '\n' ? 0 : bad_chunk(fault);
    case NX_HTTP1_CHUNK_TRAILER_START:
    case NX_HTTP1_CHUNK_TRAILER_NAME:
    case NX_HTTP1_CHUNK_TRAILER_VALUE:
        return trailer_byte(chunked, limits, c, fault);
    case NX_HTTP1_CHUNK_TRAILER_LF:
        chunked->state = NX_HTTP1_CHUNK_TRAILER_START;
        return c == '\n' ? 0 : bad_chunk(fault);
    case NX_HTTP1_CHUNK_LAST_LF:
        chunked->state = NX_HTTP1_CHUNK_DONE;
        return c == '\n' ? 0 : bad_chunk(fault);
    case NX_HTTP1_CHUNK_DATA:
    case NX_HTTP1_CHUNK_DONE:
        break;
    }
    return NX_E_BUG;
}

int nx_http1_chunked_read(struct nx_http1_chunked *chunked, const struct nx_http1_limits *limits,
        struct nx_bytes bytes, struct nx_buf *body, size_t *ret_taken, struct nx_http1_fault *fault)
{
    size_t at = 0;
    int r = 0;

    while (r == 0 && at < bytes.len && chunked->state != NX_HTTP1_CHUNK_DONE) {
        if (chunked->state == NX_HTTP1_CHUNK_DATA) {
            size_t n = bytes.len - at;

            if (n > chunked->left)
                n = (size_t)chunked->left;
            nx_buf_append(body, nx_bytes_of(bytes.ptr + at, n));
            r = nx_buf_error(body);
            at += n;
            chunked->left -= n;
            if (chunked->left == 0)
                chunked->state = NX_HTTP1_CHUNK_DATA_CR;
            continue;
        }
        r = framing_byte(chunked, limits, body->len, (unsigned char)bytes.ptr[at], fault);
        at++;
    }
    *ret_taken = at;
    return r;
}
