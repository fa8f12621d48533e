// SPDX-License-Identifier: MIT
//
// Which of many things ends first: a heap by the moment at which each ends. An expiry is a member
// of the struct that ends, which must leave the heap before it is freed. No clock and no callback:
// whoever owns the heap asks it. Not locked; the owner's lock, if it has one, guards it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct expiry {
    uint64_t due_ms; // when it ends; of no meaning outside the heap
    size_t _slot;    // 1 + place in the heap, 0 when not there
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

/// `expiry` ends at `due_ms`. Replaces an earlier arming.
void expiry_arm(struct expiry_heap *heap, struct expiry *expiry, uint64_t due_ms);

/// Takes `expiry` out, if it is there.
void expiry_disarm(struct expiry_heap *heap, struct expiry *expiry);

/// The one that ends first, if that is at `now_ms` or before; else NULL.
struct expiry *expiry_first(const struct expiry_heap *heap, uint64_t now_ms);

static inline bool expiry_is_over(const struct expiry *expiry, uint64_t now_ms)
{
    return expiry->_slot != 0 && expiry->due_ms <= now_ms;
}
