// SPDX-License-Identifier: MIT
#include "unit.h"

#include "wire/range.h"

#include <stdio.h>

/// Reads `field` for content of `size` and expects `wanted`: "0-499 500-999", "ignored" or
/// "refused".
static void expect_ranges(const char *field, uint64_t size, const char *wanted)
{
    struct byte_ranges ranges;
    char seen[RANGES_MAX * 42] = "";
    size_t len = 0;
    switch (range_parse(bytes_from_string(field), size, &ranges)) {
    case RANGE_IGNORED:
        EXPECT_BYTES(BYTES("ignored"), bytes_from_string(wanted));
        return;
    case RANGE_REFUSED:
        EXPECT_BYTES(BYTES("refused"), bytes_from_string(wanted));
        return;
    case RANGE_FOUND:
        break;
    }
    for (size_t i = 0; i < ranges.count; i++) {
        len += (size_t)snprintf(seen + len, sizeof(seen) - len, "%s%llu-%llu", i == 0 ? "" : " ",
                                (unsigned long long)ranges.items[i].first,
                                (unsigned long long)ranges.items[i].last);
    }
    EXPECT_BYTES(bytes_of(seen, len), bytes_from_string(wanted));
}

TEST(the_ranges_of_the_standard_are_read)
{
    // RFC 9110, section 14.1.2, for content of 10 000 bytes.
    expect_ranges("bytes=0-499", 10000, "0-499");
    expect_ranges("bytes=500-999", 10000, "500-999");
    expect_ranges("bytes=-500", 10000, "9500-9999");
    expect_ranges("bytes=9500-", 10000, "9500-9999");
    expect_ranges("bytes=0-0,-1", 10000, "0-0 9999-9999");
    expect_ranges("bytes=500-600,601-999", 10000, "500-600 601-999");
    expect_ranges("bytes=500-700,601-999", 10000, "500-700 601-999");
    expect_ranges("bytes= 0-999, 4500-5499, -1000", 10000, "0-999 4500-5499 9000-9999");
}

TEST(ranges_are_cut_to_what_there_is)
{
    expect_ranges("bytes=0-", 10, "0-9");
    expect_ranges("bytes=3-100", 10, "3-9");
    expect_ranges("bytes=-100", 10, "0-9");
    expect_ranges("bytes=9-", 10, "9-9");
    expect_ranges("bytes=5-9,10-20", 10, "5-9");
    expect_ranges("bytes=3-99999999999999999999999999", 10, "3-9");
    expect_ranges("bytes=-99999999999999999999999999", 10, "0-9");
    expect_ranges("BYTES=0-1", 10, "0-1");
    expect_ranges("bytes=,,1-2 , ,", 10, "1-2");
}

TEST(ranges_that_cannot_be_satisfied_are_refused)
{
    expect_ranges("bytes=10-", 10, "refused");
    expect_ranges("bytes=10-20", 10, "refused");
    expect_ranges("bytes=-0", 10, "refused");
    expect_ranges("bytes=99999999999999999999999999-", 10, "refused");
    expect_ranges("bytes=0-", 0, "refused");
    expect_ranges("bytes=-5", 0, "refused");
}

TEST(a_mistake_makes_the_field_absent)
{
    struct byte_ranges ranges;
    EXPECT_INT(range_parse((struct bytes){NULL, 0}, 10, &ranges), RANGE_IGNORED);
    expect_ranges("", 10, "ignored");
    expect_ranges("bytes", 10, "ignored");
    expect_ranges("bytes=", 10, "ignored");
    expect_ranges("bytes=,", 10, "ignored");
    expect_ranges("bytes=-", 10, "ignored");
    expect_ranges("bytes=5", 10, "ignored");
    expect_ranges("bytes=5-4", 10, "ignored");
    expect_ranges("bytes=0-1,5-4", 10, "ignored");
    expect_ranges("bytes=a-b", 10, "ignored");
    expect_ranges("bytes=0x1-2", 10, "ignored");
    expect_ranges("bytes=1-2-3", 10, "ignored");
    expect_ranges("bytes=+1-2", 10, "ignored");
    expect_ranges("bytes=1 -2", 10, "ignored");
    expect_ranges("bytes=--5", 10, "ignored");
    expect_ranges("bytes:0-1", 10, "ignored");
    expect_ranges("bytes =0-1", 10, "ignored");
    expect_ranges("items=0-1", 10, "ignored");
    expect_ranges("none", 10, "ignored");
}

TEST(ranges_that_are_together_longer_than_the_whole_give_the_whole)
{
    expect_ranges("bytes=0-,0-", 10, "ignored");
    expect_ranges("bytes=0-9,0-0", 10, "ignored");
    expect_ranges("bytes=0-5,5-9", 10, "ignored");
    expect_ranges("bytes=0-5,6-9", 10, "0-5 6-9");
    expect_ranges("bytes=0-,0-,0-", UINT64_MAX, "ignored");
}

TEST(sixteen_ranges_are_the_most)
{
    char field[200] = "bytes=0-0";
    char wanted[200] = "0-0";
    for (int i = 1; i < RANGES_MAX; i++) {
        size_t field_len = strlen(field);
        size_t wanted_len = strlen(wanted);
        (void)snprintf(field + field_len, sizeof(field) - field_len, ",%d-%d", i * 2, i * 2);
        (void)snprintf(wanted + wanted_len, sizeof(wanted) - wanted_len, " %d-%d", i * 2, i * 2);
    }
    expect_ranges(field, 1000, wanted);
    strcat(field, ",99-99");
    expect_ranges(field, 1000, "refused");
    strcat(field, ",5-4");
    expect_ranges(field, 1000, "ignored");
}
