// SPDX-License-Identifier: MIT
//
// Checks that a function leaves the stack of a Lua state as it promises. In debug builds only:
//
//     STACK_BEGIN(L);
//     lua_pushvalue(L, 1);
//     DCHECK_STACK(L, 1); // one value more than before
//
// A function that an error of Lua leaves is not checked: Lua then restores the stack by itself.
#pragma once

#include "base/check.h"

#include <lua.h>

#ifdef NDEBUG
#define STACK_BEGIN(L) ((void)(L))
#define DCHECK_STACK(L, gained) ((void)(L), (void)(gained))
#else
#define STACK_BEGIN(L) const int stack_before = lua_gettop(L)
#define DCHECK_STACK(L, gained) DCHECK(lua_gettop(L) == stack_before + (gained))
#endif
