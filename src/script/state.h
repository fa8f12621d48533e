// SPDX-License-Identifier: MIT
//
// A Lua state: its memory, which is counted and limited while a script runs, and the marks by which
// coroutines find the parts of their generation. Owned by its generation. `state_free` closes the
// state, and Lua then calls all finalizers that are left.
#pragma once

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

struct parts;
struct state;

/// Makes a state without any library. `parts` must outlive it. Its options are read, and its main
/// coroutine is set.
struct state *state_new(struct parts *parts);

/// Closes the state and frees it. *Calls Lua* (finalizers).
void state_free(struct state *state);

/// Whether the state is being closed. Only finalizers run then; a task or a timer that they start
/// would never run.
bool state_has_ended(const struct state *state);

/// Raises once the state is being closed. Lua does not call the finalizer of a box that is made
/// then, so whatever that box held would never be let go.
void check_not_ended(lua_State *L);

/// Sets whether the limit `lua_bytes` holds from now on, and returns whether it did before. It
/// holds while a script runs. It does not hold for the engine's own calls of Lua, because these are
/// not protected: an allocation that failed there would end the program.
bool state_cap(struct state *state, bool is_capped);

/// Whether the limit has refused memory since `state_clear_refusal` was last called.
bool state_was_refused(const struct state *state);
void state_clear_refusal(struct state *state);

/// The memory in use.
size_t state_bytes(const struct state *state);

/// Adds or takes away `bytes` of a request's body that the state holds. Bodies have a limit of
/// their own, so the limit of the state is raised by as much as they have.
void state_add_body(struct state *state, size_t bytes);
void state_drop_body(struct state *state, size_t bytes);

/// Marks a coroutine as one that carries tasks.
void state_mark_task(struct state *state, lua_State *coroutine);

/// Whether the coroutine was made for tasks.
bool state_is_of_task(lua_State *coroutine);

/// [function] -> []. Keeps the function that turns a value into JSON.
void state_keep_encoder(lua_State *L);

/// Pushes the function that turns a value into JSON.
void state_push_encoder(lua_State *L);

/// Pushes a new table with weak values: it keeps none of them alive.
void state_push_weak_table(lua_State *L);
