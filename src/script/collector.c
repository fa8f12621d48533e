// SPDX-License-Identifier: MIT
#include "script/collector.h"

#include "base/check.h"
#include "base/mem.h"
#include "script/call.h"
#include "script/generation.h"

#include <limits.h>

enum {
    REST_MS = 100,            // after something ended
    STEP_MS = 2,              // between two steps
    STEP_KIB = 256,           // a step's work: well under a millisecond
    CYCLE_KIB = INT_MAX,      // more than there is: to the end of the cycle
    CYCLES = 2,               // what has a finalizer outlives the cycle that finds it
    VISIT_BYTES = 2048,       // what a visit leaves behind, roughly
    SLACK_BYTES = 512 * 1024, // garbage that is not worth a cycle
};

static void on_timer(struct timer *timer);

void collector_init(struct collector *collector, struct generation *generation)
{
    *collector = (struct collector){.generation = generation};
    timer_init(&collector->timer, generation->options.loop, on_timer);
}

void collector_wake(struct collector *collector)
{
    collector->ended_count++;
    size_t garbage_bytes = collector->ended_count * VISIT_BYTES;
    if (garbage_bytes > SLACK_BYTES + collector->settled_bytes / 2) {
        collector_hurry(collector);
    }
}

void collector_hurry(struct collector *collector)
{
    if (!timer_is_armed(&collector->timer)) {
        collector->cycles_left = CYCLES;
        timer_arm(&collector->timer, REST_MS);
    }
}

void collector_relieve(struct collector *collector)
{
    for (int i = 0; i < CYCLES; i++) {
        IGNORE(call_collect(collector->generation, CYCLE_KIB)); // complete by then
    }
}

void collector_deinit(struct collector *collector)
{
    timer_deinit(&collector->timer);
}

static void on_timer(struct timer *timer)
{
    struct collector *collector = CONTAINER_OF(timer, struct collector, timer);
    struct generation *generation = collector->generation;
    if (!call_collect(generation, STEP_KIB) || --collector->cycles_left > 0) {
        timer_arm(timer, STEP_MS);
        return;
    }
    collector->settled_bytes = generation->lua_bytes;
    collector->ended_count = 0;
    mem_tidy();
}
