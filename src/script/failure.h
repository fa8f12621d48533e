// SPDX-License-Identifier: MIT
//
// What happens when a script fails. The failure is logged, and the peer gets an answer. While the
// head is not out, the script's `on_error` may shape the answer; if there is no `on_error`, or it
// fails too, the answer is a plain 500. Once the head is out, the response is cut, so that the peer
// sees that it is incomplete. The log has the traceback; the peer sees it in development mode only.
//
// A handler that raises what it was told of a body has not failed: the peer has. It is
// answered by the status that says why, such as 413, and the access log says the rest.
#pragma once

#include "base/bytes.h"

#include <lua.h>

struct task;
struct scope;

/// The task failed with `message`, traceback included.
void failure_handle(struct task *task, struct bytes message);

/// Pushes what a script gets of the error of the coroutine `failed`, as it was raised. When the
/// guard ended the run, there may be no error, so `message` stands for it, without its traceback.
void failure_push_error(lua_State *L, struct bytes message, lua_State *failed);

/// Sends a plain 500, because the handler has ended and nothing is left that could answer.
void failure_unanswered(struct scope *scope);

/// Sends a 503, because the scripts that would have answered are ended: too many reloads have come
/// since the request. Nothing was sent yet.
void failure_replaced(struct scope *scope);
