// SPDX-License-Identifier: MIT
//
// The request box: what a script reads of the request message. The box holds the head itself (the
// exchange's block moves into it), so it stays readable after the exchange is done.
#pragma once

#include "script/box.h"
#include "wire/route.h"

struct exchange;
struct request;

extern const struct box_class lib_request_class;

/// Pushes a new request box and moves the head and body of the exchange's request there. The
/// exchange must not outlive the box: the response box, on top of the stack when this is called,
/// holds it. `match` has what the route captured.
void lib_request_push_new(lua_State *L, struct exchange *exchange, const struct route_match *match);

/// Pushes where the client says it was: the field Last-Event-ID, or the query's `last_event_id`
/// or `lastEventId`, whichever comes first.
/// False, and nothing pushed, when it says nothing.
bool lib_request_push_last_event_id(lua_State *L, const struct request *request);

/// Whether the client of the request box at `index` says where it was.
bool lib_request_has_last_event_id(lua_State *L, int index);
