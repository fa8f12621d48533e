// SPDX-License-Identifier: MIT
//
// The Range field (RFC 9110, section 14.2) for content of a known size. The field is the peer's: a
// mistake in it makes it as if it was absent, and no request makes more than RANGES_MAX ranges or
// more content than the whole has. Pure.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stddef.h>
#include <stdint.h>

enum { RANGES_MAX = 16 };

/// From the first byte to the last, both included, as Content-Range writes it.
struct byte_range {
    uint64_t first;
    uint64_t last;
};

/// The ranges of a request that can be satisfied, in the order in which they were asked for.
struct byte_ranges {
    struct byte_range items[RANGES_MAX];
    size_t count;
};

enum range_outcome {
    RANGE_IGNORED, // the whole content is sent: no field, another unit, a mistake in it, or ranges
                   // that overlap so much that together they are longer than the whole
    RANGE_FOUND,   // `ranges` has at least one
    RANGE_REFUSED, // 416: none can be satisfied, or they are more than RANGES_MAX
};

/// Reads the value of Range; without an address there is none.
MUST_USE enum range_outcome range_parse(struct bytes field, uint64_t size,
                                        struct byte_ranges *ranges);

static inline uint64_t range_size(struct byte_range range)
{
    DCHECK(range.first <= range.last);
    return range.last - range.first + 1;
}
