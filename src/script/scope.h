// SPDX-License-Identifier: MIT
//
// A request scope, or scope for short: one exchange as the scripts see it. The boxes of the
// request, the response and the event stream belong to it, and so do the tasks that work on the
// request and the timers that are tied to it.
//
// The scope's memory is the response box itself, a userdata of Lua, so the scope lives as long as
// any script can reach it. The registry anchors it from the request until the exchange is done.
// Scope and exchange point at each other. When the exchange ends, it cuts the link: `exchange` is
// then NULL, and every method of a box answers `nil, "closed"`.
//
// An open stream needs no scope. Once no task works on it, and no timer and no listener waits for
// it, the anchor is taken away, and the request, which is the larger part of the memory, is
// dropped. If a script still reaches the stream through a variable, the scope stays. If none does,
// the collector takes the boxes, and the stream goes on without a scope.
//
// The anchor is taken away in one place only: a job that runs when the turn ends, when no function
// of the engine is on the C stack. A scope that was anchored when the turn began therefore lives
// until the turn ends, whatever scripts do. So a function may call Lua and go on to use the scope.
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
    SCOPE_REQUEST = 1, // the request box; nil once it is dropped
    SCOPE_STREAM,      // the sse box; nil until a script asks for it
    SCOPE_LISTENERS,   // see listeners.h
    SCOPE_SLOT_COUNT = SCOPE_LISTENERS,
};

/// What a task was told of a body that is not complete, or malformed.
struct scope_refusal {
    const char *why; // lives as long as the program; NULL: nothing
    uint16_t status; // that answers a handler that raises it
};

struct scope {
    struct stream_holder holder; // by which its event stream finds it
    struct list node;            // in `scopes_list` until the exchange is done
    struct parts *parts;
    struct exchange *exchange; // NULL once the exchange is done
    struct stream *stream;     // NULL until an event stream is opened
    const struct route *route;
    struct list tasks;           // tasks that belong to the scope
    struct list _waiters;        // tasks that wait for room in the output
    struct list timers;          // timers that stop when the stream ends
    int _anchor_ref;             // in the registry; LUA_NOREF once nothing needs the scope
    struct scope *_next_leaving; // the next scope whose anchor may be taken away
    struct scope_refusal refusal;
    uint8_t reason;       // enum end_reason, once the exchange is done
    bool has_listeners;   // a script has asked for an event of the response
    bool _is_failing;     // `on_error` has been started
    bool was_stream;      // an event stream was opened
    bool _has_peer_ended; // the peer has closed its sending side
    bool _is_request_dropped;
    bool _expects_stream;  // a script took `response.sse`, or might have if the end had come later
    bool _has_middlewares; // middlewares run before the handler
    bool _is_leaving;      // it is among `leaving`: the turn's end looks whether anything needs it
};

/// The scopes of a generation, which owns this. `keeps_request` says whether an open stream still
/// needs the request box at `index`.
struct scopes *scopes_new(struct parts *parts, bool (*keeps_request)(lua_State *L, int index));

/// Frees it. Every exchange must be done.
void scopes_free(struct scopes *scopes);

/// The scopes whose exchange is not done.
struct list *scopes_list(struct scopes *scopes);

/// Makes the scope of an exchange, anchored, and pushes the response box.
struct scope *scope_push_new(struct parts *parts, struct exchange *exchange,
                             const struct route *route);

/// Pushes the response box of a scope that is anchored.
void scope_push(lua_State *L, const struct scope *scope);

/// Anchors the scope whose response box is at `index`.
void scope_anchor(lua_State *L, int index);

/// CHECKs what holds of a scope between any two calls. For debug builds.
void scope_check(const struct scope *scope);

/// Notes that `on_error` is started for the scope. False when it was started before.
bool scope_begin_failing(struct scope *scope);

/// Has the anchor taken away when this turn ends, unless something needs the scope then.
void scope_settle(struct scope *scope);

/// Parts the scope from its stream, which goes on alone, once no script can reach the scope. Does
/// nothing while the scope is anchored.
void scope_leave(struct scope *scope);

/// Ends the allowance for the request's body. While a request is answered, its body does not count
/// against `lua_bytes`; from now on it does, if a script still has it.
void scope_drop_body(struct scope *scope);

/// Makes the task one of the scope's.
void scope_adopt(struct scope *scope, struct task *task);

/// Whether the scope is dormant: it owes an answer, and no task and no timer of its own is left
/// that could give one. A handler of another request still could, if it has kept the response.
bool scope_is_dormant(const struct scope *scope);

/// Whether the request accepts an event stream. Once the exchange is done: whether it was waiting
/// for one.
bool scope_takes_stream(const struct scope *scope);

/// Notes that a script has taken `response.sse` and may open the stream later.
void scope_expect_stream(struct scope *scope);

/// Parks the running task until there is room in the output. The task resumes with `true`, or with
/// `nil, "closed", "ECLOSED"`.
int scope_park_until_room(lua_State *L, struct scope *scope);

/// Wakes the tasks that wait for room in the output.
void scope_wake_waiters(struct scope *scope);

/// Whether the scope is anchored. If not, only a variable of a script keeps it.
bool scope_is_anchored(const struct scope *scope);

/// Whether the exchange still has its request.
bool scope_has_request(const struct scope *scope);

/// Notes that middlewares run before the handler; whether they do.
void scope_note_middlewares(struct scope *scope);
bool scope_has_middlewares(const struct scope *scope);

/// Notes that the peer has closed its sending side; whether it has.
void scope_note_peer_ended(struct scope *scope);
bool scope_has_peer_ended(const struct scope *scope);

/// Whether a script took `response.sse`, or might have. When a request ends early,
/// `scope_expect_as_asked` decides this by what the request accepts.
bool scope_expects_stream(const struct scope *scope);
void scope_expect_as_asked(struct scope *scope);

/// Cancels the tasks of the scope, which itself lives on. *Calls Lua.*
void scope_cancel_tasks(struct scope *scope);

/// Aborts the dormant requests, because the server is ending.
void scopes_end(struct scopes *scopes);
