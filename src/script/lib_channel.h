// SPDX-License-Identifier: MIT
//
// Channels as scripts see them. A box holds its channel until the box is collected. There is one
// box for each channel, so that two handles of one channel are equal.
#pragma once

#include "script/box.h"

struct parts;
struct replica;

extern const struct box_class lib_channel_class;

/// The functions `channel` and `channel_group`.
extern const luaL_Reg lib_channel_functions[];

/// Returns the channel of the box at `index`; raises for anything else.
struct replica *check_channel(lua_State *L, int index);

/// Make and free what publishing needs in a generation: before its first script, and after its
/// last.
void lib_channel_open(struct parts *parts);
void lib_channel_close(struct parts *parts);

/// Makes the table of boxes. Fails only when memory runs out.
void lib_channel_open_boxes(lua_State *L);
