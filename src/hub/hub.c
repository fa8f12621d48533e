// SPDX-License-Identifier: MIT
#include "hub/hub.h"

#include "base/check.h"
#include "hub/branch.h"
#include "hub/group.h"
#include "hub/topic.h"

void hub_init(struct hub *hub)
{
    *hub = (struct hub){0};
    CHECK(pthread_mutex_init(&hub->_lock, NULL) == 0);
    map_init(&hub->topics);
}

void hub_deinit(struct hub *hub)
{
    CHECK(hub->topic_count == 0);
    CHECK(hub->bytes == 0);
    groups_free(hub);
    map_deinit(&hub->topics);
    pthread_mutex_destroy(&hub->_lock);
}

struct topic *hub_topic(const struct hub *hub, struct bytes name)
{
    struct map_entry *entry = map_find(&hub->topics, name);
    return entry == NULL ? NULL : CONTAINER_OF(entry, struct topic, entry);
}

branch_set hub_tell_room(struct hub *hub)
{
    branch_set woken = 0;
    for (size_t i = 0; hub->awaiting != 0 && i < hub->branch_count; i++) {
        branch_set bit = (branch_set)1 << i;
        if ((hub->awaiting & bit) != 0) {
            hub->branches[i]->has_room = true;
            woken |= branch_mark_woken(hub->branches[i]);
        }
    }
    hub->awaiting = 0;
    return woken;
}

void hub_wake(struct hub *hub, branch_set branches)
{
    for (size_t i = 0; branches != 0; i++, branches >>= 1) {
        if ((branches & 1) != 0) {
            branch_wake(hub->branches[i]);
        }
    }
}
