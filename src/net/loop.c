// SPDX-License-Identifier: MIT
//
// The wait is ours and libuv is a guest in it: libuv's epoll set stands in the poller's set, as
// `uv_backend_fd` is made for. A turn goes:
//
//     wait           at most until libuv's next timer is due (`uv_backend_timeout`)
//     read           the sockets that are ready tell their owners
//     end            queued jobs run, closed sockets are told, the timer is aimed
//     libuv runs     only when its set is ready or a timer is due: `uv_run` without waiting
//     end            once more, for what libuv's callbacks have queued
//
// Timers come after the sockets. After a pause of the process a peer's deadline may have passed
// while its bytes wait in the kernel, and such a peer must not be timed out. Everything else of
// libuv works as in its own loop.
#include "net/loop.h"

#include "base/check.h"
#include "base/counters.h"
#include "base/mem.h"

#include <stdio.h>

enum {
    GAP_MS = 10, // a timer that is later than this is late because the loop did not run
    NS_PER_MS = 1000 * 1000,
};

static bool turn(struct loop *loop, int timeout_ms);
static int wait_ms(const struct loop *loop);
static bool has_jobs(const struct loop *loop);
static void count_lag(struct loop *loop);
static void on_timer(uv_timer_t *handle);
static void on_patience_end(uv_timer_t *handle);
static void on_open_handle(uv_handle_t *handle, void *count);
static void run_jobs(struct list *jobs);
static void aim_timer(struct loop *loop);

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
    failure = poller_init(&loop->poller, uv_backend_fd(&loop->uv));
    if (failure != 0) {
        CHECK(uv_loop_close(&loop->uv) == 0);
        return failure;
    }
    for (int phase = 0; phase < LOOP_PHASE_COUNT; phase++) {
        list_init(&loop->_jobs[phase]);
    }
    owner_take(&loop->owner);
    timer_heap_init(&loop->timers, &loop->uv);
    uv_timer_init(&loop->uv, &loop->_timer);
    loop->read_memory = mem_alloc(LOOP_READ_BYTES);
    return 0;
}

void loop_deinit(struct loop *loop)
{
    OWNED(&loop->owner);
    CHECK(uv_loop_close(&loop->uv) == 0);
    poller_deinit(&loop->poller);
    timer_heap_deinit(&loop->timers);
    mem_free(loop->read_memory);
}

void loop_run(struct loop *loop)
{
    OWNED(&loop->owner);
    while (!loop->_is_stopped) {
        uv_update_time(&loop->uv);
        count_lag(loop);
        turn(loop, wait_ms(loop));
    }
    loop->_is_stopped = false;
}

void loop_stop(struct loop *loop)
{
    OWNED(&loop->owner);
    loop->_is_stopped = true;
}

bool loop_turn(struct loop *loop)
{
    OWNED(&loop->owner);
    bool is_busy = wait_ms(loop) == 0;
    bool waits_for_work = !is_busy && loop->offload_count > 0;
    return turn(loop, waits_for_work ? -1 : 0) || is_busy;
}

uint64_t loop_next_ms(struct loop *loop)
{
    OWNED(&loop->owner);
    return timer_heap_due_ms(&loop->timers);
}

void loop_end_turn(struct loop *loop)
{
    OWNED(&loop->owner);
    for (int phase = 0; phase < LOOP_PHASE_COUNT; phase++) {
        run_jobs(&loop->_jobs[phase]);
    }
    poller_tell_closed(&loop->poller);
    if (loop->on_turn_end != NULL) {
        loop->on_turn_end(loop->on_turn_end_arg);
    }
    aim_timer(loop);
}

/// Ends the turn twice: the jobs of the first end may queue more jobs and close sockets, which the
/// second end runs and reports.
int loop_close(struct loop *loop, uint64_t patience_ms)
{
    uv_timer_t patience;
    OWNED(&loop->owner);
    loop_end_turn(loop);
    loop_end_turn(loop);
    uv_close((uv_handle_t *)&loop->_timer, NULL);
    uv_timer_init(&loop->uv, &patience);
    uv_timer_start(&patience, on_patience_end, patience_ms, 0);
    uv_unref((uv_handle_t *)&patience);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&patience, NULL);
    uv_run(&loop->uv, UV_RUN_NOWAIT);
    while (loop->offload_count > 0) {
        uv_run(&loop->uv, UV_RUN_ONCE); // work on another thread ends, but cannot be hurried
    }
    int open_count = (int)loop->poller.count;
    if (open_count > 0) {
        fprintf(stderr, "open handle: %d sockets\n", open_count);
    }
    uv_walk(&loop->uv, on_open_handle, &open_count);
    return open_count;
}

void loop_advance(struct loop *loop, uint64_t ms)
{
    OWNED(&loop->owner);
    clock_advance(ms);
    aim_timer(loop);
}

void loop_at_turn_end(struct loop *loop, enum loop_phase phase, struct loop_job *job)
{
    OWNED(&loop->owner);
    DCHECK(phase < LOOP_PHASE_COUNT && job->run != NULL);
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

/// Returns whether a socket was ready or libuv ran. libuv runs when its epoll set is ready or
/// `uv_backend_timeout` is 0. The latter means that a timer is due, a handle is closing, or a
/// handle was opened that is not yet in libuv's set.
static bool turn(struct loop *loop, int timeout_ms)
{
    bool has_ready = poller_wait(&loop->poller, timeout_ms);
    uv_update_time(&loop->uv);
    loop->_woken_ms = uv_now(&loop->uv);
    bool is_guest_ready = poller_tell(&loop->poller);
    loop_end_turn(loop);
    if (is_guest_ready || uv_backend_timeout(&loop->uv) == 0) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        loop_end_turn(loop);
        return true;
    }
    return has_ready;
}

static int wait_ms(const struct loop *loop)
{
    bool is_busy = has_jobs(loop) || poller_has_closing(&loop->poller);
    return is_busy ? 0 : uv_backend_timeout(&loop->uv);
}

static bool has_jobs(const struct loop *loop)
{
    bool has_any = false;
    for (int phase = 0; phase < LOOP_PHASE_COUNT; phase++) {
        has_any = has_any || !list_is_empty(&loop->_jobs[phase]);
    }
    return has_any;
}

/// Counts how long the turn kept everything else waiting: from the end of its wait until now. The
/// two times are whole milliseconds of a clock that is read anyway. Their difference is up to one
/// millisecond too long or too short, so the errors of many turns cancel out.
static void count_lag(struct loop *loop)
{
    if (loop->_woken_ms != 0) {
        uint64_t lag_ms = uv_now(&loop->uv) - loop->_woken_ms;
        durations_add(&counters_here->lag, lag_ms * NS_PER_MS);
    }
}

/// Fires the timers that are due. If the loop did not run for a while (the process was stopped, the
/// machine suspended, one callback took long), bytes of peers may wait in the kernel although the
/// peers' deadlines have passed. The sockets are therefore read first, so that no such peer is
/// timed out.
static void on_timer(uv_timer_t *handle)
{
    struct loop *loop = CONTAINER_OF(handle, struct loop, _timer);
    uint64_t due_ms = timer_heap_next_ms(&loop->timers);
    uint64_t now_ms = loop_now_ms(loop);
    loop->_aimed_ms = 0;
    if (due_ms < now_ms && now_ms - due_ms > GAP_MS) {
        poller_catch_up(&loop->poller);
    }
    timer_heap_fire(&loop->timers);
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

/// Arms libuv's timer for the first of our timers. With no timer it is armed for the end of time,
/// because libuv regards a loop without an active handle as finished. A turn that leaves the first
/// timer as it was does not call libuv.
static void aim_timer(struct loop *loop)
{
    uint64_t aimed_ms = clock_machine_ms(timer_heap_next_ms(&loop->timers));
    if (aimed_ms == loop->_aimed_ms || uv_is_closing((uv_handle_t *)&loop->_timer)) {
        return;
    }
    loop->_aimed_ms = aimed_ms;
    uint64_t now_ms = uv_now(&loop->uv);
    uv_timer_start(&loop->_timer, on_timer, aimed_ms > now_ms ? aimed_ms - now_ms : 0, 0);
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
