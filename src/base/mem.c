// SPDX-License-Identifier: MIT
#include "base/mem.h"

#include "base/check.h"

#include <stdlib.h>

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

void mem_free(void *memory)
{
    free(memory);
}
