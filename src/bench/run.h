// SPDX-License-Identifier: MIT
//
// What every scenario runs on: the loop, the report, the way to wait and to be interrupted. A
// scenario is a function that reads from top to bottom and lets the loop turn where it waits: until
// a time is over, until one of its callbacks says that there is nothing to wait for, or until
// somebody presses Ctrl-C, after which no wait lasts. A value that must not move.
#pragma once

#include "bench/options.h"
#include "bench/proc.h"
#include "bench/progress.h"
#include "bench/report.h"
#include "net/loop.h"
#include "net/signals.h"
#include "net/timer.h"

struct histogram;

struct run {
    const struct options *options;
    struct loop loop;
    struct report report;
    struct progress progress;
    struct signals _signals;
    struct timer _tick;     // the progress line
    struct timer _deadline; // of the present wait
    bool _is_woken;
    bool _is_over; // the present wait's time
    bool is_interrupted;
};

void run_open(struct run *run, const struct options *options);

/// Everything that was opened on the loop must have been told to close.
void run_close(struct run *run);

/// Runs the loop for `seconds`, or until `run_wake`, and then returns true. May call any callback.
bool run_wait(struct run *run, double seconds);

/// Ends the wait that goes on; nothing when there is none.
void run_wake(struct run *run);

/// Whether `count` connections can be open at once; otherwise the report has a failure. Allows the
/// process as many descriptors as the system does.
MUST_USE bool run_allow(struct run *run, uint64_t count);

/// Adds the time between two moments, and with a server's pid the CPU time that it took, for each
/// of `count` things too if `cpu_key` is given; and how busy the generator itself was.
void run_report_cost(struct run *run, const struct proc_moment *begin,
                     const struct proc_moment *end, const char *cpu_key, uint64_t count);

/// Adds the quantiles of a histogram of nanoseconds, in milliseconds.
void run_report_latency(struct run *run, const struct histogram *histogram);

/// Seconds from one moment to the other.
double run_seconds(const struct proc_moment *begin, const struct proc_moment *end);
