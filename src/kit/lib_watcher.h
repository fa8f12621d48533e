// SPDX-License-Identifier: MIT
//
// What `lunesse test --watch` asks of the system: a program that runs the specs, files that change,
// and the signals that end it. The Lua of it is lua/test/watch.lua, which has this as the module
// `lunesse.test.watcher`. There is one watcher in a process, because it has the process's signals.
#pragma once

#include <lua.h>

/// Pushes the watcher, as `require` calls it. It is closed with the Lua state.
int l_open_watcher(lua_State *L);
