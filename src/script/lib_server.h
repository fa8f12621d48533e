// SPDX-License-Identifier: MIT
//
// What the Lua half of the server object says to C: routes, addresses, limits, hooks. All of it
// belongs to loading and raises afterwards.
#pragma once

#include <lauxlib.h>

/// is_loading, route, middleware, runner, fallback, on_error, listen, limit, unrouted_text.
extern const luaL_Reg lib_server_functions[];

/// The text that answers a request without a route: "404: no route for this path\n".
const char *lib_server_unrouted_text(int status);
