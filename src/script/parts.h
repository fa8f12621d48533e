// SPDX-License-Identifier: MIT
//
// The parts of a generation. C code that Lua has called finds them by `parts_of(L)`, from any
// coroutine of the state. Each part has a file of its own, and only that file knows the part's
// members.
//
// The generation makes the parts in the order in which they stand here, and a part may use those
// that stand before it. The state is freed first, because freeing it runs finalizers of scripts,
// which may use all other parts. Used on the worker's thread only.
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
struct passwords;
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
    struct limits *limits; // held until the generation is freed; scripts set them while they load
    bool is_dev;           // tracebacks may be shown to the peer
    bool has_test_clock;   // scripts may move the clock: `lunesse.advance`
    unsigned worker;       // number of the worker, from 1
    uint64_t number;       // of the generation, from 1
    void (*on_reload_wanted)(void *owner); // a script asks for a reload; it begins later
    void (*on_clock_moved)(void *owner);   // a script has moved the clock
    void *owner;
};

/// What bindings keep for a generation, each for itself.
struct bindings {
    struct passwords *passwords;
    struct publishers *publishers;
    struct timers *timers;
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
    struct bindings bindings;
};

/// A coroutine's extra space points to one of its state's two marks. A coroutine that the scheduler
/// made for tasks has the mark with `is_task`; the main coroutine, and those that scripts make,
/// have the other.
struct coroutine_mark {
    struct parts *parts;
    bool is_task;
};

/// NULL in the state of a pool's thread, which is no generation's; see pool_state.h.
static inline struct parts *parts_of(lua_State *L)
{
    return (*(struct coroutine_mark **)lua_getextraspace(L))->parts;
}
