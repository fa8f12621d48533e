// SPDX-License-Identifier: MIT
//
// A reload runs on the first worker's thread and moves by messages. `begin` sends STEP_BUILD to the
// first worker; when its report is back, to all others; when all reports are back, STEP_SWAP or
// STEP_DISCARD to every worker. A worker takes a step between two events, so no script of it runs
// meanwhile; but STEP_BUILD lasts longer if the scripts wait while they load, and the worker serves
// until they have loaded. Each worker has one message for orders and one for reports: a worker has
// one step at a time, and `waited_count` says how many reports are missing.
//
// The files that are watched are those of the last candidate, also of one that failed: the edit
// that mends a script must be seen.
#include "server/reload.h"

#include "base/counters.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/config.h"
#include "server/report.h"
#include "server/scripts.h"

#include <string.h>

enum { MODULES_MS = 1000 }; // between two looks at what handlers have required

static void begin(struct loop_job *job);
static void tell(struct reload *reload, enum worker_step step, size_t count);
static void on_report(struct mailbox_message *message);
static void go_on(struct reload *reload);
static void take_why(struct reload *reload);
static void finish(struct reload *reload);
static void report(const struct reload *reload);
static void on_changed(void *user);
static void watch_candidate(struct reload *reload);
static void on_modules(struct timer *timer);
static void watch_sources(struct reload *reload, struct generation *generation);
static void watch_file(void *user, const char *path);
static void check_state(const struct reload *reload);

void reload_init(struct reload *reload, struct worker *workers, size_t worker_count)
{
    DCHECK(worker_count > 0);
    *reload = (struct reload){.workers = workers, .worker_count = worker_count};
    loop_job_init(&reload->job, begin);
    for (size_t i = 0; i < worker_count; i++) {
        workers[i].reload.report.run = on_report;
        workers[i].reload.coordinator = reload;
    }
}

void reload_watch(struct reload *reload)
{
    DCHECK(!reload->is_watching && !reload->is_stopped);
    watch_open(&reload->watch, &reload->workers[0].loop, on_changed, reload);
    reload->is_watching = true;
    watch_sources(reload, reload->workers[0].generations.current);
    timer_init(&reload->modules, &reload->workers[0].loop.timers, on_modules);
    timer_arm(&reload->modules, MODULES_MS);
}

void reload_start(struct reload *reload)
{
    if (reload->is_stopped) {
        LOG(LOG_INFO, "not reloaded: the server is stopping");
    } else if (reload->state != RELOAD_IDLE) {
        reload->is_wanted_again = true;
    } else {
        loop_at_turn_end(&reload->workers[0].loop, LOOP_RUN, &reload->job);
    }
}

void reload_stop(struct reload *reload)
{
    reload->is_stopped = true;
    loop_job_cancel(&reload->job);
    if (reload->is_watching) {
        watch_close(&reload->watch);
        timer_deinit(&reload->modules);
        reload->is_watching = false;
    }
}

void reload_deinit(struct reload *reload)
{
    take_why(reload);
    mem_free(reload->why);
}

static void begin(struct loop_job *job)
{
    struct reload *reload = CONTAINER_OF(job, struct reload, job);
    DCHECK(reload->state == RELOAD_IDLE && !reload->is_stopped);
    reload->is_wanted_again = false;
    reload->began_ns = clock_ns();
    reload->state = RELOAD_BUILDING;
    reload->asked_count = 0;
    if (reload->is_watching) {
        watch_renew(&reload->watch);
    }
    if (reload->on_state != NULL) {
        reload->on_state(reload->owner, false);
    }
    tell(reload, STEP_BUILD, 1);
}

/// Sends the order of `step` to the next `count` workers that were not asked yet.
static void tell(struct reload *reload, enum worker_step step, size_t count)
{
    DCHECK(count > 0 && reload->asked_count + count <= reload->worker_count);
    reload->waited_count = count;
    for (size_t i = 0; i < count; i++) {
        struct worker *worker = &reload->workers[reload->asked_count++];
        worker->reload.step = step;
        worker->reload.refusal = reload->why;
        worker_post(worker, &worker->reload.order);
    }
    DEBUG_CALL(check_state(reload));
}

static void on_report(struct mailbox_message *message)
{
    struct worker *worker = CONTAINER_OF(message, struct worker, reload.report);
    struct reload *reload = worker->reload.coordinator;
    DCHECK(reload->waited_count > 0 && reload->state != RELOAD_IDLE);
    DEBUG_CALL(check_state(reload));
    if (--reload->waited_count == 0) {
        go_on(reload);
    }
}

/// All workers that were asked have reported.
static void go_on(struct reload *reload)
{
    DCHECK(reload->waited_count == 0);
    bool has_built = reload->state == RELOAD_BUILDING;
    if (has_built) {
        take_why(reload);
        if (reload->is_watching && reload->asked_count == 1) {
            watch_candidate(reload);
        }
    }
    if (reload->is_stopped) {
        return;
    }
    size_t left_count = reload->worker_count - reload->asked_count;
    if (has_built && reload->why == NULL && left_count > 0) {
        tell(reload, STEP_BUILD, left_count);
    } else if (has_built) {
        reload->state = reload->why == NULL ? RELOAD_SWAPPING : RELOAD_DISCARDING;
        reload->asked_count = 0;
        tell(reload, reload->why == NULL ? STEP_SWAP : STEP_DISCARD, reload->worker_count);
    } else {
        finish(reload);
    }
}

/// Keeps the first reason and frees the others: all workers load the same scripts, so the reasons
/// are the same.
static void take_why(struct reload *reload)
{
    for (size_t i = 0; i < reload->asked_count; i++) {
        char *why = reload->workers[i].reload.why;
        reload->workers[i].reload.why = NULL;
        if (reload->why == NULL) {
            reload->why = why;
        } else {
            mem_free(why);
        }
    }
}

static void finish(struct reload *reload)
{
    bool is_done = reload->state == RELOAD_SWAPPING;
    DCHECK(is_done || reload->state == RELOAD_DISCARDING);
    DCHECK(reload->asked_count == reload->worker_count);
    count_up(is_done ? COUNT_RELOADED : COUNT_NOT_RELOADED, 1);
    if (is_done) {
        const struct worker *first = &reload->workers[0];
        report(reload);
        report_missing_routes(first->generations.current, first->options.config->script);
    } else {
        LOG(LOG_ERROR, "not reloaded: the scripts that ran go on",
            log_lines("why", bytes_from_string(reload->why)));
    }
    if (reload->on_state != NULL) {
        reload->on_state(reload->owner, true);
    }
    mem_free(reload->why);
    reload->why = NULL;
    reload->state = RELOAD_IDLE;
    DEBUG_CALL(check_state(reload));
    if (reload->is_wanted_again) {
        reload_start(reload);
    }
}

/// Logs what has changed. Routes are the same in every worker; streams are added up.
static void report(const struct reload *reload)
{
    const struct worker_reload *first = &reload->workers[0].reload;
    size_t kept = 0;
    size_t ended = 0;
    for (size_t i = 0; i < reload->worker_count; i++) {
        kept += reload->workers[i].reload.change.kept;
        ended += reload->workers[i].reload.change.ended;
    }
    uint64_t number = reload->workers[0].generations.current->options.number;
    LOG(LOG_INFO, "reloaded", log_int("generation", (int64_t)number),
        log_int("scripts", (int64_t)first->script_count),
        log_int("added", (int64_t)first->change.added),
        log_int("changed", (int64_t)first->change.changed),
        log_int("removed", (int64_t)first->change.removed), log_int("kept", (int64_t)kept),
        log_int("ended", (int64_t)ended),
        log_duration("ms", (int64_t)((clock_ns() - reload->began_ns) / 1000)));
}

static void on_changed(void *user)
{
    reload_start(user);
}

/// Watches the files of the new scripts. When they have loaded, files that they no longer use are
/// dropped from the list. When they have not, the old files stay: the mistake may be mended there.
static void watch_candidate(struct reload *reload)
{
    bool has_loaded = reload->why == NULL;
    DCHECK(reload->workers[0].generations.candidate != NULL);
    if (has_loaded) {
        watch_begin_list(&reload->watch);
    }
    watch_sources(reload, reload->workers[0].generations.candidate);
    if (has_loaded) {
        watch_end_list(&reload->watch);
    }
}

/// Handlers may `require` more modules while they run, so the list is looked at again.
static void on_modules(struct timer *timer)
{
    struct reload *reload = CONTAINER_OF(timer, struct reload, modules);
    generation_each_module(reload->workers[0].generations.current, watch_file, reload);
    timer_arm(timer, MODULES_MS);
}

/// The scripts' folder, the scripts, and the modules that they require.
static void watch_sources(struct reload *reload, struct generation *generation)
{
    struct scripts scripts;
    if (scripts_find(&scripts, reload->workers[0].options.config->script) == 0) {
        watch_add_folder(&reload->watch, scripts.folder);
    }
    for (size_t i = 0; i < scripts.count; i++) {
        watch_file(reload, scripts.paths[i]);
    }
    scripts_deinit(&scripts);
    generation_each_module(generation, watch_file, reload);
}

/// Modules below these folders are installed by packages; nobody edits them, so they are not
/// watched.
static void watch_file(void *user, const char *path)
{
    static const char *const installed[] = {"/usr/share/lua/", "/usr/local/share/lua/", "/usr/lib/",
                                            "/usr/local/lib/"};
    struct reload *reload = user;
    for (size_t i = 0; i < sizeof(installed) / sizeof(installed[0]); i++) {
        if (strncmp(path, installed[i], strlen(installed[i])) == 0) {
            return;
        }
    }
    watch_add_file(&reload->watch, path);
}

/// What holds in each state of the drawing: the first worker builds alone, every other step is for
/// all of them, and there is a reason exactly where the candidates are discarded.
static void check_state(const struct reload *reload)
{
    bool is_for_all = reload->asked_count == reload->worker_count;
    CHECK(reload->waited_count <= reload->asked_count);
    CHECK(reload->asked_count <= reload->worker_count);
    switch (reload->state) {
    case RELOAD_IDLE:
        CHECK(reload->waited_count == 0 && reload->why == NULL);
        break;
    case RELOAD_BUILDING:
        CHECK(is_for_all || reload->asked_count == 1);
        CHECK(reload->why == NULL);
        break;
    case RELOAD_SWAPPING:
        CHECK(is_for_all && reload->why == NULL);
        break;
    case RELOAD_DISCARDING:
        CHECK(is_for_all && reload->why != NULL);
        break;
    }
}
