/* A change to what is durable, as a machine states it and a store carries it out: a put or a
 * delete of a key in one of a few tables of byte strings. */
#ifndef NX_BASE_CHANGE_H
#define NX_BASE_CHANGE_H

#include "base/bytes.h"

#define NX_CHANGE_TABLES        4
#define NX_CHANGE_KEY_BYTES_MAX 64

enum nx_change_op {
    NX_CHANGE_PUT,
    NX_CHANGE_DELETE,        /* of one key; not an error when it is not there */
    NX_CHANGE_DELETE_PREFIX, /* of every key that begins so */
};

struct nx_change {
    enum nx_change_op op;
    unsigned table; /* 0 … NX_CHANGE_TABLES - 1 */
    struct nx_bytes key;
    struct nx_bytes value; /* PUT only */
};

#endif
