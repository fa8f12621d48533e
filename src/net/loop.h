// SPDX-License-Identifier: MIT
//
// One thread's event loop: libuv's loop, the clock that everything which waits asks, the timers,
// and the end-of-turn queue. A turn is one round of the loop: timers fire, sockets are read, and
// then what was queued for the end of the turn runs, first tasks (LOOP_RUN), then writes
// (LOOP_WRITE), then what gives up memory that this turn no longer needs (LOOP_FREE). So all that
// one turn says to a peer leaves in one write. Owned by the worker; used from its thread only. It
// dies in `loop_deinit`, which requires that every handle was closed before.
#pragma once

#include "base/due_heap.h"
#include "base/list.h"
#include "net/poller.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum loop_phase { LOOP_RUN, LOOP_WRITE, LOOP_FREE, LOOP_PHASE_COUNT };

struct loop_job;
typedef void (*loop_job_fn)(struct loop_job *job);

/// Something to be done at the end of the turn; a member of the struct that it concerns.
struct loop_job {
    struct list _node;
    loop_job_fn run;
};

/// Called after the last job of each turn.
typedef void (*loop_turn_fn)(void *arg);

struct loop {
    uv_loop_t uv;
    struct poller poller; // the connections
    uv_check_t _check;
    uv_prepare_t _prepare;
    uv_idle_t _idle;
    uv_timer_t _timer;
    bool _has_fired;     // timers, in this turn
    uint64_t _polled_ms; // when the last turn began, on libuv's clock; 0 before the first
    struct list _jobs[LOOP_PHASE_COUNT];
    struct due_heap timers; // those that were armed and have not fired, see `net/timer.h`
    loop_turn_fn on_turn_end;
    void *on_turn_end_arg;
    char *read_memory; // where every transport of this loop reads into; LOOP_READ_BYTES
};

enum { LOOP_READ_BYTES = 64 * 1024 };

/// The version of libuv.
const char *loop_library_version(void);

/// Makes the loop ready. Returns 0 or a negative UV_ code; then there is nothing to free.
MUST_USE int loop_init(struct loop *loop);

/// Frees everything. CHECKs that no handle is left open and no timer armed.
void loop_deinit(struct loop *loop);

/// Runs until `loop_stop`. Calls everything.
void loop_run(struct loop *loop);

/// Makes `loop_run` return at the end of this turn.
void loop_stop(struct loop *loop);

/// Closes the loop's own handles and runs until every handle has closed, at most `patience_ms`.
/// Names on standard error each handle that is still open then, and returns how many there are.
int loop_close(struct loop *loop, uint64_t patience_ms);

/// Milliseconds of a clock that only goes forward, read once a turn.
uint64_t loop_now_ms(const struct loop *loop);

/// Nanoseconds of the same clock, read now: for measuring, not for waiting.
uint64_t loop_clock_ns(void);

/// Nanoseconds of the machine's monotonic clock, read now and never moved: what a CPU has spent.
uint64_t loop_machine_ns(void);

/// Moves the clock of all loops forward: for specs. Timers that become due fire in the loop's next
/// turn; other loops must be woken to see it.
void loop_advance(struct loop *loop, uint64_t ms);

/// Lets the clock of all loops run `times` times slower than the machine's, or a little slower yet
/// (the next power of two): for specs of a program that valgrind or a sanitizer slows down, so that
/// as much happens in one of its seconds as without. Must come before the first loop runs.
void loop_slow_down(unsigned times);

/// Queues `job` for the end of this turn. Does nothing when it is queued already. A job queued by a
/// job of the same phase runs in the next turn, which then does not wait.
void loop_at_turn_end(struct loop *loop, enum loop_phase phase, struct loop_job *job);

/// Whether `job` waits for the end of a turn.
static inline bool loop_job_is_queued(const struct loop_job *job)
{
    return list_is_linked(&job->_node);
}

/// Prepares a job. Must come before the first use.
void loop_job_init(struct loop_job *job, loop_job_fn run);

/// Takes `job` out of the queue, if it is there. Before its owner is freed.
void loop_job_cancel(struct loop_job *job);
