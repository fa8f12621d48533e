// SPDX-License-Identifier: MIT
//
// One loaded set of scripts: a Lua state, the routes and hooks it registered, and everyone who
// still runs in it: tasks, visits and timers. Owned by its worker. Used on the worker's thread
// only. The state finds its generation through `generation_of`; coroutines inherit it. It dies in
// `generation_free`, before which every exchange must be done or is cut loose there.
#pragma once

#include "base/buf.h"
#include "base/limits.h"
#include "base/list.h"
#include "http/response.h"
#include "hub/local_hub.h"
#include "net/loop.h"
#include "script/collector.h"

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct box_class;
struct heartbeats;
struct route_table;
struct shared;
struct task;
struct visit;

enum {
    ADDRESSES_MAX = 16, // that scripts may declare
    ADDRESS_TEXT_MAX = 108,
    THREADS_KEPT_MAX = 64, // finished coroutines kept for reuse
};

/// The types of boxes.
enum box_type {
    BOX_REQUEST,
    BOX_RESPONSE,
    BOX_SSE,
    BOX_TIMER,
    BOX_CHANNEL,
    BOX_SHARED,
    BOX_EVENT,
    BOX_METRIC,
    BOX_TYPE_COUNT
};

/// An address that a script declared with `server:listen`.
struct address {
    char text[ADDRESS_TEXT_MAX]; // host, or path of a Unix socket
    uint16_t port;
    uint16_t mode; // of a Unix socket's file; 0 for what the umask leaves
    bool is_unix;
};

/// One route as a script registered it. Owned by the generation.
struct route {
    struct list node;  // generation->route_list
    int handler_ref;   // Lua function, middlewares included
    bool is_detached;  // on_leave = "detach"
    bool is_cancelled; // on_leave = "cancel", in so many words: plain answers, too
    bool takes_raw_path;
    bool always_streams; // sse = "always": whatever Accept says
    bool takes_body;     // otherwise a body is not read
    bool has_body_bytes; // `body_bytes_max` is set
    bool has_heartbeat;
    bool has_middlewares; // the handler's function begins with them
    uint64_t body_bytes_max;
    uint64_t heartbeat_ms;
    char *method;
    char *pattern;
    char *source;    // "scripts/clock.lua:5"
    void *counts;    // where dispatch counts answers; NULL until there is one
    uint64_t digest; // of what it runs: equal for equal code
};

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
    void (*on_reload_wanted)(void *owner); // a script asks for a reload; not on the spot
    void (*on_clock_moved)(void *owner);   // a script has moved the clock
    void *owner;
};

/// What a coroutine's extra space points to. Coroutines of scripts have the mark of the main one;
/// those that carry tasks have the other.
struct coroutine_mark {
    struct generation *generation;
    bool is_task;
};

struct generation {
    struct list node; // among the retired ones
    uint64_t number;  // of the program's, from 1
    lua_State *L;
    struct coroutine_mark mark;
    struct coroutine_mark task_mark;
    struct generation_options options;
    struct route_table *routes;
    struct list route_list;
    struct response declared; // its fields are those of every answer: `server:headers`
    struct buf hosts;         // that the server answers for, a line each; empty for any
    struct route fallback;    // answers when no route does; handler_ref is LUA_NOREF without
    int on_error_ref;         // LUA_NOREF without
    int json_encode_ref;
    int complete_ref; // `complete` of lunesse.server
    struct address addresses[ADDRESSES_MAX];
    size_t address_count;
    size_t lua_bytes;      // memory in use
    size_t body_bytes;     // of it, bodies of requests that are being answered
    bool is_loading;       // routes and limits may still be declared
    bool is_beside;        // it loads while another one answers, which waits for it
    bool is_in_charge;     // or was: its timers run
    uint8_t on_reload;     // enum on_reload
    int on_reload_ref;     // for ON_RELOAD_CALL
    struct list visits;    // whose exchange is not done
    struct visit *leaving; // whose anchors go at the end of this turn, unless something needs them
    struct loop_job leave_job;
    struct list tasks;  // all that have not ended
    struct list ready;  // to be resumed at the end of this turn
    struct list timers; // armed script timers
    struct loop_job ready_job;
    struct list publishers; // tasks that published so much that they wait for the turn's end
    struct loop_job published_job;
    struct room_waiter publishers_waiter;
    struct list slices; // tasks whose long work waits for its next slice
    struct loop_job slice_job;
    int channel_boxes_ref;   // weak table: channel -> box
    int shared_boxes_ref;    // weak table: name -> box
    int channel_options_ref; // what loading asked of channels that others use; LUA_NOREF without
    struct task *running;    // NULL outside Lua
    uint64_t run_started_ns; // of the run that is going on; by the clock on the wall
    uint64_t run_limit_ns;   // of CPU time
    unsigned run_limit_runs; // as a multiple of `run_timeout`
    int closing_count; // coroutines that nothing can wait in now: they are being closed, or were
                       // resumed from where Lua cannot yield
    char struck_at[LUA_IDSIZE + 16]; // script and line where the run passed its limit
    bool is_struck;                  // it did
    volatile bool is_due;            // it has, and is ended at the next instruction. See guard.h
    volatile uint64_t run_seen_ns;   // when the guard first saw it, in CPU time; 0: not yet
    lua_State *volatile computing;   // the coroutine that the run is in
    bool is_capped;                  // a script runs, so its memory is held to the limit
    bool was_refused;                // the run that goes on, or was the last: memory
    bool is_cut;                     // it was ended before its time
    bool is_ended;                   // only finalizers run now: nothing that they start would run
    struct buf warning;              // of Lua's, which comes in pieces
    struct kept_thread {
        lua_State *L;
        int ref; // keeps it alive, in the registry
    } kept_threads[THREADS_KEPT_MAX];
    size_t kept_thread_count;
    struct collector collector;
    const struct box_class *const *classes; // of boxes
    int metatable_refs[BOX_TYPE_COUNT];
    const void *metatables[BOX_TYPE_COUNT]; // their identities
};

/// Makes a generation with all libraries and no scripts. One is made even if a library cannot be
/// loaded, which the world may be to blame for (no descriptor is left, a file is not there); then
/// `why` is as `generation_load` has it, and it can only be freed.
struct generation *generation_new(const struct generation_options *options, char **why);

/// Cancels what still runs, cuts the exchanges loose, closes the state. *Calls Lua* (to-be-closed
/// variables).
void generation_free(struct generation *generation);

/// From now on `require` looks in `folder` before all else. Not in one whose name has a `;` or a
/// `?`, which mean something else there.
void generation_require_from(struct generation *generation, const char *folder);

/// Runs one script file. Returns 0, or -1 with a message "file:line: what" in `why` (malloc'ed by
/// `mem_alloc`; the caller frees it with `mem_free`).
MUST_USE int generation_load(struct generation *generation, const char *path, char **why);

/// Ends loading: middlewares and handlers are joined, the routes are entered. Returns as
/// `generation_load`.
MUST_USE int generation_complete(struct generation *generation, char **why);

/// Whether the scripts have declared what answers a request: a route, or what no route takes.
bool generation_has_answers(const struct generation *generation);

/// The generation takes over: its timers begin, and what its scripts asked of channels that others
/// used is done. *Calls Lua.*
void generation_take_over(struct generation *generation);

/// Calls `tell` with the path of each file that the scripts have required. *Calls Lua.*
void generation_each_module(struct generation *generation,
                            void (*tell)(void *user, const char *path), void *user);

static inline struct generation *generation_of(lua_State *L)
{
    return (*(struct coroutine_mark **)lua_getextraspace(L))->generation;
}
