// SPDX-License-Identifier: MIT
#include "script/load.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include "script/chunk.h"
#include "script/parts.h"
#include "script/stack.h"
#include "script/task.h"

#include <lauxlib.h>
#include <stdio.h>

static void go_on(struct load *load);
static void arm_timer(struct load *load);
static void run_next(struct load *load);
static void fail(struct load *load, struct bytes why);
static void on_failed(struct task *task, struct bytes message, void *arg);
static void on_ended(struct task *task, void *arg);
static void on_job(struct loop_job *job);
static void on_time_up(struct timer *timer);
static void push_lateness(struct load *load, uint64_t limit_ms);

static const struct task_watcher watcher = {.on_failed = on_failed, .on_ended = on_ended};

void load_init(struct load *load, struct parts *parts)
{
    *load = (struct load){._parts = parts};
    timer_init(&load->_timer, &parts->options->loop->timers, on_time_up);
    loop_job_init(&load->_job, on_job);
}

void load_start(struct load *load, char *const *paths, size_t path_count, load_done_fn done,
                void *arg)
{
    struct loop *loop = load->_parts->options->loop;
    OWNED(&loop->owner);
    DCHECK(load->_done == NULL && done != NULL);
    load->_paths = paths;
    load->_path_count = path_count;
    load->_done = done;
    load->_arg = arg;
    load->_began_ms = loop_now_ms(loop);
    go_on(load);
}

void load_deinit(struct load *load)
{
    if (load->_task != NULL) {
        task_tell(load->_task, NULL, NULL);
        load->_task = NULL;
    }
    timer_deinit(&load->_timer);
    loop_job_cancel(&load->_job);
    mem_free(load->_why);
    load->_why = NULL;
}

/// Runs scripts until one waits, one fails or all have run. A script that waits goes on by itself;
/// when it ends, this is called again.
static void go_on(struct load *load)
{
    DCHECK(load->_task == NULL);
    while (load->_why == NULL && load->_next < load->_path_count) {
        run_next(load);
        if (load->_task != NULL) {
            arm_timer(load);
            return;
        }
    }
    timer_disarm(&load->_timer);
    load->_done(load->_arg, load->_why);
}

/// The script may have set the limit in its first lines.
static void arm_timer(struct load *load)
{
    uint64_t due_ms = load->_began_ms + load->_parts->options->limits->script.load_timeout_ms;
    timer_arm_at(&load->_timer, due_ms);
}

static void run_next(struct load *load)
{
    lua_State *L = load->_parts->L;
    const char *path = load->_paths[load->_next++];
    STACK_BEGIN(L);
    if (chunk_load(L, path) != LUA_OK) {
        fail(load, bytes_from_string(lua_tostring(L, -1)));
        lua_pop(L, 1);
        return;
    }
    lua_pushstring(L, path);
    load->_task = task_new(L, 1);
    task_tell(load->_task, &watcher, load);
    load->_is_in_run = true;
    task_start_now(load->_task);
    load->_is_in_run = false;
    DCHECK_STACK(L, 0);
}

static void fail(struct load *load, struct bytes why)
{
    if (load->_why == NULL) {
        load->_why = mem_string(why);
    }
}

static void on_failed(struct task *task, struct bytes message, void *arg)
{
    (void)task;
    fail(arg, message);
}

static void on_ended(struct task *task, void *arg)
{
    struct load *load = arg;
    DCHECK(load->_task == task);
    (void)task;
    load->_task = NULL;
    if (!load->_is_in_run) {
        loop_at_turn_end(load->_parts->options->loop, LOOP_RUN, &load->_job);
    }
}

static void on_job(struct loop_job *job)
{
    go_on(CONTAINER_OF(job, struct load, _job));
}

static void on_time_up(struct timer *timer)
{
    struct load *load = CONTAINER_OF(timer, struct load, _timer);
    uint64_t limit_ms = load->_parts->options->limits->script.load_timeout_ms;
    limit_met("load_timeout", limit_ms);
    push_lateness(load, limit_ms);
    fail(load, bytes_from_string(lua_tostring(load->_parts->L, -1)));
    lua_pop(load->_parts->L, 1);
    if (load->_task != NULL) {
        task_cancel(load->_task); // `on_ended` goes on
    }
}

/// Pushes where the script waits, on the main stack: "file:line: the scripts have not loaded within
/// load_timeout (30 s)", with the traceback.
static void push_lateness(struct load *load, uint64_t limit_ms)
{
    lua_State *L = load->_parts->L;
    lua_Debug record = {0};
    char limit[32];
    int level = 0;
    STACK_BEGIN(L);
    lua_State *waiting = load->_task == NULL ? NULL : load->_task->waiting;
    record.currentline = -1;
    while (waiting != NULL && record.currentline < 0 && lua_getstack(waiting, level++, &record)) {
        lua_getinfo(waiting, "Sl", &record);
    }
    if (record.currentline > 0) {
        lua_pushfstring(L, "%s:%d: ", record.short_src, record.currentline);
    } else {
        lua_pushliteral(L, "");
    }
    snprintf(limit, sizeof(limit), "%g", (double)limit_ms / 1000);
    lua_pushfstring(L, "%sthe scripts have not loaded within load_timeout (%s s)",
                    lua_tostring(L, -1), limit);
    lua_remove(L, -2);
    if (waiting != NULL) {
        luaL_traceback(L, waiting, lua_tostring(L, -1), 0);
        lua_remove(L, -2);
    }
    DCHECK_STACK(L, 1);
}
