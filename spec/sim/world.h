// SPDX-License-Identifier: MIT
//
// One simulated server: the real hub and one to three workers with limits drawn by chance, the
// books of its channels, and its clients. Turns are made by hand, one worker's between others', and
// a worker's clock moves only between its turns, so that the seed decides everything: libuv would
// read the machine's clock. Made, driven and freed by sim.c; freeing it checks that everything was
// closed.
#pragma once

#include "ledger.h"
#include "puller.h"
#include "slot.h"
#include "worker.h"

#include "base/limits.h"
#include "hub/hub.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client;

enum {
    SLOTS_MAX = 5,
    CLIENTS_MAX = 10,
    PULLERS = 3,
    TIGHT_BYTES = 300 * 1000, // less is a budget of all channels that they meet
};

struct world {
    struct limits limits;
    struct hub hub;
    struct worker workers[WORKERS_MAX];
    size_t worker_count;
    atomic_size_t conn_total;
    uint64_t now_ms; // the time, which a worker sees at its next turn
    uint64_t stamp;  // of whatever was said last
    struct slot slots[SLOTS_MAX];
    size_t slot_count;
    struct life **lives;
    size_t life_count;
    struct client *clients;
    size_t client_count;
    struct puller pullers[PULLERS];
    uint64_t data_bytes_max; // of a usual event
    uint64_t hurry;          // one in so many clients is slow
    struct buf scratch;
};

void world_init(struct world *world);

/// Ends all that is open, in one of the ways there are, and frees everything.
void world_deinit(struct world *world);

/// The life with `epoch`, or NULL.
struct life *world_find(const struct world *world, uint64_t epoch);

/// Finds out whether the channel of `life` is still there. It may be gone once nobody holds it or
/// reads from it.
void world_look_for(struct world *world, struct life *life);

/// Checks what the journal of `life` has dropped.
void world_check(const struct world *world, struct life *life);

/// Whether the oldest event in the journal is too old for a reader that comes now.
bool world_is_stale(const struct worker *worker, const struct life *life);

/// Check all journals: the first when the worker's turn has ended, the second when timers have
/// fired.
void world_end_books(struct worker *worker);
void world_check_books(struct world *world);

/// Runs turns until nothing is left to do, and then expects that every client that can take bytes
/// has received everything.
void world_settle(struct world *world);

/// Makes random data: `size` bytes in lines. `out` gets what is published, and `*plain` what a
/// reader should see, in memory of `out`.
void world_data(struct world *world, size_t size, struct bytes *out, struct bytes *plain);
