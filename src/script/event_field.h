// SPDX-License-Identifier: MIT
//
// The fields of an event, one by one: what may stand in each, and how a value of Lua's becomes its
// text. Events themselves are made by lib_event.c, and from a method's arguments by event.c.
#pragma once

#include "base/bytes.h"

#include <lua.h>

#define EVENT_BAD_ID "an event id has no line break and no NUL"
#define EVENT_BAD_NAME "an event name has no line break and no NUL"
#define EVENT_HALF_DATA                                                                            \
    "the data ends within a UTF-8 character; lunesse.whole keeps that part for the next event"

/// Raises unless the value on top of the stack, the option `name` of the `argument`, is the name of
/// an event, or nil.
void check_event_name(lua_State *L, int argument, const char *name);

/// The value at `index`, which the method was given as, or in, its `argument`, as data: a string,
/// number or boolean as it is, a table as JSON, which takes the value's place on the stack. Raises
/// for anything else, and for data that ends within a UTF-8 character, which would reach readers as
/// U+FFFD, once here and again in the next event. The bytes live as long as what stands at `index`.
struct bytes check_data(lua_State *L, int index, int argument);
