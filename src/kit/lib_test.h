// SPDX-License-Identifier: MIT
//
// The module `lunesse.test`: the Lua files of lua/test, which are inside, over `lunesse.test.core`,
// which is the app (lib_app.h). Found by Lua as lunesse/test.so, or preloaded in `lunesse test`.
#pragma once

#include <lua.h>

/// Has `require` find all files of the module, and runs none of them yet.
int l_preload_test(lua_State *L);

/// Opens the module, as Lua calls it. The host's Lua state is only a caller: the scripts of an app
/// have states of their own.
int l_open_test(lua_State *L);
