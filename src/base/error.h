/* The one error enum of the project and its table of names and texts.
 *
 * Every function that can fail returns 0 or one of these negative values; results are must-use.
 * Three classes: LOCAL (this process: out of memory, a full disk, wrong use of an option), PEER
 * (what came from outside is wrong: the stream or the connection ends), FATAL (nothing sensible
 * can go on). */
#ifndef NX_BASE_ERROR_H
#define NX_BASE_ERROR_H

#define NX_MUST_USE          __attribute__((warn_unused_result))
#define NX_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

enum nx_error {
    NX_OK = 0,
    /* local */
    NX_E_NOMEM = -1,   /* an allocation failed */
    NX_E_LIMIT = -2,   /* a maximum given at init was reached */
    NX_E_INVALID = -3, /* an argument or setting makes no sense */
    NX_E_IO = -4,      /* the operating system refused: errno tells why */
    NX_E_BUSY = -5,    /* somebody else holds it */
    NX_E_FULL = -6,    /* no room left on the disk or in the store */
    NX_E_NOTFOUND = -7,
    NX_E_EXISTS = -8,
    NX_E_FOREIGN = -9,  /* the data folder holds something that is not ours */
    NX_E_DAMAGED = -10, /* stored data does not match its own checksums or structure */
    NX_E_CLOSED = -11,
    /* peer */
    NX_E_SYNTAX = -32,   /* bytes that do not follow their grammar */
    NX_E_PROTOCOL = -33, /* well-formed, yet against the protocol's rules */
    NX_E_TOO_LARGE = -34,
    NX_E_TIMEOUT = -35,
    NX_E_EOF = -36, /* ended before it was whole */
    NX_E_NETWORK = -37,
    NX_E_TLS = -38,
    /* fatal */
    NX_E_BUG = -64,
};

enum nx_error_class { NX_CLASS_NONE, NX_CLASS_LOCAL, NX_CLASS_PEER, NX_CLASS_FATAL };

/* Returns the constant's name ("NX_E_NOMEM"), "NX_E_UNKNOWN" for a value that is none. */
const char *nx_error_name(int error);
/* Returns a short English phrase for people ("out of memory"). */
const char *nx_error_text(int error);
enum nx_error_class nx_error_class(int error);

#endif
