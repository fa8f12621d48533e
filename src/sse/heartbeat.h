// SPDX-License-Identifier: MIT
//
// Tells which streams have been silent for an interval, so that they send a heartbeat. The streams
// of one interval share a list, in the order of what they sent last, and one timer, which waits for
// the first. A stream that sends something moves to the end of the list, and no timer is touched.
//
//     STOPPED --heartbeat_start--> COUNTING --heartbeat_stop--> STOPPED
//
// After `heartbeat_note`, and after a heartbeat, it is still COUNTING, from zero again. The worker
// owns the lists; a stream's place in one is a member of the stream. One thread, the loop's.
#pragma once

#include "base/list.h"

#include <stdint.h>

struct heartbeat;
struct loop;
struct pulse;

typedef void (*heartbeat_fn)(struct heartbeat *heartbeat);

struct heartbeats {
    struct loop *loop;
    struct list _pulses; // one for each interval in use
    heartbeat_fn on_due; // called after an interval of silence; must not stop another heartbeat
};

struct heartbeat {
    struct list _node;
    struct pulse *_pulse; // NULL while stopped
    uint64_t _noted_ms;
};

void heartbeats_init(struct heartbeats *heartbeats, struct loop *loop, heartbeat_fn on_due);

/// CHECKs that every heartbeat has been stopped.
void heartbeats_deinit(struct heartbeats *heartbeats);

/// Starts to count the silence. `heartbeat` must be zero or stopped.
void heartbeat_start(struct heartbeat *heartbeat, struct heartbeats *heartbeats,
                     uint64_t interval_ms);

/// Notes that something was sent: counts from zero again. Does nothing while stopped.
void heartbeat_note(struct heartbeat *heartbeat);

/// Stops counting. Does nothing while it is stopped.
void heartbeat_stop(struct heartbeat *heartbeat);

/// CHECKs what must hold between any two calls: each list is in order, and its timer waits for no
/// more than the first. Looks at the first few of thousands.
void heartbeats_check(const struct heartbeats *heartbeats);
