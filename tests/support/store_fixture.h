/* A store in a temporary folder, and a caller that waits for its reports. Bounded: a report that
 * does not come within 20 s aborts the test. */
#ifndef NX_TESTS_STORE_FIXTURE_H
#define NX_TESTS_STORE_FIXTURE_H

#include <pthread.h>

#include "io/store.h"

struct fixture {
    char root[64]; /* removed at the end, with all in it */
    char dir[96];  /* root/data, not made */
    char file[128];
    struct nx_store_options options;
    struct nx_store *store;
    struct nx_store_fault fault;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    uint64_t submitted; /* what on_failed answers */
    uint64_t done;
    uint64_t reports;
    int result; /* of the last report */
    uint64_t failed_calls;
    void (*failing)(struct fixture *fixture); /* called within on_failed, unlocked; may be NULL */
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Opens and starts; asserts that both work. */
void fixture_open(struct fixture *fixture);
void fixture_close(struct fixture *fixture);
/* Submits one put or delete and notes its number. */
uint64_t fixture_put(struct fixture *fixture, unsigned table, const char *key, const char *value);
uint64_t fixture_delete(struct fixture *fixture, unsigned table, const char *key, bool prefix);
uint64_t fixture_submit(struct fixture *fixture, const struct nx_change *changes, size_t count);
/* Waits for the report on a number. Returns the last report's result. */
int fixture_wait(struct fixture *fixture, uint64_t number);
/* Waits until nx_store_ready says 0. */
void fixture_wait_ready(struct fixture *fixture);
/* All tables as text, "table key=value\n" a record; opens, reads, closes. Asserts success. */
char *fixture_dump(struct fixture *fixture);
/* The same; on failure returns the error and leaves the fault. *ret_text is malloc'd. */
int fixture_try_dump(struct fixture *fixture, char **ret_text);

void remove_tree(const char *path);
/* Whole files; asserts success. */
char *read_file(const char *path, size_t *ret_len);
void write_file(const char *path, const char *ptr, size_t len);

#endif
