// SPDX-License-Identifier: MIT
#include "hub/hub.h"

#include "base/check.h"
#include "hub/channel.h"
#include "hub/group.h"
#include "hub/local_hub.h"

void hub_init(struct hub *hub)
{
    *hub = (struct hub){0};
    CHECK(pthread_mutex_init(&hub->_lock, NULL) == 0);
    map_init(&hub->channels);
}

void hub_deinit(struct hub *hub)
{
    CHECK(hub->channel_count == 0);
    CHECK(hub->bytes == 0);
    groups_free(hub);
    map_deinit(&hub->channels);
    pthread_mutex_destroy(&hub->_lock);
}

struct channel *hub_channel(const struct hub *hub, struct bytes name)
{
    struct map_entry *entry = map_find(&hub->channels, name);
    return entry == NULL ? NULL : CONTAINER_OF(entry, struct channel, entry);
}

worker_set hub_tell_room(struct hub *hub)
{
    worker_set woken = 0;
    for (size_t i = 0; hub->awaiting != 0 && i < hub->local_count; i++) {
        worker_set bit = (worker_set)1 << i;
        if ((hub->awaiting & bit) != 0) {
            hub->locals[i]->has_room = true;
            woken |= local_hub_mark_woken(hub->locals[i]);
        }
    }
    hub->awaiting = 0;
    return woken;
}

void hub_wake(struct hub *hub, worker_set workers)
{
    for (size_t i = 0; workers != 0; i++, workers >>= 1) {
        if ((workers & 1) != 0) {
            local_hub_wake(hub->locals[i]);
        }
    }
}
