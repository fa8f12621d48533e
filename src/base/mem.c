// SPDX-License-Identifier: MIT
#include "base/mem.h"

#include "base/check.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

// Less than this is kept: the next connections will want it.
enum { TIDY_BYTES_MIN = 1024 * 1024 };

void *mem_zero(size_t size)
{
    void *memory = calloc(1, size);
    CHECK(memory != NULL);
    return memory;
}

void *mem_alloc(size_t size)
{
    void *memory = malloc(size);
    CHECK(memory != NULL);
    return memory;
}

void *mem_resize(void *memory, size_t size)
{
    void *resized = realloc(memory, size);
    CHECK(resized != NULL);
    return resized;
}

void *mem_aligned(size_t alignment, size_t size)
{
    void *memory = mem_try_aligned(alignment, size);
    CHECK(memory != NULL);
    return memory;
}

void *mem_try_resize(void *memory, size_t size)
{
    return realloc(memory, size);
}

void *mem_try_aligned(size_t alignment, size_t size)
{
    void *memory = NULL;
    return posix_memalign(&memory, alignment, size) == 0 ? memory : NULL;
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
    vsnprintf(string, (size_t)len + 1, format, arguments);
    return string;
}

bool mem_has(size_t size)
{
    void *memory = malloc(size);
    free(memory);
    return memory != NULL;
}

void mem_free(void *memory)
{
    free(memory);
}

/// With another allocator, that of libc was never made ready to be asked.
void mem_tidy(void)
{
#ifndef IS_SANITIZED
    struct mallinfo2 heap = mallinfo2();
    if (heap.fordblks > TIDY_BYTES_MIN && heap.fordblks > heap.uordblks / 4) {
        malloc_trim(0);
    }
#endif
}
