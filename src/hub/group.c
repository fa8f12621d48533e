// SPDX-License-Identifier: MIT
#include "hub/group.h"

#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <string.h>

struct group *group_find(struct group *groups, struct bytes name)
{
    struct group *group = groups;
    while (group != NULL && !bytes_equal(bytes_of(group->name, group->name_len), name)) {
        group = group->after;
    }
    return group;
}

int group_make(struct group **groups, struct bytes name, struct group **made)
{
    size_t count = 0;
    DCHECK(name.len > 0 && group_find(*groups, name) == NULL);
    for (const struct group *group = *groups; group != NULL; group = group->after) {
        count++;
    }
    if (count >= GROUPS_MAX) {
        return -E2BIG;
    }
    struct group *group = mem_zero(sizeof(struct group) + name.len);
    group->channel_count_max = UINT64_MAX;
    group->bytes_max = UINT64_MAX;
    group->name_len = name.len;
    memcpy(group->name, name.at, name.len);
    group->after = *groups;
    *groups = group;
    *made = group;
    return 0;
}

void groups_free(struct group **groups)
{
    while (*groups != NULL) {
        struct group *group = *groups;
        CHECK(group->channel_count == 0);
        CHECK(group->bytes == 0);
        *groups = group->after;
        mem_free(group);
    }
}
