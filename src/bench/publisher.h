// SPDX-License-Identifier: MIT
//
// A connection that POSTs events, one after the other, and knows which of them are still on their
// way to some reader. An event's body is "<publisher>-<sequence>-" and padding. It connects when
// there is something to post, and again when the server closes behind an answer. A member of the
// array that its broadcast owns.
#pragma once

#include "base/list.h"
#include "client/client.h"

struct run;

/// An event that was posted.
struct flight {
    uint64_t posted_ns;
    uint32_t missing_count; // readers that have not got it
};

/// What every publisher of a broadcast has in common.
struct publisher_shared {
    struct run *run;
    struct buf post_head;
    struct buf trial_head;
    void *user;
    /// The publisher's POST was answered, and it may post again.
    void (*on_free)(struct publisher_shared *shared, struct list *node);
};

struct publisher {
    struct client client;
    struct publisher_shared *shared;
    struct list node; // for whoever keeps those that may post
    uint32_t index;
    uint32_t sequence;  // of the last event
    bool is_free;       // its last POST was answered, and no connection is being closed
    bool _is_answered;  // its last POST was
    uint32_t _first;    // the oldest event that may be in flight
    uint32_t _capacity; // of _flights, a power of two; an event's place is its sequence modulo that
    struct flight *_flights;
    char *_body;
};

void publisher_init(struct publisher *publisher, struct publisher_shared *shared, uint32_t index);
void publisher_deinit(struct publisher *publisher);

/// Posts the next event, which `reader_count` readers should get. Only when it is free.
void publisher_post(struct publisher *publisher, uint32_t reader_count);

/// Posts the trial, an event with the data "p". Only when it is free.
void publisher_trial(struct publisher *publisher);

/// Forgets the flights before the oldest one that still misses readers.
void publisher_trim(struct publisher *publisher);

/// The flight of an event, NULL when there is none any more, or none yet.
static inline struct flight *publisher_flight(const struct publisher *publisher, uint32_t sequence)
{
    if (sequence < publisher->_first || sequence > publisher->sequence) {
        return NULL;
    }
    return &publisher->_flights[sequence & (publisher->_capacity - 1)];
}
