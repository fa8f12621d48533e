// SPDX-License-Identifier: MIT
//
// Seam 3: whom a replica wakes when something was published: an open stream, a test, later a
// bridge to elsewhere. A subscriber is a member of its owner's struct. It is in the replica's list
// from `replica_join` to `replica_leave`. The subscriber itself knows its place in the journal; the
// replica knows nothing of it but that it wants to be woken. Both belong to one worker, and are
// used on its thread only.
#pragma once

#include "base/list.h"

#include <stdint.h>

struct replica;
struct subscriber;

enum subscriber_progress {
    SUBSCRIBER_DONE, // has taken all frames, or cannot take more now
    SUBSCRIBER_MORE, // could take more now, and will in the next turn
};

struct subscriber_ops {
    /// Called when there may be frames from `next` on, or when the channel has ended. Takes what
    /// the subscriber can take. May make this subscriber leave. Must not touch other subscribers of
    /// the channel, since their list is being walked, and must not call Lua.
    enum subscriber_progress (*advance)(struct subscriber *subscriber);
};

struct subscriber {
    struct list node; // replica->subscribers
    struct replica *replica;
    const struct subscriber_ops *ops;
    uint64_t next; // the frame that it takes next
};

/// CHECKs what holds of a subscriber between `replica_join`, after which its `next` is set, and
/// `replica_leave`.
void subscriber_check(const struct subscriber *subscriber);
