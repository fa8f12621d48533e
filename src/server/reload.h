// SPDX-License-Identifier: MIT
//
// A reload loads the scripts anew, in all workers or in none. Each worker builds a new generation
// beside the one that runs. The first worker builds before the others, so that a mistake in a
// script shows once. When all workers have built theirs, all swap; if one could not, all discard,
// and the code that ran goes on. Owned by the engine; used on the first worker's thread.
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
    struct worker *workers; // the engine's
    size_t worker_count;
    enum reload_state state;
    size_t asked_count;  // workers that got the order of this step
    size_t waited_count; // workers that got it and have not reported
    bool is_wanted_again;
    struct loop_job job; // to begin at the end of the turn
    bool is_stopped;
    bool is_watching;
    struct watch watch;
    struct timer modules; // to look which modules are required
    uint64_t began_ns;
    char *why;                                   // what is wrong with the scripts; NULL for nothing
    void (*on_state)(void *owner, bool is_over); // it has begun, or is over; NULL: nobody is told
    void *owner;
};

/// Makes what reloads stand on; none is under way. The workers must outlive it.
void reload_init(struct reload *reload, struct worker *workers, size_t worker_count);

/// From now on a reload begins whenever a script, or a module that a script requires, changes.
void reload_watch(struct reload *reload);

/// Loads the scripts anew at the end of the turn; while a reload is under way, once more after it.
void reload_start(struct reload *reload);

/// Ends watching and reloading for good. A generation that was built and is not in use is freed
/// with its worker. Called before the loop closes. Idempotent.
void reload_stop(struct reload *reload);

void reload_deinit(struct reload *reload);
