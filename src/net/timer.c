// SPDX-License-Identifier: MIT
//
// All timers of a loop stand in one heap, ordered by the due time that each had when it was placed.
// `timer_arm` for a later time leaves it in its place. When the timer comes up there too early, it
// is moved to where its real due time belongs (`settle`). So a deadline that moves a thousand times
// costs a thousand assignments and one move.
#include "net/timer.h"

#include "base/check.h"
#include "net/clock.h"

static const uint64_t never = UINT64_MAX;

enum { CHECKED_MAX = 64 }; // slots that `timer_heap_check` looks at

static void settle(struct due_heap *heap, struct timer *timer);
static void check_timer(const struct due *due);

void timer_init(struct timer *timer, struct timer_heap *timers, timer_fn fired)
{
    *timer = (struct timer){._timers = timers, .fired = fired, ._due_ms = never};
}

void timer_arm(struct timer *timer, uint64_t delay_ms)
{
    uint64_t now_ms = clock_now_ms(timer->_timers->_uv);
    timer_arm_at(timer, delay_ms < never - now_ms ? now_ms + delay_ms : never - 1);
}

void timer_arm_at(struct timer *timer, uint64_t due_ms)
{
    struct due_heap *heap = &timer->_timers->_heap;
    OWNED(&timer->_timers->_owner);
    DCHECK(due_ms != never && timer->fired != NULL);
    timer->_due_ms = due_ms;
    if (due_ms < due_heap_ms(heap, &timer->_entry)) {
        due_heap_put(heap, &timer->_entry, due_ms);
    }
    // Due later than the heap says: it comes up there first and is then moved, see `settle`.
    DCHECK(due_heap_ms(heap, &timer->_entry) <= due_ms);
}

void timer_disarm(struct timer *timer)
{
    OWNED(&timer->_timers->_owner);
    timer->_due_ms = never;
}

void timer_deinit(struct timer *timer)
{
    OWNED(&timer->_timers->_owner);
    timer->_due_ms = never;
    due_heap_remove(&timer->_timers->_heap, &timer->_entry);
    DEBUG_CALL(timer_heap_check(timer->_timers));
}

void timer_heap_init(struct timer_heap *timers, const uv_loop_t *uv)
{
    *timers = (struct timer_heap){._uv = uv};
    due_heap_init(&timers->_heap);
    owner_take(&timers->_owner);
}

void timer_heap_deinit(struct timer_heap *timers)
{
    OWNED(&timers->_owner);
    due_heap_deinit(&timers->_heap);
}

/// Fires only timers that were due when this began. A timer that arms itself without a delay
/// therefore cannot keep the turn from ending.
void timer_heap_fire(struct timer_heap *timers)
{
    struct due_heap *heap = &timers->_heap;
    uint64_t now_ms = clock_now_ms(timers->_uv);
    OWNED(&timers->_owner);
    DEBUG_CALL(timer_heap_check(timers));
    for (size_t budget = heap->count; budget > 0 && due_heap_first_ms(heap) <= now_ms; budget--) {
        struct timer *timer = CONTAINER_OF(due_heap_first(heap), struct timer, _entry);
        if (timer->_due_ms > now_ms) {
            settle(heap, timer);
            continue;
        }
        due_heap_remove(heap, &timer->_entry);
        timer->_due_ms = never;
        timer->fired(timer);
    }
    DEBUG_CALL(timer_heap_check(timers));
}

/// Moves timers that stand too early in the heap, until the first one is right.
uint64_t timer_heap_due_ms(struct timer_heap *timers)
{
    struct due_heap *heap = &timers->_heap;
    OWNED(&timers->_owner);
    while (heap->count > 0) {
        struct timer *first = CONTAINER_OF(due_heap_first(heap), struct timer, _entry);
        if (first->_due_ms == due_heap_first_ms(heap)) {
            return first->_due_ms;
        }
        settle(heap, first);
    }
    return never;
}

uint64_t timer_heap_next_ms(const struct timer_heap *timers)
{
    return due_heap_first_ms(&timers->_heap);
}

size_t timer_heap_count(const struct timer_heap *timers)
{
    return timers->_heap.count;
}

void timer_heap_check(const struct timer_heap *timers)
{
    CHECK(timers->_uv != NULL);
    due_heap_check(&timers->_heap, CHECKED_MAX, check_timer);
}

/// Moves a timer to where its real due time belongs, or out of the heap.
static void settle(struct due_heap *heap, struct timer *timer)
{
    if (timer->_due_ms == never) {
        due_heap_remove(heap, &timer->_entry);
    } else {
        due_heap_put(heap, &timer->_entry, timer->_due_ms);
    }
}

/// CHECKs that no timer stands in the heap at a later time than it is due.
static void check_timer(const struct due *due)
{
    const struct timer *timer = CONTAINER_OF(due, struct timer, _entry);
    const struct due_heap *heap = &timer->_timers->_heap;
    CHECK(due_heap_ms(heap, due) <= timer->_due_ms);
    CHECK(timer->fired != NULL || timer->_due_ms == never);
}
