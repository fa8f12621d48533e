// SPDX-License-Identifier: MIT
//
// The product's engine with a script of one file, on workers that whoever makes the rig turns: turn
// by turn on one thread, or each worker on a thread of its own. Callers' connections are memory. A
// proof may have several at once.
#pragma once

#include "base/environment.h"
#include "base/log.h"
#include "net/loopback.h"
#include "server/config.h"
#include "server/engine.h"

#include <stdbool.h>
#include <stddef.h>

enum { RIG_PATH_BYTES = 64 };

struct rig {
    struct environment environment; // the engine's own: clock, counters, log
    struct log_sink log;
    struct config config;
    char script_path[RIG_PATH_BYTES];
    struct engine engine;
};

/// A connection to a worker; used on the worker's thread. What the engine has sent is in
/// `transport.taken`.
struct caller {
    struct loopback transport;
};

/// Makes an engine whose workers run the text `script`, in an environment of its own.
void rig_init(struct rig *rig, const char *script, size_t worker_count);

/// The calling thread is in the rig's environment from now on, and counts for the worker. Whoever
/// drives a worker without the functions below calls this first.
void rig_enter(struct rig *rig, size_t index);

/// Moves the rig's clock, for all of its workers.
void rig_advance(struct rig *rig, uint64_t ms);

/// Makes the worker ready and loads its scripts. On the thread that will drive it.
void rig_open_worker(struct rig *rig, size_t index);

/// Ends what is open on the worker, and closes it. On the thread that drives it.
void rig_close_worker(struct rig *rig, size_t index);

/// When all workers are closed.
void rig_deinit(struct rig *rig);

/// Turns the worker's loop until nothing is left to do in it.
void rig_turn(struct rig *rig, size_t index);

/// Connects to the worker and sends a GET for `target`, with `fields`, lines of a head or "".
void caller_ask(struct caller *caller, struct worker *worker, const char *target,
                const char *fields);

/// Whether what came contains `text`.
bool caller_has(const struct caller *caller, const char *text);

/// Goes away; the loop has to turn before `caller_deinit`.
void caller_leave(struct caller *caller);
void caller_deinit(struct caller *caller);
