// SPDX-License-Identifier: MIT
//
// Loads the scripts anew, in all workers or in none. Each worker builds a new generation beside the
// one that runs, the first worker before the others: what is wrong in a script shows there. When
// all of them have built theirs, all swap; if one could not, all discard, and the code that ran
// goes on. Owned by the server; on the first worker's thread.
//
//     IDLE --start--> BUILDING (the first) --> BUILDING (the others) --> SWAPPING --> IDLE
//                         \------- failed ---------\-----------------> DISCARDING -----^
#pragma once

#include "net/watch.h"
#include "server/worker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reload_state { RELOAD_IDLE, RELOAD_BUILDING, RELOAD_SWAPPING, RELOAD_DISCARDING };

struct reload {
    struct worker *workers; // the server's
    size_t worker_count;
    enum reload_state state;
    size_t asked_count;  // workers that were told to take the step
    size_t waited_count; // those of them that have not done so
    bool is_wanted_again;
    struct loop_job job; // to begin at the end of the turn
    bool is_stopped;
    bool is_watching;
    struct watch watch;
    struct timer modules; // to look at what is required
    uint64_t began_ns;
    char *why; // what is wrong with the scripts; NULL for nothing
};

/// Nothing is under way. The workers must outlive it.
void reload_init(struct reload *reload, struct worker *workers, size_t worker_count);

/// From now on begins whenever a script, or a module that one requires, changes.
void reload_watch(struct reload *reload);

/// Loads the scripts anew: at the end of the turn, or once more when what is under way is done.
void reload_start(struct reload *reload);

/// From now on nothing is loaded any more, and nothing watched; what was built and is not yet in
/// use is discarded with its worker. Before the loop closes. Idempotent.
void reload_stop(struct reload *reload);

void reload_deinit(struct reload *reload);
