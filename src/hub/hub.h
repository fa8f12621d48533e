// SPDX-License-Identifier: MIT
//
// The hub is what all workers share: the channels by name, and one count of all events that were
// published, which gives the events of different channels one order. One lock guards the hub and
// every channel in it. An event is copied into its journal under the lock, which may allocate
// memory; a write to a socket, a wake-up and a call into Lua never happen under it. Each worker has
// a local hub (local_hub.h), and its scripts and streams reach the hub through that. The engine
// owns the hub, which lives longer than the workers.
#pragma once

#include "base/buf.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/map.h"
#include "base/owner.h"
#include "net/mailbox.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct group;
struct loop;
struct loop_job;

enum { HUB_WORKERS_MAX = 64 };

/// A set of workers: bit n stands for the local hub with index n.
typedef uint64_t worker_set;
static_assert(HUB_WORKERS_MAX <= 8 * sizeof(worker_set), "each worker has a bit");

struct hub {
    pthread_mutex_t _lock;
    struct owner _holder; // of the lock, while `_is_locked`; for debug builds
    bool _is_locked;
    struct map channels;  // those that are open
    size_t channel_count; // closed ones included
    uint64_t bytes;       // that the channels hold; see `channel_account`
    struct group *groups;
    uint64_t stamp; // of the newest frame
    struct local_hub *locals[HUB_WORKERS_MAX];
    size_t local_count;
    worker_set awaiting; // workers with publishers that wait until others have caught up
};

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
    struct list waiters;         // publishers that wait for room
    struct mailbox_message wake;
    struct mailbox *mailbox;
    size_t index; // in the hub
    // Under the hub's lock, from any thread:
    struct list due; // links of replicas that have something to take over
    bool is_woken;   // `wake` is posted or will be, and has not run yet
    bool has_room;   // publishers may go on
};

/// The mailbox of the worker, for what else comes to it from another thread.
static inline struct mailbox *hub_mailbox(const struct local_hub *local)
{
    return local->mailbox;
}

void hub_init(struct hub *hub);

/// CHECKs that every channel has gone.
void hub_deinit(struct hub *hub);

static inline void hub_lock(struct hub *hub)
{
    int failure = pthread_mutex_lock(&hub->_lock);
    DCHECK(failure == 0);
    DEBUG_CALL(hub->_is_locked = true);
    owner_take(&hub->_holder);
}

static inline void hub_unlock(struct hub *hub)
{
    DEBUG_CALL(hub->_is_locked = false);
    pthread_mutex_unlock(&hub->_lock);
}

/// CHECKs, in debug builds, that this thread has the lock. Stands first in functions that say that
/// they are called under it.
#define HUB_LOCKED(hub) DCHECK((hub)->_is_locked &&owner_is_here(&(hub)->_holder))

/// Adds the local hub of a worker, whose memory stays until the hub has gone. CHECKs that there are
/// not more than HUB_WORKERS_MAX. Takes the lock.
void hub_add(struct hub *hub, struct local_hub *local);

/// Notes that a wake-up of the worker is on its way. Returns the worker's bit, for `hub_wake`, or
/// no bit if one was on its way already. Under the lock, from any thread.
worker_set hub_mark_woken(struct local_hub *local);

/// Notes that all publishers who wait for room may look again. Returns the workers that have such
/// publishers, for `hub_wake`. Under the lock.
worker_set hub_tell_room(struct hub *hub);

/// Wakes the workers of a set. From any thread. Not under the lock, since a wake-up is a system
/// call.
void hub_wake(struct hub *hub, worker_set workers);
