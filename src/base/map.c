// SPDX-License-Identifier: MIT
//
// Entries with the same low bits of their hash form a chain. `map_add` puts an entry at the front
// of its chain, and doubles the number of chains when there are as many entries. A search compares
// hashes first, and keys only where the hashes are equal. The hash of an entry is kept, so that
// more chains can be made without the keys.
#include "base/map.h"

#include "base/check.h"
#include "base/environment.h"
#include "base/mem.h"

#include <assert.h>
#include <string.h>

enum { CHAINS_MIN = 16 };

static_assert((CHAINS_MIN & (CHAINS_MIN - 1)) == 0, "a chain is found by the low bits");

static struct map_entry **chain_of(const struct map *map, uint64_t hash);
static void resize(struct map *map, size_t chain_count);
static uint64_t hash_of(const struct map *map, struct bytes key);
static uint64_t read_word(const char *at, size_t len);
static void mix(uint64_t state[4], int rounds);
static uint64_t rotated(uint64_t word, int by);

void map_init(struct map *map)
{
    *map = (struct map){0};
    environment_fill(map->_seed, sizeof(map->_seed));
}

void map_deinit(struct map *map)
{
    CHECK(map->count == 0);
    mem_free(map->_chains);
    map->_chains = NULL;
    map->_chain_count = 0;
}

void map_add(struct map *map, struct map_entry *entry)
{
    DCHECK(map_find(map, entry->key) == NULL);
    if (map->count >= map->_chain_count) {
        resize(map, map->_chain_count == 0 ? CHAINS_MIN : map->_chain_count * 2);
    }
    entry->_hash = hash_of(map, entry->key);
    struct map_entry **chain = chain_of(map, entry->_hash);
    entry->_next = *chain;
    *chain = entry;
    map->count++;
}

struct map_entry *map_find(const struct map *map, struct bytes key)
{
    if (map->count == 0) {
        return NULL;
    }
    uint64_t hash = hash_of(map, key);
    struct map_entry *entry = *chain_of(map, hash);
    while (entry != NULL && (entry->_hash != hash || !bytes_equal(entry->key, key))) {
        entry = entry->_next;
    }
    return entry;
}

void map_remove(struct map *map, struct map_entry *entry)
{
    DCHECK(map->count > 0);
    struct map_entry **link = chain_of(map, entry->_hash);
    while (*link != entry) {
        CHECK(*link != NULL);
        link = &(*link)->_next;
    }
    *link = entry->_next;
    entry->_next = NULL;
    map->count--;
    if (map->_chain_count > CHAINS_MIN && map->count < map->_chain_count / 8) {
        resize(map, map->_chain_count / 2);
    }
}

struct map_entry *map_any(const struct map *map)
{
    for (size_t i = 0; map->count > 0 && i < map->_chain_count; i++) {
        if (map->_chains[i] != NULL) {
            return map->_chains[i];
        }
    }
    return NULL;
}

static struct map_entry **chain_of(const struct map *map, uint64_t hash)
{
    DCHECK(map->_chain_count > 0);
    return &map->_chains[hash & (map->_chain_count - 1)];
}

/// Where there is no memory for other chains, the present ones stay, and get longer. The first ones
/// are few, and are there or the process aborts.
static void resize(struct map *map, size_t chain_count)
{
    DCHECK(chain_count >= CHAINS_MIN && (chain_count & (chain_count - 1)) == 0);
    struct map_entry **old = map->_chains;
    size_t old_count = map->_chain_count;
    size_t size = chain_count * sizeof(struct map_entry *);
    struct map_entry **chains = old == NULL ? mem_alloc(size) : mem_try_resize(NULL, size);
    if (chains == NULL) {
        return;
    }
    memset(chains, 0, size);
    map->_chains = chains;
    map->_chain_count = chain_count;
    for (size_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct map_entry *entry = old[i];
            old[i] = entry->_next;
            struct map_entry **chain = chain_of(map, entry->_hash);
            entry->_next = *chain;
            *chain = entry;
        }
    }
    mem_free(old);
}

/// SipHash-1-3 (Aumasson and Bernstein, 2012). It is fast for short keys, and without the seed
/// nobody can choose keys that collide.
static uint64_t hash_of(const struct map *map, struct bytes key)
{
    uint64_t state[4] = {
        map->_seed[0] ^ UINT64_C(0x736f6d6570736575),
        map->_seed[1] ^ UINT64_C(0x646f72616e646f6d),
        map->_seed[0] ^ UINT64_C(0x6c7967656e657261),
        map->_seed[1] ^ UINT64_C(0x7465646279746573),
    };
    size_t at = 0;
    for (; key.len - at >= 8; at += 8) {
        uint64_t word = read_word(key.at + at, 8);
        state[3] ^= word;
        mix(state, 1);
        state[0] ^= word;
    }
    uint64_t last = (uint64_t)key.len << 56 | read_word(key.at + at, key.len - at);
    state[3] ^= last;
    mix(state, 1);
    state[0] ^= last;
    state[2] ^= 0xff;
    mix(state, 3);
    return state[0] ^ state[1] ^ state[2] ^ state[3];
}

static uint64_t read_word(const char *at, size_t len)
{
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++) {
        word |= (uint64_t)(unsigned char)at[i] << (8 * i);
    }
    return word;
}

static void mix(uint64_t state[4], int rounds)
{
    for (int i = 0; i < rounds; i++) {
        state[0] += state[1];
        state[1] = rotated(state[1], 13) ^ state[0];
        state[0] = rotated(state[0], 32);
        state[2] += state[3];
        state[3] = rotated(state[3], 16) ^ state[2];
        state[0] += state[3];
        state[3] = rotated(state[3], 21) ^ state[0];
        state[2] += state[1];
        state[1] = rotated(state[1], 17) ^ state[2];
        state[2] = rotated(state[2], 32);
    }
}

static uint64_t rotated(uint64_t word, int by)
{
    return word << by | word >> (64 - by);
}
