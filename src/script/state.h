// SPDX-License-Identifier: MIT
//
// A Lua state: its memory, which is counted and has a ceiling while a script runs, and the marks by
// which its coroutines find their parts. Owned by its generation. A state ends in `state_free`,
// where Lua calls the finalizers that are left.
#pragma once

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

struct parts;
struct state;

/// A state without any library. `parts` lives as long; its options are read, and its main coroutine
/// is set.
struct state *state_new(struct parts *parts);

/// Closes the state and frees it. *Calls Lua* (finalizers).
void state_free(struct state *state);

/// Whether only finalizers run now. Nothing that they start would run.
bool state_has_ended(const struct state *state);

/// Raises once the state has ended. Lua, which is closing the state, calls no finalizer of a box
/// that a finalizer makes now, so what the box held would be held for ever.
void check_not_ended(lua_State *L);

/// Whether the memory of the state is held to the limit from now on. It is while a script runs; the
/// engine's own small needs are never refused. Returns what held until now.
bool state_cap(struct state *state, bool is_capped);

/// Whether memory was refused since this was last forgotten.
bool state_was_refused(const struct state *state);
void state_forget_refusal(struct state *state);

/// The memory in use.
size_t state_bytes(const struct state *state);

/// The state has, or no longer has, so many bytes of a body of a request that is being answered.
/// They have a limit of their own and do not count against that of the state.
void state_add_body(struct state *state, size_t bytes);
void state_drop_body(struct state *state, size_t bytes);

/// The coroutine carries tasks from now on.
void state_mark_task(struct state *state, lua_State *coroutine);

/// Whether the coroutine was made for tasks.
bool state_is_of_task(lua_State *coroutine);

/// [function] -> []. The function is what turns a value into JSON.
void state_keep_encoder(lua_State *L);

/// Pushes the function that turns a value into JSON.
void state_push_encoder(lua_State *L);

/// Pushes a new table that keeps no value alive.
void state_push_weak_table(lua_State *L);
