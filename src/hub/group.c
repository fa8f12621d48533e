// SPDX-License-Identifier: MIT
#include "hub/group.h"

#include "base/check.h"
#include "base/mem.h"
#include "hub/hub.h"

#include <string.h>

struct group *group_find(const struct hub *hub, struct bytes name)
{
    struct group *group = hub->groups;
    while (group != NULL && !bytes_equal(bytes_of(group->name, group->name_len), name)) {
        group = group->after;
    }
    return group;
}

struct group *group_make(struct hub *hub, struct bytes name)
{
    size_t count = 0;
    for (const struct group *group = hub->groups; group != NULL; group = group->after) {
        count++;
    }
    if (count >= GROUPS_MAX) {
        return NULL;
    }
    struct group *group = mem_zero(sizeof(struct group) + name.len);
    group->channel_count_max = UINT64_MAX;
    group->bytes_max = UINT64_MAX;
    group->name_len = name.len;
    memcpy(group->name, name.at, name.len);
    group->after = hub->groups;
    hub->groups = group;
    return group;
}

void groups_free(struct hub *hub)
{
    while (hub->groups != NULL) {
        struct group *group = hub->groups;
        CHECK(group->channel_count == 0);
        CHECK(group->bytes == 0);
        hub->groups = group->after;
        mem_free(group);
    }
}
