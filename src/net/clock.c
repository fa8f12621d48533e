// SPDX-License-Identifier: MIT
#include "net/clock.h"

#include "base/environment.h"

uint64_t clock_now_ms(const uv_loop_t *uv)
{
    const struct environment *here = environment_here;
    return (uv_now(uv) >> here->slowness) + here->advanced_ms;
}

uint64_t clock_ns(void)
{
    const struct environment *here = environment_here;
    return (uv_hrtime() >> here->slowness) + here->advanced_ms * 1000000;
}

uint64_t clock_machine_ns(void)
{
    return uv_hrtime();
}

uint64_t clock_machine_ms(uint64_t due_ms)
{
    const struct environment *here = environment_here;
    uint64_t advanced_ms = here->advanced_ms;
    if (due_ms <= advanced_ms) {
        return 1;
    }
    uint64_t machine_ms = due_ms - advanced_ms;
    return machine_ms >= UINT64_MAX >> here->slowness ? UINT64_MAX : machine_ms << here->slowness;
}

void clock_advance(uint64_t ms)
{
    environment_here->advanced_ms += ms;
}

void clock_slow_down(unsigned times)
{
    unsigned slowness = 0;
    while (1U << slowness < times) {
        slowness++;
    }
    environment_here->slowness = slowness;
}
