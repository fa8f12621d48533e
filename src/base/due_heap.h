// SPDX-License-Identifier: MIT
//
// Which of many things is due first: a binary heap by moment. A `struct due` is a member of the
// thing, which must leave the heap before it is freed. The moment itself stands in the heap, so a
// comparison touches no memory of the things. The heap has no clock and calls nothing: its owner
// asks it. It has no lock; the owner's lock, if there is one, guards it.
#pragma once

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// All zero: in no heap.
struct due {
    size_t _slot; // 1 + place in the heap, 0 when not there
};

struct due_slot {
    uint64_t due_ms;
    struct due *due;
};

struct due_heap {
    struct due_slot *_slots;
    size_t count;
    size_t _capacity;
};

/// An empty heap. Allocates nothing; all zero is an empty heap too.
void due_heap_init(struct due_heap *heap);

/// Frees the heap's own memory. CHECKs that it is empty.
void due_heap_deinit(struct due_heap *heap);

/// Makes room for one more, so that the next `due_heap_put` needs no memory. Returns 0, or -ENOMEM.
MUST_USE int due_heap_reserve(struct due_heap *heap);

/// `due` is due at `due_ms`, whether it is in the heap already or not. Aborts where there is no
/// memory, unless room was made before.
void due_heap_put(struct due_heap *heap, struct due *due, uint64_t due_ms);

/// CHECKs what must hold between any two calls, of the first `most` slots: what is above is due no
/// later, and each `due` knows its slot. Calls `check` for each of them; NULL for nobody.
void due_heap_check(const struct due_heap *heap, size_t most, void (*check)(const struct due *due));

/// Takes `due` out, if it is there.
void due_heap_remove(struct due_heap *heap, struct due *due);

/// The one that is due first; NULL when the heap is empty.
static inline struct due *due_heap_first(const struct due_heap *heap)
{
    return heap->count == 0 ? NULL : heap->_slots[0].due;
}

/// When the first one is due; UINT64_MAX when the heap is empty.
static inline uint64_t due_heap_first_ms(const struct due_heap *heap)
{
    return heap->count == 0 ? UINT64_MAX : heap->_slots[0].due_ms;
}

/// When `due` is due; UINT64_MAX when it is not in the heap.
static inline uint64_t due_heap_ms(const struct due_heap *heap, const struct due *due)
{
    DCHECK(due->_slot <= heap->count);
    return due->_slot == 0 ? UINT64_MAX : heap->_slots[due->_slot - 1].due_ms;
}
