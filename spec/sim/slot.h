// SPDX-License-Identifier: MIT
// The calls of the workers' scripts for the channels of one name. A script holds a channel, or
// finds or makes one each time. Each call writes into the books what it promises. Owned by the
// world.
#pragma once

#include "ledger.h"
#include "worker.h"

#include <stdint.h>

/// A name under which there is a channel, or will be.
struct slot {
    const char *name;
    struct life *life; // the newest; NULL before the first
};

/// A channel as it was opened: its life, and the worker's replica.
struct opened {
    struct life *life;
    struct replica *replica; // valid until the next call into the hub
};

/// Returns the channel as a script of the worker has it: the one that the script holds, which
/// another worker may have closed meanwhile; or else one that is found or made.
struct opened slot_open(struct worker *worker, struct slot *slot);

/// The worker publishes something.
void slot_publish(struct worker *worker, struct slot *slot);

/// The worker finishes the channel: it takes no events any more, and readers still come.
void slot_finish(struct worker *worker, struct slot *slot);

void slot_close(struct worker *worker, struct slot *slot);

/// The worker lets go of a channel without closing it: it goes by itself once it is empty and no
/// other worker has it.
void slot_release(struct worker *worker, struct slot *slot);

/// Opens a channel again, with other options.
void slot_change(struct worker *worker, struct slot *slot);

/// The worker's scripts let go what was closed up to `stamp`, or with UINT64_MAX everything.
void slots_let_go(struct worker *worker, uint64_t stamp);
