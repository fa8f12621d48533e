// SPDX-License-Identifier: MIT
//
// Ends a run that computes for longer than `run_timeout`. What counts is the CPU time of the
// worker's thread, so time in which the process is paused, the machine is busy or a system call
// waits does not count.
//
// A timer of the system ticks while the thread computes. Its signal reaches the thread itself. When
// a tick finds that the run has gone on for too long, it sets Lua's hook, which may be set from a
// signal handler, and the hook ends the run at the next instruction. A run therefore pays nothing
// for the guard. The system's ticks are coarse, so a run ends up to two tenths of `run_timeout`, or
// two ticks, after its limit. Where there is no such timer, the hook is always set, and looks at
// the clock every ten thousand instructions.
//
// A run that passes its limit is parked where Lua can yield; elsewhere an error is raised in it.
// The hook stays set for every instruction until the run is over, because a script could catch an
// error and loop on. The guard is there for accidents and does not stop a hostile script: it does
// not end finalizers and functions of C.
#pragma once

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct guard;
struct limits;
struct parts;

/// Returns the pattern of the route that runs, for the log; NULL when none does.
typedef const char *(*guard_route_fn)(const struct parts *parts);

/// The guard of one Lua state. Owned by its generation. `parts` must outlive it.
struct guard *guard_new(const struct parts *parts, guard_route_fn route);
void guard_free(struct guard *guard);

/// Begins a run in `L`, which may last `runs` times as long as `run_timeout`.
void guard_begin(struct guard *guard, lua_State *L, unsigned runs);

/// Ends the run that began in `L`. Returns whether it passed its limit.
bool guard_end(struct guard *guard, lua_State *L);

/// Tells that another coroutine, `L`, computes from now on within the same run, because it was
/// resumed or the one that it resumed has come back. Returns the coroutine that computed until now.
lua_State *guard_switch(struct guard *guard, lua_State *L);

/// Strikes the next run at its first instruction, as if it had passed its limit: for specs of what
/// happens then.
void guard_strike_next(struct guard *guard);

/// Has the run that has just begun in `L` fail for want of memory, at its first instruction: for
/// specs of what happens then.
void guard_starve(lua_State *L);

/// Whether the present run has passed its limit, and the script and line where it did.
bool guard_has_struck(const struct guard *guard);
const char *guard_location(const struct guard *guard);

/// Whether a run was struck for another reason: the scripts load for the first time, nobody is
/// served, and SIGINT or SIGTERM has come.
bool guard_is_given_up(const struct guard *guard);

/// Pushes the message of a run that was struck: "ran for more than run_timeout (1 s)".
void guard_push_overrun(lua_State *L);

/// How long the present run, or the last one, has taken by the clock on the wall; and how long it
/// may take by CPU time.
uint64_t guard_run_ns(const struct guard *guard);
uint64_t guard_limit_ns(const struct guard *guard);

/// The pattern of the route that runs, as `guard_route_fn` tells it; NULL when none does.
const char *guard_route(const struct guard *guard);

/// Between the two calls nothing can wait, because a coroutine is being closed, or was resumed
/// where Lua cannot yield. Pairs of calls may be nested.
void guard_forbid_waits(struct guard *guard);
void guard_allow_waits(struct guard *guard);
bool guard_forbids_waits(const struct guard *guard);

/// How many times as long as `run_timeout` a run may take. It is ten while the first scripts load,
/// because nobody is served before they are there. `guard_hasten` makes it one: when they have
/// loaded, and for scripts that load while readers of the old ones wait.
unsigned guard_runs(const struct guard *guard);
void guard_hasten(struct guard *guard);
