// SPDX-License-Identifier: MIT
//
// Metrics with labels: what one worker counts by method and route, or by what a script names. A set
// (`struct metrics`) has metrics, a metric has series, one for each combination of label values.
// One thread, the set's, defines and counts. Other threads may read meanwhile, because metrics and
// series are only ever added, and are complete before they are linked. Whatever a peer may choose
// is bounded: the length of a label's value, and the number of a metric's series. Beyond that, all
// goes to one series whose labels say "_OTHER". The set belongs to whoever made it; all of it lives
// until `metrics_deinit`.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "base/map.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    METRICS_MAX = 256,           // of a set
    METRIC_LABELS_MAX = 8,       // of a metric
    METRIC_BOUNDS_MAX = 32,      // of a histogram
    METRIC_SERIES_MAX = 1000,    // of a metric, unless it says otherwise
    METRIC_NAME_BYTES_MAX = 128, // also of a label's name
    METRIC_VALUE_BYTES_MAX = 128,
};

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/// One combination of label values.
struct series {
    struct map_entry entry; // key: the values, each with its NUL
    struct series *_Atomic next;
    atomic_uint_fast64_t value;    // a double's bits; of a histogram the sum
    atomic_uint_fast64_t counts[]; // of a histogram: one more than it has bounds
};

struct metric {
    struct map_entry entry;
    struct metric *_Atomic next;
    enum metric_type type;
    size_t label_count;
    size_t bound_count;
    size_t series_max;
    double bounds[METRIC_BOUNDS_MAX];
    const char *labels[METRIC_LABELS_MAX];
    const char *name;
    const char *help;
    struct series *_Atomic first;
    struct series *last;
    struct map series;
    char text[]; // of the names above
};

struct metrics {
    struct metric *_Atomic first;
    struct metric *last;
    struct map map;
};

/// What a metric is to be. `bounds` rise.
struct metric_spec {
    enum metric_type type;
    const char *name;
    const char *help;
    const char *labels[METRIC_LABELS_MAX];
    size_t label_count;
    const double *bounds;
    size_t bound_count;
    size_t series_max; // 0 for METRIC_SERIES_MAX
};

void metrics_init(struct metrics *metrics);
void metrics_deinit(struct metrics *metrics);

/// Finds or makes the metric that `spec` describes. Returns 0; -EEXIST when another one has this
/// name; or -E2BIG when there are METRICS_MAX. `metric` is then left as it is.
MUST_USE int metrics_define(struct metrics *metrics, const struct metric_spec *spec,
                            struct metric **metric);

/// The metric of this name, or NULL.
struct metric *metrics_find(const struct metrics *metrics, const char *name);

/// The series with these values, one for each label; or, beyond the bounds, that of "_OTHER".
/// `is_other`, if not NULL, tells whether it is that one.
struct series *metric_series(struct metric *metric, const struct bytes *values, bool *is_other);

double series_value(const struct series *series);
void series_set(struct series *series, double value);
void series_add(struct series *series, double difference);

/// Adds an observation to a histogram's series.
void series_observe(const struct metric *metric, struct series *series, double value);

/// How many observations there are.
uint64_t series_count(const struct metric *metric, const struct series *series);

/// Adds all that `from` has to `to`. Metrics that are not the same in both are left out.
void metrics_merge(struct metrics *to, const struct metrics *from);

/// Value number `index` of the labels of `series`.
struct bytes series_label(const struct series *series, size_t index);
