// SPDX-License-Identifier: MIT
#include "sse/heartbeat.h"

#include "base/check.h"
#include "base/mem.h"
#include "net/loop.h"
#include "net/timer.h"

enum { CHECKED_MAX = 16 };

/// The heartbeats of one interval. There is none for an interval that nobody uses.
struct pulse {
    struct list node;
    struct heartbeats *heartbeats;
    uint64_t interval_ms;
    struct list silent; // the longest silence first
    struct timer timer;
};

static struct pulse *pulse_of(struct heartbeats *heartbeats, uint64_t interval_ms);
static void on_timer(struct timer *timer);
static void check(const struct pulse *pulse, uint64_t now_ms);

void heartbeats_init(struct heartbeats *heartbeats, struct loop *loop, heartbeat_fn on_due)
{
    heartbeats->loop = loop;
    heartbeats->on_due = on_due;
    list_init(&heartbeats->_pulses);
}

void heartbeats_deinit(struct heartbeats *heartbeats)
{
    OWNED(&heartbeats->loop->owner);
    CHECK(list_is_empty(&heartbeats->_pulses));
}

void heartbeat_start(struct heartbeat *heartbeat, struct heartbeats *heartbeats,
                     uint64_t interval_ms)
{
    OWNED(&heartbeats->loop->owner);
    DCHECK(heartbeat->_pulse == NULL);
    DCHECK(interval_ms > 0);
    struct pulse *pulse = pulse_of(heartbeats, interval_ms);
    heartbeat->_pulse = pulse;
    heartbeat->_noted_ms = loop_now_ms(heartbeats->loop);
    list_append(&pulse->silent, &heartbeat->_node);
    if (!timer_is_armed(&pulse->timer)) {
        timer_arm(&pulse->timer, interval_ms);
    }
    DEBUG_CALL(heartbeats_check(heartbeats));
}

void heartbeat_note(struct heartbeat *heartbeat)
{
    struct pulse *pulse = heartbeat->_pulse;
    if (pulse != NULL) {
        heartbeat->_noted_ms = loop_now_ms(pulse->heartbeats->loop);
        list_remove(&heartbeat->_node);
        list_append(&pulse->silent, &heartbeat->_node);
    }
}

void heartbeat_stop(struct heartbeat *heartbeat)
{
    struct pulse *pulse = heartbeat->_pulse;
    if (pulse == NULL) {
        return;
    }
    heartbeat->_pulse = NULL;
    list_remove(&heartbeat->_node);
    if (list_is_empty(&pulse->silent)) {
        list_remove(&pulse->node);
        timer_deinit(&pulse->timer);
        mem_free(pulse);
    }
}

void heartbeats_check(const struct heartbeats *heartbeats)
{
    uint64_t now_ms = loop_now_ms(heartbeats->loop);
    LIST_EACH (node, after, &heartbeats->_pulses) {
        const struct pulse *pulse = LIST_ITEM(node, struct pulse, node);
        CHECK(pulse->heartbeats == heartbeats);
        CHECK(!list_is_empty(&pulse->silent)); // or it would be gone
        check(pulse, now_ms);
    }
}

static void check(const struct pulse *pulse, uint64_t now_ms)
{
    int seen = 0;
    uint64_t noted_ms = 0;
    CHECK(timer_is_armed(&pulse->timer));
    LIST_EACH (node, after, &pulse->silent) {
        const struct heartbeat *heartbeat = LIST_ITEM(node, struct heartbeat, _node);
        CHECK(heartbeat->_pulse == pulse);
        CHECK(heartbeat->_noted_ms >= noted_ms && heartbeat->_noted_ms <= now_ms);
        CHECK(timer_due_ms(&pulse->timer) <= heartbeat->_noted_ms + pulse->interval_ms);
        noted_ms = heartbeat->_noted_ms;
        if (++seen == CHECKED_MAX) {
            return;
        }
    }
}

/// The pulse of the interval, made when there is none.
static struct pulse *pulse_of(struct heartbeats *heartbeats, uint64_t interval_ms)
{
    LIST_EACH (node, after, &heartbeats->_pulses) {
        struct pulse *pulse = LIST_ITEM(node, struct pulse, node);
        if (pulse->interval_ms == interval_ms) {
            return pulse;
        }
    }
    struct pulse *pulse = mem_new(struct pulse);
    pulse->heartbeats = heartbeats;
    pulse->interval_ms = interval_ms;
    list_init(&pulse->silent);
    timer_init(&pulse->timer, &heartbeats->loop->timers, on_timer);
    list_append(&heartbeats->_pulses, &pulse->node);
    return pulse;
}

/// Tells every heartbeat that is due. Each goes to the end of its list before it is told, so the
/// walk comes to one that is not due. The pulse stays, because telling stops no heartbeat.
static void on_timer(struct timer *timer)
{
    struct pulse *pulse = CONTAINER_OF(timer, struct pulse, timer);
    uint64_t now_ms = loop_now_ms(pulse->heartbeats->loop);
    for (;;) {
        struct heartbeat *first = LIST_ITEM(pulse->silent.next, struct heartbeat, _node);
        uint64_t due_ms = first->_noted_ms + pulse->interval_ms;
        if (due_ms > now_ms) {
            timer_arm_at(&pulse->timer, due_ms);
            DEBUG_CALL(heartbeats_check(pulse->heartbeats));
            return;
        }
        heartbeat_note(first);
        pulse->heartbeats->on_due(first);
    }
}
