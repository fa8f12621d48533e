// SPDX-License-Identifier: MIT
//
// A worker's generations of the scripts: the one that answers, and those that it replaced and that
// still have something to finish. A new generation is built beside the running one and changes
// nothing. When all workers have built theirs, all swap, or none does. Connections, streams and
// channels do not belong to a generation and go on through a swap. At most GENERATIONS_MAX live at
// once: the oldest is ended by force, and so is one that only tasks still run when as many reloads
// have come since. Owned by its worker.
#pragma once

#include "base/check.h"
#include "base/limits.h"
#include "base/list.h"
#include "script/generation.h"
#include "server/scripts.h"

#include <stdint.h>

struct config;
struct service;

enum { GENERATIONS_MAX = 3 };

/// What a swap has done.
struct change {
    size_t added; // routes
    size_t changed;
    size_t removed;
    size_t kept; // streams
    size_t ended;
};

/// A generation is built, and `why` is NULL; or it could not be, and `why` is the reason with the
/// traceback, for the receiver to free.
typedef void (*generations_built_fn)(void *arg, char *why);

struct generations {
    const struct config *config;
    struct generation_options options; // its limits are the first generation's, or NULL
    struct generation *current;        // NULL before the first load
    struct generation *candidate;      // built, and neither swapped in nor discarded; or NULL
    const struct service *service;     // whose streams are counted
    struct list draining;              // the oldest first
    size_t draining_count;
    uint64_t next_number;
    struct scripts scripts;      // that are loaded, or were last
    generations_built_fn _built; // is told when the scripts have loaded
    void *_built_arg;
    bool (*wants_end)(void *arg); // whether the program is to end while it first loads; or NULL
    void *wants_end_arg;
    char *failure; // why the last reload failed, with the traceback; NULL when it did not
};

/// No generation is loaded. Everything that `options` points to must outlive the generations,
/// except for the limits: they are held for the first generation, which sets them.
void generations_init(struct generations *generations, const struct config *config,
                      const struct generation_options *options);

/// Frees all generations. Their exchanges must be done. *Calls Lua.*
void generations_deinit(struct generations *generations);

/// Loads the scripts for the first time, and runs the loop until they have loaded. Returns 0; a
/// negative errno when it has printed why not, `current` being what there is of the generation; or
/// -ECANCELED when `wants_end` has said meanwhile that nobody waits for them, or the guard has seen
/// it and struck a script.
MUST_USE int generations_load(struct generations *generations);

/// Builds a new generation beside the current one, even if it fails. `built` is called once, before
/// this returns or, when the scripts wait while they load, in a later turn. `generations_swap` or
/// `generations_abort` follows. *Calls Lua.*
void generations_build(struct generations *generations, generations_built_fn built, void *arg);

/// The built generation takes the place of the current one. Not while a script runs. *Calls Lua.*
void generations_swap(struct generations *generations, struct change *change);

/// Frees the candidate, if there is one. With --dev, pages in a browser say `why`. *Calls Lua.*
void generations_abort(struct generations *generations, const char *why);

/// How many tasks that scripts have spawned the end of the server waits for.
size_t generations_task_count(const struct generations *generations);

/// Frees what is idle. At the end of each turn; costs nothing while no generation drains.
void generations_sweep(struct generations *generations);
