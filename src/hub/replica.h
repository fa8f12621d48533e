// SPDX-License-Identifier: MIT
//
// A worker's part of a channel: its subscribers, and a copy of the channel's journal for them.
// Publishing appends a frame to the journal of the channel, which all workers share, and tells the
// workers that follow the channel. Each of them, the publisher's included, takes the frame over
// into its copy, and at the end of its turn wakes its subscribers one after the other. So
// publishing writes to no socket, closes nothing and calls nobody, and subscribers walk the copy
// without a lock.
//
//                   join                        the last one leaves
//        +---------+  ------>  +-----------+  ------------------------>  +-------------------+
//        |  IDLE   |           | FOLLOWING |  <------------------------  | FOLLOWING, nobody |
//        +---------+  <------  +-----------+            join             +-------------------+
//          |     ^                                                          |
//          |     +---------------------- the turn ends ---------------------+
//          v  not held, and closed or without frames and an end
//        freed
//
// The local hub owns the replica. It lives while a script holds it, somebody subscribes to it, or
// the journal has frames or the end of a finished channel; then it goes by itself. `replica_close`
// closes the channel for all workers: its name is free at once, and its subscribers get what was
// published before and are told to leave. `replica_finish` does the same to the subscribers, but
// the name stays for as long as the history and the end are kept, so that later readers get both.
// When they have become too old, the channel closes by itself.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "hub/channel.h"
#include "hub/journal.h"
#include "hub/subscriber.h"
#include "net/loop.h"
#include "net/timer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct local_hub;
struct room_waiter;
struct buf;
struct sse_event;

struct replica {
    struct local_hub *local;
    struct channel *channel;
    struct replica_link link;
    struct list node;       // local_hub->all
    struct map_entry entry; // local_hub->replicas; the key is the channel's name
    struct journal journal; // this worker's copy; empty while nobody subscribes here
    struct list subscribers;
    size_t subscriber_count;
    size_t holds;
    struct loop_job job;
    struct timer age;
    uint64_t first; // the channel's oldest frame when somebody last subscribed; the copy may have
                    // older ones
    uint8_t state;  // enum channel_state, as far as this worker has seen
};

/// Publishes `event`, which has no id; the id that it gets comes through `id`. Returns 0; -EINVAL
/// when CR, LF or NUL is in the event's name; -EMSGSIZE when the event is larger than the channel's
/// bytes; -ECANCELED when the channel is closed, -ESHUTDOWN when it is finished; -ENOMEM when there
/// is no memory for the event.
/// When a ceiling is met, the oldest frames of this channel go first. If that is not enough,
/// returns -ENOBUFS when all channels hold as much as `channel_total_bytes` allows, or -ENOSPC when
/// those of its group hold as much as they may.
MUST_USE int replica_publish(struct replica *replica, const struct sse_event *event,
                             struct event_id *id);

/// Drops the history and begins another life of the channel, for all workers: ids of before lead
/// nowhere, and each subscriber has missed something. Returns 0; -ECANCELED when the channel is
/// closed, -ESHUTDOWN when it is finished.
MUST_USE int replica_reset(struct replica *replica);

/// Whether so much was published that the publisher should wait: until this turn ends, and until
/// other workers have woken their subscribers.
bool replica_is_over(const struct replica *replica);

/// Returns the same as `replica_is_over`. If true, queues the job of `waiter` once there may be
/// room.
bool replica_await_room(struct replica *replica, struct room_waiter *waiter);

/// Lets go of the frames that are too old by now, whether the timer is due or not.
void replica_age(struct replica *replica);

struct journal_bounds replica_bounds(const struct replica *replica);
void replica_set_bounds(struct replica *replica, const struct journal_bounds *bounds);

/// Whether `sequence` is of an earlier life of the channel.
static inline bool replica_is_of_before(const struct replica *replica, uint64_t sequence)
{
    return sequence < replica->journal.begun;
}

static inline enum channel_lag replica_lag(const struct replica *replica)
{
    return (enum channel_lag)replica->channel->lag;
}

void replica_set_lag(struct replica *replica, enum channel_lag lag);

/// The id of the newest event, or of the place before the first.
struct event_id replica_cursor(const struct replica *replica);

/// Returns how many subscribers the channel has on all workers.
static inline size_t replica_subscriber_count(const struct replica *replica)
{
    return replica->channel->subscriber_count;
}

static inline const char *replica_name(const struct replica *replica)
{
    return replica->channel->name;
}

/// Adds a subscriber whose `ops` are set; the caller then sets its `next`. The copy has, after
/// this, everything that any worker has published before. The subscriber is not woken for that.
void replica_join(struct replica *replica, struct subscriber *subscriber);

/// Takes the subscriber out. Frees the replica if nobody else needs it: see `replica_release`.
void replica_leave(struct subscriber *subscriber);

/// Closes the channel, for all workers: nobody publishes in it or subscribes to it any more, and
/// `local_hub_make` makes another one of that name. Idempotent.
void replica_close(struct replica *replica);

/// Finishes the channel, for all workers: nobody publishes in it any more; readers, those that come
/// later too, get what is kept and then the end. Idempotent. Returns 0; -ECANCELED when the channel
/// is closed.
MUST_USE int replica_finish(struct replica *replica);

/// Whether nothing can be published in the channel any more, as all workers know it.
bool replica_is_finished(const struct replica *replica);

/// Keeps the replica until `replica_release`, which has to be called once for each call of this.
void replica_hold(struct replica *replica);

/// Ends a hold. Frees the replica if nobody holds it, nobody subscribes to it, and the channel is
/// closed or has no history.
void replica_release(struct replica *replica);

// For the local hub only.

/// Makes the worker's replica of `channel`. It goes again at the end of the turn unless somebody
/// needs it. Under the hub's lock.
struct replica *replica_new(struct local_hub *local, struct channel *channel);

/// Frees the replica, whatever the journal holds. CHECKs that nobody subscribes to it or holds it.
void replica_free(struct replica *replica);

/// Takes over what other workers have published and closed, for all replicas of a worker: after it
/// they show the hub as it is now. Under the hub's lock.
void replica_pull_due(struct local_hub *local);

/// CHECKs what holds between any two calls, and that this is the worker's thread.
void replica_check(const struct replica *replica);
