// SPDX-License-Identifier: MIT
//
// Scripts that read channels: the methods `read` and `events` of a channel. A reader is the end of
// such a loop, or of a `read` that waits: a subscriber of the channel, as a stream is, that wakes a
// task and not a socket. It is a userdata that Lua closes when the loop is left, when the call
// returns and when the task is cancelled, so nobody subscribes longer than he reads.
#pragma once

#include <lua.h>

/// Makes the metatable of readers. Fails only when memory runs out.
void channel_reader_register(lua_State *L);

/// channel:read([options]) -> events, cursor, finished
int l_read(lua_State *L);

/// channel:events([options]) -> for a generic `for`: each event
int l_events(lua_State *L);
