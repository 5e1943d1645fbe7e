/* CLOCK_BOOTTIME and CLOCK_REALTIME, both through the vDSO. */
#include "io/clock.h"

#include <time.h>

static int64_t milliseconds(clockid_t clock)
{
    struct timespec ts = {0};

    (void)clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct nx_time nx_clock_now(void)
{
    return (struct nx_time){milliseconds(CLOCK_BOOTTIME), milliseconds(CLOCK_REALTIME)};
}
