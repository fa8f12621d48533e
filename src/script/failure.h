// SPDX-License-Identifier: MIT
//
// What happens when a script fails: it is logged, and whoever waits for an answer gets one. Before
// the head is out the script's `on_error` may shape it; if there is none or it fails too, a plain
// 500. After the head the response is cut behind what was sent, so that the peer sees that it is
// incomplete. The traceback goes to the log, and on the wire only in development mode.
#pragma once

#include "base/bytes.h"

struct task;
struct scope;

/// The task failed with `message`, traceback included.
void failure_handle(struct task *task, struct bytes message);

/// The handler has ended and nothing is left that could answer: a plain 500 is sent.
void failure_unanswered(struct scope *scope);

/// Too many reloads have come since the request did, and what would have answered it is ended: a
/// 503 says so. Nothing was sent yet.
void failure_replaced(struct scope *scope);
