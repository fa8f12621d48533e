// SPDX-License-Identifier: MIT
//
// A binary heap in an array: the children of slot n are 2n + 1 and 2n + 2, and no child ends before
// its parent. Each expiry knows its slot, so one that is disarmed early is found without a search.
#include "shared/expiry.h"

#include "base/check.h"
#include "base/mem.h"

enum { SLOTS_MIN = 16 };

static void fit(struct expiry_heap *heap, size_t count);
static void sift_up(struct expiry_heap *heap, struct expiry *expiry, size_t at);
static void sift_down(struct expiry_heap *heap, struct expiry *expiry, size_t at);
static void put(struct expiry_heap *heap, struct expiry *expiry, size_t at);

void expiry_heap_init(struct expiry_heap *heap)
{
    *heap = (struct expiry_heap){0};
}

void expiry_heap_deinit(struct expiry_heap *heap)
{
    CHECK(heap->_count == 0);
    mem_free(heap->_slots);
    heap->_slots = NULL;
    heap->_capacity = 0;
}

void expiry_arm(struct expiry_heap *heap, struct expiry *expiry, uint64_t due_ms)
{
    if (expiry->_slot == 0) {
        fit(heap, heap->_count + 1);
        put(heap, expiry, heap->_count++);
    }
    expiry->due_ms = due_ms;
    sift_up(heap, expiry, expiry->_slot - 1);
    sift_down(heap, expiry, expiry->_slot - 1);
}

/// The last expiry of the array takes the free slot, and moves up or down from there.
void expiry_disarm(struct expiry_heap *heap, struct expiry *expiry)
{
    if (expiry->_slot == 0) {
        return;
    }
    size_t at = expiry->_slot - 1;
    struct expiry *last = heap->_slots[--heap->_count];
    expiry->_slot = 0;
    if (last != expiry) {
        sift_up(heap, last, at);
        sift_down(heap, last, last->_slot - 1);
    }
    fit(heap, heap->_count);
}

struct expiry *expiry_first(const struct expiry_heap *heap, uint64_t now_ms)
{
    bool has_due = heap->_count > 0 && heap->_slots[0]->due_ms <= now_ms;
    return has_due ? heap->_slots[0] : NULL;
}

/// Doubles the array when it is full, and halves it when three quarters of it are empty.
static void fit(struct expiry_heap *heap, size_t count)
{
    size_t capacity = heap->_capacity;
    if (count > capacity) {
        capacity = capacity == 0 ? SLOTS_MIN : capacity * 2;
    } else if (capacity > SLOTS_MIN && count < capacity / 4) {
        capacity /= 2;
    }
    if (capacity != heap->_capacity) {
        heap->_slots = mem_resize(heap->_slots, capacity * sizeof(struct expiry *));
        heap->_capacity = capacity;
    }
}

/// Puts `expiry` into slot `at`, or into one nearer to the root that ends later.
static void sift_up(struct expiry_heap *heap, struct expiry *expiry, size_t at)
{
    while (at > 0 && heap->_slots[(at - 1) / 2]->due_ms > expiry->due_ms) {
        put(heap, heap->_slots[(at - 1) / 2], at);
        at = (at - 1) / 2;
    }
    put(heap, expiry, at);
}

/// Puts `expiry` into slot `at`, or into one further from the root that ends earlier.
static void sift_down(struct expiry_heap *heap, struct expiry *expiry, size_t at)
{
    for (size_t child = 2 * at + 1; child < heap->_count; child = 2 * at + 1) {
        if (child + 1 < heap->_count &&
            heap->_slots[child + 1]->due_ms < heap->_slots[child]->due_ms) {
            child++;
        }
        if (heap->_slots[child]->due_ms >= expiry->due_ms) {
            break;
        }
        put(heap, heap->_slots[child], at);
        at = child;
    }
    put(heap, expiry, at);
}

static void put(struct expiry_heap *heap, struct expiry *expiry, size_t at)
{
    heap->_slots[at] = expiry;
    expiry->_slot = at + 1;
}
