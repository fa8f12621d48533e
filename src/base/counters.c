// SPDX-License-Identifier: MIT
#include "base/counters.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

enum { CACHE_LINE = 64 };

const double duration_bounds[DURATION_BOUND_COUNT] = {0.001, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                      0.25,  0.5,   1,    2.5,   5,    10};
static const uint64_t bounds_ns[DURATION_BOUND_COUNT] = {
    1000000,   5000000,   10000000,   25000000,   50000000,   100000000,
    250000000, 500000000, 1000000000, 2500000000, 5000000000, 10000000000};

static struct counters nowhere;
_Thread_local struct counters *counters_here = &nowhere;

static void check_bound(size_t index);

void counters_use(unsigned number)
{
    CHECK(number >= 1 && number <= COUNTERS_WORKERS_MAX);
    size_t size = (sizeof(struct counters) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    struct counters *counters = mem_aligned(CACHE_LINE, size);
    memset(counters, 0, sizeof(*counters));
    metrics_init(&counters->metrics);
    CHECK(atomic_exchange(&environment_here->counters[number - 1], counters) == NULL);
    counters_here = counters;
}

const struct counters *counters_of(unsigned number)
{
    bool is_number = number >= 1 && number <= COUNTERS_WORKERS_MAX;
    return is_number ? environment_here->counters[number - 1] : NULL;
}

void counters_turn_to(unsigned number)
{
    struct counters *counters = number == 0 ? NULL : environment_here->counters[number - 1];
    counters_here = counters == NULL ? &nowhere : counters;
}

void counters_free(void)
{
    for (size_t i = 0; i < COUNTERS_WORKERS_MAX; i++) {
        struct counters *counters = atomic_exchange(&environment_here->counters[i], NULL);
        if (counters != NULL) {
            metrics_deinit(&counters->metrics);
            mem_free(counters);
        }
    }
    counters_here = &nowhere;
}

/// Looks for the bound from the shortest on, because nearly all durations are short.
void durations_add(struct durations *durations, uint64_t ns)
{
    size_t i = 0;
    while (i < DURATION_BOUND_COUNT && ns > bounds_ns[i]) {
        i++;
    }
    DEBUG_CALL(check_bound(i));
    counters_add(&durations->counts[i], 1);
    counters_add(&durations->sum_ns, ns);
}

/// Both tables have the same bounds, and the bounds rise.
static void check_bound(size_t index)
{
    if (index < DURATION_BOUND_COUNT) {
        CHECK((uint64_t)(duration_bounds[index] * 1e9 + 0.5) == bounds_ns[index]);
        CHECK(index == 0 || bounds_ns[index - 1] < bounds_ns[index]);
    }
}
