/* One shard of sessions with a made-up clock, a seeded random and, when it is durable, a toy store:
 * short words for tests that read like a transcript. What does not end as expected aborts the test
 * (cmocka), with the line of the caller. */
#ifndef NX_TESTS_SESSION_WORLD_H
#define NX_TESTS_SESSION_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "session/state/sessions.h"
#include "support/toy_store.h"

#define WORLD_WALL INT64_C(1800000000000) /* 2027-01-15 */

struct world {
    struct nx_sessions_limits limits;
    struct nx_random_seeded seeded;
    struct nx_random random;
    const struct nx_mem *mem;
    struct nx_sessions *machine;
    struct nx_time now;
    struct toy_store store;
    uint64_t number;    /* of the last step's changes; 0: it had none */
    uint64_t waits_for; /* of the last step's answer */
    char session[NX_SESSION_ID_LEN];
    char code[NX_CODE_LEN_MAX];
    size_t code_len;
    struct nx_buf text; /* of the last poll or picture */
};

struct nx_sessions_limits world_limits(void);
void world_begin(struct world *world, const struct nx_sessions_limits *limits, uint64_t seed);
void world_end(struct world *world);
void world_pass(struct world *world, int64_t ms);
/* After each step: its changes go to the store. Returns r. */
int world_took(struct world *world, int r);
/* Tick until nothing is due; asserts that this comes to an end. Returns when to come again. */
int64_t world_tick(struct world *world);
/* The machine as a restart makes it: a new one, loaded from what the store holds. */
void world_restart(struct world *world);
/* All sessions and codes this test knows of, as text in a buffer of the caller: two machines with
 * equal pictures are alike for those outside. Takes no step that would change anything. */
void world_picture(
        struct world *world, struct nx_buf *to, char (*ids)[NX_SESSION_ID_LEN], size_t id_count);

/* The steps on world.session, as agent `who`, with a key or NULL. Each returns the machine's
 * result. */
int world_create(struct world *world, const char *creator, const char *greeting);
int world_create_with(struct world *world, const struct nx_session_create *create);
int world_join(struct world *world, const char *who, const char *key, bool v1);
int world_send(struct world *world, const char *who, const char *key, const char *text);
/* world.text: the messages. after < 0: all. */
int world_poll(struct world *world, const char *who, int64_t after);
int world_renew(struct world *world, const char *who, int64_t ttl_s);
int world_leave(struct world *world, const char *who, const char *key);
int world_pair(struct world *world);
int world_claim(struct world *world, const char *who, const char *key);
int world_status(struct world *world, struct nx_session_view *ret_view);
/* A NUL-terminated copy of a member's key, in one of a few static places. */
const char *world_key(struct world *world, const char *who);
/* Cursors in world.text, with commas: "0,1,2". */
const char *world_cursors(struct world *world);

#endif
