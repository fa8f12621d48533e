// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/mem.h"
#include "base/slab.h"

#include <stdlib.h>
#include <string.h>

enum { MANY = 5000 };

static bool is_zero(const char *memory, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (memory[i] != 0) {
            return false;
        }
    }
    return true;
}

TEST(slab_memory_is_zero_and_aligned_at_first_and_when_used_again)
{
    for (size_t size = 1; size <= SLAB_BYTES_MAX; size++) {
        for (int round = 0; round < 3; round++) {
            char *one = slab_zero(size);
            char *two = slab_zero(size);
            EXPECT((uintptr_t)one % 8 == 0 && (uintptr_t)two % 8 == 0);
            EXPECT(is_zero(one, size) && is_zero(two, size));
            memset(one, 0xff, size);
            EXPECT(is_zero(two, size));
            memset(two, 0xff, size);
            slab_free(one);
            slab_free(two);
        }
    }
    slab_free(NULL);
    slab_tidy();
}

TEST(slab_memory_of_many_never_overlaps)
{
    static const size_t sizes[] = {1, 8, 9, 40, 80, 96, 248, 255, 256};
    char **all = mem_zero(MANY * sizeof(char *));
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        for (int i = 0; i < MANY; i++) {
            all[i] = slab_zero(sizes[s]);
            memset(all[i], i % 251, sizes[s]);
        }
        for (int i = 0; i < MANY; i++) {
            EXPECT_INT((unsigned char)all[i][0], i % 251);
            EXPECT_INT((unsigned char)all[i][sizes[s] - 1], i % 251);
        }
        for (int i = 0; i < MANY; i++) {
            slab_free(all[i * 7 % MANY]);
        }
    }
    mem_free(all);
    slab_tidy();
}

TEST(slab_memory_comes_and_goes_in_any_order)
{
    struct {
        char *at;
        size_t size;
        char mark;
    } held[300] = {0};
    srandom(1);
    for (int step = 0; step < 100000; step++) {
        int i = (int)(random() % 300);
        if (held[i].at == NULL) {
            held[i].size = 1 + (size_t)random() % SLAB_BYTES_MAX;
            held[i].mark = (char)random();
            held[i].at = slab_zero(held[i].size);
            EXPECT(is_zero(held[i].at, held[i].size));
            memset(held[i].at, held[i].mark, held[i].size);
        } else {
            EXPECT(held[i].at[0] == held[i].mark);
            EXPECT(held[i].at[held[i].size - 1] == held[i].mark);
            slab_free(held[i].at);
            held[i].at = NULL;
        }
    }
    for (int i = 0; i < 300; i++) {
        slab_free(held[i].at);
    }
    slab_tidy();
}

TEST(slab_text_is_small_memory_or_memory_of_its_own)
{
    for (size_t size = 1; size <= 3 * SLAB_BYTES_MAX; size += 31) {
        char *text = slab_text(size);
        memset(text, 'x', size);
        slab_free_text(text, size);
    }
    slab_free_text(slab_text(SLAB_BYTES_MAX), SLAB_BYTES_MAX);
    slab_free_text(slab_text(SLAB_BYTES_MAX + 1), SLAB_BYTES_MAX + 1);
    slab_tidy();
}

TEST(slab_memory_keeps_what_fits_when_it_is_resized)
{
    static const size_t sizes[] = {1, 16, 17, 300, 1024, 1025, 5000, 6000, 1024, 40, 3};
    char *memory = slab_resize(NULL, 0, 8);
    size_t size = 8;
    memset(memory, 'x', size);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        memory = slab_resize(memory, size, sizes[i]);
        size_t kept = size < sizes[i] ? size : sizes[i];
        EXPECT(memory[0] == 'x' && memory[kept - 1] == 'x');
        size = sizes[i];
        memset(memory, 'x', size);
    }
    slab_free_text(memory, size);
    slab_tidy();
}

TEST(pages_that_were_tidied_away_come_back)
{
    for (int round = 0; round < 5; round++) {
        char *all[1000];
        for (int i = 0; i < 1000; i++) {
            all[i] = slab_zero(200);
        }
        for (int i = 0; i < 1000; i++) {
            slab_free(all[999 - i]);
        }
        slab_tidy();
        slab_tidy();
    }
}

TEST(tidying_leaves_what_is_in_use)
{
    char *kept = slab_zero(64);
    char *gone = slab_zero(64);
    memset(kept, 'k', 64);
    slab_free(gone);
    slab_tidy();
    EXPECT(kept[0] == 'k' && kept[63] == 'k');
    char *next = slab_zero(64);
    EXPECT(next != kept);
    slab_free(next);
    slab_free(kept);
    slab_tidy();
}
