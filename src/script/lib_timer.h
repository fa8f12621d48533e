// SPDX-License-Identifier: MIT
//
// Timers and sleep. A timer box holds its timer itself and is anchored while it is armed. One that
// is made while a request is being handled is tied to the scope: it stops when the event stream
// closes, unless it was made `detached`. The function runs in a task of its own; while it still
// runs, the timer skips its turns and keeps its phase.
#pragma once

#include "script/box.h"

struct parts;
struct scope;

extern const struct box_class lib_timer_class;

/// after, every, sleep.
extern const luaL_Reg lib_timer_functions[];

/// The list of timers of a generation: before its first script, and after its last.
void lib_timer_open(struct parts *parts);
void lib_timer_close(struct parts *parts);

/// Whether any timer is armed.
bool lib_timer_has_armed(const struct parts *parts);

/// Stops the timers that are tied to `scope`.
void lib_timer_stop_tied(struct scope *scope);

/// Cuts the ties: the timers run on by themselves.
void lib_timer_untie(struct scope *scope);

/// Arms the timers that were made while the scripts loaded: from now on they run.
void lib_timer_start_loaded(struct parts *parts);

/// Stops the timers that were made while the scripts loaded, and what runs of them. *Calls Lua.*
void lib_timer_stop_loaded(struct parts *parts);

/// Stops every timer of the generation.
void lib_timer_stop_all(struct parts *parts);
