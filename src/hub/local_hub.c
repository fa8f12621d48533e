// SPDX-License-Identifier: MIT
//
// Other workers put the links of this worker's replicas into `due` and post the one wake-up
// message, at most once until it has arrived. When the message arrives, or when this worker uses
// the hub before that, the worker takes over all that is due in one go, under the lock. So its
// replicas never show different moments of the hub. After that, publishers that wait here are told
// if the other workers have caught up.
#include "hub/local_hub.h"

#include "base/check.h"
#include "hub/channel.h"
#include "hub/group.h"
#include "hub/replica.h"
#include "net/loop.h"

#include <errno.h>

enum { SCRATCH_BYTES_MAX = INT32_MAX };

static int find_obstacle(const struct local_hub *local, const struct group *group);
static struct replica *find_open(const struct local_hub *local, struct bytes name);
static void on_wake(struct mailbox_message *message);
static void tell_waiters(struct local_hub *local);

void local_hub_init(struct local_hub *local, struct hub *hub, struct loop *loop,
                    struct mailbox *mailbox, const struct limits *limits)
{
    OWNED(&loop->owner);
    *local =
        (struct local_hub){.loop = loop, .mailbox = mailbox, .limits = limits, .wake.run = on_wake};
    map_init(&local->replicas);
    buf_init(&local->scratch, SCRATCH_BYTES_MAX);
    list_init(&local->all);
    list_init(&local->waiters);
    list_init(&local->due);
    hub_add(hub, local);
}

void local_hub_deinit(struct local_hub *local)
{
    OWNED(&local->loop->owner);
    CHECK(list_is_empty(&local->waiters));
    while (!list_is_empty(&local->all)) {
        replica_free(LIST_ITEM(local->all.next, struct replica, node));
    }
    CHECK(list_is_empty(&local->due));
    map_deinit(&local->replicas);
    buf_reset(&local->scratch);
}

struct replica *local_hub_find(struct local_hub *local, struct bytes name)
{
    OWNED(&local->loop->owner);
    hub_lock(local->hub);
    replica_pull_due(local); // so that a channel that another worker has closed is not found
    struct replica *replica = find_open(local, name);
    struct channel *channel = replica == NULL ? channel_find(local->hub, name) : NULL;
    if (channel != NULL) {
        replica = replica_new(local, channel);
    }
    hub_unlock(local->hub);
    return replica;
}

int local_hub_make(struct local_hub *local, struct bytes name, struct group *group,
                   struct replica **made)
{
    struct hub *hub = local->hub;
    OWNED(&local->loop->owner);
    DCHECK(find_open(local, name) == NULL);
    hub_lock(hub);
    struct channel *channel = channel_find(hub, name);
    int failure = channel == NULL ? find_obstacle(local, group) : 0;
    if (failure == 0) {
        *made = replica_new(local, channel == NULL ? channel_new(hub, name, group) : channel);
    }
    hub_unlock(hub);
    return failure;
}

/// The limit that is in the way of another channel, as an error of `local_hub_make`; 0 for none.
static int find_obstacle(const struct local_hub *local, const struct group *group)
{
    const struct hub *hub = local->hub;
    if (hub->channel_count >= local->limits->channel.count) {
        return -E2BIG;
    }
    if (group != NULL && group->channel_count >= group->channel_count_max) {
        return -EDQUOT;
    }
    uint64_t size = sizeof(struct channel) + sizeof(struct replica);
    if (hub->bytes + size > local->limits->channel.total_bytes) {
        return -ENOBUFS;
    }
    return group != NULL && group->bytes + size > group->bytes_max ? -ENOSPC : 0;
}

void local_hub_sync(struct local_hub *local)
{
    OWNED(&local->loop->owner);
    hub_lock(local->hub);
    replica_pull_due(local);
    hub_unlock(local->hub);
}

static struct replica *find_open(const struct local_hub *local, struct bytes name)
{
    struct map_entry *entry = map_find(&local->replicas, name);
    return entry == NULL ? NULL : CONTAINER_OF(entry, struct replica, entry);
}

static void on_wake(struct mailbox_message *message)
{
    struct local_hub *local = CONTAINER_OF(message, struct local_hub, wake);
    hub_lock(local->hub);
    local->is_woken = false;
    bool has_room = local->has_room;
    local->has_room = false;
    replica_pull_due(local);
    hub_unlock(local->hub);
    if (has_room) {
        tell_waiters(local);
    }
}

static void tell_waiters(struct local_hub *local)
{
    while (!list_is_empty(&local->waiters)) {
        struct room_waiter *waiter = LIST_ITEM(local->waiters.next, struct room_waiter, node);
        list_remove(&waiter->node);
        loop_at_turn_end(local->loop, LOOP_WRITE, waiter->job);
    }
}
