// SPDX-License-Identifier: MIT
//
// `lunesse.crypto.password_hash` and `password_verify`. Each takes a fifth of a second of a
// processor, so a thread of the pool does it while the task waits. A generation has one of them
// done at a time, so that a flood of logins leaves the pool's other threads to other work; the
// others wait in a queue, which has the limit `passwords`. Whoever leaves is taken out of it; what
// a thread is at already comes to its end, and nobody is told.
#pragma once

#include <lauxlib.h>
#include <lua.h>

struct parts;

/// The functions `password_hash` and `password_verify`.
extern const luaL_Reg lib_password_functions[];

/// Makes and frees the queue of a generation. It is freed when all tasks have ended; work that a
/// thread still does lives until the loop hears of its end.
void lib_password_open(struct parts *parts);
void lib_password_close(struct parts *parts);
