// SPDX-License-Identifier: MIT
//
// The log of a channel: a ring of frames with consecutive numbers, bounded in count, bytes and age.
// A reader is nothing to it but a number: where it goes on, and whether that is still here, are
// found in constant time. What falls out of the bounds leaves in `journal_trim`, which its owner
// calls when the turn's frames have been offered to everyone; until then they stay, up to twice the
// bytes. Each worker whose readers want the frames has a copy of the ring, which shares the blocks:
// `journal_follow`. Owned by its topic or channel. No loop, no clock, no lock: time is handed in,
// and whoever hands in a journal that others see has locked it.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "hub/frame.h"
#include "wire/event_id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct journal_bounds {
    uint64_t count;
    uint64_t bytes;  // of frames
    uint64_t age_ms; // UINT64_MAX for ever
};

struct journal {
    struct journal_bounds bounds;
    uint64_t epoch;  // this life of the log: random, never 0
    uint64_t first;  // the oldest frame that is here
    uint64_t next;   // what the next frame will be; first == next when empty
    uint64_t end;    // position after the last frame: bytes ever appended
    uint64_t memory; // bytes of the ring, and of the blocks that it has frames in
    struct frame *_ring;
    size_t _capacity;    // of the ring: 0 or a power of two
    struct block *_open; // where the next frame goes; NULL in a copy
};

/// When and among what a frame is made.
struct journal_moment {
    uint64_t stamp;
    uint64_t now_ms;
};

/// An empty journal with an epoch of its own.
void journal_init(struct journal *journal, const struct journal_bounds *bounds);

/// Gives all blocks back.
void journal_deinit(struct journal *journal);

/// Appends an event, encoded without an id and without chunk framing, under the journal's id.
/// Returns 0, or -EMSGSIZE when its frame alone is over the bound in bytes; then nothing has
/// changed.
MUST_USE int journal_append(struct journal *journal, struct bytes fields,
                            struct journal_moment moment);

/// Makes `copy` an empty copy that begins with the oldest frame of `journal`.
void journal_init_copy(struct journal *copy, const struct journal *journal);

/// Takes over what `journal` has and `copy` has not, at most `count_max` frames. Returns whether
/// that was all. Frames that both had, and that `journal` has let go, stay in the copy until
/// `journal_drop`.
bool journal_follow(struct journal *copy, const struct journal *journal, uint64_t count_max);

/// Lets go the frames before `first`.
void journal_drop(struct journal *journal, uint64_t first);

/// Lets go the oldest frame, if it is before `keep_from`. Whether it did.
bool journal_shed(struct journal *journal, uint64_t keep_from);

/// Lets go what is over the bounds, but no frame from `keep_from` on.
void journal_trim(struct journal *journal, uint64_t now_ms, uint64_t keep_from);

/// When the oldest frame is too old; UINT64_MAX when there is none, or it never is.
uint64_t journal_expiry_ms(const struct journal *journal);

/// Frame number `sequence`, which must be here. Valid until the journal changes.
const struct frame *journal_frame(const struct journal *journal, uint64_t sequence);

/// The frames from `sequence` on, as at most `count_max` pieces of memory; `*until` is the first
/// frame that they leave out. Returns the number of pieces.
int journal_pieces(const struct journal *journal, uint64_t sequence, struct bytes *pieces,
                   int count_max, uint64_t *until);

/// The id of frame number `sequence`, be it here or not.
struct event_id journal_id(const struct journal *journal, uint64_t sequence);

/// Bytes of the frames from `sequence` on, as far as they are here.
uint64_t journal_bytes_from(const struct journal *journal, uint64_t sequence);

static inline bool journal_is_empty(const struct journal *journal)
{
    return journal->first == journal->next;
}
