// SPDX-License-Identifier: MIT
//
// What an app has not ended when it is drained, in words that say what to mend.
#pragma once

#include <lua.h>

struct app;

/// Pushes a list of texts, one for each request, stream and connection, each task that scripts have
/// spawned after loading, and each repeating timer that a handler has set up. Then pushes whether
/// some of it may still end by itself: a timer does not.
void push_left(lua_State *L, struct app *app);
