// SPDX-License-Identifier: MIT
//
// One simulated server: the real loop, hub, service and heartbeats with limits drawn by chance, the
// books of its channels, and its clients. A turn is made by hand, and the clock moves only between
// turns, so that the seed decides everything: libuv would read the machine's clock. Made, driven
// and freed by sim.c; freeing it holds that everything was closed.
#pragma once

#include "ledger.h"

#include "base/limits.h"
#include "http/service.h"
#include "hub/branch.h"
#include "net/loop.h"
#include "sse/heartbeat.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;

enum { SLOTS_MAX = 5, CLIENTS_MAX = 10 };

/// A name under which there is a channel, or will be.
struct slot {
    const char *name;
    struct life *life; // the newest; NULL before the first
};

struct world {
    struct loop loop;
    struct limits limits;
    struct hub hub;
    struct branch branch;
    struct mailbox mailbox;
    struct heartbeats heartbeats;
    struct service service;
    atomic_size_t conn_total;
    uint64_t turn;
    uint64_t stamp; // of whatever was said last
    struct slot slots[SLOTS_MAX];
    size_t slot_count;
    struct life **lives;
    size_t life_count;
    struct client *clients;
    size_t client_count;
    uint64_t data_bytes_max; // of a usual event
    uint64_t hurry;          // one in so many clients is slow
    struct buf scratch;
};

void world_init(struct world *world);

/// Ends all that is open, in one of the ways there are, and frees everything.
void world_deinit(struct world *world);

/// Publishes something in a channel that is open.
void world_publish(struct world *world, struct life *life);

/// The open life of `slot`, begun if there is none.
struct life *world_life(struct world *world, struct slot *slot);

/// The life with `epoch`, or NULL.
struct life *world_find(const struct world *world, uint64_t epoch);

void world_close_channel(struct world *world, struct life *life);

/// Lets go of a channel without closing it: it goes by itself once it is empty.
void world_release_channel(struct world *world, struct life *life);

void world_set_bounds(struct life *life);

/// Ends the turn, looks at what everybody received, and moves the clock.
void world_turn(struct world *world, uint64_t advance_ms);

/// Turns until nothing is left to do; then everyone who can have everything has.
void world_settle(struct world *world);

uint64_t world_now_ms(const struct world *world);

/// Data of chance: `size` bytes in lines. `out` gets what is published, and `*plain` what a reader
/// should see, in memory of `out`.
void world_data(struct world *world, size_t size, struct bytes *out, struct bytes *plain);
