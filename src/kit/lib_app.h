// SPDX-License-Identifier: MIT
//
// `lunesse.test.core`: an app for the Lua of a spec. The module has `load(options)`, which returns
// an app or nil and a message; lua/test/app.lua says what its methods are for.
#pragma once

#include <lua.h>

/// Pushes the module.
int l_open_test_core(lua_State *L);
