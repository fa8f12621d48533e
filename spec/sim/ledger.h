// SPDX-License-Identifier: MIT
//
// What was published, in the simulator's own books: each life of a channel (one epoch) with every
// event that it ever had, whether the journal still has it or not. What a reader receives is
// compared with these; and what the journal lets go must have had a reason. Lives are owned by the
// world and kept to its end, because ids of dead ones come back.
#pragma once

#include "worker.h"

#include "base/bytes.h"
#include "hub/channel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NAME_BYTES_MAX = 16 };

/// One published event, as a reader should see it.
struct record {
    struct bytes data; // owned; line ends are LF
    const char *type;  // "" for none
    uint64_t stamp;    // place among everything that was ever said in the world
    uint64_t turn;     // of the worker that published it
    uint64_t made_ms;  // on the clock of that worker
    uint64_t late_ms;  // the latest such time up to this event: clocks of workers differ
    uint64_t end;      // bytes of the life's frames up to and with this one
};

struct life {
    uint64_t epoch;
    size_t index; // in the world
    const char *name;
    const char *reset_name;
    const char *lagged_name;
    bool may_skip;        // by its lag policy. Both are true after a change of the policy,
    bool may_resume;      // because notices decided before it may come later
    bool is_over;         // closed, or gone: nothing is published any more
    uint64_t closed;      // stamp of the closing; 0 before
    uint64_t finished;    // stamp of the finishing; 0 before
    uint64_t finished_ms; // on the clock of the worker that finished it
    struct replica *held[WORKERS_MAX]; // by a script of that worker; NULL when by none
    struct channel *channel;           // NULL when it may be gone
    struct record *records;            // number `sequence` is at `sequence - 1`
    uint64_t count;
    uint64_t capacity;
    uint64_t first;               // the oldest in the journal; `count` + 1 when none or unknown
    uint64_t bytes_max;           // that the journal keeps
    uint64_t ttl_ms;              // and for how long at least
    uint64_t overrun;             // stamp of what last made frames go before they were offered
    bool has_job[WORKERS_MAX];    // at the end of this turn the worker sees to the bounds
    uint64_t joined[WORKERS_MAX]; // the worker's turn when a reader last came
    bool is_wide;                 // some reader has more before it than one turn brings ...
    bool is_kept;                 // ... so frames over the bounds may have been kept for it
};

/// What the world knows when a life is checked.
struct ledger_view {
    uint64_t now_ms;  // no worker's clock is ahead of this ...
    uint64_t late_ms; // ... nor behind this
    uint64_t offered; // the newest event that the readers of every worker were woken for
    bool is_tight;    // the budget of all channels may have taken what was offered
    bool is_settled;  // no worker has yet to wake its readers, or to see to the bounds
};

/// Notes an event that was published under the next number of `life`. Copies `data`.
void ledger_add(struct life *life, const struct record *record, struct bytes data);

/// Checks, within a turn, that every frame that the journal has dropped since had a reason to go.
void ledger_check(struct life *life, const struct ledger_view *view);

/// Checks the same at the end of a worker's turn. When every event was offered, the journal must
/// also have kept to its bounds.
void ledger_end_turn(struct life *life, const struct ledger_view *view, bool had_job);

/// How many events were published up to `stamp`.
uint64_t ledger_count_at(const struct life *life, uint64_t stamp);

/// Bytes of the frames after number `sequence`.
uint64_t ledger_bytes_after(const struct life *life, uint64_t sequence);

/// Notes that nothing more is published in `life`, and that what its journal still has is unknown.
void ledger_end(struct life *life);

void ledger_free(struct life *life);
