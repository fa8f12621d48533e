// SPDX-License-Identifier: MIT
//
// The fields of an event: what each may contain, and how a value of Lua's becomes its text. Events
// are made of them by lib_event.c, and by event.c from a method's arguments.
#pragma once

#include "base/bytes.h"

#include <lua.h>

#define EVENT_BAD_ID "an event id has no line break and no NUL"
#define EVENT_BAD_NAME "an event name has no line break and no NUL"
#define EVENT_HALF_DATA                                                                            \
    "the data ends within a UTF-8 character; lunesse.whole keeps that part for the next event"

/// Raises unless the value on top of the stack, which is the option `name` of `argument`, is nil or
/// the name of an event.
void check_event_name(lua_State *L, int argument, const char *name);

/// Returns the value at `index` as data. A string, a number and a boolean are taken as they are; a
/// table becomes JSON, which takes its place on the stack. Raises for anything else, and for text
/// that ends within a UTF-8 character: readers would see U+FFFD at the end of this event and again
/// at the start of the next. `argument` is the method's argument to blame. The bytes live as long
/// as the value at `index`.
struct bytes check_data(lua_State *L, int index, int argument);
