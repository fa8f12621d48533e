// SPDX-License-Identifier: MIT
//
// A worker's part of the hub: its replicas of channels, and the mailbox through which other workers
// tell it that they have published. All replicas of a worker show the hub as it was at one moment,
// `stamp`: whenever the worker looks, it takes over everything that is due, of all channels. So
// events of several channels reach a stream in the order in which they were published. The worker
// owns its local hub. Only its thread uses it, except where a comment says otherwise.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/map.h"
#include "hub/hub.h"
#include "net/mailbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct replica;
struct group;
struct loop;
struct loop_job;

/// A publisher that waits until other workers have caught up; see `replica_await_room`. A member of
/// its owner's struct. When there may be room, `job` is queued for the end of the turn; the job
/// looks and waits again if there is none.
struct room_waiter {
    struct list node; // local_hub->waiters
    struct loop_job *job;
};

struct local_hub {
    struct hub *hub;
    struct loop *loop;
    const struct limits *limits; // the current ones; the worker sets new ones after a reload
    struct map replicas;         // those that are open
    struct list all;             // closed ones included
    uint64_t stamp;              // the hub's stamp when this worker last looked
    struct buf scratch;          // where events are encoded
    struct list waiters;
    struct message wake;
    struct mailbox *mailbox;
    size_t index; // in the hub
    // Under the hub's lock, from any thread:
    struct list due; // links of replicas that have something to take over
    bool is_woken;   // `wake` is on its way
    bool has_room;   // publishers may go on
};

/// Adds a worker to the hub. `loop` and `mailbox` are the worker's and must outlive the local hub,
/// and so must `limits` until the worker sets others.
void local_hub_init(struct local_hub *local, struct hub *hub, struct loop *loop,
                    struct mailbox *mailbox, const struct limits *limits);

/// Frees all replicas. CHECKs that nobody subscribes to one or holds one. The hub still points to
/// the local hub, so its memory must stay; but nothing wakes it any more.
void local_hub_deinit(struct local_hub *local);

/// This worker's replica of the channel `name`. It is made if only other workers have one; NULL
/// when there is no such channel.
struct replica *local_hub_find(struct local_hub *local, struct bytes name);

/// Makes the channel `name`, of which this worker has no replica, with the default options. If
/// another worker was quicker, its channel is taken. A new one is in `group`, or in none (NULL).
/// The replica goes again unless somebody holds it or subscribes to it in this turn. Returns NULL,
/// with the reason through `failure`: -E2BIG when there are as many as the limit `channels` allows,
/// -EDQUOT when the group has as many as it may, -ENOMEM when all channels, -ENOSPC when those of
/// the group hold as many bytes as they may.
struct replica *local_hub_make(struct local_hub *local, struct bytes name, struct group *group,
                               int *failure);

/// Takes over what others have published and closed, now and not when the wake-up comes.
void local_hub_sync(struct local_hub *local);

/// The same, for callers that have the lock.
void local_hub_pull(struct local_hub *local);

/// Notes that a wake-up is on its way. Returns the worker's bit, or no bit if one was on its way
/// already. Under the lock, from any thread.
worker_set local_hub_mark_woken(struct local_hub *local);

/// Wakes the worker. From any thread, not under the lock.
void local_hub_wake(struct local_hub *local);
