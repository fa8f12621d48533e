// SPDX-License-Identifier: MIT
//
// A channel as all workers share it: name, journal, options, and the workers that have it open, its
// members. Everything here is under the hub's lock, but for what says otherwise. It lives while it
// has members: the last one to leave frees it.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "hub/hub.h"
#include "hub/journal.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/// What a reader meets that is too slow for the journal's bounds.
enum channel_lag {
    CHANNEL_RESUME, // it is disconnected; it comes back with its id and is told what it missed
    CHANNEL_SKIP,   // it is told how many it missed and goes on at the newest
};

/// What its readers are told in-band: that they were put to another place, or what they missed.
enum topic_event { TOPIC_RESET, TOPIC_LAGGED, TOPIC_EVENT_COUNT };

struct topic {
    struct hub *hub;
    struct map_entry entry; // in the hub; the key is the name
    struct journal journal;
    struct list members;                  // struct membership
    char *event_names[TOPIC_EVENT_COUNT]; // NULL for the usual one
    atomic_size_t reader_count;           // of all workers; read without the lock
    _Atomic uint8_t lag;                  // enum channel_lag; read without the lock
    bool is_closed;
    struct group *group;    // NULL for none; never changes
    uint64_t base_bytes;    // without the journal: itself, and its members' channels
    uint64_t counted_bytes; // that the hub and the group know of
    char name[];            // never changes, so the lock is not needed
};

/// What one worker has to do with a topic: a member of its channel.
struct membership {
    struct list node;      // topic->members
    struct list due_node;  // branch->due: there is something that it has not seen
    struct branch *branch; // never changes
    uint64_t offered;      // the first frame that the readers here were not woken for
    bool follows;          // it has a copy of the journal, because somebody reads here
};

/// Makes the topic `name` with the default options, which must not be there, in `group`, or in none
/// (NULL).
struct topic *topic_new(struct hub *hub, struct bytes name, struct group *group);

/// Frees what `topic_leave` has taken out. Not under the lock.
void topic_free(struct topic *topic);

/// A member takes `bytes` of memory.
void topic_join(struct topic *topic, struct membership *membership, size_t bytes);

/// True when that was the last member; the topic is then out of the hub and the caller's to free.
MUST_USE bool topic_leave(struct topic *topic, struct membership *membership, size_t bytes);

/// Tells the hub and the group how much memory the topic has by now. Follows each change of that.
void topic_account(struct topic *topic);

/// Returns 0 when `bytes` more are within `bytes_max` for the whole hub and within the group's
/// ceiling, -ENOMEM when they are too many for the hub, -ENOSPC when for the group. Before it
/// refuses, the oldest frames of this topic go, as far as every worker has offered them; this one
/// offered what is before `offered`.
MUST_USE int topic_make_room(struct topic *topic, uint64_t bytes, uint64_t bytes_max,
                             uint64_t offered);

/// Takes the name away. Idempotent.
void topic_close(struct topic *topic);

/// Notes for all members, or only for those that follow, that there is something new. Returns the
/// branches that are to be woken; never `own`, which sees for itself.
branch_set topic_tell(struct topic *topic, const struct branch *own, bool tells_all);

/// Lets go what is over the bounds, but nothing that some worker has yet to offer, and nothing from
/// `keep_from` on.
void topic_trim(struct topic *topic, uint64_t now_ms, uint64_t keep_from);

/// Bytes that the worker furthest behind has yet to offer, among those that follow and one that has
/// offered what is before `offered`.
uint64_t topic_bytes_behind(const struct topic *topic, uint64_t offered);
