// SPDX-License-Identifier: MIT
//
// Long work in C that a script asked for, done in slices: between two of them the loop turns, so
// that others are served. All tasks of a generation that are at long work stand in one queue, and
// one of them has a slice in each turn, however many there are. Where nothing can wait (while the
// scripts load, in a metamethod, in a finalizer) the work runs through. Each slice is a run of its
// own for `run_timeout`.
#pragma once

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct slices;

/// The queue of a generation, which owns it.
struct slices *slices_new(struct loop *loop);
void slices_free(struct slices *slices);

/// When a slice that begins now ends, in `slice_is_over`'s clock.
uint64_t slice_end_ns(void);

/// Whether the slice has been long enough, and the running task can wait.
bool slice_is_over(lua_State *L, uint64_t end_ns);

/// Parks the running task, which can wait, until it is its turn; `then` goes on, with the stack as
/// it is. A binding says `return slice_give_way(L, then, context);`.
int slice_give_way(lua_State *L, lua_KFunction then, lua_KContext context);
