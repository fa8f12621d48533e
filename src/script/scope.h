// SPDX-License-Identifier: MIT
//
// A request scope, or scope for short: one exchange as the scripts see it. To it belong the
// request, response and event-stream boxes, the tasks that work on it and the timers that are tied
// to it. The scope's memory is the response box itself (a Lua userdata), so it lives as long as any
// script can reach it; the registry anchors it from the request until the exchange is done. The
// scope and the exchange know each other; the exchange's end cuts the link (`exchange` is then
// NULL), and every method on a box answers `nil, "closed"` from then on.
//
// An open stream needs no scope: once nothing of a script works on it, waits for it or listens to
// it, the anchor goes. If a script still reaches the stream through a variable, all stays as it is;
// if none does, the boxes are collected and the stream goes on by itself. The request, which is the
// larger part, is dropped with the anchor.
//
// The anchor goes at one place, a job that runs when the turn ends and nothing of ours
// is on the C stack. So a scope that was anchored when the turn began lives until the turn ends,
// whatever scripts do meanwhile: a function may call Lua and go on to use the scope.
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
struct scopes;

/// The user values of a response box.
enum scope_slot {
    SCOPE_REQUEST = 1, // the request box, until it is dropped
    SCOPE_STREAM,      // the sse box, once it was asked for; nil before, and when none is accepted
    SCOPE_LISTENERS,   // see listeners.h
    SCOPE_SLOT_COUNT = SCOPE_LISTENERS,
};

struct scope {
    struct stream_holder holder; // what its event stream tells
    struct list node;            // in `scopes_open` while the exchange is not done
    struct parts *parts;
    struct exchange *exchange; // NULL once it is done
    struct stream *stream;     // NULL until an event stream is opened
    const struct route *route;
    struct list tasks;           // that belong to it
    struct list _waiters;        // tasks that wait for the output to drain
    struct list timers;          // that stop with the stream
    int _anchor_ref;             // LUA_NOREF once nothing needs it
    struct scope *_next_leaving; // of those whose anchor may go
    uint8_t reason;              // enum end_reason, once done
    bool has_listeners;          // somebody asked to be told of something
    bool is_failing;             // the error handler has its turn
    bool was_stream;             // an event stream was opened
    bool _has_peer_ended;        // the peer has closed its sending side
    bool _is_request_dropped;
    bool _expects_stream; // `response.sse` was taken, or might be at the early end
    bool _is_leaving;     // the anchor goes when the turn ends, if nothing needs it then
};

/// All scopes of a generation, which owns this. `keeps_request` says whether an open stream goes on
/// to need the request box at `index`.
struct scopes *scopes_new(struct parts *parts, bool (*keeps_request)(lua_State *L, int index));

/// Every exchange is done.
void scopes_free(struct scopes *scopes);

/// Those whose exchange is not done.
struct list *scopes_open(struct scopes *scopes);

/// Makes the scope of an exchange, anchored, and pushes the response box.
struct scope *scope_push_new(struct parts *parts, struct exchange *exchange,
                             const struct route *route);

/// Pushes the response box. It must be anchored.
void scope_push(lua_State *L, const struct scope *scope);

/// Anchors the scope whose response box is at `index`.
void scope_anchor(lua_State *L, int index);

/// Has the anchor taken away at the end of this turn, if nothing of a script needs it then.
void scope_settle(struct scope *scope);

/// No script can reach the scope, and it is not anchored: the stream goes on without it.
void scope_let_go(struct scope *scope);

/// From here on the body counts as the scripts' memory, if they still have it.
void scope_forget_body(struct scope *scope);

/// The task belongs to the scope from now on.
void scope_adopt(struct scope *scope, struct task *task);

/// Whether no task and no timer of its own will answer the request: only another request's handler
/// could, which may have kept the response.
bool scope_is_dormant(const struct scope *scope);

/// Whether the request takes an event stream. Once the exchange is done: whether it was waiting for
/// one then.
bool scope_takes_stream(const struct scope *scope);

/// A script has taken the event stream, which it may open later.
void scope_expect_stream(struct scope *scope);

/// Parks the running task until the output has drained; resumes it with `true`, or `nil, "closed",
/// "ECLOSED"`.
int scope_park_until_room(lua_State *L, struct scope *scope);

/// Wakes the tasks that wait for the output.
void scope_wake_waiters(struct scope *scope);

/// Whether scripts may still reach the scope in other ways than through a variable.
bool scope_is_anchored(const struct scope *scope);

/// Whether the exchange has a request still.
bool scope_has_request(const struct scope *scope);

/// The peer has closed its sending side.
void scope_note_peer_ended(struct scope *scope);
bool scope_has_peer_ended(const struct scope *scope);

/// Whether `response.sse` was taken, or might be: `scope_expect_as_asked` is for an end that comes
/// early, when all that is known is what the request takes.
bool scope_expects_stream(const struct scope *scope);
void scope_expect_as_asked(struct scope *scope);

/// Cancels what works on the scope, which lives on. *Calls Lua.*
void scope_cancel_tasks(struct scope *scope);

/// The server is ending: requests that nothing works on end.
void scopes_end(struct scopes *scopes);
