// SPDX-License-Identifier: MIT
//
// The sse box, `response.sse`: an open event stream. It exists when the client accepts
// `text/event-stream`. Safe at any time: after the close every method answers `nil, "closed",
// "ECLOSED"`.
#pragma once

#include "script/box.h"

extern const struct box_class lib_sse_class;

/// Pushes the sse box of the response box at index 1, or nil when the client does not accept an
/// event stream.
int p_response_sse(lua_State *L);
