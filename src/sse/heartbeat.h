// SPDX-License-Identifier: MIT
//
// When a stream has been silent for too long. Streams of the same interval stand in one list, the
// one that was silent longest first, and share one timer: to note that something was sent is to
// move to the end. Owned by the worker; a stream's place is a member of the stream. One thread.
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
    heartbeat_fn on_due; // nothing was noted for an interval; the heartbeat is at the end again
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

/// Something was sent: the silence begins anew. Does nothing while it is stopped.
void heartbeat_note(struct heartbeat *heartbeat);

/// Idempotent.
void heartbeat_stop(struct heartbeat *heartbeat);
