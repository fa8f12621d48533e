// SPDX-License-Identifier: MIT
//
// A map from byte strings to the structs that hold its entries. The hash is seeded, so that a peer
// who chooses the keys cannot make them collide. The entry is a member of the caller's struct,
// which owns the key's bytes and must leave the map before it is freed. A map belongs to one
// thread.
#pragma once

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_entry {
    struct map_entry *_next;
    uint64_t _hash;
    struct bytes key; // the caller's
};

struct map {
    struct map_entry **_chains;
    size_t _chain_count; // a power of two
    size_t count;
    uint64_t _seed[2];
};

/// An empty map. Allocates nothing.
void map_init(struct map *map);

/// Frees the map's own memory. CHECKs that it is empty.
void map_deinit(struct map *map);

/// Adds `entry` under its key, which must not be there.
void map_add(struct map *map, struct map_entry *entry);

/// The entry under `key`, or NULL.
struct map_entry *map_find(const struct map *map, struct bytes key);

/// Takes `entry` out.
void map_remove(struct map *map, struct map_entry *entry);

/// Any entry, or NULL when the map is empty. It is for emptying the map.
struct map_entry *map_any(const struct map *map);
