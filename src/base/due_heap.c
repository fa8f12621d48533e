// SPDX-License-Identifier: MIT
#include "base/due_heap.h"

#include "base/check.h"
#include "base/mem.h"

#include <errno.h>

enum { SLOTS_MIN = 16 };

static size_t grown(const struct due_heap *heap);
static void resize(struct due_heap *heap, size_t capacity);
static void sift(struct due_heap *heap, struct due_slot slot, size_t at);
static void sift_up(struct due_heap *heap, struct due_slot slot, size_t at);
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

int due_heap_reserve(struct due_heap *heap)
{
    if (heap->count < heap->_capacity) {
        return 0;
    }
    size_t capacity = grown(heap);
    struct due_slot *slots = mem_try_resize(heap->_slots, capacity * sizeof(struct due_slot));
    if (slots == NULL) {
        return -ENOMEM;
    }
    heap->_slots = slots;
    heap->_capacity = capacity;
    return 0;
}

void due_heap_put(struct due_heap *heap, struct due *due, uint64_t due_ms)
{
    DCHECK(due->_slot <= heap->count);
    struct due_slot slot = {due_ms, due};
    if (due->_slot == 0) {
        if (heap->count == heap->_capacity) {
            resize(heap, grown(heap));
        }
        sift_up(heap, slot, heap->count++); // nothing is below the last place
        return;
    }
    DCHECK(heap->_slots[due->_slot - 1].due == due);
    sift(heap, slot, due->_slot - 1);
}

/// The last slot takes the place of the one that is removed. Half of the memory is given back when
/// three quarters of it are empty.
void due_heap_remove(struct due_heap *heap, struct due *due)
{
    if (due->_slot == 0) {
        return;
    }
    size_t at = due->_slot - 1;
    DCHECK(at < heap->count);
    DCHECK(heap->_slots[at].due == due);
    struct due_slot last = heap->_slots[--heap->count];
    due->_slot = 0;
    if (at < heap->count) {
        sift(heap, last, at);
    }
    if (heap->count < heap->_capacity / 4 && heap->_capacity > SLOTS_MIN) {
        resize(heap, heap->_capacity / 2);
    }
}

void due_heap_check(const struct due_heap *heap, size_t most, void (*check)(const struct due *due))
{
    CHECK(heap->count <= heap->_capacity);
    for (size_t at = 0; at < heap->count && at < most; at++) {
        const struct due_slot *slot = &heap->_slots[at];
        CHECK(slot->due->_slot == at + 1);
        CHECK(at == 0 || heap->_slots[(at - 1) / 2].due_ms <= slot->due_ms);
        if (check != NULL) {
            check(slot->due);
        }
    }
}

/// The capacity that comes after the present one.
static size_t grown(const struct due_heap *heap)
{
    return heap->_capacity == 0 ? SLOTS_MIN : heap->_capacity * 2;
}

static void resize(struct due_heap *heap, size_t capacity)
{
    DCHECK(capacity >= heap->count);
    heap->_slots = mem_resize(heap->_slots, capacity * sizeof(struct due_slot));
    heap->_capacity = capacity;
}

/// Puts `slot` at `at`, or where it belongs above or below.
static void sift(struct due_heap *heap, struct due_slot slot, size_t at)
{
    if (at > 0 && slot.due_ms < heap->_slots[(at - 1) / 2].due_ms) {
        sift_up(heap, slot, at);
    } else {
        sift_down(heap, slot, at);
    }
}

/// Puts `slot` at `at` or above.
static void sift_up(struct due_heap *heap, struct due_slot slot, size_t at)
{
    while (at > 0 && slot.due_ms < heap->_slots[(at - 1) / 2].due_ms) {
        place(heap, heap->_slots[(at - 1) / 2], at);
        at = (at - 1) / 2;
    }
    place(heap, slot, at);
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
    DCHECK(at < heap->_capacity);
    heap->_slots[at] = slot;
    slot.due->_slot = at + 1;
}
