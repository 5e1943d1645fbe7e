/* The clock of the product: taken once a step, handed down as a struct nx_time. */
#ifndef NX_IO_CLOCK_H
#define NX_IO_CLOCK_H

#include "base/time.h"

/* Monotonic time counts suspension too, so that what expires while a laptop sleeps has expired. */
struct nx_time nx_clock_now(void);

#endif
