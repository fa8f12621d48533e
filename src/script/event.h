// SPDX-License-Identifier: MIT
//
// An event as scripts give it, to a stream or to a channel: by the number of arguments, never by
// their truth.
#pragma once

#include "wire/sse.h"

#include <lua.h>
#include <stdbool.h>

/// The event of a method's arguments, which follow the box at index 1: (data), (event, data), (id,
/// event, data) where `has_ids`, or one table with event fields. Raises when they are something
/// else, or cannot be encoded. The bytes are valid until the C function returns.
struct sse_event check_event(lua_State *L, bool has_ids);
