// SPDX-License-Identifier: MIT
//
// All timers of a loop stand in one heap, ordered by the due time that each had when it was placed.
// `timer_arm` for a later time leaves it in its place. When the timer comes up there too early, it
// is moved to where its real due time belongs (`settle`). So a deadline that moves a thousand times
// costs a thousand assignments and one move.
#include "net/timer.h"

#include "base/check.h"
#include "net/loop.h"

static const uint64_t never = UINT64_MAX;

static void settle(struct due_heap *timers, struct timer *timer);

void timer_init(struct timer *timer, struct loop *loop, timer_fn fired)
{
    *timer = (struct timer){._loop = loop, .fired = fired, ._due_ms = never};
}

void timer_arm(struct timer *timer, uint64_t delay_ms)
{
    uint64_t now_ms = loop_now_ms(timer->_loop);
    timer_arm_at(timer, delay_ms < never - now_ms ? now_ms + delay_ms : never - 1);
}

void timer_arm_at(struct timer *timer, uint64_t due_ms)
{
    DCHECK(due_ms != never);
    struct due_heap *timers = &timer->_loop->timers;
    timer->_due_ms = due_ms;
    if (due_ms < due_heap_ms(timers, &timer->_place)) {
        due_heap_put(timers, &timer->_place, due_ms);
    }
    // Due later than the heap says: it comes up there first and is then moved, see `settle`.
}

void timer_disarm(struct timer *timer)
{
    timer->_due_ms = never;
}

void timer_deinit(struct timer *timer)
{
    timer->_due_ms = never;
    due_heap_remove(&timer->_loop->timers, &timer->_place);
}

/// Fires only timers that were due when this began. A timer that arms itself without a delay
/// therefore cannot keep the turn from ending.
void timers_fire(struct loop *loop)
{
    struct due_heap *timers = &loop->timers;
    uint64_t now_ms = loop_now_ms(loop);
    for (size_t budget = timers->count; budget > 0 && due_heap_first_ms(timers) <= now_ms;
         budget--) {
        struct timer *timer = CONTAINER_OF(due_heap_first(timers), struct timer, _place);
        if (timer->_due_ms > now_ms) {
            settle(timers, timer);
            continue;
        }
        due_heap_remove(timers, &timer->_place);
        timer->_due_ms = never;
        timer->fired(timer);
    }
}

uint64_t timers_next_ms(const struct loop *loop)
{
    return due_heap_first_ms(&loop->timers);
}

/// Moves a timer to where its real due time belongs, or out of the heap.
static void settle(struct due_heap *timers, struct timer *timer)
{
    if (timer->_due_ms == never) {
        due_heap_remove(timers, &timer->_place);
    } else {
        due_heap_put(timers, &timer->_place, timer->_due_ms);
    }
}
