// SPDX-License-Identifier: MIT
#include "bench/scenarios.h"

#include "bench/broadcast.h"
#include "bench/run.h"

/// What was measured between two moments.
struct span {
    struct proc_moment begin;
    struct proc_moment end;
    uint64_t posted;
    uint64_t deliveries;
    uint64_t bytes;
};

static void measure(struct run *run, struct crowd *crowd, struct broadcast *broadcast);
static void report(struct run *run, const struct span *span, struct broadcast *broadcast);

void fanout_run(struct run *run)
{
    struct crowd crowd;
    struct broadcast broadcast;
    crowd_init(&crowd, run, broadcast_take);
    broadcast_init(&broadcast, run, &crowd);
    if (crowd_gather(&crowd) && broadcast_trial(&broadcast)) {
        measure(run, &crowd, &broadcast);
    }
    broadcast_close(&broadcast);
    crowd_close(&crowd);
    run_close(run);
    broadcast_deinit(&broadcast);
    crowd_deinit(&crowd);
}

static void measure(struct run *run, struct crowd *crowd, struct broadcast *broadcast)
{
    const struct options *options = run->options;
    if (options->times.warmup_seconds > 0) {
        progress_begin(&run->progress, "warming up", &broadcast->delivery_count, 0,
                       options->times.warmup_seconds);
        broadcast_start(broadcast);
        (void)run_wait(run, options->times.warmup_seconds); // lasts until the time is over
    }
    struct span span = {
        .posted = broadcast->posted_count,
        .deliveries = broadcast->delivery_count,
        .bytes = crowd_byte_count(crowd),
        .begin = proc_now(options->pid),
    };
    progress_begin(&run->progress, "measuring", &broadcast->delivery_count, 0,
                   options->times.seconds);
    broadcast_measure(broadcast, options->events.count);
    broadcast_start(broadcast);
    if (options->events.count > 0) {
        broadcast_await(broadcast);
    } else {
        (void)run_wait(run, options->times.seconds); // lasts until the time is over
    }
    span.end = proc_now(options->pid);
    span.posted = broadcast->posted_count - span.posted;
    span.deliveries = broadcast->delivery_count - span.deliveries;
    span.bytes = crowd_byte_count(crowd) - span.bytes;
    broadcast_stop(broadcast);
    progress_end(&run->progress);
    report(run, &span, broadcast);
}

static void report(struct run *run, const struct span *span, struct broadcast *broadcast)
{
    const struct options *options = run->options;
    double seconds = run_seconds(&span->begin, &span->end);
    report_count(&run->report, "readers", options->readers.count);
    report_count(&run->report, "stalled", options->readers.stalled_count);
    report_count(&run->report, "publishers", options->events.publisher_count);
    report_count(&run->report, "size", options->events.size_bytes);
    report_add(&run->report, "seconds", seconds, 3);
    report_count(&run->report, "events_published", span->posted);
    report_add(&run->report, "events_per_second", (double)span->posted / seconds, 1);
    report_count(&run->report, "deliveries", span->deliveries);
    report_add(&run->report, "deliveries_per_second", (double)span->deliveries / seconds, 0);
    report_add(&run->report, "bytes_per_second", (double)span->bytes / seconds, 0);
    run_report_latency(run, broadcast->latency);
    broadcast_report_faults(broadcast);
    run_report_cost(run, &span->begin, &span->end, "cpu_us_per_delivery", span->deliveries);
    if (span->deliveries == 0 && !run->is_interrupted) {
        report_fail(&run->report, "nothing was delivered");
    }
}
