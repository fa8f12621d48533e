// SPDX-License-Identifier: MIT
#include "bench/histogram.h"

#include "base/check.h"

#include <math.h>
#include <stddef.h>

static size_t bucket_of(uint64_t value);
static uint64_t middle_of(size_t bucket);

void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->_buckets[bucket_of(value)]++;
    histogram->count++;
    histogram->max = value > histogram->max ? value : histogram->max;
}

uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)ceil(share * (double)histogram->count);
    uint64_t seen = 0;
    DCHECK(share >= 0 && share <= 1);
    wanted = wanted == 0 ? 1 : wanted;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->_buckets[i];
        if (seen >= wanted) {
            uint64_t value = middle_of(i);
            return value < histogram->max ? value : histogram->max;
        }
    }
    return histogram->max;
}

/// The highest bit chooses the power of two, the bits that follow it the bucket.
static size_t bucket_of(uint64_t value)
{
    if (value >> HISTOGRAM_BITS == 0) {
        return (size_t)value;
    }
    unsigned shift = 63U - (unsigned)__builtin_clzll(value) - HISTOGRAM_BITS;
    size_t bucket = (size_t)(shift << HISTOGRAM_BITS) + (size_t)(value >> shift);
    DCHECK(bucket < HISTOGRAM_BUCKETS);
    return bucket;
}

static uint64_t middle_of(size_t bucket)
{
    size_t power = bucket >> HISTOGRAM_BITS;
    DCHECK(bucket < HISTOGRAM_BUCKETS);
    if (power < 2) {
        return bucket;
    }
    unsigned shift = (unsigned)power - 1;
    uint64_t first = (uint64_t)(bucket - ((size_t)shift << HISTOGRAM_BITS)) << shift;
    return first + (UINT64_C(1) << shift) / 2;
}
