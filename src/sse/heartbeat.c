// SPDX-License-Identifier: MIT
#include "sse/heartbeat.h"

#include "base/check.h"
#include "base/mem.h"
#include "net/loop.h"
#include "net/timer.h"

/// The heartbeats of one interval, and what wakes the first.
struct pulse {
    struct list node;
    struct heartbeats *heartbeats;
    uint64_t interval_ms;
    struct list silent; // the longest silence first
    struct timer timer;
};

static struct pulse *pulse_of(struct heartbeats *heartbeats, uint64_t interval_ms);
static void on_timer(struct timer *timer);

void heartbeats_init(struct heartbeats *heartbeats, struct loop *loop, heartbeat_fn on_due)
{
    heartbeats->loop = loop;
    heartbeats->on_due = on_due;
    list_init(&heartbeats->_pulses);
}

void heartbeats_deinit(struct heartbeats *heartbeats)
{
    CHECK(list_is_empty(&heartbeats->_pulses));
}

void heartbeat_start(struct heartbeat *heartbeat, struct heartbeats *heartbeats,
                     uint64_t interval_ms)
{
    DCHECK(heartbeat->_pulse == NULL);
    struct pulse *pulse = pulse_of(heartbeats, interval_ms);
    heartbeat->_pulse = pulse;
    heartbeat->_noted_ms = loop_now_ms(heartbeats->loop);
    list_append(&pulse->silent, &heartbeat->_node);
    if (!timer_is_armed(&pulse->timer)) {
        timer_arm(&pulse->timer, interval_ms);
    }
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

/// Each due one goes to the end before it is told, so the walk ends; telling stops none.
static void on_timer(struct timer *timer)
{
    struct pulse *pulse = CONTAINER_OF(timer, struct pulse, timer);
    uint64_t now_ms = loop_now_ms(pulse->heartbeats->loop);
    for (;;) {
        struct heartbeat *first = LIST_ITEM(pulse->silent.next, struct heartbeat, _node);
        uint64_t due_ms = first->_noted_ms + pulse->interval_ms;
        if (due_ms > now_ms) {
            timer_arm_at(&pulse->timer, due_ms);
            return;
        }
        heartbeat_note(first);
        pulse->heartbeats->on_due(first);
    }
}
