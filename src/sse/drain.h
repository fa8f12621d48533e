// SPDX-License-Identifier: MIT
//
// How the event streams of one worker end when the server does: one after the other, each told by
// a `retry:` when to come back, so that neither the ends nor the returns come all at once. A stream
// that follows no channel and whose handler runs may be an answer that has an end. It is left alone
// and is cut only when the window is nearly over; but one whose handler sleeps beyond that moment
// ends with the others.
//
// The window begins with the drain. The streams end within its first half, at least a thousand a
// second, so that few readers hold nothing up and slow ones have the other half to take what is
// left. The moments of coming back are spread over the whole of it, or over as many tenths of a
// second as there are streams, but over a second at least: that time is cut into as many parts as
// there are streams, and each stream gets a moment by chance within a part of its own, those that
// end first the earliest.
//
// A member of its owner's struct, used on the worker's thread. It goes on, for streams that open
// meanwhile, until `drain_deinit`, which must come before the loop closes.
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
    uint64_t _ending_ms;   // until the last stream ends
    uint64_t _patience_ms; // until streams end that their handlers have not ended
    uint64_t _first_ms;    // before which nobody comes back
    uint64_t _window_ms;   // until the last one does
    size_t _count;         // streams that were due at the beginning
    size_t _ended_count;
};

/// The service is that of one of `worker_count` workers, which end their streams together.
void drain_init(struct drain *drain, struct service *service, unsigned worker_count);

/// Ends the open streams of the service over the first half of `window_ms`, and from then on every
/// stream that opens; those that their handlers are at work on shortly before its end. Once. *May
/// call Lua.*
void drain_start(struct drain *drain, uint64_t window_ms);

void drain_deinit(struct drain *drain);
