// SPDX-License-Identifier: MIT
#include "script/guard.h"

#include "base/check.h"
#include "base/log.h"
#include "script/generation.h"

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

// ThreadSanitizer keeps a signal back until the thread calls something, and a loop of Lua's calls
// nothing.
#if defined(__SANITIZE_THREAD__)
#define HAS_TIMER false
#elif defined(__has_feature)
#define HAS_TIMER (!__has_feature(thread_sanitizer))
#else
#define HAS_TIMER true
#endif

enum {
    TICKS = 10,                // in a `run_timeout`
    TICK_NS_MIN = 1000 * 1000, // the system's own are coarser still
    TICK_NS_MAX = 100 * 1000 * 1000,
    HOOK_INSTRUCTIONS = 10000, // between two looks at the clock, where there is no timer
};

/// Of a thread that runs scripts.
struct watch {
    timer_t timer;     // as long as the thread
    uint64_t limit_ms; // that the ticks are for; 0: none was asked for yet
    bool has_timer;
    struct generation *volatile generation; // that has a run; NULL between two
};

static _Thread_local struct watch watch;

static void aim(uint64_t limit_ms);
static bool make_timer(void);
static void on_tick(int number);
static void look(struct generation *generation);
static void on_hook(lua_State *L, lua_Debug *record);
static void strike(struct generation *generation, lua_State *L, lua_Debug *record);
static void rest(lua_State *L);
static uint64_t cpu_ns(void);

void guard_begin(struct generation *generation, lua_State *L, unsigned runs)
{
    uint64_t limit_ms = generation->options.limits->run_timeout_ms;
    if (watch.limit_ms != limit_ms) {
        aim(limit_ms);
    }
    generation->is_due = false;
    generation->is_struck = false;
    generation->run_seen_ns = 0;
    generation->run_limit_ns = limit_ms * 1000000 * runs;
    generation->run_limit_runs = runs;
    generation->computing = L;
    if (!watch.has_timer) {
        rest(L);
    }
    watch.generation = generation; // a tick finds all of the above
}

bool guard_end(struct generation *generation, lua_State *L)
{
    bool was_struck = generation->is_struck;
    watch.generation = NULL;
    if (generation->is_due) {
        rest(L);
    }
    generation->is_due = false;
    generation->is_struck = false;
    return was_struck;
}

lua_State *guard_switch(struct generation *generation, lua_State *L)
{
    lua_State *before = generation->computing;
    generation->computing = L;
    if (generation->is_due) {
        lua_sethook(L, on_hook, LUA_MASKCOUNT, 1);
    }
    return before;
}

void guard_push_overrun(lua_State *L)
{
    const struct generation *generation = generation_of(L);
    double seconds = (double)generation->run_limit_ns / 1e9 / generation->run_limit_runs;
    const char *times = generation->run_limit_runs == 1 ? "" : "ten times ";
    lua_pushfstring(L, "ran for more than %srun_timeout (%f s)", times, seconds);
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

/// SIGVTALRM is what the system has for such timers; nobody else uses it here.
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

/// In the thread itself, between any two of its instructions.
static void on_tick(int number)
{
    int error = errno;
    struct generation *generation = watch.generation;
    (void)number;
    if (generation != NULL) {
        look(generation);
    }
    if (generation != NULL && generation->is_due) {
        lua_sethook(generation->computing, on_hook, LUA_MASKCOUNT, 1); // Lua allows this here
    }
    errno = error;
}

/// The first look at a run begins to count: it has computed for some part of a tick by then.
static void look(struct generation *generation)
{
    uint64_t now_ns = cpu_ns();
    if (generation->run_seen_ns == 0) {
        generation->run_seen_ns = now_ns;
    } else if (now_ns - generation->run_seen_ns >= generation->run_limit_ns) {
        generation->is_due = true;
    }
}

/// One that an earlier run has left in a coroutine goes.
static void on_hook(lua_State *L, lua_Debug *record)
{
    struct generation *generation = generation_of(L);
    if (!generation->is_due && !watch.has_timer && watch.generation == generation) {
        look(generation);
    }
    if (generation->is_due) {
        strike(generation, L, record);
    } else {
        rest(L);
    }
}

/// Parking catches what raising cannot: an `xpcall` whose message handler loops, a looping
/// `__close`.
static void strike(struct generation *generation, lua_State *L, lua_Debug *record)
{
    if (!generation->is_struck) {
        lua_getinfo(L, "Sl", record);
        snprintf(generation->struck_at, sizeof(generation->struck_at), "%s:%d", record->short_src,
                 record->currentline);
    }
    generation->is_struck = true;
    lua_sethook(L, on_hook, LUA_MASKCOUNT, 1);
    if (lua_isyieldable(L)) {
        lua_yield(L, 0);
        return;
    }
    luaL_where(L, 1);
    guard_push_overrun(L);
    lua_concat(L, 2);
    lua_error(L);
}

/// The hook as it is while no run is over its limit.
static void rest(lua_State *L)
{
    if (watch.has_timer) {
        lua_sethook(L, NULL, 0, 0);
    } else {
        lua_sethook(L, on_hook, LUA_MASKCOUNT, HOOK_INSTRUCTIONS);
    }
}

/// Of this thread. Allowed in a handler of signals.
static uint64_t cpu_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}
