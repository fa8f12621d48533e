// SPDX-License-Identifier: MIT
//
// The names that lunesse/test.so shows. The second one is for this project's own specs, which have
// the Lua files of the kit from the source folder.
#include "kit/lib_app.h"
#include "kit/lib_test.h"

__attribute__((visibility("default"))) int luaopen_lunesse_test(lua_State *L);
__attribute__((visibility("default"))) int luaopen_lunesse_test_core(lua_State *L);

int luaopen_lunesse_test(lua_State *L)
{
    return l_open_test(L);
}

int luaopen_lunesse_test_core(lua_State *L)
{
    return l_open_test_core(L);
}
