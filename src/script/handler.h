// SPDX-License-Identifier: MIT
//
// What happens to a request between scripts and the exchange: the route's handler is started, the
// exchange and the event stream tell of what becomes of them, and the tasks of the request end.
//
// When the exchange is done, in this order: the link is cut, tied timers stop, close listeners are
// queued, and the tasks are cancelled if the peer left a stream, or an answer that may become one.
#pragma once

#include "base/check.h"
#include "script/scheduler.h"
#include "wire/route.h"

struct exchange;
struct parts;
struct route;
struct stream_options;
struct scope;

/// What the scheduler tells: failures of tasks are handled, and when nothing is left that could
/// answer, a 500 is sent.
extern const struct task_events handler_task_events;

/// Makes the scope for a complete request and runs the route's handler, or the fallback. *Calls
/// Lua.*
void handler_start(struct parts *parts, struct exchange *exchange, struct route *route,
                   const struct route_match *match);

/// The pattern of the route whose task runs; NULL when there is none.
const char *handler_route(const struct parts *parts);

/// Opens the event stream. Returns as `stream_open`.
MUST_USE int handler_open_stream(struct scope *scope, const struct stream_options *options);
