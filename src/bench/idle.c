// SPDX-License-Identifier: MIT
#include "bench/scenarios.h"

#include "bench/broadcast.h"
#include "bench/run.h"

/// What a thread runs, Linux adds to its time when it sleeps, or at the next tick.
static const double tick_seconds = 0.02;

static void on_event(struct reader *reader, struct bytes data);
static void measure(struct run *run, struct crowd *crowd, struct broadcast *broadcast);
static void report_connecting(struct run *run, const struct proc_moment *begin,
                              const struct proc_moment *end);
static void rest(struct run *run, uint64_t memory_before, struct proc_moment *begin,
                 struct proc_moment *end);
static void publish(struct run *run, struct broadcast *broadcast);

void idle_run(struct run *run)
{
    struct crowd crowd;
    struct broadcast broadcast;
    bool has_publish = run->options->requests.publish_url != NULL;
    crowd_init(&crowd, run, has_publish ? broadcast_take : on_event);
    if (has_publish) {
        broadcast_init(&broadcast, run, &crowd);
    }
    measure(run, &crowd, has_publish ? &broadcast : NULL);
    if (has_publish) {
        broadcast_close(&broadcast);
    }
    crowd_close(&crowd);
    run_close(run);
    if (has_publish) {
        broadcast_deinit(&broadcast);
    }
    crowd_deinit(&crowd);
}

/// Events that the server sends by itself are not counted.
static void on_event(struct reader *reader, struct bytes data)
{
    (void)reader;
    (void)data;
}

static void measure(struct run *run, struct crowd *crowd, struct broadcast *broadcast)
{
    uint64_t pid = run->options->pid;
    uint64_t memory_before = pid == 0 ? 0 : proc_memory_bytes(pid);
    struct proc_moment begin = proc_now(pid);
    if (!crowd_gather(crowd)) {
        return;
    }
    struct proc_moment end = proc_now(pid);
    (void)run_wait(run, tick_seconds);
    end.server_cpu_ns = proc_now(pid).server_cpu_ns;
    report_count(&run->report, "readers", crowd->count);
    report_connecting(run, &begin, &end);
    rest(run, memory_before, &begin, &end);
    if (broadcast != NULL && broadcast_trial(broadcast)) {
        publish(run, broadcast);
    } else {
        crowd_report_gone(crowd);
    }
    progress_end(&run->progress);
    run_report_cost(run, &begin, &end, NULL, 0);
}

static void report_connecting(struct run *run, const struct proc_moment *begin,
                              const struct proc_moment *end)
{
    double count = (double)run->options->readers.count;
    double cpu_us = (double)(end->server_cpu_ns - begin->server_cpu_ns) / 1e3;
    report_add(&run->report, "connect_seconds", run_seconds(begin, end), 3);
    report_add(&run->report, "connects_per_second", count / run_seconds(begin, end), 0);
    if (run->options->pid != 0) {
        report_add(&run->report, "cpu_us_per_connect", cpu_us / count, 3);
    }
}

/// First a pause, after which the server's memory changes no more, then the time that is measured.
static void rest(struct run *run, uint64_t memory_before, struct proc_moment *begin,
                 struct proc_moment *end)
{
    const struct options *options = run->options;
    progress_begin(&run->progress, "settling", NULL, 0, options->times.settle_seconds);
    (void)run_wait(run, options->times.settle_seconds); // lasts until the time is over
    if (options->pid != 0) {
        double memory = (double)proc_memory_bytes(options->pid) - (double)memory_before;
        report_add(&run->report, "memory_bytes_per_stream", memory / (double)options->readers.count,
                   1);
    }
    *begin = proc_now(options->pid);
    progress_begin(&run->progress, "idling", NULL, 0, options->times.seconds);
    (void)run_wait(run, options->times.seconds); // lasts until the time is over
    *end = proc_now(options->pid);
    double seconds = run_seconds(begin, end);
    double cpu_seconds = (double)(end->server_cpu_ns - begin->server_cpu_ns) / 1e9;
    report_add(&run->report, "seconds", seconds, 3);
    if (options->pid != 0) {
        report_add(&run->report, "idle_cpu_share", cpu_seconds / seconds, 6);
    }
}

/// Publishes one event after the other, each when the last one has reached every reader.
static void publish(struct run *run, struct broadcast *broadcast)
{
    const struct options *options = run->options;
    struct proc_moment begin = proc_now(options->pid);
    progress_begin(&run->progress, "publishing", &broadcast->delivery_count,
                   options->events.count * options->readers.count, 0);
    broadcast_measure(broadcast, options->events.count);
    broadcast_start(broadcast);
    broadcast_await(broadcast);
    broadcast_stop(broadcast);
    struct proc_moment end = proc_now(options->pid);
    report_count(&run->report, "events_published", broadcast->posted_count);
    report_count(&run->report, "deliveries", broadcast->delivery_count);
    if (options->pid != 0) {
        double cpu_us = (double)(end.server_cpu_ns - begin.server_cpu_ns) / 1e3;
        report_add(&run->report, "cpu_us_per_delivery", cpu_us / (double)broadcast->delivery_count,
                   3);
    }
    run_report_latency(run, broadcast->latency);
    broadcast_report_faults(broadcast);
}
