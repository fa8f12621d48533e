// SPDX-License-Identifier: MIT
//
// A worker's part of the hub: its replicas of channels, and the mailbox through which other workers
// tell it that they have published. All replicas of a worker show the hub as it was at one moment,
// `stamp`: whenever the worker looks, it takes over everything that is due, of all channels. So
// events of several channels reach a stream in the order in which they were published. The worker
// owns its local hub. Only its thread uses it, except where a comment says otherwise. The struct is
// in hub.h, because the hub and the replicas, which these functions stand on, use it too.
#pragma once

#include "base/bytes.h"
#include "hub/hub.h"

struct group;
struct limits;
struct loop;
struct mailbox;
struct replica;

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
/// The replica goes again unless somebody holds it or subscribes to it in this turn. Returns 0;
/// -E2BIG when there are as many channels as the limit `channels` allows; -EDQUOT when the group
/// has as many as it may; -ENOBUFS when all channels hold as many bytes as they may, or -ENOSPC
/// when those of the group do.
MUST_USE int local_hub_make(struct local_hub *local, struct bytes name, struct group *group,
                            struct replica **made);

/// Takes over what others have published and closed, now and not when the wake-up comes.
void local_hub_sync(struct local_hub *local);
