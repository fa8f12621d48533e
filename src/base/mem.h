// SPDX-License-Identifier: MIT
//
// Memory that is there, or the process aborts. Whatever has a size that a peer decides goes through
// `buf`, which has a ceiling, and which says no where there is no memory; so do the allocations of
// scripts. This is the only place that calls the allocator of libc.
//
// A program may keep a reserve of one MiB for what cannot be refused. When memory ends, the
// functions with `try` in their name then fail first, and those that abort do so only when the
// reserve is used up, too.
#pragma once

#include "base/bytes.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/// Builds with a sanitizer put an allocator of their own in the place of libc's.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#endif

/// Keeps the reserve from now on, until the program ends. Before there are threads.
void mem_keep_reserve(void);

/// `size` bytes, zeroed. Aborts when there is no memory.
void *mem_zero(size_t size);

/// `size` bytes, not initialised. Aborts when there is no memory.
void *mem_alloc(size_t size);

/// `size` bytes, not initialised, at a multiple of `alignment`. Aborts when there is no memory.
void *mem_aligned(size_t alignment, size_t size);

/// Grows or shrinks `memory` (may be NULL) to `size` bytes. Aborts when there is no memory.
void *mem_resize(void *memory, size_t size);

/// As `mem_resize`, but returns NULL and leaves `memory` as it was when there is no memory. It may
/// return NULL where `mem_resize` would succeed, even when it is asked to shrink.
void *mem_try_resize(void *memory, size_t size);

/// As `mem_aligned`, but returns NULL when there is no memory.
void *mem_try_aligned(size_t alignment, size_t size);

/// A copy of `text` with a NUL behind it. Aborts when there is no memory.
char *mem_string(struct bytes text);

/// What vsnprintf makes of `format`, as long as it is. Aborts when there is no memory.
char *mem_format(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));

/// Whether `size` bytes could be had now: for one large thing that cannot say no by itself.
bool mem_has(size_t size);

/// Gives `memory` back; NULL is allowed.
void mem_free(void *memory);

/// Gives memory that is free but still held back to the system, if it is so much that it is worth
/// the time. For quiet moments.
void mem_tidy(void);

/// A zeroed struct of the given type.
#define mem_new(type) ((type *)mem_zero(sizeof(type)))
