// SPDX-License-Identifier: MIT
//
// One loaded set of scripts, and all that still runs in it. A generation owns its parts (see
// parts.h): the Lua state, the guard of its runs, the scheduler of its tasks, the application that
// the scripts have declared, and what the libraries keep. Owned by its worker, and used on the
// worker's thread only. `generation_free` ends it; before that every exchange must be done.
#pragma once

#include "base/check.h"
#include "base/list.h"
#include "script/application.h"
#include "script/load.h"
#include "script/parts.h"

#include <stdbool.h>

/// The scripts are loaded, and `why` is NULL; or they could not be, and `why` says so, for the
/// receiver to free: "file:line: what".
typedef void (*generation_loaded_fn)(void *arg, char *why);

struct generation {
    struct list node; // among the worker's retired generations
    struct generation_options options;
    struct parts parts;
    struct load _load;
    generation_loaded_fn _loaded;
    void *_loaded_arg;
    bool is_cut; // `generation_end` has ended it before its time
};

/// Makes a generation with all libraries and no scripts. If a library cannot be loaded, because no
/// descriptor is left or a file is not there, this fails, and `why` is the reason, for the caller
/// to free; the generation is made all the same, and can only be freed.
MUST_USE int generation_new(const struct generation_options *options,
                            struct generation **generation, char **why);

/// Cancels what still runs and closes the state. Every exchange must be done. *Calls Lua*
/// (to-be-closed variables, finalizers).
void generation_free(struct generation *generation);

/// Has `require` look in `folder`, and then in the tree `lua_modules` there, into which `luarocks
/// --tree` installs, before all other places. A folder whose name has a `;` or a `?` is left out,
/// because these have a meaning in Lua's search path.
void generation_require_from(struct generation *generation, const char *folder);

/// Runs the scripts, and enters what they have declared. They may wait meanwhile (see load.h), so
/// `loaded` is called before this returns, or in a later turn. The paths must be valid until then.
/// *Calls Lua.*
void generation_load(struct generation *generation, char *const *paths, size_t path_count,
                     generation_loaded_fn loaded, void *arg);

/// Gives up loading scripts that wait: `loaded` is not called. The generation can only be freed.
void generation_stop_loading(struct generation *generation);

/// Tells that the scripts load while another generation serves readers. They wait meanwhile, so
/// loading gets no more time than any run.
void generation_load_beside(struct generation *generation);

/// Puts the generation in charge: its timers start, and channels that others used before get the
/// options that its scripts asked for. *Calls Lua.*
void generation_take_over(struct generation *generation);

/// Calls `tell` with the path of each file that the scripts have required. *Calls Lua.*
void generation_each_module(struct generation *generation,
                            void (*tell)(void *user, const char *path), void *user);
