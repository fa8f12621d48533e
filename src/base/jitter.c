// SPDX-License-Identifier: MIT
#include "base/jitter.h"

#include "base/check.h"
#include "base/environment.h"

#include <assert.h>
#include <stdlib.h>

enum { DRAW_BITS = 31 }; // of random(3)

static_assert(2 * DRAW_BITS < 64, "two draws stand side by side in one number");
static_assert(RAND_MAX == INT32_MAX, "the C library draws as many bits");

void jitter_seed(unsigned seed)
{
    srandom(seed);
}

/// Two draws make 62 bits, because a window in microseconds may be longer than one draw reaches.
/// The remainder of a division makes some numbers likelier than others, by less than one in 2^62 /
/// (max - min).
uint64_t jitter_between(uint64_t min, uint64_t max)
{
    DCHECK(min <= max && max - min < UINT64_C(1) << (2 * DRAW_BITS));
    uint64_t number;
    if (environment_is_still(environment_here)) {
        environment_fill(&number, sizeof(number));
    } else {
        number = (uint64_t)random() << DRAW_BITS;
        number |= (uint64_t)random();
    }
    return min + number % (max - min + 1);
}
