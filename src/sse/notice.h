// SPDX-License-Identifier: MIT
//
// What a reader is told in-band about its places in channels: that it was reset to another place,
// that it was left behind, or where it stands. One thread; the notices belong to the cursors.
#pragma once

#include "base/check.h"
#include "hub/channel.h"
#include "sse/stream_parts.h"
#include "wire/sse.h"

struct replica;

/// Writes the notices that are due into the connection's output. Must not be called while a part of
/// a frame is out, because they would stand in the middle of it. Returns false when the reader is
/// to be disconnected instead; the exchange is then aborted.
MUST_USE bool notices_say(struct stream *stream);

/// Why a reader is put to another place.
struct notice_facts {
    const char *reason; // a word of `notice_outcome_text`, or "slow"
    uint64_t epoch;     // of the life that the numbers are of
    uint64_t from;      // the event that the reader had last; NOTICE_FROM_UNKNOWN
    uint64_t to;        // the event after which it goes on
};

/// Stands for the number of a frame when the reader does not come from a place of this journal.
#define NOTICE_FROM_UNKNOWN UINT64_MAX

/// Gives the event by which a reader of `replica` is told, without an id: in the channel's own
/// texts, or the facts as JSON. Its texts lie in `texts`, which the caller has made without a
/// ceiling. Returns 0 or -ENOMEM.
MUST_USE int notice_event(const struct replica *replica, enum channel_event which,
                          const struct notice_facts *facts, struct buf *texts,
                          struct sse_event *event);

/// Returns the name of an outcome for a reader that comes back with an id: "resumed", or why its
/// place was lost. Empty for a number that stands for no outcome, NULL after the last.
const char *notice_outcome_text(int index);
