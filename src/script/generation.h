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
#include "script/parts.h"

#include <stdbool.h>

struct generation {
    struct list node; // among the worker's retired generations
    struct generation_options options;
    struct parts parts;
    bool is_cut; // `generation_end` has ended it before its time
};

/// Makes a generation with all libraries and no scripts. If a library cannot be loaded, because no
/// descriptor is left or a file is not there, this fails as `generation_load` does; the generation
/// is made all the same, and can only be freed.
MUST_USE int generation_new(const struct generation_options *options,
                            struct generation **generation, char **why);

/// Cancels what still runs and closes the state. Every exchange must be done. *Calls Lua*
/// (to-be-closed variables, finalizers).
void generation_free(struct generation *generation);

/// Has `require` look in `folder`, and then in the tree `lua_modules` there, into which `luarocks
/// --tree` installs, before all other places. A folder whose name has a `;` or a `?` is left out,
/// because these have a meaning in Lua's search path.
void generation_require_from(struct generation *generation, const char *folder);

/// Runs one script file. Fails with -EINVAL when the script is wrong or raises, -ETIMEDOUT when it
/// passes its time and -ENOMEM when it passes `lua_bytes`. `why` is then a message "file:line:
/// what", which the caller frees with `mem_free`.
MUST_USE int generation_load(struct generation *generation, const char *path, char **why);

/// Ends loading: joins middlewares with handlers and enters the routes. Returns as
/// `generation_load` does.
MUST_USE int generation_finish_loading(struct generation *generation, char **why);

/// Tells that the scripts load while another generation serves readers. They wait meanwhile, so
/// loading gets no more time than any run.
void generation_load_beside(struct generation *generation);

/// Puts the generation in charge: its timers start, and channels that others used before get the
/// options that its scripts asked for. *Calls Lua.*
void generation_take_over(struct generation *generation);

/// Calls `tell` with the path of each file that the scripts have required. *Calls Lua.*
void generation_each_module(struct generation *generation,
                            void (*tell)(void *user, const char *path), void *user);
