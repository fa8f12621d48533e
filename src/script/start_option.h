// SPDX-License-Identifier: MIT
//
// The options that say where a reader begins in a channel, as streams and scripts that read give
// them.
#pragma once

#include "sse/start.h"

#include <lua.h>

/// Reads the option `since` of the options at `index`: an id, "earliest", or -n for the newest n
/// events. An id stays on the stack. Raises for anything else.
void check_since_option(lua_State *L, int index, struct stream_start *start);

/// Reads `since` and `after`, the id of the event that the reader had last, which counts before it.
/// The ids stay on the stack. Raises for anything else.
struct stream_start check_start_options(lua_State *L, int index);
