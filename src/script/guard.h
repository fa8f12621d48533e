// SPDX-License-Identifier: MIT
//
// What ends a run that computes for longer than `run_timeout`. The time is the CPU time of the
// worker's thread: a paused process and a busy machine use none of it up, and nor does waiting in a
// call of C's.
//
// A timer of the system ticks while the thread computes, and is silent otherwise. Its signal comes
// to the thread itself: a tick that finds a run which has gone on for too long sets Lua's hook,
// which is made for that, and the hook ends the run at the next instruction. So a run pays nothing
// for the guard, however long it computes. The system's ticks are coarse: a run ends after
// `run_timeout` and at most two tenths of it, or two ticks, later. Where there is no such timer,
// the hook is set all the time, and looks at the clock every ten thousand instructions.
//
// A run that passes its limit is parked wherever Lua can yield and raised in elsewhere, and stays
// under the hook instruction by instruction until it is out: an error alone could be caught by the
// script and looped on. The guard is against accidents, not against hostile scripts: finalizers and
// functions in C are not ended.
#pragma once

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct guard;
struct limits;
struct parts;

/// The pattern of the route that runs, for the log; NULL when there is none.
typedef const char *(*guard_route_fn)(const struct parts *parts);

/// The guard of one Lua state. Owned by its generation; `parts` lives as long.
struct guard *guard_new(const struct parts *parts, guard_route_fn route);
void guard_free(struct guard *guard);

/// A run begins in `L`, which may last `runs` times as long as `run_timeout`.
void guard_begin(struct guard *guard, lua_State *L, unsigned runs);

/// The run that began in `L` has ended. Whether it was one that passed its limit.
bool guard_end(struct guard *guard, lua_State *L);

/// Within a run, `L` computes from now on: a coroutine is resumed, or it has come back. Returns the
/// one that has computed until now.
lua_State *guard_switch(struct guard *guard, lua_State *L);

/// Whether the run that goes on has passed its limit; script and line where it did.
bool guard_has_struck(const struct guard *guard);
const char *guard_place(const struct guard *guard);

/// Pushes what a run that passed its limit is told: "ran for more than run_timeout (1 s)".
void guard_push_overrun(lua_State *L);

/// How long the run that goes on, or was the last, has taken until now by the clock on the wall,
/// and how long it may take by CPU time.
uint64_t guard_run_ns(const struct guard *guard);
uint64_t guard_limit_ns(const struct guard *guard);

/// See `guard_route_fn`.
const char *guard_route(const struct guard *guard);

/// Between the two nothing can wait: a coroutine is being closed, or was resumed from where Lua
/// cannot yield. Pairs may stand in one another.
void guard_forbid_waits(struct guard *guard);
void guard_allow_waits(struct guard *guard);
bool guard_forbids_waits(const struct guard *guard);

/// How many times `run_timeout` loading a script may take: ten, as nobody is served before the
/// first scripts are there; once it was hastened, one, as others wait meanwhile.
unsigned guard_load_runs(const struct guard *guard);
void guard_hasten_load(struct guard *guard);
