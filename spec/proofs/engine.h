// SPDX-License-Identifier: MIT
//
// A whole engine without a socket: hub, shared stores and workers, each with its loop, its Lua
// state and its scripts, and callers whose connections are memory. Whoever makes one drives it:
// turn by turn on one thread, or each worker on a thread of its own. A proof may have several at
// once.
#pragma once

#include "hub/hub.h"
#include "loopback.h"
#include "server/config.h"
#include "server/worker.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { ENGINE_WORKERS_MAX = 2, ENGINE_PATH_BYTES = 64 };

struct engine {
    struct config config;
    char script_path[ENGINE_PATH_BYTES];
    struct hub hub;
    struct shared *shared;
    atomic_size_t conn_total;
    struct worker workers[ENGINE_WORKERS_MAX];
    size_t worker_count;
};

/// A connection to a worker; used on the worker's thread. What the engine has sent is in
/// `transport.taken`.
struct caller {
    struct loopback transport;
};

/// Makes an engine whose workers run the text `script`, with the numbers from `first_number` on:
/// counters are kept by number for the whole process, so no two engines may share one. It sets the
/// level of the log, which is the process's, so engines are made before there are threads.
void engine_init(struct engine *engine, const char *script, unsigned first_number,
                 size_t worker_count);

/// Makes the worker ready and loads its scripts. On the thread that will drive it.
void engine_open_worker(struct engine *engine, size_t index);

/// Ends what is open on the worker, and closes it. On the thread that drives it.
void engine_close_worker(struct engine *engine, size_t index);

/// When all workers are closed. The counters stay until `counters_free`.
void engine_deinit(struct engine *engine);

/// Turns the worker's loop until nothing is left to do in it.
void engine_turn(struct engine *engine, size_t index);

/// Connects to the worker and sends a GET for `target`, with `fields`, lines of a head or "".
void caller_ask(struct caller *caller, struct worker *worker, const char *target,
                const char *fields);

/// Whether what came contains `text`.
bool caller_has(const struct caller *caller, const char *text);

/// Goes away; the loop has to turn before `caller_deinit`.
void caller_leave(struct caller *caller);
void caller_deinit(struct caller *caller);
