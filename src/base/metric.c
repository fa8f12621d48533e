// SPDX-License-Identifier: MIT
//
// A metric has one piece of memory with all its texts, and a chain of series in the order in which
// they came. A map finds a series by its values, which stand one behind the other, each with its
// NUL, as the map's key. The chain is for readers on other threads: a series is complete before
// `next` of the one before it points to it, and none is ever taken out.
#include "base/metric.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <errno.h>
#include <string.h>

/// The values of one series, written as the key of the map.
struct key {
    char text[METRIC_LABELS_MAX * (METRIC_VALUE_BYTES_MAX + 1)];
    size_t len;
};

static void check_spec(const struct metric_spec *spec);
static bool is_same(const struct metric *metric, const struct metric_spec *spec);
static struct metric *add(struct metrics *metrics, const struct metric_spec *spec);
static struct metric *make(const struct metric_spec *spec);
static const char *put_text(char **at, const char *text);
static bool put_values(struct key *key, const struct metric *metric, const struct bytes *values);
static void put_value(struct key *key, struct bytes value);
static struct series *find_or_add(struct metric *metric, const struct key *key);
static void merge_metric(struct metric *to, const struct metric *from);

void metrics_init(struct metrics *metrics)
{
    *metrics = (struct metrics){.first = NULL};
    map_init(&metrics->map);
}

void metrics_deinit(struct metrics *metrics)
{
    struct metric *metric = metrics->first;
    while (metric != NULL) {
        struct metric *next = metric->next;
        struct series *series = metric->first;
        while (series != NULL) {
            struct series *after = series->next;
            map_remove(&metric->series, &series->entry);
            mem_free((void *)series->entry.key.at);
            mem_free(series);
            series = after;
        }
        map_deinit(&metric->series);
        map_remove(&metrics->map, &metric->entry);
        mem_free(metric);
        metric = next;
    }
    map_deinit(&metrics->map);
}

int metrics_define(struct metrics *metrics, const struct metric_spec *spec, struct metric **metric)
{
    DEBUG_CALL(check_spec(spec));
    struct metric *there = metrics_find(metrics, spec->name);
    if (there != NULL && !is_same(there, spec)) {
        return -EEXIST;
    }
    if (there == NULL && metrics->map.count == METRICS_MAX) {
        return -E2BIG;
    }
    *metric = there != NULL ? there : add(metrics, spec);
    return 0;
}

struct metric *metrics_find(const struct metrics *metrics, const char *name)
{
    struct map_entry *entry = map_find(&metrics->map, bytes_from_string(name));
    return entry == NULL ? NULL : CONTAINER_OF(entry, struct metric, entry);
}

struct series *metric_series(struct metric *metric, const struct bytes *values, bool *is_other)
{
    DCHECK(values != NULL || metric->label_count == 0);
    struct key key = {.len = 0};
    bool is_full = metric->series.count >= metric->series_max;
    bool is_bounded = put_values(&key, metric, values);
    if (is_bounded && is_full) {
        is_bounded = map_find(&metric->series, bytes_of(key.text, key.len)) != NULL;
    }
    if (is_other != NULL) {
        *is_other = !is_bounded;
    }
    if (!is_bounded) {
        key.len = 0;
        for (size_t i = 0; i < metric->label_count; i++) {
            put_value(&key, BYTES("_OTHER"));
        }
    }
    return find_or_add(metric, &key);
}

double series_value(const struct series *series)
{
    uint64_t bits = atomic_load_explicit(&series->value, memory_order_relaxed);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

void series_set(struct series *series, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    atomic_store_explicit(&series->value, bits, memory_order_relaxed);
}

void series_add(struct series *series, double difference)
{
    series_set(series, series_value(series) + difference);
}

void series_observe(const struct metric *metric, struct series *series, double value)
{
    DCHECK(metric->type == METRIC_HISTOGRAM);
    size_t i = 0;
    while (i < metric->bound_count && !(value <= metric->bounds[i])) {
        i++;
    }
    uint64_t count = atomic_load_explicit(&series->counts[i], memory_order_relaxed) + 1;
    atomic_store_explicit(&series->counts[i], count, memory_order_relaxed);
    series_add(series, value);
}

uint64_t series_count(const struct metric *metric, const struct series *series)
{
    DCHECK(metric->type == METRIC_HISTOGRAM);
    uint64_t count = 0;
    for (size_t i = 0; i <= metric->bound_count; i++) {
        count += atomic_load_explicit(&series->counts[i], memory_order_relaxed);
    }
    return count;
}

void metrics_merge(struct metrics *to, const struct metrics *from)
{
    const struct metric *metric = atomic_load_explicit(&from->first, memory_order_acquire);
    while (metric != NULL) {
        struct metric_spec spec = {
            .type = metric->type,
            .name = metric->name,
            .help = metric->help,
            .label_count = metric->label_count,
            .bounds = metric->bounds,
            .bound_count = metric->bound_count,
            .series_max = SIZE_MAX, // each set has kept to its bounds
        };
        memcpy(spec.labels, metric->labels, sizeof(spec.labels));
        struct metric *merged;
        if (metrics_define(to, &spec, &merged) == 0) {
            merge_metric(merged, metric);
        }
        metric = atomic_load_explicit(&metric->next, memory_order_acquire);
    }
}

struct bytes series_label(const struct series *series, size_t index)
{
    const char *at = series->entry.key.at;
    for (size_t i = 0; i < index; i++) {
        at += strlen(at) + 1;
    }
    return bytes_from_string(at);
}

/// What `metrics_define` asks of its caller.
static void check_spec(const struct metric_spec *spec)
{
    CHECK(spec->name != NULL && spec->help != NULL);
    CHECK(spec->label_count <= METRIC_LABELS_MAX);
    CHECK(spec->bound_count <= METRIC_BOUNDS_MAX);
    CHECK(spec->type == METRIC_HISTOGRAM || spec->bound_count == 0);
    for (size_t i = 0; i < spec->label_count; i++) {
        CHECK(spec->labels[i] != NULL);
    }
    for (size_t i = 1; i < spec->bound_count; i++) {
        CHECK(spec->bounds[i - 1] < spec->bounds[i]);
    }
}

static bool is_same(const struct metric *metric, const struct metric_spec *spec)
{
    bool is_so = metric->type == spec->type && metric->label_count == spec->label_count &&
                 metric->bound_count == spec->bound_count;
    for (size_t i = 0; is_so && i < spec->label_count; i++) {
        is_so = strcmp(metric->labels[i], spec->labels[i]) == 0;
    }
    for (size_t i = 0; is_so && i < spec->bound_count; i++) {
        is_so = metric->bounds[i] == spec->bounds[i];
    }
    return is_so;
}

static struct metric *add(struct metrics *metrics, const struct metric_spec *spec)
{
    struct metric *metric = make(spec);
    map_add(&metrics->map, &metric->entry);
    struct metric *_Atomic *link = metrics->last == NULL ? &metrics->first : &metrics->last->next;
    atomic_store_explicit(link, metric, memory_order_release);
    metrics->last = metric;
    return metric;
}

static struct metric *make(const struct metric_spec *spec)
{
    size_t size = strlen(spec->name) + strlen(spec->help) + 2;
    for (size_t i = 0; i < spec->label_count; i++) {
        size += strlen(spec->labels[i]) + 1;
    }
    struct metric *metric = mem_zero(sizeof(struct metric) + size);
    char *at = metric->text;
    metric->type = spec->type;
    metric->series_max = spec->series_max == 0 ? METRIC_SERIES_MAX : spec->series_max;
    metric->label_count = spec->label_count;
    metric->bound_count = spec->bound_count;
    metric->name = put_text(&at, spec->name);
    metric->help = put_text(&at, spec->help);
    for (size_t i = 0; i < spec->label_count; i++) {
        metric->labels[i] = put_text(&at, spec->labels[i]);
    }
    if (spec->bound_count > 0) {
        memcpy(metric->bounds, spec->bounds, spec->bound_count * sizeof(double));
    }
    metric->entry.key = bytes_from_string(metric->name);
    map_init(&metric->series);
    DCHECK(at == metric->text + size);
    return metric;
}

static const char *put_text(char **at, const char *text)
{
    char *start = *at;
    size_t size = strlen(text) + 1;
    memcpy(start, text, size);
    *at += size;
    return start;
}

/// False when a value is too long.
static bool put_values(struct key *key, const struct metric *metric, const struct bytes *values)
{
    for (size_t i = 0; i < metric->label_count; i++) {
        if (values[i].len > METRIC_VALUE_BYTES_MAX) {
            return false;
        }
        put_value(key, values[i]);
    }
    return true;
}

/// Adds a value to the key. A NUL, and each byte that is not UTF-8, becomes a question mark.
static void put_value(struct key *key, struct bytes value)
{
    DCHECK(key->len + value.len < sizeof(key->text));
    char *at = key->text + key->len;
    if (value.len > 0) {
        memcpy(at, value.at, value.len);
    }
    for (size_t i = 0; i < value.len; i++) {
        if (at[i] == '\0') {
            at[i] = '?';
        }
    }
    size_t valid = utf8_valid_prefix(bytes_of(at, value.len));
    while (valid < value.len) {
        at[valid] = '?';
        valid += utf8_valid_prefix(bytes_of(at + valid, value.len - valid));
    }
    at[value.len] = '\0';
    key->len += value.len + 1;
}

static struct series *find_or_add(struct metric *metric, const struct key *key)
{
    struct bytes bytes = bytes_of(key->text, key->len);
    struct map_entry *entry = map_find(&metric->series, bytes);
    if (entry != NULL) {
        return CONTAINER_OF(entry, struct series, entry);
    }
    bool is_histogram = metric->type == METRIC_HISTOGRAM;
    size_t count = is_histogram ? metric->bound_count + 1 : 0;
    struct series *series = mem_zero(sizeof(struct series) + count * sizeof(atomic_uint_fast64_t));
    series->entry.key = bytes_of(mem_string(bytes), key->len);
    map_add(&metric->series, &series->entry);
    struct series *_Atomic *link = metric->last == NULL ? &metric->first : &metric->last->next;
    atomic_store_explicit(link, series, memory_order_release);
    metric->last = series;
    return series;
}

static void merge_metric(struct metric *to, const struct metric *from)
{
    DCHECK(to->type == from->type && to->bound_count == from->bound_count);
    const struct series *series = atomic_load_explicit(&from->first, memory_order_acquire);
    while (series != NULL) {
        struct bytes values[METRIC_LABELS_MAX] = {0};
        for (size_t i = 0; i < from->label_count; i++) {
            values[i] = series_label(series, i);
        }
        struct series *merged = metric_series(to, values, NULL);
        series_add(merged, series_value(series));
        for (size_t i = 0; from->type == METRIC_HISTOGRAM && i <= from->bound_count; i++) {
            merged->counts[i] += atomic_load_explicit(&series->counts[i], memory_order_relaxed);
        }
        series = atomic_load_explicit(&series->next, memory_order_acquire);
    }
}
