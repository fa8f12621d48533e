// SPDX-License-Identifier: MIT
#include "unit.h"

#include "bench/histogram.h"
#include "bench/ledger.h"

/// Counts after reader 0 has got the sequences of `digits` from publisher 1.
static void expect_counts(const char *digits, uint64_t lost, uint64_t doubled, uint64_t reordered)
{
    struct ledger ledger;
    ledger_init(&ledger, 1, 2);
    uint32_t last = 0;
    for (const char *at = digits; *at != '\0'; at++) {
        uint32_t sequence = (uint32_t)(*at - '0');
        last = sequence > last ? sequence : last;
        (void)ledger_enter(&ledger, 0, 1, sequence);
    }
    ledger_count_lost(&ledger, 1, last);
    ledger_count_lost(&ledger, 0, 0);
    EXPECT_INT(ledger.lost, lost);
    EXPECT_INT(ledger.doubled, doubled);
    EXPECT_INT(ledger.reordered, reordered);
    ledger_deinit(&ledger);
}

TEST(the_ledger_tells_lost_doubled_and_late_events)
{
    expect_counts("123456789", 0, 0, 0);
    expect_counts("12356789", 1, 0, 0);
    expect_counts("25", 3, 0, 0);
    expect_counts("1223345", 0, 2, 0);
    expect_counts("132", 0, 0, 1);
    expect_counts("432156", 0, 0, 3);
    expect_counts("1522", 2, 1, 1);
}

TEST(the_ledger_counts_what_never_came_at_the_end)
{
    struct ledger ledger;
    ledger_init(&ledger, 2, 1);
    EXPECT(ledger_enter(&ledger, 0, 0, 1));
    EXPECT(!ledger_enter(&ledger, 0, 0, 1));
    EXPECT(ledger_enter(&ledger, 0, 0, 200));
    EXPECT(ledger_lacks(&ledger, 0, 0, 199));
    EXPECT(!ledger_lacks(&ledger, 0, 0, 200));
    EXPECT(ledger_lacks(&ledger, 0, 0, 201));
    EXPECT(ledger_enter(&ledger, 0, 0, 199));
    EXPECT(!ledger_enter(&ledger, 0, 0, 2));
    ledger_exempt(&ledger, 1);
    ledger_count_lost(&ledger, 0, 202);
    EXPECT_INT(ledger.lost, 197 + 2);
    EXPECT_INT(ledger.reordered, 1);
    EXPECT_INT(ledger.doubled, 2);
    ledger_deinit(&ledger);
}

TEST(the_histogram_is_right_to_one_per_cent)
{
    static struct histogram histogram;
    for (uint64_t value = 1; value < UINT64_C(1) << 62; value += 1 + value / 3) {
        histogram = (struct histogram){.count = 0};
        histogram_add(&histogram, value);
        histogram_add(&histogram, UINT64_MAX);
        uint64_t seen = histogram_quantile(&histogram, 0.5);
        uint64_t distance = seen > value ? seen - value : value - seen;
        EXPECT(distance * 100 <= value);
    }
    EXPECT(histogram_quantile(&histogram, 1) > UINT64_MAX / 100 * 99);
}

TEST(the_histogram_finds_quantiles)
{
    static struct histogram histogram;
    EXPECT_INT(histogram_quantile(&histogram, 0.5), 0);
    for (uint64_t value = 1; value <= 100; value++) {
        histogram_add(&histogram, value);
    }
    EXPECT_INT(histogram_quantile(&histogram, 0.5), 50);
    EXPECT_INT(histogram_quantile(&histogram, 0.99), 99);
    EXPECT_INT(histogram_quantile(&histogram, 1), 100);
}
