// SPDX-License-Identifier: MIT
//
// One exchange as the scripts see it: the request, response and event-stream boxes, the tasks that
// work on it and the timers that are tied to it. The visit's memory is the response box itself (a
// Lua userdata), so it lives as long as any script can reach it; the registry anchors it from the
// request until the exchange is done. Visit and exchange know each other; the exchange's end cuts
// the link (`exchange` is then NULL), and every method on a box answers `nil, "closed"` from then
// on.
//
// An open stream needs no visit: once nothing of a script works on it, waits for it or listens to
// it, the anchor goes. If a script still reaches the stream through a variable, all stays as it is;
// if none does, the boxes are collected and the stream goes on by itself. The request, which is the
// larger part, is dropped with the anchor.
//
// The anchor goes at one place, a job that runs when the turn ends and nothing of ours
// is on the C stack. So a visit that was anchored when the turn began lives until the turn ends,
// whatever scripts do meanwhile: a function may call Lua and go on to use the visit.
#pragma once

#include "base/bytes.h"
#include "base/list.h"
#include "http/exchange.h"
#include "sse/stream.h"

#include <lua.h>
#include <stdbool.h>

struct parts;
struct route;
struct task;
struct visits;

/// The user values of a response box.
enum visit_slot {
    VISIT_REQUEST = 1, // the request box, until it is dropped
    VISIT_STREAM,      // the sse box, once it was asked for; nil before, and when none is accepted
    VISIT_LISTENERS,   // see listeners.h
    VISIT_SLOT_COUNT = VISIT_LISTENERS,
};

struct visit {
    struct stream_holder holder; // what its event stream tells
    struct list node;            // in `visits_open` while the exchange is not done
    struct parts *parts;
    struct exchange *exchange; // NULL once it is done
    struct stream *stream;     // NULL until an event stream is opened
    const struct route *route;
    struct list tasks;           // that belong to it
    struct list _waiters;        // tasks that wait for the output to drain
    struct list timers;          // that stop with the stream
    int _anchor_ref;             // LUA_NOREF once nothing needs it
    struct visit *_next_leaving; // of those whose anchor may go
    uint8_t reason;              // enum exchange_reason, once done
    bool has_listeners;          // somebody asked to be told of something
    bool is_failing;             // the error handler has its turn
    bool was_stream;             // an event stream was opened
    bool _has_peer_ended;        // the peer has closed its sending side
    bool _is_request_dropped;
    bool _expects_stream; // `response.sse` was taken, or might be at the early end
    bool _is_leaving;     // the anchor goes when the turn ends, if nothing needs it then
};

/// All visits of a generation, which owns this. `keeps_request` says whether an open stream goes on
/// to need the request box at `index`.
struct visits *visits_new(struct parts *parts, bool (*keeps_request)(lua_State *L, int index));

/// Every exchange is done.
void visits_free(struct visits *visits);

/// Those whose exchange is not done.
struct list *visits_open(struct visits *visits);

/// Makes the visit of an exchange, anchored, and pushes the response box.
struct visit *visit_push_new(struct parts *parts, struct exchange *exchange,
                             const struct route *route);

/// Pushes the response box. It must be anchored.
void visit_push(lua_State *L, const struct visit *visit);

/// Anchors the visit whose response box is at `index`.
void visit_anchor(lua_State *L, int index);

/// Has the anchor taken away at the end of this turn, if nothing of a script needs it then.
void visit_settle(struct visit *visit);

/// No script can reach the visit, and it is not anchored: the stream goes on without it.
void visit_let_go(struct visit *visit);

/// From here on the body counts as the scripts' memory, if they still have it.
void visit_forget_body(struct visit *visit);

/// The task belongs to the visit from now on.
void visit_adopt(struct visit *visit, struct task *task);

/// Whether no task and no timer of its own will answer the request: only another request's handler
/// could, which may have kept the response.
bool visit_is_dormant(const struct visit *visit);

/// Whether the request takes an event stream. Once the exchange is done: whether it was waiting for
/// one then.
bool visit_takes_stream(const struct visit *visit);

/// A script has taken the event stream, which it may open later.
void visit_expect_stream(struct visit *visit);

/// Parks the running task until the output has drained; resumes it with `true`, or `nil, "closed",
/// "ECLOSED"`.
int visit_park_until_drained(lua_State *L, struct visit *visit);

/// Wakes the tasks that wait for the output.
void visit_wake_waiters(struct visit *visit);

/// Whether scripts may still reach the visit in other ways than through a variable.
bool visit_is_anchored(const struct visit *visit);

/// Whether the exchange has a request still.
bool visit_has_request(const struct visit *visit);

/// The peer has closed its sending side.
void visit_note_peer_ended(struct visit *visit);
bool visit_has_peer_ended(const struct visit *visit);

/// Whether `response.sse` was taken, or might be: `visit_expect_as_asked` is for an end that comes
/// early, when all that is known is what the request takes.
bool visit_expects_stream(const struct visit *visit);
void visit_expect_as_asked(struct visit *visit);

/// Cancels what works on the visit, which lives on. *Calls Lua.*
void visit_cancel_tasks(struct visit *visit);

/// The server is ending: requests that nothing works on end.
void visits_end(struct visits *visits);
