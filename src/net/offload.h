// SPDX-License-Identifier: MIT
//
// Work that would take too long for a turn of the loop, or that waits for a disk. A thread of
// libuv's pool does it; all loops of the process share its threads. The struct is a member of
// the struct that the work is about, whose owner keeps it until `done` was called. `done` is called
// on the loop's thread, also while the loop closes.
#pragma once

#include "base/check.h"

#include <stddef.h>
#include <uv.h>

struct environment;
struct loop;
struct offload;
typedef void (*offload_fn)(struct offload *offload);

struct offload {
    uv_work_t _work;
    struct environment *_environment; // of the thread that started the work, and of the work
    offload_fn run;                   // called on a thread of the pool
    offload_fn done;                  // called on the loop's thread, after `run`
};

/// Sets how many threads the pool has, which all loops of the process share; UV_THREADPOOL_SIZE
/// goes before it. Once, before the process has other threads and before the pool is used.
void offload_set_size(size_t thread_count);

/// Starts the threads of the pool. libuv ends the process when it cannot start one. So where work
/// is certain to come, the server calls this once while it starts, before it has other threads, and
/// not when a peer first asks for something.
void offload_prepare(struct loop *loop);

/// Tells whether the pool has its threads or the system would start one. Asked before work that
/// may be the first. Returns 0, or -EAGAIN.
MUST_USE int offload_check(void);

/// Starts the work. The caller has set `run` and `done`.
void offload_start(struct offload *offload, struct loop *loop);
