// SPDX-License-Identifier: MIT
//
// Ending scopes are counted. When their garbage is likely to be worth a cycle, a timer starts two
// whole cycles in small steps: the first finds boxes with finalizers and calls these, and only the
// second frees what such boxes held.
#include "script/collector.h"

#include "base/check.h"
#include "base/mem.h"
#include "net/loop.h"
#include "net/timer.h"
#include "script/call.h"
#include "script/parts.h"
#include "script/state.h"

#include <limits.h>

enum {
    REST_MS = 100,            // between the reason to collect and the first step
    STEP_MS = 2,              // between two steps
    STEP_KIB = 256,           // the work of a step, well under a millisecond
    CYCLE_KIB = INT_MAX,      // more work than a cycle has
    CYCLES = 2,               // a value with a finalizer is freed in the second
    SCOPE_BYTES = 2048,       // garbage of a scope, roughly
    SLACK_BYTES = 512 * 1024, // less garbage than this is not worth a cycle
};

struct collector {
    struct parts *parts;
    struct timer timer;
    size_t settled_bytes; // memory in use after the last whole collection
    int cycles_left;
    size_t ended_count; // scopes that have ended since then
};

static void on_timer(struct timer *timer);

struct collector *collector_new(struct parts *parts)
{
    struct collector *collector = mem_new(struct collector);
    collector->parts = parts;
    timer_init(&collector->timer, &parts->options->loop->timers, on_timer);
    return collector;
}

void collector_wake(struct collector *collector)
{
    collector->ended_count++;
    size_t garbage_bytes = collector->ended_count * SCOPE_BYTES;
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
        IGNORE(call_collect(collector->parts, CYCLE_KIB)); // CYCLE_KIB completes a cycle
    }
}

void collector_run(struct collector *collector)
{
    for (int i = 0; i < CYCLES; i++) {
        while (!call_collect(collector->parts, INT_MAX / 2048)) {
        }
    }
    collector->ended_count = 0; // until another scope ends, there is nothing to collect
}

bool collector_has_work(const struct collector *collector)
{
    return collector->ended_count > 0;
}

void collector_free(struct collector *collector)
{
    DCHECK(collector->cycles_left >= 0);
    timer_deinit(&collector->timer);
    mem_free(collector);
}

static void on_timer(struct timer *timer)
{
    struct collector *collector = CONTAINER_OF(timer, struct collector, timer);
    DCHECK(collector->cycles_left > 0);
    if (!call_collect(collector->parts, STEP_KIB) || --collector->cycles_left > 0) {
        timer_arm(timer, STEP_MS);
        return;
    }
    collector->settled_bytes = state_bytes(collector->parts->state);
    collector->ended_count = 0;
    mem_tidy();
}
