// SPDX-License-Identifier: MIT
//
// Timers and sleep. The memory of a timer box is the timer itself, and the box is anchored while
// the timer is armed. A timer that is made while a request is handled is tied to the scope: it
// stops when the event stream closes, unless it was made `detached`. The function runs in a task of
// its own. While that task still runs, the timer skips its turns and keeps its phase.
#pragma once

#include "script/box.h"

#include <stdint.h>

struct parts;
struct scope;

/// A timer that repeats each `interval_ms`, and where it was set up: "scripts/a.lua:12".
typedef void (*lib_timer_tell_fn)(void *user, const char *where, uint64_t interval_ms);

extern const struct box_class lib_timer_class;

/// The functions `after`, `every` and `sleep`.
extern const luaL_Reg lib_timer_functions[];

/// Make and free the list of a generation's timers: before its first script, and after its last.
void lib_timer_open(struct parts *parts);
void lib_timer_close(struct parts *parts);

/// Whether any timer is armed.
bool lib_timer_has_armed(const struct parts *parts);

/// Calls `tell` for each repeating timer that a handler has set up and nobody has stopped, with the
/// place where that was. Only an app of the test kit knows these; it must not call Lua meanwhile.
void lib_timer_each_of_handlers(const struct parts *parts, lib_timer_tell_fn tell, void *user);

/// Stops the timers that are tied to `scope`.
void lib_timer_stop_tied(struct scope *scope);

/// Unties the timers from `scope`: they run on without it.
void lib_timer_untie(struct scope *scope);

/// Arms the timers that were made while the scripts loaded: they run from now on.
void lib_timer_start_loaded(struct parts *parts);

/// Stops the timers that were made while the scripts loaded, and cancels the tasks that run for
/// them. *Calls Lua.*
void lib_timer_stop_loaded(struct parts *parts);

/// Stops every timer of the generation.
void lib_timer_stop_all(struct parts *parts);
