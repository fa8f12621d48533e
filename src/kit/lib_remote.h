// SPDX-License-Identifier: MIT
//
// A connection to an app, for the Lua of a spec: see remote.h, and lua/test/conn.lua, which uses
// it.
#pragma once

#include <lua.h>

struct remote;

/// Pushes a handle that has no remote yet and returns the place for it. One that is put there is
/// held by the handle.
struct remote **push_new_remote(lua_State *L);
