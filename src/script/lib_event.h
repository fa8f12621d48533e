// SPDX-License-Identifier: MIT
//
// Events as objects of scripts, made by `lunesse.event { id=, event=, data=, retry= }`. When the
// object is made, its fields are checked and copied, and data that is a table becomes JSON. Nothing
// changes it afterwards, so a script can keep an event and send it as often as it likes. Lua's
// collector owns the object; it refers to nothing.
#pragma once

#include "script/box.h"
#include "wire/sse.h"

extern const struct box_class lib_event_class;

/// The function `event`.
extern const luaL_Reg lib_event_functions[];

/// Returns the event of the box at `index`; raises for anything else. The bytes live as long as the
/// box.
struct sse_event check_event_box(lua_State *L, int index);
