// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/check.h"
#include "base/map.h"
#include "base/mem.h"

#include <stdio.h>

enum { MANY = 20000 };

struct item {
    int number;
    struct map_entry entry;
    char name[24];
};

static struct item *new_items(int count)
{
    struct item *items = mem_zero((size_t)count * sizeof(struct item));
    for (int i = 0; i < count; i++) {
        int len = snprintf(items[i].name, sizeof(items[i].name), "item %d", i);
        items[i].number = i;
        items[i].entry.key = bytes_of(items[i].name, (size_t)len);
    }
    return items;
}

static void add_all(struct map *map, struct item *items, int count)
{
    for (int i = 0; i < count; i++) {
        map_add(map, &items[i].entry);
    }
}

static void empty(struct map *map)
{
    struct map_entry *entry;
    while ((entry = map_any(map)) != NULL) {
        map_remove(map, entry);
    }
    map_deinit(map);
}

TEST(a_map_finds_what_was_added_and_nothing_else)
{
    struct map map;
    struct item *items = new_items(100);
    map_init(&map);
    EXPECT(map_find(&map, BYTES("item 1")) == NULL);
    EXPECT(map_any(&map) == NULL);
    add_all(&map, items, 100);
    EXPECT_INT(map.count, 100);
    for (int i = 0; i < 100; i++) {
        char name[24]; // other memory with the same bytes
        memcpy(name, items[i].name, sizeof(name));
        struct map_entry *entry = map_find(&map, bytes_of(name, items[i].entry.key.len));
        EXPECT(entry == &items[i].entry);
    }
    EXPECT(map_find(&map, BYTES("item")) == NULL);
    EXPECT(map_find(&map, BYTES("item 100")) == NULL);
    EXPECT(map_find(&map, BYTES("item 1\0")) == NULL);
    EXPECT(map_find(&map, BYTES("")) == NULL);
    empty(&map);
    mem_free(items);
}

TEST(a_map_takes_any_bytes_as_a_key)
{
    static const char all[] = "\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff";
    struct map map;
    struct item items[18];
    map_init(&map);
    for (size_t i = 0; i < 18; i++) { // nothing, then NULs alone, then with more behind them
        items[i].entry.key = bytes_of(all, i);
        map_add(&map, &items[i].entry);
    }
    for (size_t i = 0; i < 18; i++) {
        EXPECT(map_find(&map, bytes_of(all, i)) == &items[i].entry);
    }
    EXPECT(map_find(&map, bytes_of(all + 9, 9)) == NULL);
    empty(&map);
}

TEST(a_map_grows_and_shrinks_with_what_is_in_it)
{
    struct map map;
    struct item *items = new_items(MANY);
    map_init(&map);
    add_all(&map, items, MANY);
    EXPECT(map._chain_count >= MANY && map._chain_count < 4 * MANY);
    for (int i = 0; i < MANY; i++) {
        EXPECT(map_find(&map, items[i].entry.key) == &items[i].entry);
    }
    for (int i = 0; i < MANY; i++) {
        map_remove(&map, &items[i].entry);
        EXPECT(map_find(&map, items[i].entry.key) == NULL);
        EXPECT(map._chain_count <= 16 || map._chain_count <= 8 * (map.count + 1));
    }
    EXPECT_INT(map.count, 0);
    EXPECT_INT(map._chain_count, 16);
    add_all(&map, items, 5);
    EXPECT(map_find(&map, items[4].entry.key) == &items[4].entry);
    empty(&map);
    mem_free(items);
}

TEST(entries_leave_a_map_in_any_order_and_come_back)
{
    struct map map;
    struct item *items = new_items(1000);
    bool is_in[1000] = {false};
    size_t count = 0;
    map_init(&map);
    srandom(1);
    for (int step = 0; step < 30000; step++) {
        int i = (int)(random() % 1000);
        if (is_in[i]) {
            map_remove(&map, &items[i].entry);
        } else {
            map_add(&map, &items[i].entry);
        }
        count += is_in[i] ? (size_t)-1 : 1;
        is_in[i] = !is_in[i];
        int other = (int)(random() % 1000);
        struct map_entry *found = map_find(&map, items[other].entry.key);
        EXPECT(found == (is_in[other] ? &items[other].entry : NULL));
        EXPECT_INT(map.count, count);
    }
    empty(&map);
    mem_free(items);
}

TEST(a_map_is_emptied_by_taking_any_entry)
{
    struct map map;
    struct item *items = new_items(500);
    bool was_seen[500] = {false};
    map_init(&map);
    add_all(&map, items, 500);
    for (int i = 0; i < 500; i++) {
        struct map_entry *entry = map_any(&map);
        int number = CONTAINER_OF(entry, struct item, entry)->number;
        EXPECT(!was_seen[number]);
        was_seen[number] = true;
        map_remove(&map, entry);
    }
    EXPECT(map_any(&map) == NULL);
    map_deinit(&map);
    mem_free(items);
}

/// Each map has a seed of its own. The same keys are in other chains of each, so nobody can choose
/// keys that share one.
TEST(two_maps_hash_the_same_keys_differently)
{
    struct map one;
    struct map two;
    struct item *items = new_items(100);
    struct item *same = new_items(100);
    int equal = 0;
    map_init(&one);
    map_init(&two);
    add_all(&one, items, 100);
    add_all(&two, same, 100);
    for (int i = 0; i < 100; i++) {
        equal += items[i].entry._hash == same[i].entry._hash;
    }
    EXPECT_INT(equal, 0);
    empty(&one);
    empty(&two);
    mem_free(items);
    mem_free(same);
}

TEST(the_chains_of_a_map_stay_short)
{
    struct map map;
    struct item *items = new_items(MANY);
    map_init(&map);
    add_all(&map, items, MANY);
    int longest = 0;
    for (size_t i = 0; i < map._chain_count; i++) {
        int length = 0;
        for (struct map_entry *entry = map._chains[i]; entry != NULL; entry = entry->_next) {
            length++;
        }
        longest = length > longest ? length : longest;
    }
    EXPECT(longest <= 12); // one on average; more than this is less likely than a broken machine
    empty(&map);
    mem_free(items);
}
