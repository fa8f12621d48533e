// SPDX-License-Identifier: MIT
//
// A worker's part of the hub: its channels, and a mailbox in which it is told that others have
// published. What the branch's channels show is what the hub had at one moment, `stamp`: whenever
// it looks, it takes over everything that is due, of all channels, so events of several channels
// keep their order. Owned by its worker; used on its thread only, but for what is marked.
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

struct channel;
struct group;
struct loop;
struct loop_job;

/// Whoever waits until others have caught up (`channel_await_room`) has this as a member. `job` is
/// queued for the end of a turn when it may be so; it looks, and waits again if it is not.
struct branch_waiter {
    struct list node; // branch->waiters
    struct loop_job *job;
};

struct branch {
    struct hub *hub;
    struct loop *loop;
    const struct limits *limits; // that are current; the worker sets them anew after a reload
    struct map channels;         // those that are open
    struct list all;             // closed ones included
    uint64_t stamp;              // the hub's, when this branch last looked
    struct buf scratch;          // where events are encoded
    struct list waiters;
    struct message wake;
    struct mailbox *mailbox;
    size_t index; // in the hub
    // Under the hub's lock, from any thread:
    struct list due; // memberships that have something to see
    bool is_woken;   // `wake` is on its way
    bool has_room;   // publishers may go on
};

/// Joins the hub. `loop` and `mailbox` are the worker's and must outlive it, as must `limits`, as
/// long as it has them.
void branch_init(struct branch *branch, struct hub *hub, struct loop *loop, struct mailbox *mailbox,
                 const struct limits *limits);

/// Frees all channels. CHECKs that nobody reads or holds one. From then on the hub knows the
/// branch, whose memory must stay, but nothing will wake it.
void branch_deinit(struct branch *branch);

/// This worker's channel `name`, opened if other workers have it; NULL when nobody has it.
struct channel *branch_find(struct branch *branch, struct bytes name);

/// Makes the channel `name`, which this worker has not, with the default options; or opens it, if
/// another worker was quicker. A new one is in `group`, or in none (NULL). It goes again unless
/// somebody holds or joins it in this turn. NULL, with the reason through `failure`: -E2BIG when
/// there are as many as the limit `channels` allows, -EDQUOT when the group has as many as it may,
/// -ENOMEM when all channels, -ENOSPC when those of the group hold as many bytes as they may.
struct channel *branch_make(struct branch *branch, struct bytes name, struct group *group,
                            int *failure);

/// Takes over what others have published and closed, now and not when the wake-up comes.
void branch_look(struct branch *branch);

/// The same, under the lock.
void branch_pull(struct branch *branch);

/// Marks the branch as woken; returns its bit when it was not. Under the lock, from any thread.
branch_set branch_mark_woken(struct branch *branch);

/// From any thread, not under the lock.
void branch_wake(struct branch *branch);
