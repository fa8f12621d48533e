// SPDX-License-Identifier: MIT
//
// Where a reader begins in a channel: behind the event that its id names, or, if that id leads
// nowhere, where the script says. Pure: it reads a journal and changes nothing. Streams and scripts
// that read find their places in the same way.
#pragma once

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

struct journal;

/// What became of the id that a reader came with.
enum notice_reason {
    NOTICE_NONE,      // the reader goes on behind the event that its id names
    NOTICE_PLACE,     // the reader has no id: it begins behind the newest event, and gets its id
    NOTICE_MALFORMED, // the text is not an id
    NOTICE_EPOCH,     // the id is from another life of the channel, or from another channel
    NOTICE_AHEAD,     // the id names an event that was never made
    NOTICE_EXPIRED,   // the journal no longer has what the reader has missed
};

/// Where a reader wants to begin.
struct stream_start {
    struct bytes last;     // the id that the peer came with; empty for none. It is tried first
    struct bytes since;    // an id that the script names; empty for none
    bool is_earliest;      // instead of `since`: everything that the channel still has
    uint64_t newest_count; // instead of `since`: so many of its newest events, or all it has
    struct bytes greet;    // name of an event that says the reader's place; empty for none
};

struct start_place {
    uint64_t next;             // the frame that the reader gets next
    enum notice_reason reason; // why an id led nowhere, or NOTICE_NONE
    uint64_t from;             // with NOTICE_EXPIRED: the event that the reader had last
};

/// Finds the place of `start` in the journal, of which the reader may be given the frames from
/// `first` on. Takes constant time, because a frame is found by its number.
struct start_place start_find(const struct journal *journal, uint64_t first,
                              const struct stream_start *start);
