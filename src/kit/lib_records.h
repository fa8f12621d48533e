// SPDX-License-Identifier: MIT
//
// What an app has logged, for specs: a list of tables with `time`, `level`, `message` and `fields`.
#pragma once

#include <lua.h>

struct app;

/// Pushes the records since the last call. If some were lost, the last one says how many.
void push_records(lua_State *L, struct app *app);
