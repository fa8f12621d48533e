// SPDX-License-Identifier: MIT
//
// A wake-up goes in two steps. Under the lock `hub_mark_woken` notes that it is on its way, so that
// a worker gets one message for any number of events. When the lock is given back, `hub_wake` posts
// the messages. In between, the worker may take over what is due by itself; the message
// then finds nothing to do.
#include "hub/hub.h"

#include "base/check.h"
#include "hub/group.h"

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
    groups_free(&hub->groups);
    map_deinit(&hub->channels);
    pthread_mutex_destroy(&hub->_lock);
}

void hub_add(struct hub *hub, struct local_hub *local)
{
    hub_lock(hub);
    CHECK(hub->local_count < HUB_WORKERS_MAX);
    DCHECK(local->hub == NULL); // it is in no hub yet
    local->hub = hub;
    local->index = hub->local_count;
    hub->locals[hub->local_count++] = local;
    hub_unlock(hub);
}

worker_set hub_mark_woken(struct local_hub *local)
{
    HUB_LOCKED(local->hub);
    DCHECK(local->hub->locals[local->index] == local);
    if (local->is_woken) {
        return 0;
    }
    local->is_woken = true;
    return (worker_set)1 << local->index;
}

worker_set hub_tell_room(struct hub *hub)
{
    worker_set woken = 0;
    HUB_LOCKED(hub);
    for (size_t i = 0; hub->awaiting != 0 && i < hub->local_count; i++) {
        worker_set bit = (worker_set)1 << i;
        if ((hub->awaiting & bit) != 0) {
            hub->locals[i]->has_room = true;
            woken |= hub_mark_woken(hub->locals[i]);
        }
    }
    hub->awaiting = 0;
    return woken;
}

void hub_wake(struct hub *hub, worker_set workers)
{
    for (size_t i = 0; workers != 0; i++, workers >>= 1) {
        if ((workers & 1) != 0) {
            DCHECK(i < HUB_WORKERS_MAX && hub->locals[i] != NULL);
            struct local_hub *local = hub->locals[i];
            (void)mailbox_post(local->mailbox, &local->wake); // an ended worker needs no wake-up
        }
    }
}
