// SPDX-License-Identifier: MIT
//
// How long answers took, by method, route and status: http_server_request_duration_seconds of one
// worker. A peer can choose no label: a method that is not one of HTTP's is "_OTHER", a path that
// no route takes is "_NONE". A route is counted under its pattern, so its counts outlive a reload.
// Owned by its worker, used on its thread; the numbers are in the worker's counters.
#pragma once

#include "base/map.h"

#include <stdint.h>

struct exchange;
struct metric;
struct request_counts;

struct requests {
    struct map _patterns;
    struct request_counts *_none; // no route
    struct metric *_metric;
};

/// Must be called after `counters_use`, on the same thread.
void requests_init(struct requests *requests);
void requests_deinit(struct requests *requests);

/// Where answers of the route `pattern` are counted; lives as long as `requests`.
struct request_counts *requests_of(struct requests *requests, const char *pattern);

/// Counts an answer that took `ns`.
void requests_count(struct requests *requests, const struct exchange *exchange, uint64_t ns);
