// SPDX-License-Identifier: MIT
//
// All that scripts can reach of C: the types of boxes, and the functions of the module
// `lunesse.core`, on which the Lua half of the API stands.
#pragma once

#include "script/box.h"

#include <lua.h>

/// What each type of box shows to scripts.
extern const struct box_class *const libs_classes[BOX_TYPE_COUNT];

/// Pushes the table `lunesse.core`.
int luaopen_lunesse_core(lua_State *L);
