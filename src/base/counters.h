// SPDX-License-Identifier: MIT
//
// What happens, counted. Each worker thread has a block of numbers, which only that thread writes
// and any thread reads. Counting is a plain addition. The atomics are relaxed: a reader sees each
// number whole, but not all numbers of one moment. Each block has cache lines of its own, so
// workers do not slow each other down. A thread that has no block (a unit test, a load generator)
// counts into one that nobody reads. Blocks belong to an environment (environment.h) and live until
// `counters_free`, so a worker that has ended is still counted. Beside the numbers a block has the
// worker's metrics with labels (metric.h).
#pragma once

#include "base/environment.h"
#include "base/metric.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    COUNTERS_WORKERS_MAX = ENVIRONMENT_WORKERS_MAX,
    COUNTERS_REASONS_MAX = 16,                    // enum end_reason
    COUNTERS_OUTCOMES_MAX = 8,                    // enum notice_reason
    COUNTERS_LIMITS_MAX = ENVIRONMENT_LIMITS_MAX, // see `limit_met`
    DURATION_BOUND_COUNT = 12,
};

enum counter {
    COUNT_CONNECTIONS, // open
    COUNT_STREAMS_OPENED,
    COUNT_EVENTS_SENT,
    COUNT_EVENT_BYTES,
    COUNT_PUBLISHED,
    COUNT_LAGGED,
    COUNT_CHANNELS,      // open; opened by one thread and closed by another, so only the sum counts
    COUNT_PENDING_BYTES, // bytes that readers have not taken
    COUNT_LUA_BYTES,     // bytes that the Lua state uses now
    COUNT_RELOADED,
    COUNT_NOT_RELOADED,
    COUNTER_COUNT,
};

/// Durations, by the bounds of `duration_bounds`; the last one counts what is longer than all.
struct durations {
    atomic_uint_fast64_t counts[DURATION_BOUND_COUNT + 1];
    atomic_uint_fast64_t sum_ns;
};

struct counters {
    atomic_uint_fast64_t values[COUNTER_COUNT];
    atomic_uint_fast64_t closed[COUNTERS_REASONS_MAX];   // streams, by reason
    atomic_uint_fast64_t resumed[COUNTERS_OUTCOMES_MAX]; // readers that came back, by outcome
    atomic_uint_fast64_t limits[COUNTERS_LIMITS_MAX];    // how often each was met
    struct durations lag;                                // turns of the loop
    struct durations run;                                // runs of Lua
    struct metrics metrics;
};

/// The upper bounds, in seconds, of the counts of `struct durations`. A duration that equals a
/// bound is counted below it.
extern const double duration_bounds[DURATION_BOUND_COUNT];

extern _Thread_local struct counters *counters_here;

/// Gives the calling thread a block of its own, that of worker `number`, from 1.
void counters_use(unsigned number);

/// The calling thread counts for worker `number` from now on, which has a block; 0: for nobody. For
/// a thread that turns several workers.
void counters_turn_to(unsigned number);

/// The block of worker `number` of this environment, or NULL.
const struct counters *counters_of(unsigned number);

/// Frees all blocks of this environment. No thread that has one counts any more.
void counters_free(void);

/// Adds `difference`, which may be negative as a two's complement.
static inline void counters_add(atomic_uint_fast64_t *value, uint64_t difference)
{
    uint64_t sum = atomic_load_explicit(value, memory_order_relaxed) + difference;
    atomic_store_explicit(value, sum, memory_order_relaxed);
}

static inline void count_up(enum counter counter, uint64_t difference)
{
    counters_add(&counters_here->values[counter], difference);
}

/// Sets a counter to `value`. It is for what is measured and not counted up, such as memory in use.
static inline void count_set(enum counter counter, uint64_t value)
{
    atomic_store_explicit(&counters_here->values[counter], value, memory_order_relaxed);
}

void durations_add(struct durations *durations, uint64_t ns);
