// SPDX-License-Identifier: MIT
#include "base/due_heap.h"

#include "base/check.h"
#include "base/mem.h"

enum { SLOTS_MIN = 16 };

static void fit(struct due_heap *heap, size_t count);
static size_t sift_up(struct due_heap *heap, struct due_slot slot, size_t at);
static void sift_down(struct due_heap *heap, struct due_slot slot, size_t at);
static void place(struct due_heap *heap, struct due_slot slot, size_t at);

void due_heap_init(struct due_heap *heap)
{
    *heap = (struct due_heap){0};
}

void due_heap_deinit(struct due_heap *heap)
{
    CHECK(heap->count == 0);
    mem_free(heap->_slots);
    *heap = (struct due_heap){0};
}

void due_heap_put(struct due_heap *heap, struct due *due, uint64_t due_ms)
{
    struct due_slot slot = {due_ms, due};
    if (due->_slot == 0) {
        fit(heap, heap->count + 1);
        (void)sift_up(heap, slot, heap->count++); // nothing is below the last place
        return;
    }
    DCHECK(heap->_slots[due->_slot - 1].due == due);
    sift_down(heap, slot, sift_up(heap, slot, due->_slot - 1));
}

/// The last one takes its place.
void due_heap_remove(struct due_heap *heap, struct due *due)
{
    if (due->_slot == 0) {
        return;
    }
    size_t at = due->_slot - 1;
    DCHECK(heap->_slots[at].due == due);
    struct due_slot last = heap->_slots[--heap->count];
    due->_slot = 0;
    if (at < heap->count) {
        sift_down(heap, last, sift_up(heap, last, at));
    }
    fit(heap, heap->count);
}

/// Twice as much when it is full, half when three quarters are empty.
static void fit(struct due_heap *heap, size_t count)
{
    size_t capacity = heap->_capacity;
    if (count > capacity) {
        capacity = capacity == 0 ? SLOTS_MIN : capacity * 2;
    } else if (capacity > SLOTS_MIN && count < capacity / 4) {
        capacity /= 2;
    } else {
        return;
    }
    heap->_slots = mem_resize(heap->_slots, capacity * sizeof(struct due_slot));
    heap->_capacity = capacity;
}

/// Puts `slot` at `at` or above, and returns where.
static size_t sift_up(struct due_heap *heap, struct due_slot slot, size_t at)
{
    while (at > 0 && slot.due_ms < heap->_slots[(at - 1) / 2].due_ms) {
        place(heap, heap->_slots[(at - 1) / 2], at);
        at = (at - 1) / 2;
    }
    place(heap, slot, at);
    return at;
}

/// Puts `slot` at `at` or below.
static void sift_down(struct due_heap *heap, struct due_slot slot, size_t at)
{
    for (size_t child = 2 * at + 1; child < heap->count; child = 2 * at + 1) {
        if (child + 1 < heap->count &&
            heap->_slots[child + 1].due_ms < heap->_slots[child].due_ms) {
            child++;
        }
        if (heap->_slots[child].due_ms >= slot.due_ms) {
            break;
        }
        place(heap, heap->_slots[child], at);
        at = child;
    }
    place(heap, slot, at);
}

static void place(struct due_heap *heap, struct due_slot slot, size_t at)
{
    heap->_slots[at] = slot;
    slot.due->_slot = at + 1;
}
