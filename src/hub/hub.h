// SPDX-License-Identifier: MIT
//
// What all workers share of the channels: the topics by name, and one count of everything that is
// published, which is the order of events across channels. One lock guards all of it, and all that
// hangs on it; it is held for a few instructions, never across a write, a wake-up or a call into
// Lua. Each worker has a branch of the hub (branch.h) and sees the rest through that. Owned by the
// server; it lives longer than the workers.
#pragma once

#include "base/bytes.h"
#include "base/map.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct branch;
struct group;
struct topic;

enum { HUB_BRANCHES_MAX = 64 };

/// Some of the branches: a bit for each.
typedef uint64_t branch_set;

struct hub {
    pthread_mutex_t _lock;
    struct map topics;  // those that are open
    size_t topic_count; // closed ones included
    uint64_t bytes;     // that the topics hold; see `topic_account`
    struct group *groups;
    uint64_t stamp; // of the newest frame
    struct branch *branches[HUB_BRANCHES_MAX];
    size_t branch_count;
    branch_set awaiting; // publishers of these wait until others have caught up
};

void hub_init(struct hub *hub);

/// CHECKs that every topic has gone.
void hub_deinit(struct hub *hub);

static inline void hub_lock(struct hub *hub)
{
    pthread_mutex_lock(&hub->_lock);
}

static inline void hub_unlock(struct hub *hub)
{
    pthread_mutex_unlock(&hub->_lock);
}

/// The open topic `name`, or NULL. Under the lock.
struct topic *hub_topic(const struct hub *hub, struct bytes name);

/// Notes that the publishers who wait may go on, and returns the branches that are to be woken
/// therefore. Under the lock.
branch_set hub_tell_room(struct hub *hub);

/// Wakes `branches`. Not under the lock.
void hub_wake(struct hub *hub, branch_set branches);
