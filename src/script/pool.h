// SPDX-License-Identifier: MIT
//
// A pool of threads that call the functions of a Lua module, each thread in a Lua state of its own.
// Threads are started when there are more calls than threads, up to a maximum, and live until the
// pool is closed; one that is at a call then ends after it. Nobody waits for a thread, so a
// function that never returns holds up neither a reload nor the end of the process, which cuts it
// off.
//
// In an environment whose clock stands still there are no threads: the function runs at once, on
// the thread of the loop, and its answer comes in the next turn. So a spec is the same each time.
//
// A pool belongs to the generation that made it and is used on the thread of its loop. The threads
// keep its memory until they have ended.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "script/pool_state.h"

#include <stdint.h>

struct mailbox;
struct pool;
struct pool_call;

/// The function has returned or raised; `user` is what `pool_call_start` was given. Called on the
/// loop's thread. The answer lives until this returns.
typedef void (*pool_answer_fn)(void *user, const struct pool_answer *answer);

struct pool_options {
    struct pool_source source; // copied
    uint64_t thread_count_max;
    uint64_t queue_max;      // calls that wait for a thread
    struct mailbox *mailbox; // of the loop
    pool_answer_fn on_answer;
};

struct pool *pool_open(const struct pool_options *options);

/// No call may wait any more. Threads that have nothing to do end at once.
void pool_close(struct pool *pool);

/// Begins a call; see `pool_state_call`. Returns 0; -EAGAIN when the queue is full; -ENOMEM; or
/// another negative errno when no thread can be started.
MUST_USE int pool_call_start(struct pool *pool, struct bytes name, struct bytes arguments,
                             void *user, struct pool_call **started);

/// Has `on_answer` not called for it. A call that no thread has taken is not made; the answer of
/// one that runs is thrown away.
void pool_call_cancel(struct pool_call *call);
