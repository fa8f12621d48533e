// SPDX-License-Identifier: MIT
//
// Timers on a loop's clock. A timer is a member of the struct that waits and costs 32 bytes and a
// slot in the loop's heap. Arming it again for later, the common case of a deadline that moves with
// each byte, only changes a number. It fires once and is then disarmed. Same thread as the loop;
// `fired` may do anything, free the timer's owner included.
#pragma once

#include "base/due_heap.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct timer;

typedef void (*timer_fn)(struct timer *timer);

struct timer {
    struct loop *_loop;
    timer_fn fired;
    uint64_t _due_ms;  // UINT64_MAX while disarmed
    struct due _place; // in the loop's heap; by an older due time, perhaps
};

void timer_init(struct timer *timer, struct loop *loop, timer_fn fired);

/// Fires `delay_ms` from now. Replaces an earlier arming.
void timer_arm(struct timer *timer, uint64_t delay_ms);

/// Fires at `due_ms` of the loop's clock; at once in the next turn when that has passed.
void timer_arm_at(struct timer *timer, uint64_t due_ms);

/// Will not fire. Cheap; but the timer stays known to the loop.
void timer_disarm(struct timer *timer);

/// Will not fire and is forgotten by the loop. Before its owner is freed.
void timer_deinit(struct timer *timer);

static inline bool timer_is_armed(const struct timer *timer)
{
    return timer->_due_ms != UINT64_MAX;
}

/// When it fires, of the loop's clock; UINT64_MAX while it is not armed.
static inline uint64_t timer_due_ms(const struct timer *timer)
{
    return timer->_due_ms;
}

// For the loop only.

/// Fires every timer that is due. May call anything.
void timers_fire(struct loop *loop);

/// The loop's clock value at which `timers_fire` should next be called; UINT64_MAX for never.
uint64_t timers_next_ms(const struct loop *loop);
