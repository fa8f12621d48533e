// SPDX-License-Identifier: MIT
#include "bench/scenarios.h"

#include "base/check.h"
#include "base/mem.h"
#include "bench/crowd.h"
#include "bench/run.h"

#include <math.h>
#include <stdlib.h>

static void on_event(struct reader *reader, struct bytes data);
static void measure(struct run *run, struct crowd *crowd);
static void report(struct run *run, struct crowd *crowd, double seconds, uint64_t bytes);
static void report_evenness(struct run *run, const struct crowd *crowd);
static int compare(const void *a, const void *b);

void firehose_run(struct run *run)
{
    struct crowd crowd;
    crowd_init(&crowd, run, on_event);
    if (crowd_gather(&crowd)) {
        measure(run, &crowd);
    }
    crowd_close(&crowd);
    run_close(run);
    crowd_deinit(&crowd);
}

static void on_event(struct reader *reader, struct bytes data)
{
    (void)data;
    reader->event_count++;
    reader->crowd->event_count++;
}

static void measure(struct run *run, struct crowd *crowd)
{
    const struct options *options = run->options;
    progress_begin(&run->progress, "warming up", &crowd->event_count, 0,
                   options->times.warmup_seconds);
    (void)run_wait(run, options->times.warmup_seconds); // lasts until the time is over
    for (size_t i = 0; i < crowd->count; i++) {
        crowd->readers[i].event_count = 0;
    }
    crowd->event_count = 0;
    uint64_t bytes = crowd_byte_count(crowd);
    struct proc_moment begin = proc_now(options->pid);
    progress_begin(&run->progress, "measuring", &crowd->event_count, 0, options->times.seconds);
    (void)run_wait(run, options->times.seconds); // lasts until the time is over
    struct proc_moment end = proc_now(options->pid);
    progress_end(&run->progress);
    report(run, crowd, run_seconds(&begin, &end), crowd_byte_count(crowd) - bytes);
    run_report_cost(run, &begin, &end, "cpu_us_per_event", crowd->event_count);
}

static void report(struct run *run, struct crowd *crowd, double seconds, uint64_t bytes)
{
    report_count(&run->report, "readers", crowd->count);
    report_add(&run->report, "seconds", seconds, 3);
    report_count(&run->report, "events", crowd->event_count);
    report_add(&run->report, "events_per_second", (double)crowd->event_count / seconds, 0);
    report_add(&run->report, "bytes_per_second", (double)bytes / seconds, 0);
    report_evenness(run, crowd);
    crowd_report_gone(crowd);
    if (crowd->event_count == 0 && !run->is_interrupted) {
        report_fail(&run->report, "no event came");
    }
}

/// How far the least and the most served reader are from the one in the middle.
static void report_evenness(struct run *run, const struct crowd *crowd)
{
    CHECK(crowd->count > 0);
    uint64_t *counts = mem_alloc(crowd->count * sizeof(uint64_t));
    for (size_t i = 0; i < crowd->count; i++) {
        counts[i] = crowd->readers[i].event_count;
    }
    qsort(counts, crowd->count, sizeof(uint64_t), compare);
    size_t middle = crowd->count / 2;
    double median = (double)counts[middle];
    double least = (double)counts[0];
    double most = (double)counts[crowd->count - 1];
    report_add_to(&run->report, "evenness", "min", median > 0 ? least / median : NAN, 4);
    report_add_to(&run->report, "evenness", "max", median > 0 ? most / median : NAN, 4);
    mem_free(counts);
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}
