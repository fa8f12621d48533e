// SPDX-License-Identifier: MIT
//
// Timers on a loop's clock. A timer is a member of the struct that waits; it costs 32 bytes and a
// slot in the loop's heap. A timer fires once and is then disarmed. To arm it again for later only
// changes a number: that is the common case, a deadline that moves with each byte. Timers are used
// on the loop's thread. `fired` may do anything, including to free the timer's owner.
//
//     DISARMED --timer_arm--> ARMED --it is due, or timer_disarm--> DISARMED
//
// A timer that is armed stands in the heap, at its due time or at an earlier one. One that is
// disarmed may still stand there (`timer_disarm` leaves it, because the next arm may want the same
// slot), until it comes up, or until `timer_deinit`.
#pragma once

#include "base/due_heap.h"
#include "base/owner.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct timer;

typedef void (*timer_fn)(struct timer *timer);

/// The timers of one loop that were armed and have not come up. Owned by the loop, on whose clock
/// they wait.
struct timer_heap {
    struct due_heap _heap;
    const uv_loop_t *_uv;
    struct owner _owner;
};

struct timer {
    struct timer_heap *_timers;
    timer_fn fired;
    uint64_t _due_ms;  // UINT64_MAX while disarmed
    struct due _entry; // in the loop's heap; by an older due time, perhaps
};

/// Prepares a timer of the loop whose heap is `timers`: `&loop->timers`.
void timer_init(struct timer *timer, struct timer_heap *timers, timer_fn fired);

/// Arms the timer for `delay_ms` from now, in the place of what it was armed for.
void timer_arm(struct timer *timer, uint64_t delay_ms);

/// Arms the timer for `due_ms` of the loop's clock. If that has passed, it fires in the next turn.
void timer_arm_at(struct timer *timer, uint64_t due_ms);

/// Disarms the timer, so that it does not fire. This is cheap, but the loop's heap may keep the
/// timer's slot, so it does not replace `timer_deinit`.
void timer_disarm(struct timer *timer);

/// Disarms the timer and takes it out of the loop's heap. Called before the timer's owner is freed.
void timer_deinit(struct timer *timer);

static inline bool timer_is_armed(const struct timer *timer)
{
    return timer->_due_ms != UINT64_MAX;
}

/// When the timer fires, by the loop's clock; UINT64_MAX while it is not armed.
static inline uint64_t timer_due_ms(const struct timer *timer)
{
    return timer->_due_ms;
}

// For the loop only.

void timer_heap_init(struct timer_heap *timers, const uv_loop_t *uv);

/// CHECKs that every timer has left.
void timer_heap_deinit(struct timer_heap *timers);

/// Fires every timer that is due. May call anything.
void timer_heap_fire(struct timer_heap *timers);

/// When the next timer is due, by the loop's clock; UINT64_MAX for never.
uint64_t timer_heap_due_ms(struct timer_heap *timers);

/// When `timer_heap_fire` should be called next: no later than that. By the loop's clock;
/// UINT64_MAX for never.
uint64_t timer_heap_next_ms(const struct timer_heap *timers);

/// How many timers stand in the heap, disarmed ones included.
size_t timer_heap_count(const struct timer_heap *timers);

/// CHECKs what must hold between any two calls; debug builds do so by themselves. Looks at the
/// timers that are due first, not at all of thousands.
void timer_heap_check(const struct timer_heap *timers);
