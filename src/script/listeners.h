// SPDX-License-Identifier: MIT
//
// The listeners of a response: `on`, `once`, `off`, and how they are called. The functions stand in
// a user value of the response box (event name -> array of { fn, is_once }), so a listener that
// captures its own response makes an ordinary cycle, which the collector can take. The events are
// close, abort, finish, drain and error. `close` is told exactly once; a listener that is added
// after it is called at once.
#pragma once

#include "base/bytes.h"

#include <lua.h>
#include <stdbool.h>

struct scope;

/// response:on(event, fn), :once(event, fn), :off(event, fn); the box at stack index 1. Return the
/// box.
int l_response_on(lua_State *L);
int l_response_once(lua_State *L);
int l_response_off(lua_State *L);

/// Starts every listener of `event`, each in a task of its own that belongs to no scope, with the
/// string argument. They run at the end of the turn.
void listeners_fire(struct scope *scope, const char *event, struct bytes argument);
