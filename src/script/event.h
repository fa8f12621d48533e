// SPDX-License-Identifier: MIT
//
// Reads the arguments of the methods that send an event to a stream or a channel. The number of
// arguments decides what they mean; an Event, which only `lunesse.event` makes, is told by its
// type. The contents of an argument decide nothing, so no text of a peer can change what a call
// means.
#pragma once

#include "wire/sse.h"

#include <lua.h>
#include <stdbool.h>

/// Returns the event that a method's arguments describe. They follow the box at index 1: (data),
/// (event, data), (id, event, data) where `has_ids`, or one Event. Raises when they are anything
/// else, or cannot be encoded. The bytes are valid until the C function returns.
struct sse_event check_event(lua_State *L, bool has_ids);

/// Whether the data is a table. Encoding it may take long, so a method that can wait has it encoded
/// first, by `event_encode_or_raise`.
bool event_is_table(lua_State *L);

/// Encodes the table that is the last argument, puts the text in its place, and goes on with
/// `then`, which is the method itself. *May park the task.*
int event_encode_or_raise(lua_State *L, lua_CFunction then);
