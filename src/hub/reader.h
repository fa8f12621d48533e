// SPDX-License-Identifier: MIT
//
// Seam 3: what a channel wakes when something was published: an open stream, a test, later a
// bridge. A reader is a member of its owner's struct and is in a channel's list from `channel_join`
// to `channel_leave`. It has its place in the journal itself; the channel knows of it only that it
// wants to be told. One worker, one thread.
#pragma once

#include "base/list.h"

#include <stdint.h>

struct channel;
struct reader;

enum reader_progress {
    READER_DONE, // has everything, or cannot take more now
    READER_MORE, // could take more, and will in the next turn
};

struct reader_ops {
    /// There may be frames from `next` on, or the channel has closed. Takes what it can. May make
    /// this reader leave; must neither touch other readers of the channel nor call Lua.
    enum reader_progress (*advance)(struct reader *reader);
    /// `advance` will be called after `distance` others (1 to READER_FORESIGHT, told in falling
    /// order). Memory that it will need can be fetched now, one pointer further each time: with
    /// thousands of readers nothing of one is in the cache. Must not change anything.
    void (*foresee)(struct reader *reader, int distance);
};

enum { READER_FORESIGHT = 4 };

struct reader {
    struct list node; // in the channel's list
    struct channel *channel;
    const struct reader_ops *ops;
    uint64_t next; // the frame that it takes next
};
