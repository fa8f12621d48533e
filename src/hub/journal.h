// SPDX-License-Identifier: MIT
//
// The log of a channel: a ring of frames with consecutive numbers, bounded in count, bytes and age.
// The journal knows no subscriber. A subscriber has the number of the frame that it takes next, and
// finds that frame, or that it is gone, in constant time. Frames that are over the bounds leave in
// `journal_trim`, which the owner calls when all workers have offered the frames of the turn; until
// then they stay, up to twice the bytes.
//
// A channel owns a journal, and each replica that follows it owns a copy: a ring of its own over
// the same blocks (`journal_follow`). A journal has no loop, no clock and no lock. The time is
// handed in, and the caller has the lock of a journal that other threads see.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/check.h"
#include "hub/frame.h"
#include "wire/event_id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// A channel's options `history`, `bytes` and `ttl`: how many frames are kept, how many bytes of
/// them, and for how long.
struct journal_bounds {
    uint64_t count;
    uint64_t bytes;
    uint64_t ttl_ms; // UINT64_MAX for ever
};

struct journal {
    struct journal_bounds bounds;
    uint64_t epoch;  // names this life of the channel; random, never 0
    uint64_t begun;  // number of the first frame of this life
    uint64_t first;  // number of the oldest frame that is here
    uint64_t next;   // number that the next frame gets; equal to `first` when the journal is empty
    uint64_t end;    // bytes of all frames that were ever appended: the position of the next
    uint64_t memory; // bytes of the ring, and of the blocks that it has frames in
    struct frame *_ring;
    size_t _capacity;    // of the ring: 0 or a power of two
    struct block *_open; // the block that takes the next frame; NULL in a copy
};

/// When a frame is made: the time of the clock, and the stamp, its number among the hub's events.
struct journal_moment {
    uint64_t stamp;
    uint64_t now_ms;
};

/// An empty journal with an epoch of its own.
void journal_init(struct journal *journal, const struct journal_bounds *bounds);

/// Lets go of all frames and frees the ring.
void journal_deinit(struct journal *journal);

/// Lets go of all frames and begins another life, with another epoch. A number is left out, so that
/// whoever has yet to take the next frame has missed one, even if no frame was here.
void journal_reset(struct journal *journal);

/// Appends an event, encoded without an id and without chunk framing, under the journal's id.
/// Returns 0; -EMSGSIZE when its frame alone is over the bound in bytes; -ENOMEM when there is no
/// memory for it. When it fails, the frames and their numbers are as they were.
MUST_USE int journal_append(struct journal *journal, struct bytes fields,
                            struct journal_moment moment);

/// Makes `copy` an empty copy that begins with the oldest frame of `journal`.
void journal_init_copy(struct journal *copy, const struct journal *journal);

/// Takes over the frames that `journal` has and `copy` has not, at most `count_max` of them, and
/// another life. Returns whether those were all. Frames that `journal` has let go of meanwhile stay
/// in the copy until `journal_drop`, because subscribers may still have to take them. If there is
/// no memory for a larger ring, the copy lets go of its oldest frames. The lag policy of the
/// channel then decides what happens to a subscriber that had yet to take one of them.
bool journal_follow(struct journal *copy, const struct journal *journal, uint64_t count_max);

/// Lets go of the frames before `first`.
void journal_drop(struct journal *journal, uint64_t first);

/// Lets go of the oldest frame if its number is below `keep_from`. Returns whether it did.
bool journal_drop_oldest(struct journal *journal, uint64_t keep_from);

/// Lets go of the oldest frames that are over the bounds, but of none from `keep_from` on.
void journal_trim(struct journal *journal, uint64_t now_ms, uint64_t keep_from);

/// Returns when the oldest frame gets too old; UINT64_MAX when there is no frame or no bound on
/// age.
uint64_t journal_expiry_ms(const struct journal *journal);

/// Returns frame number `sequence`, which the journal must hold. Valid until the journal changes.
const struct frame *journal_frame(const struct journal *journal, uint64_t sequence);

/// The frames from `sequence` on as pieces of memory, at most `count_max` of them: one a block.
/// `*until` is the first frame that is not in them. Returns the number of pieces.
int journal_pieces(const struct journal *journal, uint64_t sequence, struct bytes *pieces,
                   int count_max, uint64_t *until);

/// Appends the events from `sequence` on to `out` as text without chunk framing, each with its id:
/// at most `count_max` of them, and at most `bytes_max` bytes, but one in any case. Returns the
/// first that is not among them; `sequence` itself when there is none, or no memory for it.
uint64_t journal_copy_text(const struct journal *journal, uint64_t sequence, uint64_t count_max,
                           uint64_t bytes_max, struct buf *out);

/// Returns the id of frame number `sequence`. The frame may be held, dropped or not yet published.
struct event_id journal_id(const struct journal *journal, uint64_t sequence);

/// Returns the bytes of the frames that the journal holds, from number `sequence` on.
uint64_t journal_bytes_from(const struct journal *journal, uint64_t sequence);

/// CHECKs what holds between any two calls.
void journal_check(const struct journal *journal);

static inline bool journal_is_empty(const struct journal *journal)
{
    return journal->first == journal->next;
}
