// SPDX-License-Identifier: MIT
//
// Long work in C that a script has asked for, done in slices. The loop turns between two slices, so
// that others are served. The tasks of a generation that are at long work wait in one queue, and
// one of them gets a slice in each turn, however many wait. Where nothing can wait (while the
// scripts load, in a metamethod, in a finalizer), the work is done in one go. For `run_timeout`
// each slice counts as a run of its own.
#pragma once

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;
struct slices;

/// The queue of a generation, which owns it.
struct slices *slices_new(struct loop *loop);
void slices_free(struct slices *slices);

/// Returns when a slice that begins now ends, by the clock of `slice_is_over`.
uint64_t slice_end_ns(void);

/// Whether the slice has lasted long enough and the running task can wait.
bool slice_is_over(lua_State *L, uint64_t end_ns);

/// Parks the running task, which must be able to wait, until its turn has come; then `then` goes
/// on, with the stack as it was. A binding says `return slice_give_way(L, then, context);`.
int slice_give_way(lua_State *L, lua_KFunction then, lua_KContext context);
