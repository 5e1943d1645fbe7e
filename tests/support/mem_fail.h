/* The allocation-failure harness: runs a body again and again, each time failing the next
 * allocation in turn, until a run needs no failure; every run must free what it took. */
#ifndef NX_TESTS_MEM_FAIL_H
#define NX_TESTS_MEM_FAIL_H

#include "base/mem.h"

/* Returns how many allocations the body makes when none fails. Aborts the test (cmocka) when a
 * run leaks, frees what is not its own, or the body makes no allocation at all (a harness that
 * checks nothing must fail). `body` asserts nothing about success; it must only survive. */
size_t nx_mem_fail_each(void (*body)(const struct nx_mem *mem, void *ctx), void *ctx);

#endif
