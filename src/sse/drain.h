// SPDX-License-Identifier: MIT
//
// Ends the event streams of one worker when the server ends: one after the other, each told by a
// `retry:` when to come back, so that neither the ends nor the returns come all at once. A stream
// that follows no channel and whose handler runs may be an answer that will be complete soon. It is
// left alone, and is cut when the window is nearly over. A handler that sleeps beyond that moment
// will not complete its answer, so its stream ends with the others.
//
// The window begins with the drain. The streams end within its first half, at least a thousand a
// second, so that few readers hold nothing up and slow ones have the other half to take what is
// left. The moments of coming back are spread over the whole of it, or over as many tenths of a
// second as there are streams, but over a second at least: that time is cut into as many parts as
// there are streams, and each stream gets a moment by chance within a part of its own, those that
// end first the earliest.
//
// A drain is a member of its owner's struct and is used on the worker's thread. It goes on until
// `drain_deinit`, because streams may still open. `drain_deinit` must come before the loop closes.
#pragma once

#include "net/timer.h"

#include <stddef.h>
#include <stdint.h>

struct service;

struct drain {
    struct service *_service;
    unsigned _worker_count;
    struct timer _timer;
    uint64_t _began_ms;
    uint64_t _ending_ms;   // from the beginning until the last stream ends
    uint64_t _patience_ms; // ... until streams end whose handlers are still at work
    uint64_t _first_ms;    // ... until the first reader comes back
    uint64_t _window_ms;   // ... until the last one does
    size_t _count;         // streams that were due at the beginning
    size_t _ended_count;
};

/// `service` belongs to one of `worker_count` workers, which all end their streams at the same
/// time.
void drain_init(struct drain *drain, struct service *service, unsigned worker_count);

/// Ends the open streams of the service over the first half of `window_ms`, and after that every
/// stream that opens. Streams whose handlers are at work end shortly before the window does. Called
/// once. *May call Lua.*
void drain_start(struct drain *drain, uint64_t window_ms);

void drain_deinit(struct drain *drain);
