// SPDX-License-Identifier: MIT
#include "hub/topic.h"

#include "base/counters.h"
#include "base/mem.h"
#include "hub/branch.h"
#include "hub/group.h"

#include <errno.h>
#include <string.h>

/// The bounds of a channel that says nothing else.
static const struct journal_bounds default_bounds = {
    .count = 1000,
    .bytes = (uint64_t)1024 * 1024,
    .age_ms = (uint64_t)300 * 1000,
};

static void count(struct topic *topic, uint64_t bytes);
static int find_obstacle(const struct topic *topic, uint64_t bytes, uint64_t bytes_max);
static uint64_t least_offered(const struct topic *topic, uint64_t offered);

struct topic *topic_new(struct hub *hub, struct bytes name, struct group *group)
{
    size_t size = sizeof(struct topic) + name.len + 1;
    struct topic *topic = mem_zero(size);
    topic->group = group;
    topic->base_bytes = size;
    topic->hub = hub;
    memcpy(topic->name, name.at, name.len);
    topic->entry.key = bytes_of(topic->name, name.len);
    journal_init(&topic->journal, &default_bounds);
    list_init(&topic->members);
    map_add(&hub->topics, &topic->entry);
    hub->topic_count++;
    if (group != NULL) {
        group->channel_count++;
    }
    topic_account(topic);
    count_up(COUNT_CHANNELS, 1);
    return topic;
}

void topic_free(struct topic *topic)
{
    CHECK(list_is_empty(&topic->members));
    CHECK(topic->reader_count == 0);
    journal_deinit(&topic->journal);
    for (int event = 0; event < TOPIC_EVENT_COUNT; event++) {
        mem_free(topic->event_names[event]);
    }
    mem_free(topic);
}

void topic_join(struct topic *topic, struct membership *membership, size_t bytes)
{
    topic->base_bytes += bytes;
    topic_account(topic);
    list_init(&membership->due_node);
    list_append(&topic->members, &membership->node);
    membership->offered = topic->journal.next;
}

bool topic_leave(struct topic *topic, struct membership *membership, size_t bytes)
{
    list_remove(&membership->node);
    list_remove(&membership->due_node);
    topic->base_bytes -= bytes;
    topic_account(topic);
    if (!list_is_empty(&topic->members)) {
        return false;
    }
    topic_close(topic);
    topic->hub->topic_count--;
    count_up(COUNT_CHANNELS, (uint64_t)-1);
    count(topic, 0);
    if (topic->group != NULL) {
        topic->group->channel_count--;
    }
    return true;
}

void topic_account(struct topic *topic)
{
    count(topic, topic->base_bytes + topic->journal.memory);
}

int topic_make_room(struct topic *topic, uint64_t bytes, uint64_t bytes_max, uint64_t offered)
{
    int obstacle = find_obstacle(topic, bytes, bytes_max);
    if (obstacle == 0) {
        return 0;
    }
    uint64_t keep_from = least_offered(topic, offered);
    while (obstacle != 0 && journal_shed(&topic->journal, keep_from)) {
        topic_account(topic);
        obstacle = find_obstacle(topic, bytes, bytes_max);
    }
    return obstacle;
}

void topic_close(struct topic *topic)
{
    if (!topic->is_closed) {
        topic->is_closed = true;
        map_remove(&topic->hub->topics, &topic->entry);
    }
}

branch_set topic_tell(struct topic *topic, const struct branch *own, bool tells_all)
{
    branch_set woken = 0;
    LIST_EACH (node, after, &topic->members) {
        struct membership *membership = LIST_ITEM(node, struct membership, node);
        if (!tells_all && !membership->follows) {
            continue;
        }
        if (!list_is_linked(&membership->due_node)) {
            list_append(&membership->branch->due, &membership->due_node);
        }
        if (membership->branch != own) {
            woken |= branch_mark_woken(membership->branch);
        }
    }
    return woken;
}

void topic_trim(struct topic *topic, uint64_t now_ms, uint64_t keep_from)
{
    journal_trim(&topic->journal, now_ms, least_offered(topic, keep_from));
    topic_account(topic);
}

uint64_t topic_bytes_behind(const struct topic *topic, uint64_t offered)
{
    return journal_bytes_from(&topic->journal, least_offered(topic, offered));
}

static void count(struct topic *topic, uint64_t bytes)
{
    uint64_t change = bytes - topic->counted_bytes; // of unsigned numbers: less wraps to less
    topic->hub->bytes += change;
    if (topic->group != NULL) {
        topic->group->bytes += change;
    }
    topic->counted_bytes = bytes;
}

static int find_obstacle(const struct topic *topic, uint64_t bytes, uint64_t bytes_max)
{
    const struct group *group = topic->group;
    if (topic->hub->bytes + bytes > bytes_max) {
        return -ENOMEM;
    }
    return group != NULL && group->bytes + bytes > group->bytes_max ? -ENOSPC : 0;
}

/// The least of `offered` and what the members that follow have offered.
static uint64_t least_offered(const struct topic *topic, uint64_t offered)
{
    LIST_EACH (node, after, &topic->members) {
        const struct membership *membership = LIST_ITEM(node, struct membership, node);
        if (membership->follows && membership->offered < offered) {
            offered = membership->offered;
        }
    }
    return offered;
}
