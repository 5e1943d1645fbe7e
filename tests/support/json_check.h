/* What the tests of base/json ask of a text. All of these end the test (cmocka) when it is not so. */
#ifndef NX_TESTS_JSON_CHECK_H
#define NX_TESTS_JSON_CHECK_H

#include "base/json.h"

/* A buffer from the C library's memory, roomy enough for every test. */
struct nx_buf nx_check_buf(void);
void nx_check_bytes(struct nx_bytes is, struct nx_bytes should);
struct nx_json nx_check_parsed(struct nx_bytes text);
/* Parses a copy of exactly that size, so that ASan sees a byte read too far; the value lies in
 * `text`. */
int nx_check_parse_copy(
        struct nx_bytes text, struct nx_json *ret_value, struct nx_json_fault *ret_fault);
/* Appends kinds, names and scalars in order: two texts walk alike when these are equal. */
void nx_check_walk(const struct nx_json *value, struct nx_buf *to);
/* The text parses, walks the same when compact, and is no JSON when anything is cut from it. */
void nx_check_accepted(struct nx_bytes text);

#endif
