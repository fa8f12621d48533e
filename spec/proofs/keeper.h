// SPDX-License-Identifier: MIT
//
// A stand-in for a store: a thread of its own that takes events in, gives each the next number of
// its channel, pretends to write it, and only then shows it and tells its publisher. Writes take a
// random time, so they finish in another order than they began; the keeper shows the events of a
// channel in the order of their numbers all the same. It is one more publisher of the hub: it needs
// `channel_find`, `channel_append` and `hub_wake`, and an engine that has no store has no trace of
// it. It is the only publisher in its channels.
//
//     worker                      keeper's thread                       hub, under its lock
//     keeper_submit --ticket-->   number, write (late, in any order)
//                                 in the order of numbers ----------->  channel_append
//     answered <----mailbox----   answer                                (readers are woken)
#pragma once

#include "hub/local_hub.h"
#include "net/mailbox.h"
#include "wire/event_id.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { KEEPER_CHANNELS = 4, KEEPER_EVENTS_MAX = 100000 };

struct publication;
typedef void (*publication_fn)(struct publication *publication, int result, struct event_id id);

/// An event on its way, as its publisher knows it: a member of the publisher's own struct, used on
/// the worker's thread. It keeps the replica, and so the channel, until it is answered.
struct publication {
    struct list node; // of the publisher's list; unlinked before `answered` is called
    struct replica *replica;
    publication_fn answered;
};

/// What the keeper knows of a channel.
struct kept_channel {
    char *name;
    uint64_t epoch; // of the life that its tickets are for; 0 before the first
    uint64_t next;  // the number of the next ticket
    uint64_t shown; // the last number that was shown; read under the keeper's lock only
};

struct keeper {
    struct hub *hub;
    pthread_t thread;
    struct environment *environment; // of whoever made it
    pthread_mutex_t lock;
    pthread_cond_t has_work;
    struct list tickets; // submitted and not numbered; under the lock
    struct list writes;  // numbered; the keeper's own
    bool is_paused;      // nothing is written; under the lock
    bool is_ending;
    uint64_t dice;
    struct kept_channel channels[KEEPER_CHANNELS];
    size_t channel_count;
    /// The number of the event with this serial, once it is written; set before it is shown.
    atomic_uint_fast64_t numbers[KEEPER_EVENTS_MAX];
    size_t answered_count; // on either thread that frees a ticket, under the lock
    size_t dropped_count;  // of those whose publisher had gone
};

void keeper_init(struct keeper *keeper, struct hub *hub);

/// Writes what is left, and ends. The workers may have gone.
void keeper_deinit(struct keeper *keeper);

/// Hands an event over. `answered` is called on the worker's thread, unless its mailbox closes
/// before; then the worker has to give the replica back by
/// `publications_abandon`.
void keeper_submit(struct keeper *keeper, struct local_hub *local, struct publication *publication,
                   uint64_t serial);

/// Answers what the keeper has not answered with -ENOTCONN, since nobody will know what became of
/// it. When the mailbox is closed.
void publications_abandon(struct list *publications);

/// While it is paused, the keeper numbers events but finishes no write.
void keeper_pause(struct keeper *keeper, bool is_paused);
