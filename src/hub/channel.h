// SPDX-License-Identifier: MIT
//
// A channel as one worker has it: who reads it here, and what they have yet to take, while its
// topic is what all workers share. Publishing appends a frame to the topic's journal, and tells the
// workers that follow it; each of them, this one included, takes the frames over into a copy of its
// own, and at the end of its turn wakes its readers, one after the other. So publishing itself
// writes to no socket, closes nothing and calls nobody; and readers walk the copy without a lock.
//
// Owned by its branch. It lives while somebody holds it (a script), reads it, or while the journal
// has frames; then it goes by itself. `channel_close` takes its name away at once: its readers, of
// all workers, get what was published before and are told to leave.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "hub/journal.h"
#include "hub/reader.h"
#include "hub/topic.h"
#include "net/loop.h"
#include "net/timer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct branch;
struct branch_waiter;
struct buf;
struct sse_event;

struct channel {
    struct branch *branch;
    struct topic *topic;
    struct membership membership;
    struct list node;       // branch->all
    struct map_entry entry; // in the branch; the key is the topic's
    struct journal journal; // this worker's copy; empty while nobody reads here
    struct list readers;
    size_t reader_count;
    size_t holds;
    struct loop_job job;
    struct timer age;
    uint64_t
        first; // the topic's oldest frame when a reader last joined: the copy may have older ones
    bool is_closed; // as far as this worker has seen
};

/// Publishes `event`, which has no id. The id that it got comes through `id`. Returns 0,
/// SSE_BAD_EVENT, -EMSGSIZE when it is larger than the channel's bytes, -ECANCELED when the channel
/// is closed; and, when the history of this channel, which is let go first, is not enough, -ENOMEM
/// where all channels hold as much as `channel_total_bytes` allows, or -ENOSPC where those of its
/// group hold as much as they may.
MUST_USE int channel_publish(struct channel *channel, const struct sse_event *event,
                             struct event_id *id);

/// Whether so much was published that the publisher should wait: for the end of this turn, and for
/// other workers that have yet to wake their readers.
bool channel_is_over(const struct channel *channel);

/// The same; and if so, `waiter` is told when it may be otherwise.
bool channel_await_room(struct channel *channel, struct branch_waiter *waiter);

/// Lets go what is too old by now, be its timer due or not.
void channel_age(struct channel *channel);

struct journal_bounds channel_bounds(const struct channel *channel);
void channel_set_bounds(struct channel *channel, const struct journal_bounds *bounds);

static inline enum channel_lag channel_lag(const struct channel *channel)
{
    return (enum channel_lag)channel->topic->lag;
}

void channel_set_lag(struct channel *channel, enum channel_lag lag);

/// Names an in-band event, without CR, LF or NUL. Copies the name.
void channel_name_event(struct channel *channel, enum topic_event event, struct bytes name);

/// Appends the name of an in-band event: "reset" or "lagged" if it was not given another.
void channel_put_event_name(const struct channel *channel, enum topic_event event, struct buf *out);

/// The id of the newest event, or of the place before the first.
struct event_id channel_cursor(const struct channel *channel);

/// Readers of all workers.
static inline size_t channel_reader_count(const struct channel *channel)
{
    return channel->topic->reader_count;
}

static inline const char *channel_name(const struct channel *channel)
{
    return channel->topic->name;
}

/// Adds `reader`, whose `ops` are set; its `next` follows. The journal then has everything that was
/// published before, by whomever. The reader is not woken for it.
void channel_join(struct channel *channel, struct reader *reader);

/// Takes `reader` out. May free the channel.
void channel_leave(struct reader *reader);

/// Ends the channel: no publishing, no joining, and a later `branch_make` of its name makes
/// another. Idempotent.
void channel_close(struct channel *channel);

void channel_hold(struct channel *channel);

/// May free the channel.
void channel_release(struct channel *channel);

// For the branch only.

/// Opens `topic` for the branch's worker. It goes again at the end of the turn unless it is needed.
/// Under the hub's lock.
struct channel *channel_new(struct branch *branch, struct topic *topic);

/// Frees the channel, whatever its journal holds. CHECKs that nobody reads or holds it.
void channel_free(struct channel *channel);

/// Takes over what others have done to the topic. Under the hub's lock.
void channel_pull(struct channel *channel);
