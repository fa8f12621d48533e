// SPDX-License-Identifier: MIT
//
// One thread's event loop: sockets, libuv, the clock, the timers, and the end-of-turn queue. A turn
// waits once, for the sockets and for libuv together; reads the sockets that are ready; runs what
// was queued for the end of the turn; and lets libuv run if it has something: a timer that is due,
// a wake-up from another thread, a file that has changed. The queue has three phases: tasks
// (LOOP_RUN), then writes (LOOP_WRITE), then what gives up memory that this turn no longer needs
// (LOOP_FREE). So all that one turn says to a peer leaves in one write. Owned by the worker; used
// from its thread only. It dies in `loop_deinit`, which requires that every handle was closed
// before.
#pragma once

#include "base/list.h"
#include "base/owner.h"
#include "net/clock.h"
#include "net/poller.h"
#include "net/timer.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum loop_phase { LOOP_RUN, LOOP_WRITE, LOOP_FREE, LOOP_PHASE_COUNT };

struct loop_job;
typedef void (*loop_job_fn)(struct loop_job *job);

/// Something to be done at the end of the turn: a member of the struct that it is about.
struct loop_job {
    struct list _node;
    loop_job_fn run;
};

/// Called after the last job of each turn, and again when libuv has run in it.
typedef void (*loop_turn_fn)(void *arg);

struct loop {
    uv_loop_t uv;
    struct owner owner;   // the thread that has made it, and runs it
    struct poller poller; // the sockets, with libuv as its guest
    uv_timer_t _timer;    // fires when the first of `timers` is due
    uint64_t _aimed_ms;   // when `_timer` fires, on libuv's clock; 0 until the turn's end arms it
    uint64_t _woken_ms;   // when the last wait ended, on libuv's clock; 0 before the first
    bool _is_stopped;
    struct list _jobs[LOOP_PHASE_COUNT];
    struct timer_heap timers;
    loop_turn_fn on_turn_end;
    void *on_turn_end_arg;
    unsigned offload_count; // works that have not come back; see offload.h
    char *read_memory;      // LOOP_READ_BYTES that every transport of this loop reads into
};

enum { LOOP_READ_BYTES = 64 * 1024 };

/// The version of libuv.
const char *loop_library_version(void);

/// Makes the loop ready. Returns 0, or a negative errno; then there is nothing to free.
MUST_USE int loop_init(struct loop *loop);

/// Frees everything. CHECKs that no handle of libuv is left open.
void loop_deinit(struct loop *loop);

/// Turns until `loop_stop` was called. May call anything.
void loop_run(struct loop *loop);

/// Makes `loop_run` return at the end of this turn.
void loop_stop(struct loop *loop);

/// Makes one turn that does not wait, but for work that other threads do for the loop (offload.h).
/// Returns whether there was anything to do. For the test kit, specs and fuzz targets.
bool loop_turn(struct loop *loop);

/// When the next timer is due, by the loop's clock; UINT64_MAX without one.
uint64_t loop_next_ms(struct loop *loop);

/// Does what the end of a turn does. For the simulator, which has clocks and sockets of its own.
void loop_end_turn(struct loop *loop);

/// Closes the loop's own handles and runs until every handle of libuv has closed, at most
/// `patience_ms`, and until work on other threads has come back (offload.h), however long that
/// takes. Names on standard error what is still open then, sockets and handles, and returns how
/// many there are.
int loop_close(struct loop *loop, uint64_t patience_ms);

/// The loop's clock in milliseconds, see clock.h.
static inline uint64_t loop_now_ms(const struct loop *loop)
{
    OWNED(&loop->owner);
    return clock_now_ms(&loop->uv);
}

/// Moves the clock of all loops forward: for specs. Timers of this loop that become due fire at the
/// end of this turn or in the next. Other loops must be woken to see the new time.
void loop_advance(struct loop *loop, uint64_t ms);

/// Queues `job` for the end of this turn. Does nothing when it is queued already. If a running job
/// queues one of its own or an earlier phase, that job runs at the next end: in this turn when
/// libuv has yet to run, otherwise in the next turn, which then does not wait.
void loop_at_turn_end(struct loop *loop, enum loop_phase phase, struct loop_job *job);

/// Whether `job` waits for the end of a turn.
static inline bool loop_job_is_queued(const struct loop_job *job)
{
    return list_is_linked(&job->_node);
}

/// Prepares a job, before its first use.
void loop_job_init(struct loop_job *job, loop_job_fn run);

/// Takes `job` out of the queue if it is in it. Called before the job's owner is freed.
void loop_job_cancel(struct loop_job *job);
