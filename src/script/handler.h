// SPDX-License-Identifier: MIT
//
// Joins a request with its scripts. It starts the handler of the route, and it is what the
// exchange, the event stream and the scheduler tell of their events.
//
// When the exchange is done, this happens in this order: the link to it is cut, timers that are
// tied to the request stop, `close` listeners are queued, and the tasks are cancelled if the peer
// has left an event stream, or an answer that may become one.
#pragma once

#include "base/check.h"
#include "script/scheduler.h"
#include "wire/route.h"

struct exchange;
struct parts;
struct route;
struct stream_options;
struct scope;

/// What the scheduler calls. A failed task is handled by failure.c. When a task has ended and
/// nothing is left that could answer, a 500 is sent.
extern const struct task_events handler_task_events;

/// Makes the scope for a complete request and runs the route's handler, or the fallback. *Calls
/// Lua.*
void handler_start(struct parts *parts, struct exchange *exchange, struct route *route,
                   const struct route_match *match);

/// The pattern of the route whose task runs; NULL for none.
const char *handler_route(const struct parts *parts);

/// Opens the event stream. Returns as `stream_open`.
MUST_USE int handler_open_stream(struct scope *scope, const struct stream_options *options);
