// SPDX-License-Identifier: MIT
//
// How often which duration was seen: buckets that grow with the value, so that a quantile is right
// to one per cent from nanoseconds to hours, whatever comes. Counting is a few instructions and
// needs no memory. A value inside its owner.
#pragma once

#include <stdint.h>

enum {
    HISTOGRAM_BITS = 7, // 128 buckets for each power of two
    HISTOGRAM_BUCKETS = (64 - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS,
};

struct histogram {
    uint64_t _buckets[HISTOGRAM_BUCKETS];
    uint64_t count;
    uint64_t max;
};

void histogram_add(struct histogram *histogram, uint64_t value);

/// The value that `share` (0 to 1) of all values do not exceed; 0 when there are none.
uint64_t histogram_quantile(const struct histogram *histogram, double share);
