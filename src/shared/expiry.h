// SPDX-License-Identifier: MIT
//
// A heap of things that end, ordered by the moment at which each ends. An expiry is a member of
// the struct that ends, and has to leave the heap before the struct is freed. The heap has no clock
// and calls nobody: its owner asks it what has ended. It has no lock; the owner's lock guards it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct expiry {
    uint64_t due_ms; // when it ends; has no meaning outside the heap
    size_t _slot;    // 1 + its place in the heap; 0 when it is in none
};

struct expiry_heap {
    struct expiry **_slots;
    size_t _count;
    size_t _capacity;
};

/// An empty heap. Allocates nothing. An expiry that is all zero is in no heap.
void expiry_heap_init(struct expiry_heap *heap);

/// Frees the heap's own memory. CHECKs that it is empty.
void expiry_heap_deinit(struct expiry_heap *heap);

/// Puts `expiry` into the heap, to end at `due_ms`; or moves it there, if it is in the heap.
void expiry_arm(struct expiry_heap *heap, struct expiry *expiry, uint64_t due_ms);

/// Takes `expiry` out, if it is there.
void expiry_disarm(struct expiry_heap *heap, struct expiry *expiry);

/// The one that ends first, if that is at `now_ms` or before; else NULL.
struct expiry *expiry_first(const struct expiry_heap *heap, uint64_t now_ms);

static inline bool expiry_is_over(const struct expiry *expiry, uint64_t now_ms)
{
    return expiry->_slot != 0 && expiry->due_ms <= now_ms;
}
