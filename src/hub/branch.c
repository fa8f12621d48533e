// SPDX-License-Identifier: MIT
#include "hub/branch.h"

#include "base/check.h"
#include "hub/channel.h"
#include "hub/group.h"
#include "hub/topic.h"
#include "net/loop.h"

#include <errno.h>

enum { SCRATCH_BYTES_MAX = INT32_MAX };

static int find_obstacle(const struct branch *branch, const struct group *group);
static struct channel *find_open(const struct branch *branch, struct bytes name);
static void on_wake(struct message *message);
static void tell_waiters(struct branch *branch);

void branch_init(struct branch *branch, struct hub *hub, struct loop *loop, struct mailbox *mailbox,
                 const struct limits *limits)
{
    *branch = (struct branch){
        .hub = hub, .loop = loop, .mailbox = mailbox, .limits = limits, .wake.run = on_wake};
    map_init(&branch->channels);
    buf_init(&branch->scratch, SCRATCH_BYTES_MAX);
    list_init(&branch->all);
    list_init(&branch->waiters);
    list_init(&branch->due);
    hub_lock(hub);
    CHECK(hub->branch_count < HUB_BRANCHES_MAX);
    branch->index = hub->branch_count;
    hub->branches[hub->branch_count++] = branch;
    hub_unlock(hub);
}

void branch_deinit(struct branch *branch)
{
    while (!list_is_empty(&branch->all)) {
        channel_free(LIST_ITEM(branch->all.next, struct channel, node));
    }
    map_deinit(&branch->channels);
    buf_reset(&branch->scratch);
}

struct channel *branch_find(struct branch *branch, struct bytes name)
{
    hub_lock(branch->hub);
    branch_pull(branch); // one that was closed elsewhere is no longer there to be found
    struct channel *channel = find_open(branch, name);
    struct topic *topic = channel == NULL ? hub_topic(branch->hub, name) : NULL;
    if (topic != NULL) {
        channel = channel_new(branch, topic);
    }
    hub_unlock(branch->hub);
    return channel;
}

struct channel *branch_make(struct branch *branch, struct bytes name, struct group *group,
                            int *failure)
{
    struct hub *hub = branch->hub;
    hub_lock(hub);
    struct topic *topic = hub_topic(hub, name);
    *failure = topic == NULL ? find_obstacle(branch, group) : 0;
    if (topic == NULL && *failure == 0) {
        topic = topic_new(hub, name, group);
    }
    struct channel *channel = topic == NULL ? NULL : channel_new(branch, topic);
    hub_unlock(hub);
    return channel;
}

/// What is in the way of another topic; 0 for nothing.
static int find_obstacle(const struct branch *branch, const struct group *group)
{
    const struct hub *hub = branch->hub;
    if (hub->topic_count >= branch->limits->channels) {
        return -E2BIG;
    }
    if (group != NULL && group->channel_count >= group->channel_count_max) {
        return -EDQUOT;
    }
    uint64_t size = sizeof(struct topic) + sizeof(struct channel);
    if (hub->bytes + size > branch->limits->channel_total_bytes) {
        return -ENOMEM;
    }
    return group != NULL && group->bytes + size > group->bytes_max ? -ENOSPC : 0;
}

void branch_look(struct branch *branch)
{
    hub_lock(branch->hub);
    branch_pull(branch);
    hub_unlock(branch->hub);
}

void branch_pull(struct branch *branch)
{
    while (!list_is_empty(&branch->due)) {
        struct membership *membership = LIST_ITEM(branch->due.next, struct membership, due_node);
        list_remove(&membership->due_node);
        channel_pull(CONTAINER_OF(membership, struct channel, membership));
    }
    branch->stamp = branch->hub->stamp;
}

branch_set branch_mark_woken(struct branch *branch)
{
    if (branch->is_woken) {
        return 0;
    }
    branch->is_woken = true;
    return (branch_set)1 << branch->index;
}

void branch_wake(struct branch *branch)
{
    (void)mailbox_post(branch->mailbox, &branch->wake); // a worker that has ended sees nothing
}

static struct channel *find_open(const struct branch *branch, struct bytes name)
{
    struct map_entry *entry = map_find(&branch->channels, name);
    return entry == NULL ? NULL : CONTAINER_OF(entry, struct channel, entry);
}

static void on_wake(struct message *message)
{
    struct branch *branch = CONTAINER_OF(message, struct branch, wake);
    hub_lock(branch->hub);
    branch->is_woken = false;
    bool has_room = branch->has_room;
    branch->has_room = false;
    branch_pull(branch);
    hub_unlock(branch->hub);
    if (has_room) {
        tell_waiters(branch);
    }
}

static void tell_waiters(struct branch *branch)
{
    while (!list_is_empty(&branch->waiters)) {
        struct branch_waiter *waiter = LIST_ITEM(branch->waiters.next, struct branch_waiter, node);
        list_remove(&waiter->node);
        loop_at_turn_end(branch->loop, LOOP_WRITE, waiter->job);
    }
}
