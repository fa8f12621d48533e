// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/jitter.h"

TEST(jitter_draws_each_number_of_a_range_and_no_other)
{
    unsigned counts[10] = {0};
    jitter_seed(1);
    for (int i = 0; i < 10000; i++) {
        uint64_t drawn = jitter_between(5, 14);
        EXPECT(drawn >= 5 && drawn <= 14);
        counts[drawn - 5]++;
    }
    for (size_t i = 0; i < 10; i++) {
        EXPECT(counts[i] > 800 && counts[i] < 1200);
    }
    EXPECT_INT(jitter_between(7, 7), 7);
}

TEST(jitter_reaches_the_end_of_a_range_of_any_length)
{
    const uint64_t max = (UINT64_C(1) << 62) - 1;
    uint64_t largest = 0;
    jitter_seed(1);
    for (int i = 0; i < 100; i++) {
        uint64_t drawn = jitter_between(0, max);
        largest = drawn > largest ? drawn : largest;
    }
    EXPECT(largest > max / 10 * 9);
}

TEST(jitter_of_another_seed_is_another)
{
    uint64_t drawn[2][4];
    for (unsigned seed = 0; seed < 2; seed++) {
        jitter_seed(seed + 1);
        for (size_t i = 0; i < 4; i++) {
            drawn[seed][i] = jitter_between(0, 1000000);
        }
    }
    EXPECT(memcmp(drawn[0], drawn[1], sizeof(drawn[0])) != 0);
}
