// SPDX-License-Identifier: MIT
//
// One exchange as the scripts see it: the request, response and event-stream boxes, the tasks that
// work on it and the timers that are tied to it. The visit's memory is the response box itself (a
// Lua userdata), so it lives as long as any script can reach it; the registry anchors it from the
// request until the exchange is done. Visit and exchange know each other; the exchange's end cuts
// the link (`exchange` is then NULL), and every method on a box answers `nil, "closed"` from then
// on.
//
// When the exchange is done, in this order: the link is cut, tied timers stop, close listeners are
// queued, and the tasks are cancelled if the peer left an open stream.
#pragma once

#include "base/bytes.h"
#include "base/list.h"
#include "http/exchange.h"
#include "sse/stream.h"
#include "wire/route.h"

#include <lua.h>
#include <stdbool.h>

struct generation;
struct route;
struct task;

/// The user values of a response box.
enum visit_slot {
    VISIT_REQUEST = 1, // the request box
    VISIT_STREAM,      // the sse box, once it was asked for; nil before, and when none is accepted
    VISIT_LISTENERS,   // see listeners.h
    VISIT_SLOT_COUNT = VISIT_LISTENERS,
};

struct visit {
    struct list node; // generation->visits while the exchange is not done
    struct generation *generation;
    struct exchange *exchange; // NULL once it is done
    struct stream *stream;     // NULL unless an event stream is open
    const struct route *route;
    struct list tasks;   // that belong to it
    struct list waiters; // tasks that wait for the output to drain
    struct list timers;  // that stop with the stream
    int anchor_ref;      // LUA_NOREF once done and without tasks
    uint8_t reason;      // enum exchange_reason, once done
    bool has_listeners;  // somebody asked to be told of something
    bool is_failing;     // the error handler has its turn
    bool was_stream;     // an event stream was opened
    bool has_peer_ended; // the peer has closed its sending side
};

/// Makes the visit for a complete request and runs the route's handler, or the fallback. *Calls
/// Lua.*
void visit_handle(struct generation *generation, struct exchange *exchange,
                  const struct route *route, const struct route_match *match);

/// Pushes the response box.
void visit_push(lua_State *L, const struct visit *visit);

/// The task belongs to the visit from now on.
void visit_adopt(struct visit *visit, struct task *task);

/// A task of the visit has ended, one way or the other. When nothing is left that could answer, a
/// 500 is sent.
void visit_task_ended(struct visit *visit);

/// Opens the event stream. Returns as `stream_open`.
MUST_USE int visit_open_stream(struct visit *visit, const struct stream_options *options);

/// Parks the running task until the output has drained; resumes it with `true`, or `nil, "closed",
/// "ECLOSED"`.
int visit_park_until_drained(lua_State *L, struct visit *visit);

/// Ends every open event stream, and every request that nothing works on, because the server is
/// ending; readers are told, spread over some seconds, when to come back. The closing itself comes
/// at the end of the turn. *Calls Lua.*
void visits_end_streams(struct generation *generation);
