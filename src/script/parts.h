// SPDX-License-Identifier: MIT
//
// The parts of a generation, as a function of C that Lua has called reaches them: `parts_of(L)`,
// from any coroutine. Each part has a file of its own, which alone knows its members. The
// generation makes the parts in the order in which they stand here; a part may use those that stand
// before it. The state goes first, because finalizers of scripts reach all others. Used on the
// worker's thread only.
#pragma once

#include "base/limits.h"

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct application;
struct boxes;
struct collector;
struct guard;
struct heartbeats;
struct local_hub;
struct loop;
struct publishers;
struct scheduler;
struct shared;
struct slices;
struct state;
struct timers;
struct scopes;

/// What a generation needs from the program that loads it.
struct generation_options {
    struct loop *loop;
    struct local_hub *local_hub;
    struct shared *shared;
    struct heartbeats *heartbeats;
    struct limits *limits; // held; the generation lets go. Scripts set them while they load
    bool is_dev;           // tracebacks may be shown to the peer
    bool has_test_clock;   // scripts may move the clock: `lunesse.advance`
    unsigned worker;       // number of the worker, from 1
    uint64_t number;       // of the generation, from 1
    void (*on_reload_wanted)(void *owner); // a script asks for a reload; not on the spot
    void (*on_clock_moved)(void *owner);   // a script has moved the clock
    void *owner;
};

struct parts {
    const struct generation_options *options;
    lua_State *L; // the main coroutine
    struct state *state;
    struct boxes *boxes;
    struct guard *guard;
    struct collector *collector;
    struct scheduler *scheduler;
    struct slices *slices;
    struct application *application;
    struct scopes *scopes;
    struct timers *timers;
    struct publishers *publishers;
};

/// What a coroutine's extra space points to. Coroutines of scripts have the mark of the main one;
/// those that carry tasks have the other.
struct coroutine_mark {
    struct parts *parts;
    bool is_task;
};

static inline struct parts *parts_of(lua_State *L)
{
    return (*(struct coroutine_mark **)lua_getextraspace(L))->parts;
}
