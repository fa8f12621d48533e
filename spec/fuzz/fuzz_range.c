// SPDX-License-Identifier: MIT
//
// Any Range field, for content of any size. Input: eight bytes of the size, then the field.
#include "fuzz.h"

#include "wire/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes input = bytes_of((const char *)at, len);
    struct byte_ranges ranges;
    uint64_t size = 0;
    for (int i = 0; i < 8; i++) {
        size = size << 8 | fuzz_byte(&input);
    }
    enum range_outcome outcome = range_parse(input, size, &ranges);
    CHECK(ranges.count <= RANGES_MAX);
    CHECK(outcome != RANGE_FOUND || ranges.count > 0);
    uint64_t left = size;
    for (size_t i = 0; i < ranges.count; i++) {
        CHECK(ranges.items[i].first <= ranges.items[i].last);
        CHECK(ranges.items[i].last < size);
        if (outcome == RANGE_FOUND) {
            CHECK(range_size(ranges.items[i]) <= left);
            left -= range_size(ranges.items[i]);
        }
    }
    return 0;
}
