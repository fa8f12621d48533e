// SPDX-License-Identifier: MIT
//
// Memory for small things of which there are thousands: parts of connections and streams, and what
// scripts allocate. It comes from pages, and all things of a page have one size. So a thing costs
// little more than its bytes, and things of one kind lie together: when they go, whole pages can be
// given back. Each thread has its own pages, and frees what it has made. Builds with a sanitizer
// use plain memory, so that the sanitizer sees each thing by itself.
#pragma once

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

/// Zeroed memory for one `type`, of at most SLAB_BYTES_MAX bytes. Aborts when there is none.
#define slab_new(type) ((type *)slab_zero(sizeof(type)))

enum { SLAB_BYTES_MAX = 1024 };

void *slab_zero(size_t size);

/// As `slab_zero`, but the memory is not initialised.
void *slab_alloc(size_t size);

/// Whether things of both sizes, at most SLAB_BYTES_MAX, come from the same pages: one may take
/// the other's place.
bool slab_is_same(size_t size, size_t other);

/// `size` bytes, from the pages if it is small enough. To be freed with `slab_free_text`.
char *slab_text(size_t size);
void slab_free_text(char *text, size_t size);

/// Grows or shrinks `memory`, which `slab_text` returned, to `size` bytes, which are not 0. What
/// fits of its content is kept. `memory` may be NULL, with an `old_size` of 0.
void *slab_resize(void *memory, size_t old_size, size_t size);

/// As `slab_resize`, but NULL, and `memory` as it was, when there is none.
MUST_USE void *slab_try_resize(void *memory, size_t old_size, size_t size);

/// Frees what `slab_new` returned, on the same thread. NULL is fine.
void slab_free(void *memory);

/// Gives the pages back that are empty: one of each size is kept until then. When a thread ends.
void slab_tidy(void);
