// SPDX-License-Identifier: MIT
//
// A scrape on any thread: `snapshot_take` adds the numbers of all workers to a fresh set of
// metrics, together with what the workers and scripts have defined, and `snapshot_write` writes the
// set as text, sorted by name. The workers count on meanwhile, so numbers of one scrape are not of
// one moment.
#include "base/snapshot.h"

#include "base/counters.h"
#include "base/decimal.h"
#include "base/environment.h"
#include "base/limits.h"
#include "base/mem.h"

#include <assert.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    LUA_LABEL_MAX = 24,
    LINE_BYTES = 1024,
    ROOM_BYTES = 16 * 1024 * 1024, // more than twenty thousand series take
};

struct known {
    enum counter counter;
    enum metric_type type;
    const char *name;
    const char *help;
};

/// One line of a series.
struct sample {
    const char *suffix; // of the metric's name
    const char *le;     // of a histogram's bucket; NULL for none
    double value;
};

static const struct known known[] = {
    {COUNT_CONNECTIONS, METRIC_GAUGE, "lunesse_connections", "Open connections."},
    {COUNT_STREAMS_OPENED, METRIC_COUNTER, "lunesse_streams_opened_total",
     "Event streams that were opened."},
    {COUNT_EVENTS_SENT, METRIC_COUNTER, "lunesse_events_sent_total",
     "Events handed over to be sent, one for each reader."},
    {COUNT_EVENT_BYTES, METRIC_COUNTER, "lunesse_event_bytes_total",
     "Bytes of these events, framing included."},
    {COUNT_PUBLISHED, METRIC_COUNTER, "lunesse_publish_total", "Events published on channels."},
    {COUNT_LAGGED, METRIC_COUNTER, "lunesse_lagged_total",
     "Times that a reader fell behind what its channel keeps."},
    {COUNT_CHANNELS, METRIC_GAUGE, "lunesse_channels", "Channels that exist."},
    {COUNT_PENDING_BYTES, METRIC_GAUGE, "lunesse_pending_bytes",
     "Bytes that wait in the server for readers to take them."},
};

static struct snapshot_names texts;

static double sum_of(enum counter counter);
static struct metric *define(struct metrics *snapshot, enum metric_type type, const char *name,
                             const char *help, const char *label);
static void put(struct metrics *snapshot, enum metric_type type, const char *name, const char *help,
                double value);
static void put_labelled(struct metric *metric, const char *label, double value);
static void put_known(struct metrics *snapshot);
static void put_streams(struct metrics *snapshot);
static void put_resumed(struct metrics *snapshot);
static void put_limits(struct metrics *snapshot);
static void put_workers(struct metrics *snapshot);
static void put_durations(struct metrics *snapshot);
static void add_durations(const struct metric *metric, struct series *series,
                          const struct durations *durations);
static void put_build(struct metrics *snapshot);
static void put_process(struct metrics *snapshot);
static void put_memory(struct metrics *snapshot);
static double open_descriptors(void);
static double started_seconds(void);
static void read_line(const char *path, char line[LINE_BYTES]);
static int by_name(const void *a, const void *b);
static void write_metric(const struct metric *metric, struct buf *out);
static void write_histogram(const struct metric *metric, const struct series *series,
                            struct buf *out);
static void write_sample(const struct metric *metric, const struct series *series,
                         const struct sample *sample, struct buf *out);
static void write_labels(const struct metric *metric, const struct series *series, const char *le,
                         struct buf *out);
static void write_value(double value, struct buf *out);
static void number_text(double value, char text[32]);
static void write_escaped(struct bytes text, bool is_label, struct buf *out);
static void write_text(const char *text, struct buf *out);
static void append(struct buf *out, struct bytes text);

void snapshot_set_names(const struct snapshot_names *names)
{
    texts = *names;
}

void snapshot_take(struct metrics *snapshot)
{
    DCHECK(texts.reason != NULL && texts.outcome != NULL);
    put_known(snapshot);
    put_streams(snapshot);
    put_resumed(snapshot);
    put_limits(snapshot);
    put_workers(snapshot);
    put_durations(snapshot);
    put_build(snapshot);
    put_process(snapshot);
    for (unsigned number = 1; number <= COUNTERS_WORKERS_MAX; number++) {
        const struct counters *counters = counters_of(number);
        if (counters != NULL) {
            metrics_merge(snapshot, &counters->metrics);
        }
    }
}

void snapshot_write(const struct metrics *snapshot, struct buf *out)
{
    size_t count = 0;
    const struct metric **list = mem_alloc((snapshot->map.count + 1) * sizeof(*list));
    for (const struct metric *metric = snapshot->first; metric != NULL; metric = metric->next) {
        list[count++] = metric;
    }
    DCHECK(count == snapshot->map.count);
    qsort(list, count, sizeof(*list), by_name);
    for (size_t i = 0; i < count; i++) {
        write_metric(list[i], out);
    }
    mem_free(list);
}

void snapshot_render(struct buf *out)
{
    struct metrics snapshot;
    if (!mem_has(ROOM_BYTES)) {
        return;
    }
    metrics_init(&snapshot);
    snapshot_take(&snapshot);
    snapshot_write(&snapshot, out);
    metrics_deinit(&snapshot);
}

/// The sum over all workers. One worker may have opened what another has closed, so only the sum
/// says something.
static double sum_of(enum counter counter)
{
    uint64_t sum = 0;
    for (unsigned number = 1; number <= COUNTERS_WORKERS_MAX; number++) {
        const struct counters *counters = counters_of(number);
        if (counters != NULL) {
            sum += atomic_load_explicit(&counters->values[counter], memory_order_relaxed);
        }
    }
    return (int64_t)sum < 0 ? 0 : (double)sum; // seen in the middle of a change
}

static struct metric *define(struct metrics *snapshot, enum metric_type type, const char *name,
                             const char *help, const char *label)
{
    struct metric_spec spec = {
        .type = type, .name = name, .help = help, .labels = {label}, .label_count = label != NULL};
    if (type == METRIC_HISTOGRAM) {
        spec.bounds = duration_bounds;
        spec.bound_count = DURATION_BOUND_COUNT;
    }
    struct metric *metric;
    CHECK(metrics_define(snapshot, &spec, &metric) == 0); // the names are ours, and few
    return metric;
}

static void put(struct metrics *snapshot, enum metric_type type, const char *name, const char *help,
                double value)
{
    struct metric *metric = define(snapshot, type, name, help, NULL);
    series_set(metric_series(metric, NULL, NULL), value);
}

static void put_labelled(struct metric *metric, const char *label, double value)
{
    struct bytes values[] = {bytes_from_string(label)};
    series_add(metric_series(metric, values, NULL), value);
}

static void put_known(struct metrics *snapshot)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        put(snapshot, known[i].type, known[i].name, known[i].help, sum_of(known[i].counter));
    }
    struct metric *reloads = define(snapshot, METRIC_COUNTER, "lunesse_reloads_total",
                                    "Reloads of the scripts, and whether they worked.", "ok");
    put_labelled(reloads, "true", sum_of(COUNT_RELOADED));
    put_labelled(reloads, "false", sum_of(COUNT_NOT_RELOADED));
}

static void put_streams(struct metrics *snapshot)
{
    struct metric *closed = define(snapshot, METRIC_COUNTER, "lunesse_streams_closed_total",
                                   "Event streams that ended, by reason.", "reason");
    double open = sum_of(COUNT_STREAMS_OPENED);
    for (int i = 0; i < COUNTERS_REASONS_MAX && texts.reason(i) != NULL; i++) {
        put_labelled(closed, texts.reason(i), 0);
        for (unsigned number = 1; number <= COUNTERS_WORKERS_MAX; number++) {
            const struct counters *counters = counters_of(number);
            double count = counters == NULL ? 0 : (double)counters->closed[i];
            put_labelled(closed, texts.reason(i), count);
            open -= count;
        }
    }
    put(snapshot, METRIC_GAUGE, "lunesse_streams", "Open event streams.", open < 0 ? 0 : open);
}

static void put_resumed(struct metrics *snapshot)
{
    struct metric *resumed =
        define(snapshot, METRIC_COUNTER, "lunesse_resume_total",
               "Readers that came back with an id, by what became of it.", "outcome");
    for (int i = 0; i < COUNTERS_OUTCOMES_MAX && texts.outcome(i) != NULL; i++) {
        for (unsigned number = 1; number <= COUNTERS_WORKERS_MAX; number++) {
            const struct counters *counters = counters_of(number);
            if (counters != NULL && texts.outcome(i)[0] != '\0') {
                put_labelled(resumed, texts.outcome(i), (double)counters->resumed[i]);
            }
        }
    }
}

static void put_limits(struct metrics *snapshot)
{
    struct metric *limits = define(snapshot, METRIC_COUNTER, "lunesse_limit_total",
                                   "Times that a limit refused something.", "limit");
    for (size_t i = 0; limit_met_name(i) != NULL; i++) {
        for (unsigned number = 1; number <= COUNTERS_WORKERS_MAX; number++) {
            const struct counters *counters = counters_of(number);
            if (counters != NULL) {
                put_labelled(limits, limit_met_name(i), (double)counters->limits[i]);
            }
        }
    }
}

static void put_workers(struct metrics *snapshot)
{
    struct metric *memory = define(snapshot, METRIC_GAUGE, "lunesse_lua_bytes",
                                   "Memory that a worker's Lua state uses.", "worker");
    for (unsigned number = 1; number <= COUNTERS_WORKERS_MAX; number++) {
        const struct counters *counters = counters_of(number);
        char label[LUA_LABEL_MAX];
        if (counters != NULL) {
            snprintf(label, sizeof(label), "%u", number);
            put_labelled(memory, label, (double)counters->values[COUNT_LUA_BYTES]);
        }
    }
}

static void put_durations(struct metrics *snapshot)
{
    const struct metric *lag =
        define(snapshot, METRIC_HISTOGRAM, "lunesse_loop_lag_seconds",
               "Time that a turn of a worker's loop kept everything else waiting.", NULL);
    const struct metric *run = define(snapshot, METRIC_HISTOGRAM, "lunesse_run_seconds",
                                      "Uninterrupted runs of Lua.", NULL);
    struct series *lags = metric_series((struct metric *)lag, NULL, NULL);
    struct series *runs = metric_series((struct metric *)run, NULL, NULL);
    for (unsigned number = 1; number <= COUNTERS_WORKERS_MAX; number++) {
        const struct counters *counters = counters_of(number);
        if (counters != NULL) {
            add_durations(lag, lags, &counters->lag);
            add_durations(run, runs, &counters->run);
        }
    }
}

static void add_durations(const struct metric *metric, struct series *series,
                          const struct durations *durations)
{
    for (size_t i = 0; i <= metric->bound_count; i++) {
        series->counts[i] += atomic_load_explicit(&durations->counts[i], memory_order_relaxed);
    }
    series_add(series, (double)durations->sum_ns / 1e9);
}

static void put_build(struct metrics *snapshot)
{
    struct metric_spec spec = {.type = METRIC_GAUGE,
                               .name = "lunesse_build_info",
                               .help = "1, and what the program was built from.",
                               .labels = {"version", "lua", "libuv"},
                               .label_count = 3};
    struct metric *metric;
    CHECK(metrics_define(snapshot, &spec, &metric) == 0);
    struct bytes values[] = {bytes_from_string(texts.versions[0]),
                             bytes_from_string(texts.versions[1]),
                             bytes_from_string(texts.versions[2])};
    series_set(metric_series(metric, values, NULL), 1);
}

static void put_process(struct metrics *snapshot)
{
    struct rusage usage = {0};
    struct rlimit files = {0};
    (void)getrusage(RUSAGE_SELF, &usage); // cannot fail for oneself
    (void)getrlimit(RLIMIT_NOFILE, &files);
    double seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    put(snapshot, METRIC_COUNTER, "process_cpu_seconds_total",
        "User and system CPU time spent, in seconds.", seconds);
    put(snapshot, METRIC_GAUGE, "process_open_fds", "Open file descriptors.", open_descriptors());
    put(snapshot, METRIC_GAUGE, "process_max_fds", "File descriptors that may be open.",
        (double)files.rlim_cur);
    put(snapshot, METRIC_GAUGE, "process_start_time_seconds",
        "Start of the process, in seconds since 1970.", started_seconds());
    put_memory(snapshot);
}

static void put_memory(struct metrics *snapshot)
{
    char line[LINE_BYTES];
    char *rest = line;
    read_line("/proc/self/statm", line);
    unsigned long pages = strtoul(rest, &rest, 10);
    unsigned long resident = strtoul(rest, &rest, 10);
    double page_bytes = (double)sysconf(_SC_PAGESIZE);
    put(snapshot, METRIC_GAUGE, "process_virtual_memory_bytes", "Virtual memory, in bytes.",
        (double)pages * page_bytes);
    put(snapshot, METRIC_GAUGE, "process_resident_memory_bytes", "Resident memory, in bytes.",
        (double)resident * page_bytes);
}

/// The first line of a file in /proc; empty where there is none.
static void read_line(const char *path, char line[LINE_BYTES])
{
    FILE *file = fopen(path, "re");
    line[0] = '\0';
    if (file != NULL) {
        if (fgets(line, LINE_BYTES, file) == NULL) {
            line[0] = '\0';
        }
        fclose(file);
    }
}

/// Newer kernels say the number as the size of the folder; for older ones its entries are counted.
static double open_descriptors(void)
{
    struct stat status;
    if (stat("/proc/self/fd", &status) == 0 && status.st_size > 0) {
        return (double)status.st_size;
    }
    DIR *folder = opendir("/proc/self/fd");
    double count = 0;
    while (folder != NULL && readdir(folder) != NULL) {
        count++;
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return count < 3 ? 0 : count - 3; // ".", ".." and the folder's own
}

/// When the process started, from the ticks since boot that /proc says.
static double started_seconds(void)
{
    char line[LINE_BYTES];
    struct timespec now;
    struct timespec up;
    if (environment_is_still(environment_here)) { // the app's start, not the process's
        now = environment_time(CLOCK_REALTIME);
        return (double)now.tv_sec - (double)environment_passed_ms(environment_here) / 1000;
    }
    read_line("/proc/self/stat", line);
    // Field 22. The second is a name in parentheses, in which there may be anything.
    const char *at = strrchr(line, ')');
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    unsigned long long ticks = at == NULL ? 0 : strtoull(at, NULL, 10);
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &up);
    double boot = (double)(now.tv_sec - up.tv_sec) + (double)(now.tv_nsec - up.tv_nsec) / 1e9;
    return floor((boot + (double)ticks / (double)sysconf(_SC_CLK_TCK)) * 100) / 100;
}

static int by_name(const void *a, const void *b)
{
    const struct metric *const *one = a;
    const struct metric *const *other = b;
    return strcmp((*one)->name, (*other)->name);
}

static void write_metric(const struct metric *metric, struct buf *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    static_assert(sizeof(types) / sizeof(types[0]) == METRIC_HISTOGRAM + 1, "each type has a name");
    write_text("# HELP ", out);
    write_text(metric->name, out);
    write_text(" ", out);
    write_escaped(bytes_from_string(metric->help), false, out);
    write_text("\n# TYPE ", out);
    write_text(metric->name, out);
    write_text(" ", out);
    write_text(types[metric->type], out);
    write_text("\n", out);
    for (const struct series *series = metric->first; series != NULL; series = series->next) {
        if (metric->type == METRIC_HISTOGRAM) {
            write_histogram(metric, series, out);
        } else {
            write_sample(metric, series, &(struct sample){"", NULL, series_value(series)}, out);
        }
    }
}

static void write_histogram(const struct metric *metric, const struct series *series,
                            struct buf *out)
{
    uint64_t count = 0;
    for (size_t i = 0; i <= metric->bound_count; i++) {
        char le[32] = "+Inf";
        if (i < metric->bound_count) {
            number_text(metric->bounds[i], le);
        }
        count += series->counts[i];
        write_sample(metric, series, &(struct sample){"_bucket", le, (double)count}, out);
    }
    write_sample(metric, series, &(struct sample){"_sum", NULL, series_value(series)}, out);
    write_sample(metric, series, &(struct sample){"_count", NULL, (double)count}, out);
}

static void write_sample(const struct metric *metric, const struct series *series,
                         const struct sample *sample, struct buf *out)
{
    write_text(metric->name, out);
    write_text(sample->suffix, out);
    write_labels(metric, series, sample->le, out);
    write_text(" ", out);
    write_value(sample->value, out);
    write_text("\n", out);
}

static void write_labels(const struct metric *metric, const struct series *series, const char *le,
                         struct buf *out)
{
    for (size_t i = 0; i < metric->label_count; i++) {
        write_text(i == 0 ? "{" : ",", out);
        write_text(metric->labels[i], out);
        write_text("=\"", out);
        write_escaped(series_label(series, i), true, out);
        write_text("\"", out);
    }
    if (le != NULL) {
        write_text(metric->label_count == 0 ? "{le=\"" : ",le=\"", out);
        write_text(le, out);
        write_text("\"", out);
    }
    if (metric->label_count > 0 || le != NULL) {
        write_text("}", out);
    }
}

static void write_value(double value, struct buf *out)
{
    char text[32];
    number_text(value, text);
    write_text(text, out);
}

/// Writes the shortest of three forms that reads back as the same number.
static void number_text(double value, char text[32])
{
    if (isnan(value) || isinf(value)) {
        snprintf(text, 32, "%s", isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
    } else if (value >= 0 && value < 1e15 && value == floor(value)) {
        text[decimal_write((uint64_t)value, text)] = '\0';
    } else {
        snprintf(text, 32, "%.15g", value);
        if (strtod(text, NULL) != value) {
            snprintf(text, 32, "%.17g", value);
        }
    }
}

static void write_escaped(struct bytes text, bool is_label, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.at[i];
        struct bytes escaped = bytes_of(&byte, 1);
        escaped = byte == '\n' ? BYTES("\\n") : byte == '\\' ? BYTES("\\\\") : escaped;
        escaped = byte == '"' && is_label ? BYTES("\\\"") : escaped;
        append(out, escaped);
    }
}

static void write_text(const char *text, struct buf *out)
{
    append(out, bytes_from_string(text));
}

/// Once there was no memory, nothing more is taken: a text with a hole in it would be another one.
static void append(struct buf *out, struct bytes text)
{
    if (!buf_append(out, text)) {
        buf_reset(out);
        buf_init(out, 0);
    }
}
