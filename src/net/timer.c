// SPDX-License-Identifier: MIT
#include "net/timer.h"

#include "base/check.h"
#include "base/mem.h"
#include "net/loop.h"

static const uint64_t never = UINT64_MAX;

static void place(struct loop *loop, size_t at, struct loop_timer_slot slot);
static void sift_up(struct loop *loop, size_t at);
static void sift_down(struct loop *loop, size_t at);
static void enter(struct timer *timer);
static void leave(struct timer *timer);
static void settle(struct timer *timer);

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
    struct loop *loop = timer->_loop;
    timer->_due_ms = due_ms;
    if (timer->_slot == 0) {
        enter(timer);
    } else if (due_ms < loop->_slots[timer->_slot - 1].due_ms) {
        loop->_slots[timer->_slot - 1].due_ms = due_ms;
        sift_up(loop, timer->_slot - 1);
    }
    // Due later than its slot says: the slot comes up first and is then moved, see `settle`.
}

void timer_disarm(struct timer *timer)
{
    timer->_due_ms = never;
}

void timer_deinit(struct timer *timer)
{
    timer->_due_ms = never;
    if (timer->_slot != 0) {
        leave(timer);
    }
}

/// Only what was due when it began: a timer that arms itself with no delay cannot hold the turn.
void timers_fire(struct loop *loop)
{
    uint64_t now_ms = loop_now_ms(loop);
    size_t budget = loop->_slot_count;
    while (budget-- > 0 && loop->_slot_count > 0 && loop->_slots[0].due_ms <= now_ms) {
        struct timer *timer = loop->_slots[0].timer;
        if (timer->_due_ms > now_ms) {
            settle(timer);
            continue;
        }
        leave(timer);
        timer->_due_ms = never;
        timer->fired(timer);
    }
}

uint64_t timers_next_ms(const struct loop *loop)
{
    return loop->_slot_count == 0 ? never : loop->_slots[0].due_ms;
}

/// Moves the timer of the first slot to where its real due time belongs, or out of the heap.
static void settle(struct timer *timer)
{
    struct loop *loop = timer->_loop;
    if (timer->_due_ms == never) {
        leave(timer);
        return;
    }
    loop->_slots[timer->_slot - 1].due_ms = timer->_due_ms;
    sift_down(loop, timer->_slot - 1);
}

static void enter(struct timer *timer)
{
    struct loop *loop = timer->_loop;
    if (loop->_slot_count == loop->_slot_capacity) {
        loop->_slot_capacity = loop->_slot_capacity == 0 ? 64 : loop->_slot_capacity * 2;
        loop->_slots =
            mem_resize(loop->_slots, loop->_slot_capacity * sizeof(struct loop_timer_slot));
    }
    size_t at = loop->_slot_count++;
    place(loop, at, (struct loop_timer_slot){timer->_due_ms, timer});
    sift_up(loop, at);
}

static void leave(struct timer *timer)
{
    struct loop *loop = timer->_loop;
    size_t at = timer->_slot - 1;
    DCHECK(loop->_slots[at].timer == timer);
    timer->_slot = 0;
    struct loop_timer_slot last = loop->_slots[--loop->_slot_count];
    if (at == loop->_slot_count) {
        return;
    }
    place(loop, at, last);
    sift_up(loop, at);
    sift_down(loop, last.timer->_slot - 1);
}

static void place(struct loop *loop, size_t at, struct loop_timer_slot slot)
{
    loop->_slots[at] = slot;
    slot.timer->_slot = at + 1;
}

static void sift_up(struct loop *loop, size_t at)
{
    struct loop_timer_slot slot = loop->_slots[at];
    while (at > 0 && slot.due_ms < loop->_slots[(at - 1) / 2].due_ms) {
        place(loop, at, loop->_slots[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    place(loop, at, slot);
}

static void sift_down(struct loop *loop, size_t at)
{
    struct loop_timer_slot slot = loop->_slots[at];
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= loop->_slot_count) {
            break;
        }
        if (child + 1 < loop->_slot_count &&
            loop->_slots[child + 1].due_ms < loop->_slots[child].due_ms) {
            child++;
        }
        if (loop->_slots[child].due_ms >= slot.due_ms) {
            break;
        }
        place(loop, at, loop->_slots[child]);
        at = child;
    }
    place(loop, at, slot);
}
