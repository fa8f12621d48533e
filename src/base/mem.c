// SPDX-License-Identifier: MIT
#include "base/mem.h"

#include "base/check.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TIDY_BYTES_MIN = 1024 * 1024, // less than this is kept: the next connections will want it
    RESERVE_BYTES = 1024 * 1024,
};

// Memory that is never written to, so it costs address space only. An allocation that cannot fail
// gives it back to the allocator when there is no other memory. Until it can be had again, every
// allocation that can fail does, so what is left serves those that cannot.
static void *_Atomic reserve;
static bool is_reserve_kept; // set before there are threads

static bool spend_reserve(void);
static bool has_reserve(void);
static void *aligned(size_t alignment, size_t size);

void mem_keep_reserve(void)
{
    is_reserve_kept = true;
    IGNORE(has_reserve()); // or the first allocation that can fail does
}

void *mem_zero(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL && spend_reserve()) {
        memory = calloc(1, size);
    }
    CHECK(memory != NULL);
    return memory;
}

void *mem_alloc(size_t size)
{
    return mem_resize(NULL, size);
}

void *mem_resize(void *memory, size_t size)
{
    void *resized = realloc(memory, size);
    if (resized == NULL && spend_reserve()) {
        resized = realloc(memory, size);
    }
    CHECK(resized != NULL);
    return resized;
}

void *mem_aligned(size_t alignment, size_t size)
{
    void *memory = aligned(alignment, size);
    if (memory == NULL && spend_reserve()) {
        memory = aligned(alignment, size);
    }
    CHECK(memory != NULL);
    return memory;
}

void *mem_try_resize(void *memory, size_t size)
{
    return has_reserve() ? realloc(memory, size) : NULL;
}

void *mem_try_aligned(size_t alignment, size_t size)
{
    return has_reserve() ? aligned(alignment, size) : NULL;
}

char *mem_string(struct bytes text)
{
    char *string = mem_alloc(text.len + 1);
    if (text.len > 0) {
        memcpy(string, text.at, text.len);
    }
    string[text.len] = '\0';
    return string;
}

char *mem_format(const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    CHECK(len >= 0);
    char *string = mem_alloc((size_t)len + 1);
    int written = vsnprintf(string, (size_t)len + 1, format, arguments);
    CHECK(written == len);
    return string;
}

bool mem_has(size_t size)
{
    void *memory = mem_try_resize(NULL, size);
    free(memory);
    return memory != NULL;
}

void mem_free(void *memory)
{
    free(memory);
}

/// A sanitizer has an allocator of its own, and libc's, which never ran, must not be asked then.
void mem_tidy(void)
{
#ifndef IS_SANITIZED
    struct mallinfo2 heap = mallinfo2();
    if (heap.fordblks > TIDY_BYTES_MIN && heap.fordblks > heap.uordblks / 4) {
        malloc_trim(0);
    }
#endif
}

/// Frees the reserve, so that its memory can be had. False when it was spent before.
static bool spend_reserve(void)
{
    void *memory = atomic_exchange(&reserve, NULL);
    free(memory);
    return memory != NULL;
}

/// Whether there is a reserve. Makes a new one if the last was spent.
static bool has_reserve(void)
{
    if (atomic_load_explicit(&reserve, memory_order_relaxed) != NULL || !is_reserve_kept) {
        return true;
    }
    void *none = NULL;
    void *memory = malloc(RESERVE_BYTES);
    if (memory != NULL && !atomic_compare_exchange_strong(&reserve, &none, memory)) {
        free(memory); // another thread has taken it
    }
    return memory != NULL;
}

static void *aligned(size_t alignment, size_t size)
{
    DCHECK(alignment >= sizeof(void *) && (alignment & (alignment - 1)) == 0);
    void *memory = NULL;
    return posix_memalign(&memory, alignment, size) == 0 ? memory : NULL;
}
