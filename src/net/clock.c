// SPDX-License-Identifier: MIT
#include "net/clock.h"

#include <stdatomic.h>

/// What `clock_advance` added.
static atomic_uint_fast64_t advanced_ms;

/// The clock runs 2^slowness times slower than the machine's.
static unsigned slowness;

uint64_t clock_now_ms(const uv_loop_t *uv)
{
    return (uv_now(uv) >> slowness) + advanced_ms;
}

uint64_t clock_ns(void)
{
    return (uv_hrtime() >> slowness) + advanced_ms * 1000000;
}

uint64_t clock_machine_ns(void)
{
    return uv_hrtime();
}

uint64_t clock_machine_ms(uint64_t due_ms)
{
    if (due_ms >= UINT64_MAX >> slowness) {
        return UINT64_MAX;
    }
    return due_ms > advanced_ms ? (due_ms - advanced_ms) << slowness : 1;
}

void clock_advance(uint64_t ms)
{
    advanced_ms += ms;
}

void clock_slow_down(unsigned times)
{
    for (slowness = 0; 1U << slowness < times; slowness++) {
    }
}
