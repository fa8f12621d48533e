// SPDX-License-Identifier: MIT
//
// Ceilings for some of the channels. A script that takes names of channels from peers puts those
// channels into a group, so that peers can use up no more than the group may have, and the channels
// of other scripts go on. A channel belongs to the group that it was made in for as long as it
// lives. Owned by the hub, under its lock; a group is never removed, so pointers to it stay good.
#pragma once

#include "base/bytes.h"

#include <stdint.h>

struct hub;

enum { GROUPS_MAX = 64 };

struct group {
    struct group *after; // in the hub
    uint64_t channel_count_max, bytes_max;
    uint64_t channel_count, bytes; // of its topics, closed ones included
    size_t name_len;
    char name[];
};

/// The group `name`, or NULL.
struct group *group_find(const struct hub *hub, struct bytes name);

/// Makes the group `name`, which is not there, without ceilings. NULL beyond GROUPS_MAX.
struct group *group_make(struct hub *hub, struct bytes name);

/// Frees all. CHECKs that they have no topics.
void groups_free(struct hub *hub);
