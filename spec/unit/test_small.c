// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/mem.h"
#include "base/small.h"

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

TEST(small_memory_is_zero_and_aligned_at_first_and_when_used_again)
{
    for (size_t size = 1; size <= SMALL_BYTES_MAX; size++) {
        for (int round = 0; round < 3; round++) {
            char *one = small_zero(size);
            char *two = small_zero(size);
            EXPECT((uintptr_t)one % 8 == 0 && (uintptr_t)two % 8 == 0);
            EXPECT(is_zero(one, size) && is_zero(two, size));
            memset(one, 0xff, size);
            EXPECT(is_zero(two, size));
            memset(two, 0xff, size);
            small_free(one);
            small_free(two);
        }
    }
    small_free(NULL);
    small_tidy();
}

TEST(small_memory_of_many_never_overlaps)
{
    static const size_t sizes[] = {1, 8, 9, 40, 80, 96, 248, 255, 256};
    char **all = mem_zero(MANY * sizeof(char *));
    for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
        for (int i = 0; i < MANY; i++) {
            all[i] = small_zero(sizes[s]);
            memset(all[i], i % 251, sizes[s]);
        }
        for (int i = 0; i < MANY; i++) {
            EXPECT_INT((unsigned char)all[i][0], i % 251);
            EXPECT_INT((unsigned char)all[i][sizes[s] - 1], i % 251);
        }
        for (int i = 0; i < MANY; i++) {
            small_free(all[i * 7 % MANY]);
        }
    }
    mem_free(all);
    small_tidy();
}

TEST(small_memory_comes_and_goes_in_any_order)
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
            held[i].size = 1 + (size_t)random() % SMALL_BYTES_MAX;
            held[i].mark = (char)random();
            held[i].at = small_zero(held[i].size);
            EXPECT(is_zero(held[i].at, held[i].size));
            memset(held[i].at, held[i].mark, held[i].size);
        } else {
            EXPECT(held[i].at[0] == held[i].mark);
            EXPECT(held[i].at[held[i].size - 1] == held[i].mark);
            small_free(held[i].at);
            held[i].at = NULL;
        }
    }
    for (int i = 0; i < 300; i++) {
        small_free(held[i].at);
    }
    small_tidy();
}

TEST(small_text_is_small_memory_or_memory_of_its_own)
{
    for (size_t size = 1; size <= 3 * SMALL_BYTES_MAX; size += 31) {
        char *text = small_text(size);
        memset(text, 'x', size);
        small_free_text(text, size);
    }
    small_free_text(small_text(SMALL_BYTES_MAX), SMALL_BYTES_MAX);
    small_free_text(small_text(SMALL_BYTES_MAX + 1), SMALL_BYTES_MAX + 1);
    small_tidy();
}

TEST(small_memory_keeps_what_fits_when_it_is_resized)
{
    static const size_t sizes[] = {1, 16, 17, 300, 1024, 1025, 5000, 6000, 1024, 40, 3};
    char *memory = small_resize(NULL, 0, 8);
    size_t size = 8;
    memset(memory, 'x', size);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        memory = small_resize(memory, size, sizes[i]);
        size_t kept = size < sizes[i] ? size : sizes[i];
        EXPECT(memory[0] == 'x' && memory[kept - 1] == 'x');
        size = sizes[i];
        memset(memory, 'x', size);
    }
    small_free_text(memory, size);
    small_tidy();
}

TEST(pages_that_were_tidied_away_come_back)
{
    for (int round = 0; round < 5; round++) {
        char *all[1000];
        for (int i = 0; i < 1000; i++) {
            all[i] = small_zero(200);
        }
        for (int i = 0; i < 1000; i++) {
            small_free(all[999 - i]);
        }
        small_tidy();
        small_tidy();
    }
}

TEST(tidying_leaves_what_is_in_use)
{
    char *kept = small_zero(64);
    char *gone = small_zero(64);
    memset(kept, 'k', 64);
    small_free(gone);
    small_tidy();
    EXPECT(kept[0] == 'k' && kept[63] == 'k');
    char *next = small_zero(64);
    EXPECT(next != kept);
    small_free(next);
    small_free(kept);
    small_tidy();
}
