// SPDX-License-Identifier: MIT
//
// The coroutine of a spawned task runs `l_body`, which calls the script's function and then moves
// its results into the box, where memory may run out and the task fails as any other. `on_failed`
// keeps the error of a task that raised. `on_ended` is called in either case, and also when the
// task was cancelled: it wakes the tasks that wait, and lets go of the box.
//
// A task that waits for another is parked in the list `waiters` of that one's box. When it resumes,
// it reads the outcome from the box, so nothing is copied for tasks that are cancelled meanwhile.
//
// `lunesse.all` is `lua/lunesse/tasks.lua` over `l_join`: the caller joins the tasks of its
// functions (see task.h). The first of them that fails cancels the others, and the caller goes on
// when all have ended.
#include "script/lib_task.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/log.h"
#include "script/application.h"
#include "script/failure.h"
#include "script/obstacle.h"
#include "script/parts.h"
#include "script/scheduler.h"
#include "script/stack.h"
#include "script/state.h"
#include "script/task.h"

#include <string.h>

/// The user values of a task box. SLOT_OUTCOME is the error, the only result, or a table of
/// results.
enum { SLOT_OUTCOME = 1, SLOT_ORIGIN, SLOT_COUNT = SLOT_ORIGIN };

enum {
    ARGUMENTS_MAX = 250, // of the function
    ORIGIN_LINES_MAX = 8,
};

enum outcome { OUTCOME_NONE, OUTCOME_RETURNED, OUTCOME_RAISED, OUTCOME_CANCELLED };

struct task_box {
    struct task *task;          // NULL once it has ended
    struct list waiters;        // tasks that wait for it
    struct task_box *waits_for; // whose end it waits for, without an end of its own; NULL for none
    struct task_box *next;      // in the list that `waits_on` makes; NULL while in none
    int anchor_ref;
    int result_count;
    uint8_t outcome; // enum outcome
    bool is_awaited; // the end of the server waits for it
    bool is_cause;   // it failed first of those that its joiner waits for
};

static void on_failed(struct task *task, struct bytes message, void *arg);
static void on_ended(struct task *task, void *arg);
static void log_failure(lua_State *L, struct bytes message);
static void leave_wait(struct task *task);
static void stop_waiting(struct task *task, void *arg);
static void on_time_up(struct timer *timer);
static int l_spawn(lua_State *L);
static bool has_room(const struct parts *parts, size_t count);
static int push_lack_of_room(lua_State *L);
static struct task_box *push_new(lua_State *L);
static void push_origin(lua_State *L);
static int l_body(lua_State *L);
static int l_keep_results(lua_State *L, int status, lua_KContext context);
static int l_wait(lua_State *L);
static int l_after_wait(lua_State *L, int status, lua_KContext context);
static void check_deadlock(lua_State *L, struct task_box *box, bool has_end);
static bool waits_on(struct task_box *box, struct task_box *own);
static struct task_box *append(struct task_box *last, struct task_box *box);
static struct task_box *box_of(const struct task *task);
static int push_outcome_or_raise(lua_State *L, const struct task_box *box);
static int l_cancel(lua_State *L);
static int l_check_room(lua_State *L);
static int l_join(lua_State *L);
static int l_after_join(lua_State *L, int status, lua_KContext context);
static void stop_joining(struct task *task, void *arg);
static int l_task(lua_State *L);
static int p_active(lua_State *L);

static const struct task_watcher watcher = {.on_failed = on_failed, .on_ended = on_ended};

static const luaL_Reg methods[] = {{"wait", l_wait}, {"cancel", l_cancel}, {NULL, NULL}};
static const struct box_property properties[] = {{"active", p_active}, {NULL, NULL}};

const struct box_class lib_task_class = {"Task", methods, properties, NULL};

const luaL_Reg lib_task_functions[] = {{"spawn", l_spawn},
                                       {"check_room", l_check_room},
                                       {"join", l_join},
                                       {"task", l_task},
                                       {NULL, NULL}};

size_t lib_task_count(const struct parts *parts)
{
    return scheduler_spawned(parts->scheduler)->count;
}

size_t lib_task_awaited_count(const struct parts *parts)
{
    return scheduler_spawned(parts->scheduler)->awaited_count;
}

void lib_task_each_awaited(const struct parts *parts, lib_task_tell_fn tell, void *user)
{
    lua_State *L = parts->L;
    STACK_BEGIN(L);
    LIST_EACH (node, after, scheduler_tasks(parts->scheduler)) {
        const struct task_box *box = box_of(LIST_ITEM(node, struct task, node));
        if (box != NULL && box->is_awaited) {
            lua_rawgeti(L, LUA_REGISTRYINDEX, box->anchor_ref);
            lua_getiuservalue(L, -1, SLOT_ORIGIN);
            tell(user, lua_tostring(L, -1));
            lua_pop(L, 2);
        }
    }
    DCHECK_STACK(L, 0);
}

/// Keeps the error. It is logged unless a task waits for this one, which then gets it. The first
/// error of those that a task has joined cancels the others, and the joiner gets it; one that was
/// cancelled before it failed has no joiner any more that would want its error. When the guard
/// ended the run, there may be no error, so the message stands for it.
static void on_failed(struct task *task, struct bytes message, void *arg)
{
    struct task_box *box = arg;
    lua_State *L = task->parts->L;
    STACK_BEGIN(L);
    DCHECK(box->task == task && box->anchor_ref != LUA_NOREF);
    lua_rawgeti(L, LUA_REGISTRYINDEX, box->anchor_ref); // [box]
    failure_push_error(L, message, task->L);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushliteral(L, "nil");
    }
    lua_setiuservalue(L, -2, SLOT_OUTCOME);
    box->outcome = OUTCOME_RAISED;
    if (task_joiner(task) != NULL && !task_is_cancelled(task)) {
        box->is_cause = true;
        task_cancel_others_later(task);
    } else if (list_is_empty(&box->waiters)) {
        log_failure(L, message);
    }
    lua_pop(L, 1);
    DCHECK_STACK(L, 0);
}

/// [box] -> [box]
static void log_failure(lua_State *L, struct bytes message)
{
    size_t len = 0;
    STACK_BEGIN(L);
    lua_pushlstring(L, message.at, message.len);
    lua_pushliteral(L, "\nspawned by:");
    lua_getiuservalue(L, -3, SLOT_ORIGIN);
    lua_concat(L, 3);
    const char *text = lua_tolstring(L, -1, &len);
    LOG(LOG_ERROR, "script error", log_lines("error", bytes_of(text, len)));
    lua_pop(L, 1);
    DCHECK_STACK(L, 0);
}

static void on_ended(struct task *task, void *arg)
{
    struct task_box *box = arg;
    struct parts *parts = task->parts;
    struct spawned *spawned = scheduler_spawned(parts->scheduler);
    DCHECK(box->task == task && spawned->count > 0);
    box->task = NULL;
    if (box->outcome == OUTCOME_NONE) {
        box->outcome = OUTCOME_CANCELLED;
    }
    spawned->count--;
    spawned->awaited_count -= box->is_awaited;
    while (!list_is_empty(&box->waiters)) {
        struct task *waiter = LIST_ITEM(box->waiters.next, struct task, wait_node);
        leave_wait(waiter);
        task_wake(waiter, 0);
    }
    luaL_unref(parts->L, LUA_REGISTRYINDEX, box->anchor_ref);
    box->anchor_ref = LUA_NOREF;
}

static void leave_wait(struct task *task)
{
    struct task_box *own = box_of(task);
    list_remove(&task->wait_node);
    timer_disarm(&task->timer);
    if (own != NULL) {
        own->waits_for = NULL;
    }
}

static void stop_waiting(struct task *task, void *arg)
{
    (void)arg;
    leave_wait(task);
}

static void on_time_up(struct timer *timer)
{
    struct task *task = CONTAINER_OF(timer, struct task, timer);
    leave_wait(task);
    task_wake(task, 0);
}

/// spawn(fn, ...) -> Task; nil, message, "E2BIG". The box is anchored before the task is made:
/// nothing may raise from then on.
static int l_spawn(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    luaL_argcheck(L, lua_gettop(L) - 1 <= ARGUMENTS_MAX, ARGUMENTS_MAX + 2,
                  "a task takes at most 250 arguments: give them in a table");
    check_not_ended(L);
    struct parts *parts = parts_of(L);
    struct spawned *spawned = scheduler_spawned(parts->scheduler);
    if (!has_room(parts, 1)) {
        return push_lack_of_room(L);
    }
    int argument_count = lua_gettop(L) + 1; // of `l_body`: the box and all of these
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    struct task_box *box = push_new(L); // [fn, ..., box]
    lua_pushvalue(L, -1);
    lua_insert(L, 1); // [box, fn, ..., box]
    lua_insert(L, 2); // [box, box, fn, ...]
    lua_pushcfunction(L, l_body);
    lua_insert(L, 2); // [box, body, box, fn, ...]
    lua_pushvalue(L, 1);
    box->anchor_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    box->is_awaited = application_stage(parts->application) != APPLICATION_LOADING;
    box->task = task_new(L, argument_count);
    task_tell(box->task, &watcher, box);
    spawned->count++;
    spawned->awaited_count += box->is_awaited;
    task_start(box->task);
    DCHECK(lua_gettop(L) == 1);
    return 1;
}

/// Whether `count` more tasks may be spawned.
static bool has_room(const struct parts *parts, size_t count)
{
    uint64_t count_max = parts->options->limits->script.tasks;
    size_t present = scheduler_spawned(parts->scheduler)->count;
    if (present + count <= count_max) {
        return true;
    }
    limit_met("tasks", count_max);
    return false;
}

static int push_lack_of_room(lua_State *L)
{
    return box_push_failure(L, "there are as many tasks as the limit allows", "E2BIG");
}

static struct task_box *push_new(lua_State *L)
{
    struct task_box *box = lua_newuserdatauv(L, sizeof(struct task_box), SLOT_COUNT);
    *box = (struct task_box){.anchor_ref = LUA_NOREF};
    list_init(&box->waiters);
    box_set_type(L, BOX_TASK);
    push_origin(L);
    lua_setiuservalue(L, -2, SLOT_ORIGIN);
    return box;
}

/// Pushes the lines of the script from which it spawns. The coroutine that spawns may be gone when
/// the task fails, and a whole traceback for each task would cost more than the task.
static void push_origin(lua_State *L)
{
    lua_Debug record;
    luaL_Buffer text;
    int line_count = 0;
    luaL_buffinit(L, &text);
    for (int level = 1; line_count < ORIGIN_LINES_MAX && lua_getstack(L, level, &record); level++) {
        lua_getinfo(L, "Sln", &record);
        if (record.currentline > 0 && !obstacle_is_of_engine(&record)) {
            lua_pushfstring(L, "\n\t%s:%d: in %s %s", record.short_src, record.currentline,
                            record.name == NULL ? "a" : record.namewhat,
                            record.name == NULL ? "function" : record.name);
            luaL_addvalue(&text);
            line_count++;
        }
    }
    luaL_pushresult(&text);
}

/// What the coroutine of a task runs: [box, fn, ...].
static int l_body(lua_State *L)
{
    lua_callk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, l_keep_results);
    return l_keep_results(L, LUA_OK, 0);
}

/// Moves the results into the box: [box, result, ...].
static int l_keep_results(lua_State *L, int status, lua_KContext context)
{
    struct task_box *box = lua_touserdata(L, 1);
    int count = lua_gettop(L) - 1;
    (void)status;
    (void)context;
    DCHECK(box != NULL && box->task == task_current(L));
    if (task_is_cancelled(box->task)) {
        return 0;
    }
    if (count > 1) {
        luaL_checkstack(L, 2, NULL);
        lua_createtable(L, count, 0);
        lua_insert(L, 2); // [box, results, result, ...]
        for (int i = count; i >= 1; i--) {
            lua_rawseti(L, 2, i);
        }
    }
    if (count > 0) {
        lua_setiuservalue(L, 1, SLOT_OUTCOME);
    }
    box->result_count = count;
    box->outcome = OUTCOME_RETURNED;
    return 0;
}

/// task:wait([seconds]) -> true, results ...; nil, error, "ERAISED"; nil, message, "ECANCELED" or
/// "ETIMEDOUT". With 0 seconds it does not wait.
static int l_wait(lua_State *L)
{
    struct task_box *box = check_box(L, 1, BOX_TASK);
    bool has_end = !lua_isnoneornil(L, 2);
    uint64_t wait_ms = has_end ? check_duration_ms(L, 2) : 0;
    lua_settop(L, 1);
    if (box->task == NULL || (has_end && wait_ms == 0)) {
        return push_outcome_or_raise(L, box);
    }
    if (!task_can_park(L)) {
        return raise_obstacle(L,
                              "task:wait can only wait inside a handler, timer, task or callback");
    }
    check_deadlock(L, box, has_end);
    struct task *task = task_current(L);
    struct task_box *own = box_of(task);
    list_append(&box->waiters, &task->wait_node);
    if (has_end) {
        task_arm_timer(task, wait_ms, on_time_up);
    } else if (own != NULL) {
        own->waits_for = box;
    }
    return task_park_then(L, stop_waiting, NULL, l_after_wait, 0);
}

/// [box]. The task may have ended in the turn in which the time was up.
static int l_after_wait(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    return push_outcome_or_raise(L, lua_touserdata(L, 1));
}

/// Raises when the running task would wait for itself. Without an end to its wait, also when it
/// would do so by way of others that wait without one.
static void check_deadlock(lua_State *L, struct task_box *box, bool has_end)
{
    struct task_box *own = box_of(task_current(L));
    if (own == NULL) {
        return;
    }
    if (box == own) {
        luaL_error(L, "deadlock: this task waits for itself");
    }
    if (!has_end && waits_on(box, own)) {
        luaL_error(L, "deadlock: the task that this one waits for waits for this one");
    }
}

/// Whether the task of `box` waits without an end for that of `own`, directly or by way of others.
/// Makes a list of all tasks that do so: `own` first, and behind each those that wait for it.
static bool waits_on(struct task_box *box, struct task_box *own)
{
    struct task_box *last = own;
    struct task_box *each = own;
    own->next = own; // the last one in the list is followed by itself
    for (bool is_more = true; is_more; each = each->next) { // to itself, at the end
        LIST_EACH (node, after, &each->waiters) {
            struct task_box *waiter = box_of(LIST_ITEM(node, struct task, wait_node));
            if (waiter != NULL && waiter->waits_for == each) {
                last = append(last, waiter);
            }
        }
        const struct task *joiner = task_joiner(each->task);
        if (joiner != NULL && !task_is_cancelled(joiner) && box_of(joiner) != NULL) {
            last = append(last, box_of(joiner));
        }
        is_more = each != last;
    }
    bool is_found = box->next != NULL;
    for (each = own; each != NULL;) {
        struct task_box *next = each->next;
        each->next = NULL;
        each = next == each ? NULL : next;
    }
    return is_found;
}

/// Puts `box` into the list behind `last`, unless it is there. Returns the last one.
static struct task_box *append(struct task_box *last, struct task_box *box)
{
    if (box->next != NULL) {
        return last;
    }
    last->next = box;
    box->next = box;
    return box;
}

/// The box of a spawned task; NULL for any other task.
static struct task_box *box_of(const struct task *task)
{
    return task_watcher_arg(task, &watcher);
}

/// Pushes what became of the task whose box is at index 1. Returns how many values that are.
static int push_outcome_or_raise(lua_State *L, const struct task_box *box)
{
    if (box->task != NULL) {
        return box_push_failure(L, "the task has not ended in time", "ETIMEDOUT");
    }
    switch ((enum outcome)box->outcome) {
    case OUTCOME_NONE:
    case OUTCOME_CANCELLED:
        return box_push_failure(L, "the task was cancelled", "ECANCELED");
    case OUTCOME_RAISED:
        lua_pushnil(L);
        lua_getiuservalue(L, 1, SLOT_OUTCOME);
        lua_pushliteral(L, "ERAISED");
        return 3;
    case OUTCOME_RETURNED:
        break;
    }
    int count = box->result_count;
    luaL_checkstack(L, count + 2, "too many results");
    lua_getiuservalue(L, 1, SLOT_OUTCOME);
    lua_pushboolean(L, 1); // [.., outcome, true]
    if (count == 1) {
        lua_insert(L, -2);
        return 2;
    }
    int outcome = lua_gettop(L) - 1;
    for (int i = 1; i <= count; i++) {
        lua_rawgeti(L, outcome, i);
    }
    return count + 1;
}

/// task:cancel() -> whether it had not ended and was not cancelled before. The task ends when this
/// turn does; one that cancels itself ends when it next waits.
static int l_cancel(lua_State *L)
{
    const struct task_box *box = check_box(L, 1, BOX_TASK);
    bool is_first = box->task != NULL && !task_is_cancelled(box->task);
    if (is_first) {
        task_cancel_later(box->task);
    }
    lua_pushboolean(L, is_first);
    return 1;
}

/// check_room(count) -> true when so many more tasks may be spawned; nil, message, "E2BIG"
static int l_check_room(lua_State *L)
{
    if (!has_room(parts_of(L), (size_t)luaL_checkinteger(L, 1))) {
        return push_lack_of_room(L);
    }
    lua_pushboolean(L, 1);
    return 1;
}

/// join(tasks): waits until all have ended. They were spawned in this run. Returns the place of the
/// one that failed first, which cancelled the others; nothing when none has failed. A caller that
/// was cancelled before it waits ends here without them: they have not begun.
static int l_join(lua_State *L)
{
    struct task *task = task_current(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
    for (lua_Integer i = 1; i <= count && !task_is_cancelled(task); i++) {
        lua_rawgeti(L, 1, i);
        const struct task_box *box = check_box(L, -1, BOX_TASK);
        DCHECK(box->task != NULL);
        task_join(box->task);
        lua_pop(L, 1);
    }
    return count == 0 ? 0 : task_park_then(L, stop_joining, NULL, l_after_join, 0);
}

/// [tasks]
static int l_after_join(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, 1, i);
        const struct task_box *box = lua_touserdata(L, -1);
        DCHECK(box->task == NULL);
        if (box->is_cause) {
            lua_pushinteger(L, i);
            return 1;
        }
        lua_pop(L, 1);
    }
    return 0;
}

/// The tasks that it has joined leave it by themselves.
static void stop_joining(struct task *task, void *arg)
{
    (void)arg;
    (void)task;
}

/// task() -> what stands for the running task, as a key; nil when none runs
static int l_task(lua_State *L)
{
    struct task *task = task_running(L);
    if (task == NULL) {
        lua_pushnil(L);
    } else {
        lua_pushlightuserdata(L, task);
    }
    return 1;
}

static int p_active(lua_State *L)
{
    const struct task_box *box = check_box(L, 1, BOX_TASK);
    lua_pushboolean(L, box->task != NULL);
    return 1;
}
