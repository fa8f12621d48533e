// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/due_heap.h"
#include "base/mem.h"

#include <stdlib.h>

enum { MANY = 1000, MOMENTS = 1000 };

/// A thing that is due at times, and when that is; UINT64_MAX for never.
struct thing {
    struct due due;
    uint64_t due_ms;
};

/// Returns how many of `all` are in the heap. Expects the heap to have the same moment for each as
/// the thing itself.
static size_t count_due(const struct due_heap *heap, const struct thing *all)
{
    size_t count = 0;
    for (size_t i = 0; i < MANY; i++) {
        EXPECT(due_heap_ms(heap, &all[i].due) == all[i].due_ms);
        count += all[i].due_ms != UINT64_MAX;
    }
    return count;
}

TEST(a_heap_gives_what_is_due_in_order_whatever_comes_and_goes)
{
    struct due_heap heap;
    struct thing *all = mem_zero(MANY * sizeof(struct thing));
    due_heap_init(&heap);
    for (size_t i = 0; i < MANY; i++) {
        all[i].due_ms = UINT64_MAX;
    }
    srandom(1);
    for (int i = 0; i < 10 * MANY; i++) {
        struct thing *thing = &all[random() % MANY];
        if (random() % 3 == 0) {
            due_heap_remove(&heap, &thing->due);
            thing->due_ms = UINT64_MAX;
        } else {
            thing->due_ms = (uint64_t)random() % MOMENTS;
            due_heap_put(&heap, &thing->due, thing->due_ms);
        }
    }
    EXPECT_INT(heap.count, count_due(&heap, all));
    uint64_t last_ms = 0;
    while (heap.count > 0) {
        struct thing *thing = (struct thing *)(void *)due_heap_first(&heap);
        EXPECT(due_heap_first_ms(&heap) == thing->due_ms && thing->due_ms >= last_ms);
        last_ms = thing->due_ms;
        due_heap_remove(&heap, &thing->due);
        thing->due_ms = UINT64_MAX;
    }
    EXPECT_INT(count_due(&heap, all), 0);
    EXPECT(heap._capacity <= 64);
    due_heap_deinit(&heap);
    mem_free(all);
}

TEST(an_empty_heap_has_nothing_that_is_due)
{
    struct due_heap heap = {0};
    struct due due = {0};
    EXPECT(due_heap_first(&heap) == NULL);
    EXPECT(due_heap_first_ms(&heap) == UINT64_MAX);
    EXPECT(due_heap_ms(&heap, &due) == UINT64_MAX);
    due_heap_remove(&heap, &due);
    due_heap_put(&heap, &due, 5);
    due_heap_put(&heap, &due, 9);
    EXPECT(due_heap_first(&heap) == &due);
    EXPECT_INT(due_heap_first_ms(&heap), 9);
    EXPECT_INT(heap.count, 1);
    due_heap_remove(&heap, &due);
    due_heap_remove(&heap, &due);
    EXPECT_INT(heap.count, 0);
    due_heap_deinit(&heap);
}
