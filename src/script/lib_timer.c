// SPDX-License-Identifier: MIT
//
// A timer that a script makes is anchored in the registry and put on the list of armed timers. If
// the generation is in charge, its timer of the loop is armed at once; before that,
// `lib_timer_start_loaded` arms all when the generation takes over. When it fires, a repeating
// timer is armed for its next turn first, a single one is stopped and unanchored, and then the
// function is started as a task, unless the task of the last turn still runs.
#include "script/lib_timer.h"

#include "base/check.h"
#include "base/environment.h"
#include "base/mem.h"
#include "script/application.h"
#include "script/obstacle.h"
#include "script/parts.h"
#include "script/scheduler.h"
#include "script/scope.h"
#include "script/stack.h"
#include "script/state.h"
#include "script/task.h"

/// The user values of a timer box. Where the timer was set up is kept in the test kit alone.
enum { SLOT_FN = 1, SLOT_WHERE };

/// The timers of a generation.
struct timers {
    struct list armed;
};

struct timer_box {
    struct list node;       // in the list of armed timers
    struct list scope_node; // scope->timers while tied
    struct timer timer;
    struct parts *parts;
    struct scope *scope;  // the scope that the timer is tied to; NULL for none
    struct task *task;    // the task that runs the function now; NULL for none
    uint64_t interval_ms; // 0 for a timer that fires once
    uint64_t due_ms;
    int anchor_ref;
    bool is_of_load; // made while the scripts loaded: it stops with the generation
};

static void timer_box_check(const struct timer_box *box);
static bool is_loading(const struct parts *parts);
static struct task *find_task_of_load(const struct parts *parts);
static int make_or_raise(lua_State *L, bool is_repeating);
static struct timer_box *push_new(lua_State *L, uint64_t interval_ms);
static void keep_place(lua_State *L, const struct task *task);
static uint64_t due_ms_after(uint64_t delay_ms);
static void tie(struct timer_box *box, struct scope *scope);
static void on_fired(struct timer *timer);
static void run_in_task(struct timer_box *box, struct scope *scope);
static void on_task_ended(struct task *task, void *arg);
static void stop(struct timer_box *box);
static void on_slept(struct timer *timer);
static void stop_sleeping(struct task *task, void *arg);
static int l_after(lua_State *L);
static int l_every(lua_State *L);
static int l_sleep(lua_State *L);
static int l_stop(lua_State *L);
static void ask_for_answer(lua_State *L, struct scope *scope);
static int l_nothing(lua_State *L);
static int p_active(lua_State *L);

static const luaL_Reg methods[] = {{"stop", l_stop}, {NULL, NULL}};
static const struct box_property properties[] = {{"active", p_active}, {NULL, NULL}};

static const struct task_watcher watcher = {.on_ended = on_task_ended};

const struct box_class lib_timer_class = {"Timer", methods, properties, NULL};

const luaL_Reg lib_timer_functions[] = {
    {"after", l_after}, {"every", l_every}, {"sleep", l_sleep}, {NULL, NULL}};

void lib_timer_open(struct parts *parts)
{
    parts->bindings.timers = mem_new(struct timers);
    list_init(&parts->bindings.timers->armed);
}

void lib_timer_close(struct parts *parts)
{
    CHECK(!lib_timer_has_armed(parts));
    mem_free(parts->bindings.timers);
}

bool lib_timer_has_armed(const struct parts *parts)
{
    return !list_is_empty(&parts->bindings.timers->armed);
}

void lib_timer_each_of_handlers(const struct parts *parts, lib_timer_tell_fn tell, void *user)
{
    lua_State *L = parts->L;
    STACK_BEGIN(L);
    LIST_EACH (node, after, &parts->bindings.timers->armed) {
        const struct timer_box *box = LIST_ITEM(node, struct timer_box, node);
        lua_rawgeti(L, LUA_REGISTRYINDEX, box->anchor_ref);
        if (lua_getiuservalue(L, -1, SLOT_WHERE) == LUA_TSTRING && box->interval_ms > 0) {
            tell(user, lua_tostring(L, -1), box->interval_ms);
        }
        lua_pop(L, 2);
    }
    DCHECK_STACK(L, 0);
}

void lib_timer_stop_tied(struct scope *scope)
{
    while (!list_is_empty(&scope->timers)) {
        stop(LIST_ITEM(scope->timers.next, struct timer_box, scope_node));
    }
}

void lib_timer_untie(struct scope *scope)
{
    while (!list_is_empty(&scope->timers)) {
        struct timer_box *box = LIST_ITEM(scope->timers.next, struct timer_box, scope_node);
        list_remove(&box->scope_node);
        box->scope = NULL;
    }
}

void lib_timer_start_loaded(struct parts *parts)
{
    LIST_EACH (node, after, &parts->bindings.timers->armed) {
        struct timer_box *box = LIST_ITEM(node, struct timer_box, node);
        timer_arm_at(&box->timer, box->due_ms);
    }
}

void lib_timer_stop_loaded(struct parts *parts)
{
    LIST_EACH (node, after, &parts->bindings.timers->armed) {
        struct timer_box *box = LIST_ITEM(node, struct timer_box, node);
        if (box->is_of_load) {
            stop(box);
        }
    }
    for (struct task *task; (task = find_task_of_load(parts)) != NULL;) {
        task_cancel(task);
    }
}

void lib_timer_stop_all(struct parts *parts)
{
    while (!list_is_empty(&parts->bindings.timers->armed)) {
        stop(LIST_ITEM(parts->bindings.timers->armed.next, struct timer_box, node));
    }
}

/// What holds of a timer between any two calls. One that is armed is anchored and listed.
static void timer_box_check(const struct timer_box *box)
{
    bool is_armed = box->anchor_ref != LUA_NOREF;
    CHECK(list_is_linked(&box->node) == is_armed);
    CHECK((box->scope != NULL) == list_is_linked(&box->scope_node));
    CHECK(is_armed || box->scope == NULL);
    CHECK(is_armed || box->task == NULL);
    CHECK(is_armed || !timer_is_armed(&box->timer));
}

static bool is_loading(const struct parts *parts)
{
    return application_stage(parts->application) == APPLICATION_LOADING;
}

static struct task *find_task_of_load(const struct parts *parts)
{
    LIST_EACH (node, after, scheduler_tasks(parts->scheduler)) {
        struct task *task = LIST_ITEM(node, struct task, node);
        if (task->is_of_load) {
            return task;
        }
    }
    return NULL;
}

/// after(seconds, fn, [options]) -> Timer
static int l_after(lua_State *L)
{
    return make_or_raise(L, false);
}

/// every(seconds, fn, [options]) -> Timer
static int l_every(lua_State *L)
{
    return make_or_raise(L, true);
}

static int make_or_raise(lua_State *L, bool is_repeating)
{
    static const char *const names[] = {"detached", "each_worker", NULL};
    uint64_t delay_ms = check_duration_ms(L, 1);
    luaL_argcheck(L, !is_repeating || delay_ms > 0, 1, "an interval above 0 expected");
    luaL_checktype(L, 2, LUA_TFUNCTION);
    check_options(L, 3, names);
    lua_settop(L, 3);
    opt_field(L, 3, "detached");
    opt_field(L, 3, "each_worker");
    bool is_detached = lua_toboolean(L, -2);
    bool is_of_each_worker = lua_toboolean(L, -1);
    struct parts *parts = parts_of(L);
    struct task *task = scheduler_running(parts->scheduler);
    check_not_ended(L);
    struct timer_box *box = push_new(L, is_repeating ? delay_ms : 0);
    if (is_loading(parts) && parts->options->worker != 1 && !is_of_each_worker) {
        return 1; // another worker runs the timer; here it counts as stopped
    }
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, SLOT_FN);
    keep_place(L, task);
    lua_pushvalue(L, -1);
    box->anchor_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    list_append(&parts->bindings.timers->armed, &box->node);
    if (task != NULL && task->scope != NULL && !is_detached) {
        tie(box, task->scope);
    }
    box->due_ms = due_ms_after(delay_ms);
    if (application_stage(parts->application) == APPLICATION_IN_CHARGE) {
        timer_arm_at(&box->timer, box->due_ms);
    }
    DEBUG_CALL(timer_box_check(box));
    return 1;
}

/// Pushes a timer that is not armed.
static struct timer_box *push_new(lua_State *L, uint64_t interval_ms)
{
    struct parts *parts = parts_of(L);
    const struct task *task = scheduler_running(parts->scheduler);
    int slot_count = environment_is_still(environment_here) ? SLOT_WHERE : SLOT_FN;
    struct timer_box *box = lua_newuserdatauv(L, sizeof(struct timer_box), slot_count);
    *box =
        (struct timer_box){.parts = parts,
                           .interval_ms = interval_ms,
                           .anchor_ref = LUA_NOREF,
                           .is_of_load = is_loading(parts) || (task != NULL && task->is_of_load)};
    timer_init(&box->timer, &parts->options->loop->timers, on_fired);
    list_init(&box->node);
    list_init(&box->scope_node);
    box_set_type(L, BOX_TIMER);
    return box;
}

/// Keeps the line of the handler that sets up the timer on the top. Only a clock that stands still,
/// which is the test kit's, has room for it.
static void keep_place(lua_State *L, const struct task *task)
{
    DCHECK(lua_isuserdata(L, -1));
    if (environment_is_still(environment_here) && task != NULL && task->scope != NULL) {
        luaL_where(L, 1);
        lua_setiuservalue(L, -2, SLOT_WHERE);
    }
}

/// The loop's own time stands still while a script runs, so a wait is counted by the clock.
static uint64_t due_ms_after(uint64_t delay_ms)
{
    return clock_ns() / 1000000 + delay_ms;
}

static void tie(struct timer_box *box, struct scope *scope)
{
    DCHECK(box->scope == NULL && !list_is_linked(&box->scope_node));
    if (scope->exchange != NULL) {
        box->scope = scope;
        list_append(&scope->timers, &box->scope_node);
    }
}

/// A repeating timer counts its next turn from when this one was due, so that it does not drift;
/// turns that were missed altogether are skipped. A timer that fires once is unanchored here.
/// Making the task may run finalizers, which may stop any timer, so the box is kept on the stack.
static void on_fired(struct timer *timer)
{
    struct timer_box *box = CONTAINER_OF(timer, struct timer_box, timer);
    lua_State *L = box->parts->L;
    struct scope *scope = box->scope;
    bool is_busy = box->task != NULL;
    bool is_repeating = box->interval_ms > 0;
    STACK_BEGIN(L);
    DEBUG_CALL(timer_box_check(box));
    lua_rawgeti(L, LUA_REGISTRYINDEX, box->anchor_ref); // [box]
    if (!is_repeating) {
        stop(box);
    } else {
        uint64_t now_ms = loop_now_ms(box->parts->options->loop);
        DCHECK(now_ms >= box->due_ms);
        uint64_t late_ms = now_ms - box->due_ms;
        box->due_ms += box->interval_ms * (1 + late_ms / box->interval_ms);
        timer_arm_at(timer, box->due_ms);
    }
    if (!is_busy) {
        lua_getiuservalue(L, -1, SLOT_FN);
        run_in_task(box, scope);
    }
    lua_pop(L, 1);
    DCHECK_STACK(L, 0);
}

/// Starts the timer's function as a task of `scope`, or of no request if that is NULL. [fn] -> []
static void run_in_task(struct timer_box *box, struct scope *scope)
{
    struct task *task = task_new(box->parts->L, 0);
    if (scope != NULL) {
        scope_adopt(scope, task);
    }
    task->is_of_load = box->is_of_load;
    if (box->anchor_ref != LUA_NOREF) {
        box->task = task;
        task_tell(task, &watcher, box);
    }
    task_start(task);
}

static void on_task_ended(struct task *task, void *arg)
{
    struct timer_box *box = arg;
    DCHECK(box->task == task);
    (void)task;
    box->task = NULL;
}

/// Stops the timer. The box may be collected from now on, so the task that still runs its function
/// must not tell it of its end.
static void stop(struct timer_box *box)
{
    DEBUG_CALL(timer_box_check(box));
    timer_deinit(&box->timer);
    list_remove(&box->node);
    list_remove(&box->scope_node);
    box->scope = NULL;
    if (box->task != NULL) {
        task_tell(box->task, NULL, NULL);
        box->task = NULL;
    }
    luaL_unref(box->parts->L, LUA_REGISTRYINDEX, box->anchor_ref);
    box->anchor_ref = LUA_NOREF;
    DEBUG_CALL(timer_box_check(box));
}

/// timer:stop() -> true when the timer was still armed, false when it had fired or was stopped
/// before.
static int l_stop(lua_State *L)
{
    struct timer_box *box = check_box(L, 1, BOX_TIMER);
    bool was_active = box->anchor_ref != LUA_NOREF;
    struct scope *scope = box->scope;
    if (was_active) {
        stop(box);
    }
    if (scope != NULL) {
        ask_for_answer(L, scope);
        scope_settle(scope);
    }
    lua_pushboolean(L, was_active);
    return 1;
}

/// Has the request looked at once this turn is over, because a timer that might have answered it is
/// stopped. Whoever stopped the timer may still answer in this turn. A task that does nothing is
/// started; when it ends and nothing else is left, the request gets its 500, as after any last
/// task.
static void ask_for_answer(lua_State *L, struct scope *scope)
{
    if (scope_is_dormant(scope) && !state_has_ended(scope->parts->state)) {
        lua_pushcfunction(L, l_nothing);
        struct task *task = task_new(L, 0);
        scope_adopt(scope, task);
        task_start(task);
    }
}

static int l_nothing(lua_State *L)
{
    (void)L;
    return 0;
}

static int p_active(lua_State *L)
{
    const struct timer_box *box = check_box(L, 1, BOX_TIMER);
    lua_pushboolean(L, box->anchor_ref != LUA_NOREF);
    return 1;
}

/// sleep(seconds). Never returns if the peer of the event stream that the task belongs to leaves
/// meanwhile.
static int l_sleep(lua_State *L)
{
    uint64_t delay_ms = check_duration_ms(L, 1);
    if (!task_can_park(L)) {
        return raise_obstacle(L, "sleep can only wait inside a handler, timer, task or callback");
    }
    task_arm_timer(task_current(L), delay_ms, on_slept);
    return task_park(L, stop_sleeping, NULL);
}

static void on_slept(struct timer *timer)
{
    task_wake(CONTAINER_OF(timer, struct task, timer), 0);
}

static void stop_sleeping(struct task *task, void *arg)
{
    (void)arg;
    timer_disarm(&task->timer);
}
