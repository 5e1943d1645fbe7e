/* The inside of one server-side connection, shared by the files of this folder: head.c finds and
 * judges heads, body.c reads chunked bodies, server.c holds the states, the output and the time. */
#ifndef NX_PROTOCOL_HTTP1_INTERNAL_H
#define NX_PROTOCOL_HTTP1_INTERNAL_H

#include "protocol/http1/http1.h"

/* Why a request is refused. */
struct nx_http1_fault {
    unsigned status;
    const char *message; /* for people; plain ASCII without quotes and backslashes */
};

/* Notes the fault; the NX_E_PROTOCOL it returns is the caller's to pass on. */
static inline int nx_http1_fault_set(
        struct nx_http1_fault *fault, unsigned status, const char *message)
{
    *fault = (struct nx_http1_fault){status, message};
    return NX_E_PROTOCOL;
}

/* How far the search for the end of a head has come; offsets from the head's first byte. */
struct nx_http1_scan {
    size_t at;      /* bytes before it were looked at */
    size_t line_at; /* start of the current line; 0: still the request line */
    size_t fields;  /* field lines so far */
    size_t method_len;
    size_t target_len;
    bool minor_zero; /* HTTP/1.0 */
};

/* What a head says about the rest of the message. */
struct nx_http1_framing {
    uint64_t content_length;
    bool chunked;
    bool expect_continue;
};

/* Looks for the end of the head in head[0 … len), which must begin with the bytes of earlier
 * calls. Returns 0 with *ret_head_len its length (0: not yet whole), or NX_E_PROTOCOL with
 * *fault. Which of them, and which fault, does not depend on how the bytes were split. */
NX_MUST_USE int nx_http1_head_scan(struct nx_http1_scan *scan, const struct nx_http1_limits *limits,
        const char *head, size_t len, size_t *ret_head_len, struct nx_http1_fault *fault);

/* Reads a whole head that nx_http1_head_scan passed. headers has room for scan->fields.
 * Returns 0, or NX_E_PROTOCOL with *fault. */
NX_MUST_USE int nx_http1_head_parse(const struct nx_http1_scan *scan,
        const struct nx_http1_limits *limits, struct nx_bytes head, struct nx_http1_header *headers,
        struct nx_http1_request *ret_request, struct nx_http1_framing *ret_framing,
        struct nx_http1_fault *fault);

enum nx_http1_chunk_state {
    NX_HTTP1_CHUNK_SIZE,
    NX_HTTP1_CHUNK_BLANK, /* white space behind the size: an extension must follow */
    NX_HTTP1_CHUNK_EXTENSION,
    NX_HTTP1_CHUNK_SIZE_LF,
    NX_HTTP1_CHUNK_DATA,
    NX_HTTP1_CHUNK_DATA_CR,
    NX_HTTP1_CHUNK_DATA_LF,
    NX_HTTP1_CHUNK_TRAILER_START, /* of a line */
    NX_HTTP1_CHUNK_TRAILER_NAME,
    NX_HTTP1_CHUNK_TRAILER_VALUE,
    NX_HTTP1_CHUNK_TRAILER_LF,
    NX_HTTP1_CHUNK_LAST_LF,
    NX_HTTP1_CHUNK_DONE,
};

struct nx_http1_chunked {
    enum nx_http1_chunk_state state;
    uint64_t left;          /* of the chunk, or its size so far */
    unsigned digits;        /* of the size so far */
    size_t extension_bytes; /* of the whole body */
    size_t trailer_bytes;
    size_t trailers;
};

/* Decodes chunked bytes into body (whose maximum is the limit) until they are used up or the state
 * is DONE. Returns 0, NX_E_NOMEM, or NX_E_PROTOCOL with *fault; *ret_taken is set in each case. */
NX_MUST_USE int nx_http1_chunked_read(struct nx_http1_chunked *chunked,
        const struct nx_http1_limits *limits, struct nx_bytes bytes, struct nx_buf *body,
        size_t *ret_taken, struct nx_http1_fault *fault);

/* A set of ASCII characters, one bit each. */
struct nx_http1_set {
    uint64_t bits[2];
};

static inline bool nx_http1_set_has(const struct nx_http1_set *set, unsigned char c)
{
    return c < 128 && (set->bits[c >> 6] >> (c & 63) & 1) != 0;
}

/* RFC 9110 section 5.6.2: letters, digits and !#$%&'*+-.^_`|~ */
static const struct nx_http1_set nx_http1_token_set = {
        {UINT64_C(0x3ff6cfa00000000), UINT64_C(0x57ffffffc7fffffe)}};

#endif
