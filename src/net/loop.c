// SPDX-License-Identifier: MIT
#include "net/loop.h"

#include "base/check.h"
#include "base/counters.h"
#include "base/mem.h"
#include "net/timer.h"

#include <stdatomic.h>
#include <stdio.h>

enum {
    GAP_MS = 10, // by so much timers are late only when the loop did not run
    NS_PER_MS = 1000 * 1000,
};

/// What `loop_advance` added to the clock, of all loops.
static atomic_uint_fast64_t advanced_ms;

/// The clock of all loops runs 2^slowness times slower than the machine's. See `loop_slow_down`.
static unsigned slowness;

static void on_timer(uv_timer_t *handle);
static void on_prepare(uv_prepare_t *handle);
static void on_check(uv_check_t *handle);
static void count_lag(uint64_t began_ms, uint64_t ended_ms);
static void on_idle(uv_idle_t *handle);
static void on_patience_end(uv_timer_t *handle);
static void on_open_handle(uv_handle_t *handle, void *count);
static void close_own(struct loop *loop);
static void end_turn(struct loop *loop);
static void run_jobs(struct list *jobs);
static void aim_timer(struct loop *loop);
static void aim_idle(struct loop *loop);

const char *loop_library_version(void)
{
    return uv_version_string();
}

int loop_init(struct loop *loop)
{
    *loop = (struct loop){0};
    int failure = uv_loop_init(&loop->uv);
    if (failure != 0) {
        return failure;
    }
    failure = poller_init(&loop->poller, &loop->uv);
    if (failure != 0) {
        CHECK(uv_loop_close(&loop->uv) == 0);
        return failure;
    }
    for (int phase = 0; phase < LOOP_PHASE_COUNT; phase++) {
        list_init(&loop->_jobs[phase]);
    }
    uv_timer_init(&loop->uv, &loop->_timer);
    uv_prepare_init(&loop->uv, &loop->_prepare);
    uv_check_init(&loop->uv, &loop->_check);
    uv_idle_init(&loop->uv, &loop->_idle);
    uv_prepare_start(&loop->_prepare, on_prepare);
    uv_check_start(&loop->_check, on_check);
    loop->read_memory = mem_alloc(LOOP_READ_BYTES);
    return 0;
}

void loop_deinit(struct loop *loop)
{
    CHECK(uv_loop_close(&loop->uv) == 0);
    due_heap_deinit(&loop->timers);
    mem_free(loop->read_memory);
}

void loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop)
{
    uv_stop(&loop->uv);
}

int loop_close(struct loop *loop, uint64_t patience_ms)
{
    uv_timer_t patience;
    end_turn(loop);
    end_turn(loop); // what the first one has closed
    close_own(loop);
    uv_timer_init(&loop->uv, &patience);
    uv_timer_start(&patience, on_patience_end, patience_ms, 0);
    uv_unref((uv_handle_t *)&patience);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&patience, NULL);
    uv_run(&loop->uv, UV_RUN_NOWAIT);
    int open_count = (int)loop->poller.count;
    if (open_count > 0) {
        fprintf(stderr, "open handle: %d sockets\n", open_count);
    }
    uv_walk(&loop->uv, on_open_handle, &open_count);
    return open_count;
}

uint64_t loop_now_ms(const struct loop *loop)
{
    return (uv_now(&loop->uv) >> slowness) + advanced_ms;
}

uint64_t loop_clock_ns(void)
{
    return (uv_hrtime() >> slowness) + advanced_ms * 1000000;
}

uint64_t loop_machine_ns(void)
{
    return uv_hrtime();
}

void loop_advance(struct loop *loop, uint64_t ms)
{
    advanced_ms += ms;
    aim_timer(loop);
}

void loop_slow_down(unsigned times)
{
    for (slowness = 0; 1U << slowness < times; slowness++) {
    }
}

void loop_at_turn_end(struct loop *loop, enum loop_phase phase, struct loop_job *job)
{
    if (!list_is_linked(&job->_node)) {
        list_append(&loop->_jobs[phase], &job->_node);
    }
}

void loop_job_init(struct loop_job *job, loop_job_fn run)
{
    list_init(&job->_node);
    job->run = run;
}

void loop_job_cancel(struct loop_job *job)
{
    list_remove(&job->_node);
}

/// After a pause (the process was stopped, the machine suspended, one turn took long) deadlines of
/// peers have passed whose bytes wait in the kernel: those are read before anything is timed out.
static void on_timer(uv_timer_t *handle)
{
    struct loop *loop = CONTAINER_OF(handle, struct loop, _timer);
    uint64_t due_ms = timers_next_ms(loop);
    uint64_t now_ms = loop_now_ms(loop);
    if (due_ms < now_ms && now_ms - due_ms > GAP_MS) {
        poller_catch_up(&loop->poller);
    }
    loop->_has_fired = true;
    timers_fire(loop);
}

/// libuv runs its timers before it polls, and the check handles after: a turn ends at both places.
static void on_prepare(uv_prepare_t *handle)
{
    struct loop *loop = CONTAINER_OF(handle, struct loop, _prepare);
    uint64_t now_ms = uv_now(&loop->uv); // read after the last turn
    if (loop->_polled_ms != 0) {
        count_lag(loop->_polled_ms, now_ms);
    }
    end_turn(loop);
    if (loop->_has_fired) {
        loop->_has_fired = false;
        count_lag(now_ms, uv_hrtime() / NS_PER_MS);
    }
}

static void on_check(uv_check_t *handle)
{
    struct loop *loop = CONTAINER_OF(handle, struct loop, _check);
    loop->_polled_ms = uv_now(&loop->uv); // read when it had waited
    end_turn(loop);
}

/// Counts the time since `began_ms`. Both are whole milliseconds of a clock that libuv reads
/// anyway; their difference is up to one millisecond off, to either side, so the sum of many is
/// right.
static void count_lag(uint64_t began_ms, uint64_t ended_ms)
{
    uint64_t lag_ms = ended_ms > began_ms ? ended_ms - began_ms : 0;
    durations_add(&counters_here->lag, lag_ms * NS_PER_MS);
}

/// An active idle handle is what keeps libuv from waiting; there is nothing to do in it.
static void on_idle(uv_idle_t *handle)
{
    (void)handle;
}

static void end_turn(struct loop *loop)
{
    for (int phase = 0; phase < LOOP_PHASE_COUNT; phase++) {
        run_jobs(&loop->_jobs[phase]);
    }
    poller_tell_closed(&loop->poller);
    if (loop->on_turn_end != NULL) {
        loop->on_turn_end(loop->on_turn_end_arg);
    }
    aim_timer(loop);
    aim_idle(loop);
}

static void run_jobs(struct list *jobs)
{
    struct list batch;
    list_take(&batch, jobs);
    while (!list_is_empty(&batch)) {
        struct loop_job *job = LIST_ITEM(batch.next, struct loop_job, _node);
        list_remove(&job->_node);
        job->run(job);
    }
}

static void aim_timer(struct loop *loop)
{
    if (uv_is_closing((uv_handle_t *)&loop->_timer)) {
        return;
    }
    uint64_t next_ms = timers_next_ms(loop);
    if (next_ms == UINT64_MAX) {
        uv_timer_stop(&loop->_timer);
        return;
    }
    uint64_t now_ms = loop_now_ms(loop);
    uint64_t wait_ms = next_ms > now_ms ? (next_ms - now_ms) << slowness : 0;
    uv_timer_start(&loop->_timer, on_timer, wait_ms, 0);
}

static void aim_idle(struct loop *loop)
{
    bool has_jobs = false;
    for (int phase = 0; phase < LOOP_PHASE_COUNT; phase++) {
        has_jobs = has_jobs || !list_is_empty(&loop->_jobs[phase]);
    }
    if (uv_is_closing((uv_handle_t *)&loop->_idle)) {
        return;
    }
    if (has_jobs) {
        uv_idle_start(&loop->_idle, on_idle);
    } else {
        uv_idle_stop(&loop->_idle);
    }
}

static void close_own(struct loop *loop)
{
    poller_close(&loop->poller);
    uv_close((uv_handle_t *)&loop->_timer, NULL);
    uv_close((uv_handle_t *)&loop->_prepare, NULL);
    uv_close((uv_handle_t *)&loop->_check, NULL);
    uv_close((uv_handle_t *)&loop->_idle, NULL);
}

static void on_patience_end(uv_timer_t *handle)
{
    uv_stop(handle->loop);
}

static void on_open_handle(uv_handle_t *handle, void *count)
{
    fprintf(stderr, "open handle: %s\n", uv_handle_type_name(handle->type));
    (*(int *)count)++;
}
