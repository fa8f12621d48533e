// SPDX-License-Identifier: MIT
//
// Work that is too long for a turn of the loop, done by a thread of libuv's pool. The struct is a
// member of what the work is about, which must live until `done` is called; that is on the loop's
// thread, also while the loop closes.
#pragma once

#include <uv.h>

struct loop;
struct offload;
typedef void (*offload_fn)(struct offload *offload);

struct offload {
    uv_work_t _work;
    offload_fn run;  // on some thread
    offload_fn done; // on the loop's
};

/// `run` and `done` are set.
void offload_start(struct offload *offload, struct loop *loop);
