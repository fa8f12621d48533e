// SPDX-License-Identifier: MIT
//
// The Lua state of a thread of a pool, which has the pool's module. It has Lua's standard libraries
// as scripts get them, the `package.path` of the script that made the pool, and of `lunesse` the
// module `json`. It is no state of a generation: `parts_of` is NULL there. One thread at a time
// uses it. lua/lunesse/pool_thread.lua is what runs in it.
#pragma once

#include "base/bytes.h"

#include <lua.h>

/// What the states of a pool are made of. The texts belong to the pool.
struct pool_source {
    const char *module;
    const char *path;
    const char *cpath;
};

/// What came of a call. The text belongs to whoever asked.
struct pool_answer {
    const char *outcome; // see pool_thread.lua; constant
    char *text;
    size_t len;
};

/// Calls the module's function `name` with the JSON array `arguments`. An empty name only loads the
/// module. `*L` is the thread's state: NULL before the first call, which makes it and loads the
/// module; NULL again when the module could not be loaded, so that the next call tries anew.
void pool_state_call(lua_State **L, const struct pool_source *source, struct bytes name,
                     struct bytes arguments, struct pool_answer *answer);

/// Ends the state: finalizers run. NULL is allowed.
void pool_state_free(lua_State *L);
