// SPDX-License-Identifier: MIT
//
// A page is 32 KiB at a multiple of 32 KiB, so a pointer tells its page. Things in a page have one
// size, a multiple of 16. Those that are free form a chain; behind them is the part that was never
// used. Pages with room stand in a list for each size. A page whose last thing is freed is given
// back, but one for each size is kept, so that a thing that comes and goes does not take and give
// back a page each time.
#include "base/slab.h"

#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static void *try_alloc(size_t size);
static void *move(void *memory, size_t old_size, void *to, size_t size);

void *slab_zero(size_t size)
{
    return memset(slab_alloc(size), 0, size);
}

char *slab_text(size_t size)
{
    return size > SLAB_BYTES_MAX ? mem_alloc(size) : slab_alloc(size);
}

void slab_free_text(char *text, size_t size)
{
    if (size > SLAB_BYTES_MAX) {
        mem_free(text);
    } else {
        slab_free(text);
    }
}

void *slab_resize(void *memory, size_t old_size, size_t size)
{
    void *resized = slab_try_resize(memory, old_size, size);
    return resized != NULL ? resized : move(memory, old_size, slab_text(size), size);
}

void *slab_try_resize(void *memory, size_t old_size, size_t size)
{
    DCHECK(size > 0);
    DCHECK(memory != NULL || old_size == 0);
    bool was_small = old_size <= SLAB_BYTES_MAX;
    bool is_small = size <= SLAB_BYTES_MAX;
    if (memory != NULL && !was_small && !is_small) {
        return mem_try_resize(memory, size);
    }
    if (memory != NULL && was_small && is_small && slab_is_same(old_size, size)) {
        return memory;
    }
    char *resized = is_small ? try_alloc(size) : mem_try_resize(NULL, size);
    return resized == NULL ? NULL : move(memory, old_size, resized, size);
}

/// Copies `memory`, of `old_size` bytes, into `to`, of `size` bytes, and frees it. It may be NULL.
static void *move(void *memory, size_t old_size, void *to, size_t size)
{
    if (memory != NULL) {
        memcpy(to, memory, old_size < size ? old_size : size);
        slab_free_text(memory, old_size);
    }
    return to;
}

#ifdef IS_SANITIZED

void *slab_alloc(size_t size)
{
    CHECK(size <= SLAB_BYTES_MAX);
    return mem_alloc(size);
}

static void *try_alloc(size_t size)
{
    return mem_try_resize(NULL, size);
}

bool slab_is_same(size_t size, size_t other)
{
    return size == other;
}

void slab_free(void *memory)
{
    mem_free(memory);
}

void slab_tidy(void)
{
}

#else

enum {
    PAGE_BYTES = 32 * 1024,      // pages lie at multiples of it, so a pointer tells its page
    PAGE_USED = PAGE_BYTES - 64, // the rest is left to what the allocator of libc notes
    STEP = 16,
    FRESH = 64, // where structs begin: behind `struct page`, at a cache line
    CLASS_COUNT = SLAB_BYTES_MAX / STEP + 1,
};

/// The memory of a thing that is free.
struct slot {
    struct slot *next;
};

struct page {
    struct list node; // among the pages of its size that have room; linked to itself when full
    struct slot *free;
    uint32_t fresh; // where the part begins that was never used
    uint32_t used_count;
    uint32_t size;            // of a struct
    const struct list *owner; // the lists of the thread that has made it
};

static_assert(sizeof(struct page) <= FRESH, "a page has grown");
static_assert((PAGE_BYTES & (PAGE_BYTES - 1)) == 0, "a pointer tells its page by the high bits");
static_assert(SLAB_BYTES_MAX % STEP == 0, "the largest thing has a size of its own");
static_assert(sizeof(struct slot) <= STEP, "a thing that is free has room for the chain");

static _Thread_local struct list pages[CLASS_COUNT]; // with room, by size

static size_t class_of(size_t size);
static void *take(struct page *page);
static struct page *page_with_room(size_t class); // NULL when there is none
static struct page *new_page(size_t class, void *memory);
static struct page *page_of(void *memory);
static bool has_room(const struct page *page);

void *slab_alloc(size_t size)
{
    CHECK(size > 0 && size <= SLAB_BYTES_MAX);
    struct page *page = page_with_room(class_of(size));
    if (page == NULL) {
        page = new_page(class_of(size), mem_aligned(PAGE_BYTES, PAGE_USED));
    }
    return take(page);
}

static void *try_alloc(size_t size)
{
    struct page *page = page_with_room(class_of(size));
    if (page == NULL) {
        void *memory = mem_try_aligned(PAGE_BYTES, PAGE_USED);
        if (memory == NULL) {
            return NULL;
        }
        page = new_page(class_of(size), memory);
    }
    return take(page);
}

bool slab_is_same(size_t size, size_t other)
{
    return class_of(size) == class_of(other);
}

void slab_free(void *memory)
{
    if (memory == NULL) {
        return;
    }
    struct page *page = page_of(memory);
    struct slot *slot = memory;
    DCHECK(page->owner == pages);
    DCHECK(page->used_count > 0);
    DCHECK(page->size >= STEP && page->size <= SLAB_BYTES_MAX);
    if (!has_room(page)) {
        list_append(&pages[page->size / STEP], &page->node);
    }
    slot->next = page->free;
    page->free = slot;
    page->used_count--;
    // Both neighbours of the list's only page are the list's head; in a longer list they differ.
    bool is_only = page->node.next == page->node.previous;
    if (page->used_count == 0 && !is_only) {
        list_remove(&page->node);
        mem_free(page);
    }
}

void slab_tidy(void)
{
    for (size_t class = 0; class < CLASS_COUNT; class ++) {
        if (pages[class].next == NULL) {
            continue;
        }
        LIST_EACH (node, after, &pages[class]) {
            struct page *page = LIST_ITEM(node, struct page, node);
            if (page->used_count == 0) {
                list_remove(&page->node);
                mem_free(page);
            }
        }
    }
}

static size_t class_of(size_t size)
{
    return (size + STEP - 1) / STEP;
}

/// Takes memory from a page that has room.
static void *take(struct page *page)
{
    void *memory = page->free;
    if (memory != NULL) {
        page->free = page->free->next;
        __builtin_prefetch(page->free); // the next call reads it, and it is rarely in the cache
    } else {
        memory = (char *)page + page->fresh;
        page->fresh += page->size;
    }
    page->used_count++;
    if (!has_room(page)) {
        list_remove(&page->node);
    }
    return memory;
}

static struct page *page_with_room(size_t class)
{
    struct list *list = &pages[class];
    bool has_any = list->next != NULL && !list_is_empty(list);
    return has_any ? LIST_ITEM(list->next, struct page, node) : NULL;
}

static struct page *new_page(size_t class, void *memory)
{
    struct page *page = memory;
    *page = (struct page){
        .fresh = FRESH,
        .size = (uint32_t)(class * STEP),
        .owner = pages,
    };
    if (pages[class].next == NULL) {
        list_init(&pages[class]);
    }
    list_init(&page->node);
    list_append(&pages[class], &page->node);
    return page;
}

static struct page *page_of(void *memory)
{
    return (struct page *)(void *)((char *)memory - ((uintptr_t)memory & (PAGE_BYTES - 1)));
}

static bool has_room(const struct page *page)
{
    return page->free != NULL || page->fresh + page->size <= PAGE_USED;
}

#endif
