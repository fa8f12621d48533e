// SPDX-License-Identifier: MIT
//
// A worker's generations of the scripts: the one that answers, and those that it replaced and that
// still have something to finish. A new generation is built beside the running one and changes
// nothing. When all workers have built theirs, all swap, or none does. Connections, streams and
// channels do not belong to a generation and go on through a swap. At most GENERATIONS_MAX live at
// once: the oldest is ended by force. Owned by its worker.
#pragma once

#include "base/check.h"
#include "base/limits.h"
#include "base/list.h"
#include "script/generation.h"

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

struct generations {
    const struct config *config;
    struct generation_options options; // its limits are the first generation's, or NULL
    struct generation *current;        // NULL before the first load
    struct generation *candidate;      // built, and neither swapped in nor discarded; or NULL
    const struct service *service;     // whose streams are counted
    struct list draining;              // the oldest first
    size_t draining_count;
    uint64_t next_number;
    char *failure; // why the last reload failed, with the traceback; NULL when it did not
};

/// No generation is loaded. Everything that `options` points to must outlive the generations,
/// except for the limits: they are held for the first generation, which sets them.
void generations_init(struct generations *generations, const struct config *config,
                      const struct generation_options *options);

/// Frees all generations. Their exchanges must be done. *Calls Lua.*
void generations_deinit(struct generations *generations);

/// Loads the scripts for the first time. Returns 0, or a negative errno when it has printed why
/// not; `current` is then what there is of the generation.
MUST_USE int generations_load(struct generations *generations);

/// Builds a new generation beside the current one, even if it fails. Returns 0, or a negative
/// errno; `why` is then the reason with the traceback, for the caller to free. `generations_swap`
/// or `generations_abort` follows. *Calls Lua.*
MUST_USE int generations_build(struct generations *generations, size_t *script_count, char **why);

/// The built generation takes the place of the current one. Not while a script runs. *Calls Lua.*
void generations_swap(struct generations *generations, struct change *change);

/// Frees the candidate, if there is one. With --dev, pages in a browser say `why`. *Calls Lua.*
void generations_abort(struct generations *generations, const char *why);

/// How many tasks that scripts have spawned the end of the server waits for.
size_t generations_task_count(const struct generations *generations);

/// Frees what is idle. At the end of each turn; costs nothing while no generation drains.
void generations_sweep(struct generations *generations);
