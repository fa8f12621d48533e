// SPDX-License-Identifier: MIT
//
// The order of an engine's life. It sends orders to the workers and counts their news: when all
// have loaded, it tells all to begin; when all have begun, it serves; when all have finished, it
// tells all to end. Every function below runs on the first worker's thread, where the news arrive.
#include "server/engine.h"

#include "base/counters.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/config.h"
#include "server/report.h"
#include "shared/shared.h"

static void init_worker(struct engine *engine, size_t index);
static void tell_all(struct engine *engine, size_t order);
static void on_loaded(struct mailbox_message *message);
static void on_begun(struct mailbox_message *message);
static void serve(struct engine *engine);
static void on_finished(struct mailbox_message *message);
static void on_wants_reload(struct mailbox_message *message);
static void on_moved_clock(struct mailbox_message *message);
static void on_reload(void *owner, bool is_over);
static void check_state(const struct engine *engine);

void engine_init(struct engine *engine, const struct engine_options *options)
{
    DCHECK(options->worker_count >= 1);
    *engine = (struct engine){._options = *options, .worker_count = options->worker_count};
    engine->workers = mem_zero(engine->worker_count * sizeof(struct worker));
    hub_init(&engine->hub);
    engine->_shared = shared_new();
    for (size_t i = 0; i < engine->worker_count; i++) {
        init_worker(engine, i);
    }
    reload_init(&engine->reload, engine->workers, engine->worker_count);
    engine->reload.on_state = on_reload;
    engine->reload.owner = engine;
}

void engine_deinit(struct engine *engine)
{
    reload_deinit(&engine->reload);
    for (size_t i = 0; i < engine->worker_count; i++) {
        worker_deinit(&engine->workers[i]);
    }
    DCHECK(engine->conn_total == 0);
    hub_deinit(&engine->hub);
    shared_free(engine->_shared);
    counters_free();
    mem_free(engine->workers);
}

void engine_reload(struct engine *engine)
{
    DEBUG_CALL(check_state(engine));
    if (engine->is_serving) {
        reload_start(&engine->reload);
    } else {
        engine->_wants_reload = true;
    }
}

void engine_stop(struct engine *engine, int signal)
{
    if (engine->is_stopping) {
        LOG(LOG_WARN, "stopping at once", log_int("signal", signal));
        engine_abort(engine);
        return;
    }
    LOG(LOG_INFO, "stopping", log_int("signal", signal),
        log_int("connections", (int64_t)engine->conn_total));
    if (engine->is_serving && engine->conn_total > 0) {
        report_waiting(engine->conn_total, engine->workers[0].limits, signal);
    }
    engine_drain(engine);
}

void engine_drain(struct engine *engine)
{
    DEBUG_CALL(check_state(engine));
    if (!engine->is_serving) {
        engine_abort(engine);
        return;
    }
    engine->is_stopping = true;
    reload_stop(&engine->reload);
    tell_all(engine, offsetof(struct worker, orders.drain_all));
}

/// A worker that still loads cannot be told. `on_loaded` calls this again when all have loaded.
void engine_abort(struct engine *engine)
{
    DEBUG_CALL(check_state(engine));
    engine->is_stopping = true;
    reload_stop(&engine->reload);
    if (engine_has_come_to(engine, WORKER_LOADED)) {
        tell_all(engine, offsetof(struct worker, orders.abort));
    }
}

bool engine_has_come_to(const struct engine *engine, enum worker_stage stage)
{
    size_t count = 0;
    for (size_t i = 0; i < engine->worker_count; i++) {
        count += engine->workers[i].status.stage >= stage;
    }
    return count == engine->worker_count;
}

static void init_worker(struct engine *engine, size_t index)
{
    struct worker *worker = &engine->workers[index];
    DCHECK(index < engine->worker_count && index < COUNTERS_WORKERS_MAX);
    worker->status.engine = engine;
    worker->number = (unsigned)index + 1;
    worker->options = (struct worker_options){
        .config = engine->_options.config,
        .hub = &engine->hub,
        .shared = engine->_shared,
        .conn_total = &engine->conn_total,
        .worker_count = engine->worker_count,
        .inherited_count = engine->_options.inherited_count,
        .descriptors = engine->_options.descriptors,
        .home = &engine->workers[0].mailbox,
        .wants_end = engine->_options.events == NULL ? NULL : engine->_options.events->wants_end,
        .owner = engine->_options.owner,
    };
    worker->news.loaded.run = on_loaded;
    worker->news.begun.run = on_begun;
    worker->news.finished.run = on_finished;
    worker->news.wants_reload.run = on_wants_reload;
    worker->news.moved_clock.run = on_moved_clock;
}

/// Posts to every worker the order that stands at the offset `order` in it.
static void tell_all(struct engine *engine, size_t order)
{
    for (size_t i = 0; i < engine->worker_count; i++) {
        struct worker *worker = &engine->workers[i];
        worker_post(worker, (struct mailbox_message *)((char *)worker + order));
    }
}

/// A worker that could not load has ended its thread already; the others are told to end.
static void on_loaded(struct mailbox_message *message)
{
    struct worker *worker = CONTAINER_OF(message, struct worker, news.loaded);
    struct engine *engine = worker->status.engine;
    DCHECK(worker->status.stage == WORKER_LOADING);
    worker->status.stage = WORKER_LOADED;
    engine->has_failed = engine->has_failed || worker->status.has_failed;
    engine->_is_given_up = engine->_is_given_up || worker->status.is_given_up;
    if (!engine_has_come_to(engine, WORKER_LOADED)) {
        return;
    }
    if (engine->has_failed || engine->is_stopping) {
        engine_abort(engine);
    } else if (!engine->_is_given_up) { // else the engine is about to be told of the signal, too
        DCHECK(!engine->is_serving);
        tell_all(engine, offsetof(struct worker, orders.begin));
    }
}

static void on_begun(struct mailbox_message *message)
{
    struct worker *worker = CONTAINER_OF(message, struct worker, news.begun);
    struct engine *engine = worker->status.engine;
    DCHECK(worker->status.stage == WORKER_LOADED);
    worker->status.stage = WORKER_SERVING;
    if (worker->status.has_failed) {
        engine->has_failed = true;
        engine_abort(engine);
    }
    if (engine_has_come_to(engine, WORKER_SERVING) && !engine->is_stopping) {
        serve(engine);
    }
}

/// All workers accept connections from now on.
static void serve(struct engine *engine)
{
    const struct generation *generation = engine->workers[0].generations.current;
    const struct config *config = engine->_options.config;
    DCHECK(!engine->is_serving && !engine->is_stopping);
    engine->is_serving = true;
    DEBUG_CALL(check_state(engine));
    report_missing_routes(generation, config->script);
    report_hidden_routes(generation, "--ready-path", config->ready_path);
    if (config->admin == NULL) {
        report_hidden_routes(generation, "--metrics", config->metrics_path);
    }
    if (engine->_options.events != NULL && engine->_options.events->on_serving != NULL) {
        engine->_options.events->on_serving(engine->_options.owner);
    }
    if (engine->_wants_reload) {
        reload_start(&engine->reload);
    }
}

static void on_finished(struct mailbox_message *message)
{
    struct worker *worker = CONTAINER_OF(message, struct worker, news.finished);
    worker->status.stage = WORKER_FINISHED;
    if (engine_has_come_to(worker->status.engine, WORKER_FINISHED)) {
        engine_abort(worker->status.engine);
    }
}

static void on_wants_reload(struct mailbox_message *message)
{
    engine_reload(CONTAINER_OF(message, struct worker, news.wants_reload)->status.engine);
}

/// Wakes all workers, so that each looks at the new time.
static void on_moved_clock(struct mailbox_message *message)
{
    struct engine *engine = CONTAINER_OF(message, struct worker, news.moved_clock)->status.engine;
    if (engine->is_serving) {
        tell_all(engine, offsetof(struct worker, orders.look));
    }
}

static void on_reload(void *owner, bool is_over)
{
    const struct engine *engine = owner;
    if (engine->_options.events != NULL && engine->_options.events->on_reload != NULL) {
        engine->_options.events->on_reload(engine->_options.owner, is_over);
    }
}

/// What holds in each state of the drawing: an engine serves when every worker does, and never
/// after one has failed.
static void check_state(const struct engine *engine)
{
    CHECK(!engine->is_serving || engine_has_come_to(engine, WORKER_SERVING));
    CHECK(!engine->is_serving || !engine->has_failed);
}
