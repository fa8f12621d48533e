// SPDX-License-Identifier: MIT
//
// The hub is what all workers share: the channels by name, and one count of all events that were
// published, which gives the events of different channels one order. One lock guards the hub and
// every channel in it. The lock is held for a few instructions, never across a write to a socket, a
// wake-up or a call into Lua. Each worker has a local hub (local_hub.h), and its scripts and
// streams reach the hub through that. The server owns the hub, which lives longer than the workers.
#pragma once

#include "base/bytes.h"
#include "base/map.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct local_hub;
struct group;
struct channel;

enum { HUB_WORKERS_MAX = 64 };

/// A set of workers: bit n stands for the local hub with index n.
typedef uint64_t worker_set;

struct hub {
    pthread_mutex_t _lock;
    struct map channels;  // those that are open
    size_t channel_count; // closed ones included
    uint64_t bytes;       // that the channels hold; see `channel_account`
    struct group *groups;
    uint64_t stamp; // of the newest frame
    struct local_hub *locals[HUB_WORKERS_MAX];
    size_t local_count;
    worker_set awaiting; // workers with publishers that wait until others have caught up
};

void hub_init(struct hub *hub);

/// CHECKs that every channel has gone.
void hub_deinit(struct hub *hub);

static inline void hub_lock(struct hub *hub)
{
    pthread_mutex_lock(&hub->_lock);
}

static inline void hub_unlock(struct hub *hub)
{
    pthread_mutex_unlock(&hub->_lock);
}

/// The open channel `name`, or NULL. Under the lock.
struct channel *hub_channel(const struct hub *hub, struct bytes name);

/// Notes that all publishers who wait for room may look again. Returns the workers that have such
/// publishers, for `hub_wake`. Under the lock.
worker_set hub_tell_room(struct hub *hub);

/// Wakes the workers of a set. Not under the lock, since a wake-up is a system call.
void hub_wake(struct hub *hub, worker_set workers);
