// SPDX-License-Identifier: MIT
//
// Events as objects of scripts, made by `lunesse.event { id=, event=, data=, retry= }`. The fields
// are checked and copied, and data that is a table is written as JSON, when the object is made.
// After that nothing changes it, so a script can keep one and send it as often as it likes. Lua's
// collector owns it; it refers to nothing.
#pragma once

#include "script/box.h"
#include "wire/sse.h"

extern const struct box_class lib_event_class;

/// event.
extern const luaL_Reg lib_event_functions[];

/// The event of the box at `index`; raises when it is none. Its bytes live as long as the box.
struct sse_event check_event_box(lua_State *L, int index);
