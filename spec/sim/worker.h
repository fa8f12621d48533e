// SPDX-License-Identifier: MIT
// One worker of a world: the real loop, mailbox, local hub, heartbeats and service, on the one
// thread. The world runs each turn by hand and delivers wake-ups when it likes, even many turns
// late. The struct notes, by the stamps of the world, up to where the worker knows what all workers
// have done: a call that looks at the hub sees everything that was done before. Owned by the world.
#pragma once

#include "http/service.h"
#include "hub/local_hub.h"
#include "net/loop.h"
#include "net/mailbox.h"
#include "sockets.h"
#include "sse/heartbeat.h"

#include <stdbool.h>
#include <stdint.h>

struct channel;
struct world;

enum { WORKERS_MAX = 3 };

struct worker {
    struct world *world;
    int index;
    struct loop loop;
    struct mailbox mailbox;
    struct local_hub local_hub;
    struct heartbeats heartbeats;
    struct service service;
    struct sockets sockets;  // beside the clients, in the loop's poller
    struct replica *awaited; // held by a publisher that waits until others have caught up, or NULL
    struct room_waiter waiter;
    struct loop_job told; // it looks whether they have
    uint64_t turn;
    uint64_t seen;    // it knows of everything up to this stamp ...
    uint64_t due;     // ... and did so when its turn began to end: its readers get that much
    uint64_t offered; // `due` of the turn before
};

void worker_init(struct worker *worker, struct world *world, int index);

/// Closes and frees everything but the mailbox, to which other workers may still post.
void worker_close(struct worker *worker);

/// Frees the rest, after all workers have closed.
void worker_deinit(struct worker *worker);

/// Notes that the worker has just looked at the hub, because of something that it did.
void worker_note_look(struct worker *worker);

/// Makes the worker look at the hub, so that it and the books know the same events.
void worker_look(struct worker *worker);

/// Makes a publisher of the worker wait for room, if it has to and no other one waits.
void worker_await_room(struct worker *worker, struct replica *replica);

/// Delivers the wake-up that is on its way, if any.
void worker_wake(struct worker *worker);

/// Ends the turn, looks at what its clients received, and begins the next at the world's time.
void worker_turn(struct worker *worker);

/// Whether something is left to do, or on its way.
bool worker_is_busy(const struct worker *worker);

/// The worker's replica of `channel`, or NULL.
struct replica *worker_replica(const struct worker *worker, const struct channel *channel);

static inline uint64_t worker_now_ms(const struct worker *worker)
{
    return loop_now_ms(&worker->loop);
}
