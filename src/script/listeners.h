// SPDX-License-Identifier: MIT
//
// What scripts want to be told of a response: `on`, `once`, `off`, and the telling. The functions
// live in a user value of the response box (event name -> array of { fn, is_once }), so a listener
// that captures its own response is an ordinary cycle. Events: close, abort, finish, drain, error.
// `close` is told exactly once; who asks after it is told at once.
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
