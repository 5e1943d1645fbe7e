/* Locks and threads, so that no other folder needs a thread library. */
#ifndef NX_IO_THREAD_H
#define NX_IO_THREAD_H

#include <pthread.h>

#include "base/error.h"

struct nx_lock {
    pthread_mutex_t mutex;
};

static inline void nx_lock_init(struct nx_lock *lock)
{
    (void)pthread_mutex_init(&lock->mutex, NULL);
}

static inline void nx_lock_done(struct nx_lock *lock)
{
    (void)pthread_mutex_destroy(&lock->mutex);
}

static inline void nx_lock_take(struct nx_lock *lock)
{
    (void)pthread_mutex_lock(&lock->mutex);
}

static inline void nx_lock_give(struct nx_lock *lock)
{
    (void)pthread_mutex_unlock(&lock->mutex);
}

struct nx_thread {
    pthread_t thread;
};

/* Signals stay with the first thread: a new one blocks them all. Returns 0 or NX_E_NOMEM. */
NX_MUST_USE int nx_thread_start(struct nx_thread *thread, void *(*run)(void *ctx), void *ctx);
void nx_thread_join(struct nx_thread *thread);
/* How many processors this process may use; at least 1. */
unsigned nx_thread_cores(void);

#endif
