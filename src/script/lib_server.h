// SPDX-License-Identifier: MIT
//
// The C half of the server object: routes, addresses, limits and hooks. All of it belongs to
// loading; afterwards these functions raise.
#pragma once

#include <lauxlib.h>

/// The functions on which lua/lunesse/server.lua stands.
extern const luaL_Reg lib_server_functions[];

/// Returns the text that answers a request without a route: "404: no route for this path\n".
const char *lib_server_unrouted_text(int status);
