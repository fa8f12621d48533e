// SPDX-License-Identifier: MIT
//
// One loaded set of scripts and everyone who still runs in it. A generation owns its parts (see
// parts.h): the Lua state, the guard of its runs, the scheduler of its tasks, the application that
// the scripts have declared, and what libraries keep for all of them. Owned by its worker. Used on
// the worker's thread only. It dies in `generation_free`, before which every exchange must be done
// or is cut loose there.
#pragma once

#include "base/check.h"
#include "base/list.h"
#include "script/application.h"
#include "script/parts.h"

#include <stdbool.h>

struct generation {
    struct list node; // among the retired ones
    struct generation_options options;
    struct parts parts;
    bool is_cut; // it was ended before its time
};

/// Makes a generation with all libraries and no scripts. One is made even if a library cannot be
/// loaded, which the world may be to blame for (no descriptor is left, a file is not there); then
/// `why` is as `generation_load` has it, and it can only be freed.
struct generation *generation_new(const struct generation_options *options, char **why);

/// Cancels what still runs, cuts the exchanges loose, closes the state. *Calls Lua* (to-be-closed
/// variables).
void generation_free(struct generation *generation);

/// From now on `require` looks in `folder` before all else. Not in one whose name has a `;` or a
/// `?`, which mean something else there.
void generation_require_from(struct generation *generation, const char *folder);

/// Runs one script file. Returns 0, or -1 with a message "file:line: what" in `why` (malloc'ed by
/// `mem_alloc`; the caller frees it with `mem_free`).
MUST_USE int generation_load(struct generation *generation, const char *path, char **why);

/// Ends loading: middlewares and handlers are joined, the routes are entered. Returns as
/// `generation_load`.
MUST_USE int generation_complete(struct generation *generation, char **why);

/// The scripts load while another generation answers, whose readers wait meanwhile: loading gets no
/// more time than any run.
void generation_load_beside(struct generation *generation);

/// The generation takes over: its timers begin, and what its scripts asked of channels that others
/// used is done. *Calls Lua.*
void generation_take_over(struct generation *generation);

/// Calls `tell` with the path of each file that the scripts have required. *Calls Lua.*
void generation_each_module(struct generation *generation,
                            void (*tell)(void *user, const char *path), void *user);
