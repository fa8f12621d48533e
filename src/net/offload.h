// SPDX-License-Identifier: MIT
//
// Work that would take too long for a turn of the loop, or that waits for a disk. A thread of
// libuv's pool does it; all loops of the process share its four threads. The struct is a member of
// the struct that the work is about, whose owner keeps it until `done` was called. `done` is called
// on the loop's thread, also while the loop closes.
#pragma once

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

/// Starts the threads of the pool. libuv ends the process when it cannot start one, so the server
/// calls this once while it starts, before it has other threads, and not when a peer first asks for
/// something.
void offload_prepare(struct loop *loop);

/// Starts the work. The caller has set `run` and `done`.
void offload_start(struct offload *offload, struct loop *loop);
