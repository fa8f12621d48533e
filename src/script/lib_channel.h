// SPDX-License-Identifier: MIT
//
// Channels as scripts see them. A box holds its channel until it is collected, and there is one box
// a channel, so that two handles of one channel are equal.
#pragma once

#include "script/box.h"
#include "script/call.h"

struct parts;
struct replica;

extern const struct box_class lib_channel_class;

/// channel.
extern const luaL_Reg lib_channel_functions[];

/// The channel of the box at `index`; raises when it is none.
struct replica *check_channel(lua_State *L, int index);

/// Gives the channels that were there before the scripts loaded the options that these asked for.
/// While they load nothing of others changes, because the load may yet fail.
enum call_outcome lib_channel_apply_postponed(struct parts *parts);

/// What publishing needs of a generation: before its first script, and after its last.
void lib_channel_open(struct parts *parts);
void lib_channel_close(struct parts *parts);

/// Makes the table of boxes. Raises only when memory runs out.
void lib_channel_open_boxes(lua_State *L);
