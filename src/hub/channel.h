// SPDX-License-Identifier: MIT
//
// A channel as all workers share it: its name, its journal, its options, and its replicas, one for
// each worker that uses it. The hub's lock guards all of this, except where a comment says
// otherwise. A channel lives while it has replicas, and the last of them to leave frees it.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "hub/hub.h"
#include "hub/journal.h"
#include "wire/sse.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/// The option `on_lag`: what happens to a subscriber that is too slow for the journal's bounds.
enum channel_lag {
    CHANNEL_RESUME, // its connection is reset; it comes back, and `reset` says what it missed
    CHANNEL_SKIP,   // `lagged` says what it missed; it goes on with what is published next
};

/// How far a channel has come. It only ever goes forward.
enum channel_state {
    CHANNEL_OPEN,
    CHANNEL_FINISHED, // takes no events; readers still come, and get what is kept and then the end
    CHANNEL_CLOSED,   // its name is free; readers that it has get the rest and then the end
};

/// The events with which subscribers are told that they were put to another place, or that they
/// missed some.
enum channel_event { CHANNEL_RESET, CHANNEL_LAGGED, CHANNEL_EVENT_COUNT };

/// The texts that a script gave to one of them. It owns nothing but its own memory.
struct channel_notice {
    bool has_event, has_data; // a notice without data of its own has the usual ones
    size_t event_len, data_len;
    char text[]; // the event's name, then the data
};

struct channel {
    struct hub *hub;
    struct map_entry entry; // in the hub; the key is the name
    struct journal journal;
    struct list replicas;                                // struct replica_link
    struct channel_notice *notices[CHANNEL_EVENT_COUNT]; // NULL for the usual one
    atomic_size_t subscriber_count;                      // of all workers; read without the lock
    _Atomic uint8_t lag;                                 // enum channel_lag; read without the lock
    uint8_t state;                                       // enum channel_state
    struct group *group;                                 // NULL for none; never changes
    uint64_t finished_ms;   // when it was finished, on the clock of the loops
    uint64_t base_bytes;    // of the channel and its replicas, without the journal
    uint64_t counted_bytes; // that the hub and the group know of
    char name[];            // never changes, so the lock is not needed
};

/// What a channel knows of one of its replicas. A member of that replica; see replica.h.
struct replica_link {
    struct list node;        // channel->replicas
    struct list due_node;    // local_hub->due: the replica has something to take over
    struct local_hub *local; // never changes
    uint64_t offered;        // the first frame that the subscribers here were not woken for
    bool follows;            // it has a copy of the journal, because somebody subscribes here
};

/// The caller of `channel_append`: a worker, or another thread, such as one that has written the
/// event to a disk before readers see it.
struct channel_author {
    const struct local_hub *own; // the worker's; NULL for another thread, which tells all replicas
    uint64_t offered;   // the first frame that this worker has yet to offer; UINT64_MAX for none
    uint64_t now_ms;    // on the clock of the loops
    uint64_t bytes_max; // of all channels
};

/// The open channel `name`, or NULL.
struct channel *channel_find(const struct hub *hub, struct bytes name);

/// Makes the channel `name`, which must not be there, with the default options, in `group` or in
/// none (NULL).
struct channel *channel_new(struct hub *hub, struct bytes name, struct group *group);

/// Frees a channel that `channel_leave` has taken out of the hub. Not under the lock.
void channel_free(struct channel *channel);

/// Adds a replica, which takes `bytes` of memory.
void channel_join(struct channel *channel, struct replica_link *link, size_t bytes);

/// Removes a replica. Returns whether it was the last one. The channel is then out of the hub, and
/// the caller must free it.
MUST_USE bool channel_leave(struct channel *channel, struct replica_link *link, size_t bytes);

/// Tells the hub and the group how much memory the channel takes. To be called after each change.
void channel_account(struct channel *channel);

/// Appends an event, encoded as for `journal_append`: it gets the channel's next number and the
/// hub's next stamp, and the replicas that follow the channel have something to take over. Under
/// the lock, from any thread; `woken` gets the workers to be woken after it. Returns 0; -ECANCELED
/// when the channel is closed; -ESHUTDOWN when it is finished; -EMSGSIZE when the event is larger
/// than the channel's bytes; -ENOMEM when there is no memory for it; -ENOBUFS when all channels
/// hold `bytes_max`, -ENOSPC when those of the group hold as much as they may. Before one of the
/// last two, the oldest frames of this channel go, as far as every worker has offered them to its
/// subscribers.
MUST_USE int channel_append(struct channel *channel, struct bytes fields,
                            const struct channel_author *author, worker_set *woken);

/// Drops the history and begins another life of the channel, with another epoch. The caller then
/// tells all replicas. Returns 0; -ECANCELED when the channel is closed, -ESHUTDOWN when it is
/// finished. Under the lock, from any thread.
MUST_USE int channel_reset(struct channel *channel);

/// Gives an in-band event texts of its own: a name without CR, LF or NUL, or none; and data, or
/// none for the usual ones. Copies them. Returns 0 or -ENOMEM. Takes the lock.
MUST_USE int channel_set_notice(struct channel *channel, enum channel_event which,
                                const struct sse_event *texts);

/// Gives the texts of an in-band event, in memory of `out`: its name, "reset" or "lagged" if it was
/// given no texts, and its data if it has data of its own. Returns 0 or -ENOMEM. Takes the lock.
MUST_USE int channel_notice(struct channel *channel, enum channel_event which, struct buf *out,
                            struct sse_event *event);

/// CHECKs what holds between any two calls. Under the lock.
void channel_check(const struct channel *channel);

/// Finishes the channel: nothing is appended to it any more. It stays under its name until its
/// history has run out, and at least for as long as it keeps an event; see `channel_expiry_ms`. The
/// caller then tells all replicas. Idempotent. Returns 0; -ECANCELED when the channel is closed.
/// Under the lock, from any thread.
MUST_USE int channel_finish(struct channel *channel, uint64_t now_ms);

/// Returns when the next thing of the channel is too old: its oldest frame or, when it is finished
/// and has no frame, the channel itself. UINT64_MAX for never.
uint64_t channel_expiry_ms(const struct channel *channel);

/// Returns when the end of a finished channel is too old; UINT64_MAX for never, and while it is
/// open.
uint64_t channel_end_expiry_ms(const struct channel *channel);

/// Marks the channel as closed and frees its name. Idempotent.
void channel_close(struct channel *channel);

/// Notes for all replicas, or only for those that follow, that they have something to take over.
/// Returns the workers to be woken; `own` is not among them, since its thread is the caller.
worker_set channel_tell(struct channel *channel, const struct local_hub *own, bool tells_all);

/// Drops frames that are over the bounds. A frame stays if some worker has yet to offer it to its
/// subscribers, and so do those from `keep_from` on.
void channel_trim(struct channel *channel, uint64_t now_ms, uint64_t keep_from);

/// Returns how many bytes the slowest worker has yet to offer to its subscribers. Workers that
/// follow the channel count, and one more that has offered the frames before `offered`.
uint64_t channel_bytes_behind(const struct channel *channel, uint64_t offered);
