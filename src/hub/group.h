// SPDX-License-Identifier: MIT
//
// A group is a set of channels with ceilings of its own. A script that takes the names of channels
// from peers puts those channels into a group. Peers can then use up what the group may have, and
// no more, and the channels of other scripts go on. A channel stays for all its life in the group
// that it was made in. The hub owns the groups, and its lock guards them. A group is never removed,
// so pointers to it stay good.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stdint.h>

enum { GROUPS_MAX = 64 };

struct group {
    struct group *after; // in the list of all; NULL for the last
    uint64_t channel_count_max, bytes_max;
    uint64_t channel_count, bytes; // of its channels, closed ones included
    size_t name_len;
    char name[];
};

/// The group `name` in the list `groups`, or NULL.
struct group *group_find(struct group *groups, struct bytes name);

/// Makes the group `name`, which is not in the list, without ceilings. Returns 0, or -E2BIG beyond
/// GROUPS_MAX.
MUST_USE int group_make(struct group **groups, struct bytes name, struct group **made);

/// Frees all groups. CHECKs that no channel is in one.
void groups_free(struct group **groups);
