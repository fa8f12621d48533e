// SPDX-License-Identifier: MIT
//
// The Lua of a spec stands in for other servers: the functions of `core.load`'s apps for that.
#pragma once

#include <lua.h>

struct app;

/// app:upstream(host, code | nil): somebody stands in for the host; with a code such as
/// "ECONNREFUSED", connections fail by it.
int upstream_or_raise(lua_State *L, struct app *app);

/// app:call() -> call, host; nothing when no connection has come.
int push_call(lua_State *L, struct app *app);
