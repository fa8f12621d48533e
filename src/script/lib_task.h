// SPDX-License-Identifier: MIT
//
// Tasks that scripts spawn. A task box is the handle of one. It outlives the task and keeps what
// became of it: its results, its error, or that it was cancelled. The registry anchors the box
// while the task lives. A spawned task belongs to no request scope: it goes on when the request
// that it was spawned by is done, and ends when it returns, fails or is cancelled, or with its
// generation.
#pragma once

#include "script/box.h"

#include <stddef.h>

struct parts;

typedef void (*lib_task_tell_fn)(void *user, const char *origin);

extern const struct box_class lib_task_class;

/// The function `spawn`, and what lua/lunesse/tasks.lua needs.
extern const luaL_Reg lib_task_functions[];

/// How many spawned tasks have not ended.
size_t lib_task_count(const struct parts *parts);

/// How many of them the end of the server waits for. It does not wait for those that were spawned
/// while the scripts loaded, because they mostly run for as long as the server does.
size_t lib_task_awaited_count(const struct parts *parts);

/// Calls `tell` for each of these, with the lines of the script that have spawned it, each after a
/// line end and a tab. It must not call Lua.
void lib_task_each_awaited(const struct parts *parts, lib_task_tell_fn tell, void *user);
