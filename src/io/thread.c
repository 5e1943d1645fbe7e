/* POSIX threads behind thread.h. */
#include "io/thread.h"

#include <sched.h>
#include <signal.h>

int nx_thread_start(struct nx_thread *thread, void *(*run)(void *ctx), void *ctx)
{
    sigset_t all, before;
    int r;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&thread->thread, NULL, run, ctx);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r == 0 ? 0 : NX_E_NOMEM;
}

void nx_thread_join(struct nx_thread *thread)
{
    (void)pthread_join(thread->thread, NULL);
}

unsigned nx_thread_cores(void)
{
    cpu_set_t set;
    int count;

    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    count = CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
}
