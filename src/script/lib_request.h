// SPDX-License-Identifier: MIT
//
// The request box: what a script reads of the request message. The head of the request moves into
// the box, so it stays readable after the exchange is done.
#pragma once

#include "script/box.h"
#include "wire/route.h"

struct exchange;
struct request;
struct scope;

extern const struct box_class lib_request_class;

/// Pushes a new request box and moves the head and the body of the exchange's request there. The
/// box must outlive the exchange: the response box, which is on top of the stack, is given it to
/// keep. `match` has the parameters that the route captured.
void lib_request_push_new(lua_State *L, struct exchange *exchange, const struct route_match *match);

/// Returns the scope of the request box at `index`; raises for anything else.
struct scope *check_request_scope(lua_State *L, int index);

/// Pushes the last event id that the client names: the field Last-Event-ID, or else the first of
/// the query's `last_event_id` and `lastEventId`. Returns false, and pushes nothing, when the
/// client names none.
bool lib_request_push_last_event_id(lua_State *L, const struct request *request);

/// Whether the client of the request box at `index` names a last event id.
bool lib_request_has_last_event_id(lua_State *L, int index);
