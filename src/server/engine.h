// SPDX-License-Identifier: MIT
//
// What serves, without the process around it: the hub, the shared stores, the workers with their
// orders and news, and the reload. The running program has one engine and gives it sockets, threads
// and signals (server.h). An engine needs none of these: whoever owns it may also turn its workers
// one after the other on one thread, over connections that are memory.
//
// An engine hears of its workers by their news, which arrive in the first worker's mailbox:
//
//     LOADING --all have loaded--> BEGINNING --all have begun--> SERVING --drain--> STOPPING
//        |                             |                                               ^
//        +------ one has failed -------+-------------------------- abort --------------+
//
// Used on the first worker's thread. It ends when every worker has left its loop.
#pragma once

#include "hub/hub.h"
#include "server/reload.h"
#include "server/worker.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct config;
struct shared;

/// What an engine tells its owner. Each may be NULL.
struct engine_events {
    /// All workers serve from now on.
    void (*on_serving)(void *owner);
    /// Whether the program is to end. Scripts that wait while they first load are given up then.
    /// Asked on each worker's thread.
    bool (*wants_end)(void *owner);
    /// A reload begins, or is over.
    void (*on_reload)(void *owner, bool is_over);
};

struct engine_options {
    const struct config *config;
    size_t worker_count;
    int inherited_count;  // sockets that a service manager has passed
    uint64_t descriptors; // that the program may have
    const struct engine_events *events;
    void *owner;
};

struct engine {
    struct hub hub;
    struct worker *workers;
    size_t worker_count;
    atomic_size_t conn_total;
    struct reload reload;
    bool is_serving; // all workers are
    bool is_stopping;
    bool has_failed; // a worker could not load, or not begin
    struct engine_options _options;
    struct shared *_shared;
    bool _wants_reload; // was asked for before all workers served
    bool _is_given_up;  // a worker has given up loading, because the program is to end
};

/// Makes an engine whose workers are numbered from 1. What `options` points to must outlive it.
/// Next comes `worker_init` for each worker, on its thread, then `worker_load`; when that is over,
/// the news `loaded` are posted.
void engine_init(struct engine *engine, const struct engine_options *options);

/// Frees what the workers share, and the counters of this environment. All workers are closed.
void engine_deinit(struct engine *engine);

/// Loads the scripts anew, as soon as all workers serve. A worker that does not serve yet could not
/// take part.
void engine_reload(struct engine *engine);

/// What SIGTERM and SIGINT do: logs it, and tells all workers to end in order, or, the second time,
/// at once. `signal` is the number for the log.
void engine_stop(struct engine *engine, int signal);

/// Tells all workers to end in order; before they serve, at once.
void engine_drain(struct engine *engine);

/// Tells all workers to end at once. Workers that still load are told when they have loaded.
void engine_abort(struct engine *engine);

/// Whether all workers have come to `stage`, as far as the engine has heard.
bool engine_has_come_to(const struct engine *engine, enum worker_stage stage);
