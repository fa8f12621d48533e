// SPDX-License-Identifier: MIT
//
// The sse box, `response.sse`: an event stream, open or not yet. The box exists when the client
// accepts `text/event-stream`. A script may use it at any time: once the stream is closed, every
// method answers `nil, "closed", "ECLOSED"`.
#pragma once

#include "script/box.h"

extern const struct box_class lib_sse_class;

/// Pushes the sse box of the response box at index 1, or nil when the client does not accept an
/// event stream.
int p_response_sse(lua_State *L);
