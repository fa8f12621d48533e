// SPDX-License-Identifier: MIT
//
// Runs the scripts of a generation, one file after the other. The main chunk of each is a task, so
// it may wait, and so may the modules that it requires. While nothing waits, all of it happens
// before `load_start` returns; otherwise it goes on in later turns of the loop, beside whatever
// else the loop does. Scripts that have not run to their end within `load_timeout` are given up.
// Owned by its generation.
#pragma once

#include "net/loop.h"
#include "net/timer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct parts;
struct task;

/// The scripts have run; or one could not, and `why` says so, with its traceback. It is valid until
/// this returns.
typedef void (*load_done_fn)(void *arg, const char *why);

struct load {
    struct parts *_parts;
    char *const *_paths;
    size_t _path_count;
    size_t _next; // the path that comes next
    load_done_fn _done;
    void *_arg;
    struct task *_task;   // runs the script; NULL between two
    struct timer _timer;  // of `load_timeout`
    struct loop_job _job; // goes on with the next script
    uint64_t _began_ms;   // by the loop's clock
    char *_why;           // the failure; NULL for none
    bool _is_in_run;      // a script's first run has not come back
};

void load_init(struct load *load, struct parts *parts);

/// Runs the scripts, whose paths must be valid until `done` is called. It may be called before this
/// returns. *Calls Lua.*
void load_start(struct load *load, char *const *paths, size_t path_count, load_done_fn done,
                void *arg);

/// Lets go of everything. `done` is not called from now on. The task of a script that still waits
/// is left to its scheduler.
void load_deinit(struct load *load);
