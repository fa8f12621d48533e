// SPDX-License-Identifier: MIT
//
// A task that reads a channel with no stream: a loop, or a `read` that waits, or one that does not.
// Beside each call stands in the books what it promises. Each event comes once and in order, or a
// reset says what is missing; who waits is woken when there is something; and the end is told when
// everything was taken, and not before. Owned by the world.
#pragma once

#include "ledger.h"
#include "worker.h"

#include "sse/reader.h"

#include <stdbool.h>
#include <stdint.h>

struct world;

enum { PULLER_ID_BYTES = 64 };

struct puller {
    struct world *world;
    struct reader reader;
    struct worker *worker;
    struct life *life; // NULL while it reads nothing
    uint64_t pos;      // the last event that it took or was told of
    const char *told;  // a reset of this reason is due; NULL for none
    uint64_t from;     // with "expired": where it came from
    bool is_earliest;  // where it goes on if its place is lost; else `newest_count` before the end
    uint64_t newest_count;
    bool is_awaiting;    // news
    bool is_dismissed;   // its poll is being ended, whether there is news or not
    bool is_woken;       // and has not taken since
    bool is_late;        // its next event was gone when it was woken, or is not kept for it
    uint64_t woken_turn; // of its worker
    uint64_t woken_seen; // what the worker had offered then
    char last_id[PULLER_ID_BYTES]; // the cursor that it was given last; "" for none
};

/// Does one of the things that such a task does.
void puller_step(struct puller *puller);

void puller_close(struct puller *puller);

// For the world.

/// The worker ends the waits of its polls, and of nobody else.
void pullers_end_polls(struct worker *worker);

/// The tasks of the worker run that were woken.
void pullers_run(const struct worker *worker);

/// A turn of the worker ends.
void pullers_begin_end_of_turn(const struct worker *worker);
void pullers_end_turn(const struct worker *worker);

/// Whether any of them reads `life`.
bool pullers_read(const struct world *world, const struct life *life);
