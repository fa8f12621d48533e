// SPDX-License-Identifier: MIT
//
// The course of a run: `guard_begin` notes when it began and what it may use, and makes it the
// thread's run by setting `watch.guard` last. From then on the timer's signal may come between any
// two instructions of the thread, so what the signal handler reads is volatile and is set before.
// The first tick that finds a run notes the CPU time; a later one compares with it and, past the
// limit, sets `is_due` and Lua's hook. The hook strikes: it parks the run or raises in it. While
// the scripts load for the first time a tick also looks whether the program is to end: nothing is
// served yet, so the run is struck at once.
// `guard_end` takes the run away from the ticks and resets the hook of the coroutine that the run
// began in. A hook that an earlier run left in another coroutine resets itself when it is next
// called.
//
// Where the environment wants to know each line that runs, for the coverage of an author's specs,
// the same hook is set for lines as well. A new coroutine has the hook of the one that made it, so
// all have it, from the main coroutine on. Once a run is past its limit its lines are not told.
#include "script/guard.h"

#include "base/check.h"
#include "base/environment.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/loop.h"
#include "net/signals.h"
#include "script/parts.h"
#include "script/stack.h"

#include <assert.h>
#include <errno.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

// ThreadSanitizer delivers a signal only when the thread calls a function that it intercepts, and a
// loop in Lua calls none.
#if defined(__SANITIZE_THREAD__)
#define HAS_TIMER false
#elif defined(__has_feature)
#define HAS_TIMER (!__has_feature(thread_sanitizer))
#else
#define HAS_TIMER true
#endif

enum {
    TICKS = 10,                // in a `run_timeout`
    TICK_NS_MIN = 1000 * 1000, // the ticks of the system are coarser still
    TICK_NS_MAX = 100 * 1000 * 1000,
    LOAD_RUNS = 10,            // loading the first scripts may take as long as so many runs
    HOOK_INSTRUCTIONS = 10000, // without a timer: between two looks at the clock
};

struct guard {
    const struct parts *parts;
    guard_route_fn route;
    unsigned runs;       // see `guard_runs`
    unsigned held_count; // how many calls of `guard_forbid_waits` have no counterpart yet
    uint64_t started_ns; // when the present run began, by the clock on the wall
    uint64_t limit_ns;   // what the run may use, in CPU time
    unsigned limit_runs; // the same as a multiple of `run_timeout`
    bool is_struck;      // the run passed its limit
    bool strikes_next;   // see `guard_strike_next`
    char struck_at[LUA_IDSIZE + 16]; // script and line where it did
    volatile bool is_given_up;       // see `guard_is_given_up`
    volatile bool is_due;            // a tick has found the run past its limit; the hook ends it
    volatile uint64_t seen_ns;       // when a tick first saw the run, in CPU time; 0: not yet
    lua_State *volatile computing;   // the coroutine that the run is in
};

/// What the ticks of one thread need. Every thread that runs scripts has one.
struct watch {
    timer_t timer;     // lives as long as the thread
    uint64_t limit_ms; // the `run_timeout` that the ticks were set for; 0: not set yet
    bool has_timer;
    struct guard *volatile guard; // the guard whose run goes on; NULL between two runs
};

static _Thread_local struct watch watch;

static bool is_first_load(const struct guard *guard);
static void aim(uint64_t limit_ms);
static bool make_timer(void);
static void on_tick(int number);
static void look(struct guard *guard);
static void l_hook(lua_State *L, lua_Debug *record);
static void raise_or_park(struct guard *guard, lua_State *L, lua_Debug *record);
static void rest(lua_State *L);
static uint64_t cpu_ns(void);

struct guard *guard_new(const struct parts *parts, guard_route_fn route)
{
    struct guard *guard = mem_new(struct guard);
    static_assert(TICK_NS_MAX < 1000 * 1000 * 1000, "it is less than a second");
    DCHECK(parts->options != NULL && route != NULL);
    guard->parts = parts;
    guard->route = route;
    guard->runs = LOAD_RUNS;
    if (environment_here->on_line != NULL) {
        rest(parts->L);
    }
    return guard;
}

/// No run of the guard may go on: a tick would use the guard after it is freed.
void guard_free(struct guard *guard)
{
    CHECK(watch.guard != guard);
    DCHECK(guard->held_count == 0);
    mem_free(guard);
}

void guard_begin(struct guard *guard, lua_State *L, unsigned runs)
{
    DCHECK(watch.guard == NULL); // runs are not nested
    DCHECK(runs > 0);
    guard->started_ns = clock_machine_ns();
    uint64_t limit_ms = guard->parts->options->limits->script.run_timeout_ms;
    if (watch.limit_ms != limit_ms) {
        aim(limit_ms);
    }
    guard->is_due = false;
    guard->is_struck = false;
    guard->seen_ns = 0;
    guard->limit_ns = limit_ms * 1000000 * runs;
    guard->limit_runs = runs;
    guard->computing = L;
    if (!watch.has_timer) {
        rest(L);
    }
    watch.guard = guard; // last: a tick that comes now reads all of the above
    if (guard->strikes_next) {
        guard->strikes_next = false;
        guard->is_due = true;
        lua_sethook(L, l_hook, LUA_MASKCOUNT, 1);
    }
}

bool guard_end(struct guard *guard, lua_State *L)
{
    bool was_struck = guard->is_struck;
    DCHECK(watch.guard == guard);
    watch.guard = NULL;
    if (guard->is_due) {
        rest(L);
    }
    guard->is_due = false;
    guard->is_struck = false;
    return was_struck;
}

lua_State *guard_switch(struct guard *guard, lua_State *L)
{
    lua_State *before = guard->computing;
    guard->computing = L;
    if (guard->is_due) {
        lua_sethook(L, l_hook, LUA_MASKCOUNT, 1);
    }
    return before;
}

void guard_strike_next(struct guard *guard)
{
    guard->strikes_next = true;
}

/// The hook asks for memory, which the state refuses.
void guard_starve(lua_State *L)
{
    DCHECK(environment_here->refuses_memory && parts_of(L)->guard == watch.guard);
    lua_sethook(L, l_hook, LUA_MASKCOUNT, 1);
}

bool guard_has_struck(const struct guard *guard)
{
    return guard->is_struck;
}

const char *guard_location(const struct guard *guard)
{
    return guard->struck_at;
}

bool guard_is_given_up(const struct guard *guard)
{
    return guard->is_given_up;
}

void guard_push_overrun(lua_State *L)
{
    const struct guard *guard = parts_of(L)->guard;
    double seconds = (double)guard->limit_ns / 1e9;
    STACK_BEGIN(L);
    if (!is_first_load(guard)) {
        lua_pushfstring(L, "ran for more than run_timeout (%f s)", seconds);
    } else if (guard->is_given_up) {
        lua_pushliteral(L, "was still loading when a signal ended the program");
    } else {
        static_assert(LOAD_RUNS == 10, "the message says so");
        lua_pushfstring(L, "ran for more than %f s, ten times run_timeout", seconds);
    }
    DCHECK_STACK(L, 1);
}

uint64_t guard_run_ns(const struct guard *guard)
{
    return clock_machine_ns() - guard->started_ns;
}

uint64_t guard_limit_ns(const struct guard *guard)
{
    return guard->limit_ns;
}

const char *guard_route(const struct guard *guard)
{
    return guard->route(guard->parts);
}

void guard_forbid_waits(struct guard *guard)
{
    guard->held_count++;
}

void guard_allow_waits(struct guard *guard)
{
    DCHECK(guard->held_count > 0);
    guard->held_count--;
}

bool guard_forbids_waits(const struct guard *guard)
{
    return guard->held_count > 0;
}

unsigned guard_runs(const struct guard *guard)
{
    return guard->runs;
}

void guard_hasten(struct guard *guard)
{
    guard->runs = 1;
}

/// Whether the present run, or the last one, is a part of loading what the program starts with.
static bool is_first_load(const struct guard *guard)
{
    DCHECK(guard->limit_runs > 0);
    return guard->limit_runs > 1;
}

static void aim(uint64_t limit_ms)
{
    bool is_first = watch.limit_ms == 0;
    watch.limit_ms = limit_ms;
    if (is_first) {
        watch.has_timer = HAS_TIMER && make_timer();
    }
    if (watch.has_timer) {
        uint64_t tick_ns = limit_ms * 1000000 / TICKS;
        tick_ns = tick_ns < TICK_NS_MIN ? TICK_NS_MIN : tick_ns;
        tick_ns = tick_ns > TICK_NS_MAX ? TICK_NS_MAX : tick_ns;
        struct timespec tick = {.tv_nsec = (long)tick_ns};
        struct itimerspec ticks = {.it_interval = tick, .it_value = tick};
        CHECK(timer_settime(watch.timer, 0, &ticks, NULL) == 0);
    }
}

/// SIGVTALRM is the signal that the system has for timers of CPU time. Nothing else in this program
/// uses it.
static bool make_timer(void)
{
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGVTALRM};
    event.sigev_notify_thread_id = gettid();
    if (sigaction(SIGVTALRM, &action, NULL) == 0 &&
        timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &watch.timer) == 0) {
        return true;
    }
    LOG(LOG_DEBUG, "no timer for run_timeout: a hook counts instructions instead",
        log_string("error", strerror(errno)));
    return false;
}

/// The signal handler. It runs in the thread itself, between any two of its instructions.
static void on_tick(int number)
{
    int error = errno;
    struct guard *guard = watch.guard;
    (void)number;
    if (guard != NULL) {
        look(guard);
    }
    if (guard != NULL && guard->is_due) {
        lua_sethook(guard->computing, l_hook, LUA_MASKCOUNT, 1); // Lua allows this here
    }
    errno = error;
}

/// The first look at a run only notes the time. The run has computed for some part of a tick by
/// then, so it is never ended early.
static void look(struct guard *guard)
{
    uint64_t now_ns = cpu_ns();
    if (is_first_load(guard) && signals_want_end()) {
        guard->is_given_up = true;
        guard->is_due = true;
    } else if (guard->seen_ns == 0) {
        guard->seen_ns = now_ns;
    } else if (now_ns - guard->seen_ns >= guard->limit_ns) {
        guard->is_due = true;
    }
}

/// A hook that an earlier run has left behind in a coroutine takes itself away.
static void l_hook(lua_State *L, lua_Debug *record)
{
    struct guard *guard = parts_of(L)->guard;
    if (record->event == LUA_HOOKLINE) {
        lua_getinfo(L, "S", record);
        environment_here->on_line(environment_here->on_line_arg, record->source,
                                  record->currentline);
        return;
    }
    if (!guard->is_due && !watch.has_timer && watch.guard == guard) {
        look(guard);
    }
    if (guard->is_due) {
        raise_or_park(guard, L, record);
    } else {
        rest(L);
        if (environment_here->refuses_memory) {
            (void)lua_newuserdatauv(L, 1, 0); // raises
        }
    }
}

/// Ends the run. Parking comes first because it also ends what an error cannot: an `xpcall` whose
/// message handler loops, and a `__close` that loops.
static void raise_or_park(struct guard *guard, lua_State *L, lua_Debug *record)
{
    DCHECK(guard->is_due);
    if (!guard->is_struck) {
        lua_getinfo(L, "Sl", record);
        snprintf(guard->struck_at, sizeof(guard->struck_at), "%s:%d", record->short_src,
                 record->currentline);
    }
    guard->is_struck = true;
    if (guard->is_given_up) {
        guard_hasten(guard); // what closes the run is not struck for the same signal
    }
    lua_sethook(L, l_hook, LUA_MASKCOUNT, 1);
    if (lua_isyieldable(L)) {
        lua_yield(L, 0);
        return;
    }
    luaL_where(L, 1);
    guard_push_overrun(L);
    lua_concat(L, 2);
    lua_error(L);
}

/// Sets the hook as it is while no run is past its limit. A mask of 0 takes it away.
static void rest(lua_State *L)
{
    int lines = environment_here->on_line == NULL ? 0 : LUA_MASKLINE;
    int looks = watch.has_timer ? 0 : LUA_MASKCOUNT;
    lua_sethook(L, l_hook, lines | looks, HOOK_INSTRUCTIONS);
}

/// The CPU time of this thread. POSIX allows this call in a signal handler.
static uint64_t cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}
