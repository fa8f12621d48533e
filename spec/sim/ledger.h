// SPDX-License-Identifier: MIT
//
// What was published, in the simulator's own books: each life of a channel (one epoch) with every
// event that it ever had, whether the journal still has it or not. What a reader receives is
// compared with these; and what the journal lets go must have had a reason. Lives are owned by the
// world and kept to its end, because ids of dead ones come back.
#pragma once

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
    uint64_t turn;
    uint64_t made_ms;
    uint64_t end; // bytes of the life's frames up to and with this one
};

struct life {
    uint64_t epoch;
    size_t index; // in the world
    const char *name;
    const char *reset_name;
    const char *lagged_name;
    bool is_skip;            // its lag policy
    bool is_held;            // by the world, as a script would
    bool is_over;            // closed, or gone: nothing is published any more
    struct channel *channel; // NULL when it may be gone
    struct record *records;  // number `sequence` is at `sequence - 1`
    uint64_t count;
    uint64_t capacity;
    uint64_t first;   // the oldest that is in the journal; `count` + 1 when none or unknown
    uint64_t offered; // the newest when the last turn ended
    bool has_job;     // its readers are woken at the end of this turn
    bool is_wide;     // some reader has more before it than one turn brings ...
    bool is_kept;     // ... so frames over the bounds may have been kept for it
    bool is_overrun;  // so much was published in this turn that some of it has gone already
};

/// An event that was published under the next number of `life`; `data` is copied.
void ledger_add(struct life *life, const struct record *record, struct bytes data);

/// Looks at what the journal has let go since, within a turn. Everything has a reason.
void ledger_check(struct life *life, uint64_t now_ms);

/// The same when a turn has ended: then the bounds hold as well.
void ledger_end_turn(struct life *life, uint64_t now_ms);

/// Bytes of the frames after number `sequence`.
uint64_t ledger_bytes_after(const struct life *life, uint64_t sequence);

void ledger_free(struct life *life);
