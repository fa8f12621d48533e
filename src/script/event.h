// SPDX-License-Identifier: MIT
//
// The arguments of the methods that send an event, to a stream or to a channel. The number of
// arguments decides what they mean, and so does the type that only `lunesse.event` makes. What the
// arguments contain decides nothing, so no peer's text can change the meaning of a call.
#pragma once

#include "wire/sse.h"

#include <lua.h>
#include <stdbool.h>

/// The event of a method's arguments, which follow the box at index 1: (data), (event, data), (id,
/// event, data) where `has_ids`, or one Event. Raises when they are something else, or cannot be
/// encoded. The bytes are valid until the C function returns.
struct sse_event check_event(lua_State *L, bool has_ids);

/// Whether the data is a table: it is encoded first, which may take long, and
/// `event_encode_or_raise` is how a method that can wait does it.
bool event_is_table(lua_State *L);

/// Encodes the table that is the last argument, puts the text in its place, and calls `then`, as
/// which the method itself serves. *May park the task.*
int event_encode_or_raise(lua_State *L, lua_CFunction then);
