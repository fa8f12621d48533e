// SPDX-License-Identifier: MIT
#include "server/requests.h"

#include "base/counters.h"
#include "base/mem.h"
#include "http/exchange.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    PATTERNS_MAX = 4000, // that a worker tells apart
    SERIES_MAX = 20000,  // of patterns with methods and statuses
    QUICK_MAX = 8,       // series of a route that are found without a look-up in the map
    CODE_BYTES = 8,
};

/// Counts of one route.
struct request_counts {
    struct map_entry entry;
    size_t quick_count;
    struct quick {
        struct series *series;
        uint16_t code;
        uint8_t method; // its place in `methods`
    } quick[QUICK_MAX];
    char pattern[];
};

static const struct bytes methods[] = {{"GET", 3},     {"POST", 4},    {"HEAD", 4},  {"PUT", 3},
                                       {"DELETE", 6},  {"OPTIONS", 7}, {"PATCH", 5}, {"TRACE", 5},
                                       {"CONNECT", 7}, {"_OTHER", 6}};
enum { METHOD_OTHER = sizeof(methods) / sizeof(methods[0]) - 1 };

static_assert(METHOD_OTHER <= UINT8_MAX, "a place in `methods` has eight bits");
static_assert(sizeof("65535") <= CODE_BYTES, "the digits of any code");

static struct request_counts *make(struct requests *requests, const char *pattern);
static struct series *series_of(const struct requests *requests, struct request_counts *counts,
                                uint8_t method, uint16_t code);
static uint8_t method_index(struct bytes method);

void requests_init(struct requests *requests)
{
    struct metric_spec spec = {.type = METRIC_HISTOGRAM,
                               .name = "http_server_request_duration_seconds",
                               .help = "Time from the first byte of a request to the end of its "
                                       "answer. Event streams are not in it.",
                               .labels = {"method", "route", "code"},
                               .label_count = 3,
                               .bounds = duration_bounds,
                               .bound_count = DURATION_BOUND_COUNT,
                               .series_max = SERIES_MAX};
    map_init(&requests->_patterns);
    CHECK(metrics_define(&counters_here->metrics, &spec, &requests->_metric) == 0);
    requests->_none = make(requests, "_NONE");
}

void requests_deinit(struct requests *requests)
{
    struct map_entry *entry;
    while ((entry = map_any(&requests->_patterns)) != NULL) {
        map_remove(&requests->_patterns, entry);
        mem_free(CONTAINER_OF(entry, struct request_counts, entry));
    }
    map_deinit(&requests->_patterns);
}

struct request_counts *requests_of(struct requests *requests, const char *pattern)
{
    struct map_entry *entry = map_find(&requests->_patterns, bytes_from_string(pattern));
    if (entry != NULL) {
        return CONTAINER_OF(entry, struct request_counts, entry);
    }
    bool is_full = requests->_patterns.count >= PATTERNS_MAX;
    DCHECK(requests->_none != NULL);
    return is_full ? requests_of(requests, "_NONE") : make(requests, pattern);
}

void requests_count(struct requests *requests, const struct exchange *exchange, uint64_t ns)
{
    const struct request *request = exchange->request;
    struct request_counts *counts = request->counts == NULL ? requests->_none : request->counts;
    bool has_head = exchange->response.state != RESPONSE_FRESH;
    uint16_t code = has_head ? exchange->response.status : 0;
    uint8_t method = method_index(request->method);
    struct series *series = NULL;
    for (size_t i = 0; i < counts->quick_count && series == NULL; i++) {
        const struct quick *quick = &counts->quick[i];
        series = quick->code == code && quick->method == method ? quick->series : NULL;
    }
    if (series == NULL) {
        series = series_of(requests, counts, method, code);
    }
    series_observe(requests->_metric, series, (double)ns / 1e9);
}

static struct request_counts *make(struct requests *requests, const char *pattern)
{
    size_t size = strlen(pattern) + 1;
    struct request_counts *counts = mem_zero(sizeof(struct request_counts) + size);
    memcpy(counts->pattern, pattern, size);
    counts->entry.key = bytes_from_string(counts->pattern);
    map_add(&requests->_patterns, &counts->entry);
    return counts;
}

static struct series *series_of(const struct requests *requests, struct request_counts *counts,
                                uint8_t method, uint16_t code)
{
    DCHECK(method <= METHOD_OTHER && counts->quick_count <= QUICK_MAX);
    char text[CODE_BYTES];
    snprintf(text, sizeof(text), "%u", code);
    struct bytes values[] = {methods[method], bytes_from_string(counts->pattern),
                             bytes_from_string(text)};
    struct series *series = metric_series(requests->_metric, values, NULL);
    if (counts->quick_count < QUICK_MAX) {
        counts->quick[counts->quick_count++] = (struct quick){series, code, method};
    }
    return series;
}

static uint8_t method_index(struct bytes method)
{
    uint8_t index = 0;
    while (index < METHOD_OTHER && !bytes_equal(method, methods[index])) {
        index++;
    }
    return index;
}
