// SPDX-License-Identifier: MIT
//
// An app's life: the command line is put together and parsed as the program's is, the engine is
// made, each worker is made and loads, and turns until the engine serves. From then on `app_turn`
// gives each worker what its remotes have sent and lets its loop turn, until no worker has anything
// to do. Time passes only in `app_advance`.
//
// Whatever calls into the engine stands between `app_enter` and `app_leave`, which set and reset
// what belongs to the thread. They may be nested.
#include "kit/app.h"

#include "base/counters.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/access.h"
#include "kit/folder.h"
#include "net/loop.h"
#include "script/guard.h"
#include "script/scheduler.h"
#include "script/task.h"
#include "server/metrics.h"
#include "shared/shared.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    ROUNDS_MAX = 100000,
    DESCRIPTORS = 1 << 24, // no connection of an app needs one
    FIXED_ARGUMENTS = 4,   // the program, --workers N, the path
    NUMBER_BYTES = 16,
};

static int find_scripts(struct app *app, const struct app_options *options, char **why);
static int write_files(struct app *app, const struct app_options *options, char **why);
static int parse(struct app *app, const struct app_options *options, char **why);
static int open_engine(struct app *app, char **why);
static int load_worker(struct app *app, struct worker *worker);
static void on_reload(void *owner, bool is_over);
static bool turn_once(struct app *app);
static bool turn_worker(struct app *app, struct worker *worker);
static void drop_gone(struct app *app);
static void show_awake(struct parts *parts, struct buf *text);
static void add_path(void *paths, const char *path);
static char **copy_all(const char *const *texts, size_t count);
static void free_all(char **texts);
static char *copy(const char *text);
static char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));

static const struct engine_events events = {.on_reload = on_reload};

int app_new(const struct app_options *options, struct app **made, char **why)
{
    struct app *app = mem_new(struct app);
    DCHECK(options->path != NULL || options->file_count > 0);
    DCHECK(options->worker_count >= 1);
    *app = (struct app){0};
    *why = NULL;
    metrics_set_names();
    environment_init(&app->environment, options->start_ms);
    records_init(&app->records);
    lines_init(&app->lines);
    list_init(&app->remotes);
    stand_ins_init(&app->stand_ins);
    app->environment.on_connect = stand_ins_find;
    app->environment.on_connect_arg = &app->stand_ins;
    app->environment.log = &app->records.sink;
    app->environment.on_line = options->counts_lines && options->path != NULL ? lines_add : NULL;
    app->environment.on_line_arg = &app->lines;
    app->_variables = copy_all(options->variables, options->variable_count);
    app->environment.variables = (const char *const *)app->_variables;
    struct app_place place = app_enter(app, 0);
    int failure = find_scripts(app, options, why);
    if (failure == 0) {
        failure = parse(app, options, why);
    }
    if (failure == 0) {
        failure = open_engine(app, why);
    }
    app_leave(place);
    DCHECK((failure == 0) == (*why == NULL));
    *made = app;
    if (failure != 0) {
        app_free(app);
    }
    return failure;
}

bool app_close(struct app *app)
{
    if (!app->is_open) {
        return true;
    }
    struct app_place place = app_enter(app, 0);
    bool is_closed = true;
    engine_abort(&app->engine);
    app_turn(app);
    for (size_t i = app->engine.worker_count; i > 0; i--) {
        counters_turn_to((unsigned)i);
        is_closed = worker_close(&app->engine.workers[i - 1]) && is_closed;
    }
    drop_gone(app);
    DCHECK(!is_closed || list_is_empty(&app->remotes));
    if (is_closed) {
        engine_deinit(&app->engine);
    }
    app->is_open = false;
    app_leave(place);
    return is_closed;
}

void app_free(struct app *app)
{
    IGNORE(app_close(app)); // it has named what is open
    DCHECK(!app->is_open && environment_here != &app->environment);
    free_all(app->_arguments);
    free_all(app->_variables);
    mem_free(app->_path);
    folder_free(app->_folder);
    mem_free(app->_why);
    stand_ins_deinit(&app->stand_ins);
    records_deinit(&app->records);
    lines_deinit(&app->lines);
    mem_free(app);
}

bool app_turn(struct app *app)
{
    int rounds = 0;
    struct app_place place = app_enter(app, 0);
    while (app->is_open && rounds < ROUNDS_MAX && turn_once(app)) {
        rounds++;
    }
    app->is_restless = rounds == ROUNDS_MAX;
    app_leave(place);
    return rounds > 0;
}

void app_advance(struct app *app, uint64_t ms)
{
    struct app_place place = app_enter(app, 0);
    app_turn(app);
    while (ms > 0 && !app->is_restless) {
        uint64_t step = app_next_ms(app);
        step = step == 0 ? 1 : step < ms ? step : ms; // 0: something is due again and again
        clock_advance(step);
        ms -= step;
        app_turn(app);
    }
    app_leave(place);
}

void app_show_restless(struct app *app, struct buf *text)
{
    struct app_place place = app_enter(app, 0);
    DCHECK(app->is_restless);
    for (size_t i = 0; app->is_open && i < app->engine.worker_count; i++) {
        struct generation *generation = app->engine.workers[i].generations.current;
        if (generation != NULL) {
            show_awake(&generation->parts, text);
        }
    }
    app_leave(place);
}

/// Appends where each task stands that goes on in the next turn.
static void show_awake(struct parts *parts, struct buf *text)
{
    LIST_EACH (node, after, scheduler_tasks(parts->scheduler)) {
        const struct task *task = LIST_ITEM(node, struct task, node);
        bool is_due = task->state == TASK_READY ||
                      (timer_is_armed(&task->timer) &&
                       timer_due_ms(&task->timer) <= loop_now_ms(parts->options->loop));
        lua_State *L = task->waiting != NULL ? task->waiting : task->L;
        lua_Debug at;
        bool is_known = is_due && lua_getstack(L, 1, &at) != 0 && lua_getinfo(L, "Sl", &at) != 0;
        if (is_known && at.currentline > 0) {
            char line[LUA_IDSIZE + NUMBER_BYTES];
            int len = snprintf(line, sizeof(line), "%s%s:%d", buf_is_empty(text) ? "" : ", ",
                               at.short_src, at.currentline);
            IGNORE(buf_append(text, bytes_of(line, (size_t)len)));
        }
    }
}

uint64_t app_next_ms(struct app *app)
{
    uint64_t now_ms = app->environment.advanced_ms;
    DCHECK(environment_is_still(&app->environment));
    uint64_t next_ms = UINT64_MAX;
    for (size_t i = 0; app->is_open && i < app->engine.worker_count; i++) {
        uint64_t due_ms = loop_next_ms(&app->engine.workers[i].loop);
        next_ms = due_ms < next_ms ? due_ms : next_ms;
    }
    return next_ms == UINT64_MAX ? next_ms : next_ms > now_ms ? next_ms - now_ms : 0;
}

struct remote *app_connect(struct app *app, unsigned number, const struct socket_address *from,
                           size_t window, bool is_proxied)
{
    struct remote *remote = NULL;
    DCHECK(app->is_open && number <= app->engine.worker_count);
    size_t index = number == 0 ? app->_next++ % app->engine.worker_count : number - 1;
    struct worker *worker = &app->engine.workers[index];
    struct app_place place = app_enter(app, worker->number);
    if (!worker->service.is_draining) {
        remote = remote_new(worker, from, window, is_proxied);
        remote->app = app;
        list_append(&app->remotes, &remote->node);
    }
    app_leave(place);
    return remote;
}

void app_reload(struct app *app, const struct app_options *options)
{
    char *problem = NULL;
    int failure = 0;
    DCHECK(app->is_open && app->engine.is_serving);
    if (options->path != NULL || options->file_count > 0) {
        failure = find_scripts(app, options, &problem);
    }
    DCHECK((failure == 0) == (problem == NULL));
    app->config.script = app->_path;
    mem_free(app->_why);
    app->_why = problem;
    if (failure == 0) {
        struct app_place place = app_enter(app, 1);
        engine_reload(&app->engine);
        app_turn(app);
        app_leave(place);
    }
}

bool app_has_reloaded(const struct app *app, const char **why)
{
    *why = app->_why;
    return app->engine.reload.state == RELOAD_IDLE;
}

void app_signal(struct app *app, int number)
{
    DCHECK(app->is_open);
    struct app_place place = app_enter(app, 1);
    if (number == SIGHUP) {
        engine_reload(&app->engine);
    } else {
        engine_stop(&app->engine, number);
    }
    app_turn(app);
    app_leave(place);
}

void app_list_sources(struct app *app, struct buf *paths)
{
    DCHECK(app->is_open);
    struct generations *generations = &app->engine.workers[0].generations;
    DCHECK(generations->current != NULL && generations->scripts.count > 0);
    struct app_place place = app_enter(app, 1);
    for (size_t i = 0; i < generations->scripts.count; i++) {
        add_path(paths, generations->scripts.paths[i]);
    }
    generation_each_module(generations->current, add_path, paths);
    app_leave(place);
}

void app_fail(struct app *app, enum app_fault fault, bool is_on)
{
    DCHECK(app->is_open);
    if (fault == APP_MEMORY) {
        app->environment.refuses_memory = is_on;
        return;
    }
    for (size_t i = 0; i < app->engine.worker_count && is_on; i++) {
        guard_strike_next(app->engine.workers[i].generations.current->parts.guard);
    }
}

struct app_place app_enter(struct app *app, unsigned number)
{
    struct app_place place = {
        .environment = environment_enter(&app->environment),
        .counters = counters_here,
    };
    counters_turn_to(number);
    access_show_query(app->config.logs_query);
    return place;
}

void app_leave(struct app_place place)
{
    DCHECK(place.environment != NULL && place.counters != NULL);
    environment_enter(place.environment);
    counters_here = place.counters;
}

/// Sets `_path`: what is given, or the folder in which the files are.
static int find_scripts(struct app *app, const struct app_options *options, char **why)
{
    if (options->path == NULL) {
        int failure = write_files(app, options, why);
        if (failure != 0) {
            return failure;
        }
    }
    mem_free(app->_path);
    app->_path = copy(options->path != NULL ? options->path : app->_folder);
    return 0;
}

/// The files take the place of those that the folder has.
static int write_files(struct app *app, const struct app_options *options, char **why)
{
    int failure = app->_folder == NULL ? folder_new(&app->_folder) : 0;
    if (failure != 0) {
        *why = text("cannot make a folder for the scripts: %s", strerror(-failure));
        return failure;
    }
    app->environment.texts_folder = app->_folder;
    folder_clear(app->_folder);
    for (size_t i = 0; i < options->file_count && failure == 0; i++) {
        const struct app_file *file = &options->files[i];
        failure = folder_write(app->_folder, file->name, file->text);
        if (failure != 0) {
            *why = text("cannot write the script \"%s\": %s", file->name,
                        failure == -EINVAL ? "a name such as \"a.lua\" or \"lib/b.lua\" expected"
                                           : strerror(-failure));
        }
    }
    return failure;
}

/// Reads the command line, which ends with the path, as the program does.
static int parse(struct app *app, const struct app_options *options, char **why)
{
    size_t count = options->argument_count + FIXED_ARGUMENTS;
    DCHECK(app->_path != NULL && app->_arguments == NULL);
    char number[NUMBER_BYTES];
    snprintf(number, sizeof(number), "%u", options->worker_count);
    app->_arguments = mem_zero((count + 1) * sizeof(char *));
    app->_arguments[0] = copy("lunesse");
    for (size_t i = 0; i < options->argument_count; i++) {
        app->_arguments[i + 1] = copy(options->arguments[i]);
    }
    app->_arguments[count - 3] = copy("--workers");
    app->_arguments[count - 2] = copy(number);
    app->_arguments[count - 1] = copy(app->_path);
    char **words = mem_alloc((count + 1) * sizeof(char *)); // getopt puts them in another order
    memcpy(words, app->_arguments, (count + 1) * sizeof(char *));
    enum config_outcome outcome = config_parse(&app->config, (int)count, words);
    mem_free(words);
    app->config.script = app->_path;
    if (outcome == CONFIG_RUN) {
        return 0;
    }
    *why = outcome == CONFIG_DONE ? text("--help and --version load no scripts")
                                  : records_errors(&app->records);
    return -EINVAL;
}

/// Makes the engine and its workers, and turns until it serves.
static int open_engine(struct app *app, char **why)
{
    int failure = 0;
    engine_init(&app->engine, &(struct engine_options){
                                  .config = &app->config,
                                  .worker_count = app->config.worker_count,
                                  .descriptors = DESCRIPTORS,
                                  .events = &events,
                                  .owner = app,
                              });
    for (size_t i = 0; i < app->engine.worker_count && failure == 0; i++) {
        failure = load_worker(app, &app->engine.workers[i]);
        app->is_open = true;
    }
    app_turn(app);
    if (failure == 0 && !app->engine.is_serving) {
        failure = -EINVAL;
    }
    *why = failure == 0 ? NULL : records_errors(&app->records);
    return failure;
}

static int load_worker(struct app *app, struct worker *worker)
{
    DCHECK(worker->number >= 1 && worker->number <= app->engine.worker_count);
    counters_turn_to(worker->number);
    int failure = worker_init(worker);
    if (failure == 0) {
        failure = worker_load(worker);
        (void)mailbox_post(&app->engine.workers[0].mailbox, &worker->news.loaded); // it is open
    }
    return failure;
}

static void on_reload(void *owner, bool is_over)
{
    struct app *app = owner;
    const char *why = app->engine.reload.why;
    DCHECK(environment_here == &app->environment);
    if (is_over) {
        mem_free(app->_why);
        app->_why = why == NULL ? NULL : copy(why);
    }
}

/// Turns each worker once. Returns whether one had something to do.
static bool turn_once(struct app *app)
{
    bool has_moved = false;
    for (size_t i = 0; i < app->engine.worker_count; i++) {
        has_moved = turn_worker(app, &app->engine.workers[i]) || has_moved;
    }
    drop_gone(app);
    return has_moved;
}

static bool turn_worker(struct app *app, struct worker *worker)
{
    bool has_moved = false;
    DCHECK(environment_here == &app->environment);
    if (!worker_is_made(worker)) {
        return false;
    }
    counters_turn_to(worker->number);
    LIST_EACH (node, after, &app->remotes) {
        struct remote *remote = LIST_ITEM(node, struct remote, node);
        has_moved = (remote->worker == worker && remote_turn(remote)) || has_moved;
    }
    return loop_turn(&worker->loop) || has_moved;
}

/// Lets go of remotes whose transports are closed.
static void drop_gone(struct app *app)
{
    LIST_EACH (node, after, &app->remotes) {
        struct remote *remote = LIST_ITEM(node, struct remote, node);
        DCHECK(remote->app == app);
        if (remote_is_gone(remote)) {
            list_remove(node);
            remote->app = NULL;
            remote_release(remote);
        }
    }
}

static void add_path(void *paths, const char *path)
{
    IGNORE(buf_append(paths, bytes_of(path, strlen(path) + 1)));
}

/// A list that ends with NULL.
static char **copy_all(const char *const *texts, size_t count)
{
    char **copies = mem_zero((count + 1) * sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        copies[i] = copy(texts[i]);
    }
    return copies;
}

static void free_all(char **texts)
{
    for (char **text = texts; text != NULL && *text != NULL; text++) {
        mem_free(*text);
    }
    mem_free(texts);
}

static char *copy(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(mem_alloc(size), text, size);
}

static char *text(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = mem_format(format, arguments);
    va_end(arguments);
    return text;
}
