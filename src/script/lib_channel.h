// SPDX-License-Identifier: MIT
//
// Channels as scripts see them: `lunesse.channel` and `lunesse.channel_group`, and the methods of a
// channel.
#pragma once

#include "script/box.h"

struct parts;

extern const struct box_class lib_channel_class;

/// The functions `channel` and `channel_group`.
extern const luaL_Reg lib_channel_functions[];

/// Make and free what publishing needs in a generation: before its first script, and after its
/// last.
void lib_channel_open(struct parts *parts);
void lib_channel_close(struct parts *parts);
