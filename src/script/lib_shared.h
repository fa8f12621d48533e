// SPDX-License-Identifier: MIT
//
// Shared stores as scripts see them. A box holds its store until the box is collected. There is one
// box for each store, so that two handles of one store are equal.
#pragma once

#include "script/box.h"

extern const struct box_class lib_shared_class;

/// The function `shared`.
extern const luaL_Reg lib_shared_functions[];

/// Makes the table of boxes. Fails only when memory runs out.
void lib_shared_open_boxes(lua_State *L);
