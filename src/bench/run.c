// SPDX-License-Identifier: MIT
#include "bench/run.h"

#include "base/check.h"
#include "bench/histogram.h"

#include <inttypes.h>
#include <math.h>
#include <sys/resource.h>

enum { TICK_MS = 100, CLOSE_PATIENCE_MS = 2000, SPARE_DESCRIPTORS = 32 };

static void on_signal(void *user, int number);
static void on_tick(struct timer *timer);
static void on_deadline(struct timer *timer);

void run_open(struct run *run, const struct options *options)
{
    *run = (struct run){.options = options};
    CHECK(loop_init(&run->loop) == 0);
    progress_init(&run->progress);
    CHECK(signals_open(&run->_signals, &run->loop, on_signal, run) == 0);
    timer_init(&run->_tick, &run->loop.timers, on_tick);
    timer_init(&run->_deadline, &run->loop.timers, on_deadline);
    timer_arm(&run->_tick, TICK_MS);
}

void run_close(struct run *run)
{
    progress_end(&run->progress);
    timer_deinit(&run->_tick);
    timer_deinit(&run->_deadline);
    signals_close(&run->_signals);
    CHECK(loop_close(&run->loop, CLOSE_PATIENCE_MS) == 0);
    loop_deinit(&run->loop);
}

/// The loop's clock is late, because the loop did not turn while the scenario did something else.
/// The deadline is set by the machine's clock.
bool run_wait(struct run *run, double seconds)
{
    CHECK(seconds >= 0);
    uint64_t until_ns = clock_machine_ns() + (uint64_t)(seconds * 1e9);
    run->_is_woken = false;
    run->_is_over = false;
    timer_arm_at(&run->_deadline, until_ns / 1000000 + 1);
    while (!run->_is_woken && !run->_is_over && !run->is_interrupted) {
        loop_run(&run->loop);
    }
    timer_disarm(&run->_deadline);
    return run->_is_woken;
}

void run_wake(struct run *run)
{
    run->_is_woken = true;
    loop_stop(&run->loop);
}

bool run_allow(struct run *run, uint64_t count)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return true; // opening the connections fails if there are too few
    }
    if (files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files); // looked at again in the next line
        (void)getrlimit(RLIMIT_NOFILE, &files);
    }
    if (count + SPARE_DESCRIPTORS <= files.rlim_cur) {
        return true;
    }
    report_fail(&run->report,
                "%" PRIu64 " connections need %" PRIu64
                " descriptors and the system allows %" PRIu64
                ": raise the hard limit (ulimit -Hn), or take fewer --readers",
                count, count + SPARE_DESCRIPTORS, (uint64_t)files.rlim_cur);
    return false;
}

void run_report_cost(struct run *run, const struct proc_moment *begin,
                     const struct proc_moment *end, const char *cpu_key, uint64_t count)
{
    double seconds = run_seconds(begin, end);
    double cpu_seconds = (double)(end->server_cpu_ns - begin->server_cpu_ns) / 1e9;
    double own_seconds = (double)(end->own_cpu_ns - begin->own_cpu_ns) / 1e9;
    if (run->options->pid != 0) {
        if (cpu_key != NULL) {
            report_add(&run->report, cpu_key, cpu_seconds * 1e6 / (double)count, 3);
        }
        report_add(&run->report, "cpu_seconds", cpu_seconds, 6);
        report_add(&run->report, "server_cpu_share", cpu_seconds / seconds, 4);
        report_count(&run->report, "memory_bytes", proc_memory_bytes(run->options->pid));
    }
    report_add(&run->report, "generator_cpu_share", own_seconds / seconds, 4);
}

void run_report_latency(struct run *run, const struct histogram *histogram)
{
    static const struct {
        const char *key;
        double share;
    } quantiles[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        double ns = i == 3 ? (double)histogram->max
                           : (double)histogram_quantile(histogram, quantiles[i].share);
        report_add_to(&run->report, "latency_ms", quantiles[i].key,
                      histogram->count == 0 ? NAN : ns / 1e6, 4);
    }
}

double run_seconds(const struct proc_moment *begin, const struct proc_moment *end)
{
    DCHECK(end->at_ns >= begin->at_ns);
    return (double)(end->at_ns - begin->at_ns) / 1e9;
}

static void on_signal(void *user, int number)
{
    struct run *run = user;
    (void)number;
    run->is_interrupted = true;
    loop_stop(&run->loop);
}

static void on_tick(struct timer *timer)
{
    struct run *run = CONTAINER_OF(timer, struct run, _tick);
    progress_draw(&run->progress);
    timer_arm(timer, TICK_MS);
}

static void on_deadline(struct timer *timer)
{
    struct run *run = CONTAINER_OF(timer, struct run, _deadline);
    run->_is_over = true;
    loop_stop(&run->loop);
}
