// SPDX-License-Identifier: MIT
//
// What a channel takes in memory is counted three times: here, in its group, and in the hub.
// `count` moves all three together, so that a ceiling is compared with one number and no sum is
// made. What the slowest worker has yet to offer is found by a walk over the replicas, of which
// there is at most one a worker.
#include "hub/channel.h"

#include "base/counters.h"
#include "base/mem.h"
#include "hub/group.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/// The bounds of a channel for which the script gave none.
static const struct journal_bounds default_bounds = {
    .count = 1000,
    .bytes = (uint64_t)1024 * 1024,
    .ttl_ms = (uint64_t)300 * 1000,
};

static int make_room(struct channel *channel, uint64_t bytes, const struct channel_author *author);
static void count(struct channel *channel, uint64_t bytes);
static int find_obstacle(const struct channel *channel, uint64_t bytes, uint64_t bytes_max);
static uint64_t least_offered(const struct channel *channel, uint64_t offered);

struct channel *channel_find(const struct hub *hub, struct bytes name)
{
    HUB_LOCKED(hub);
    struct map_entry *entry = map_find(&hub->channels, name);
    return entry == NULL ? NULL : CONTAINER_OF(entry, struct channel, entry);
}

struct channel *channel_new(struct hub *hub, struct bytes name, struct group *group)
{
    HUB_LOCKED(hub);
    DCHECK(name.len > 0);
    size_t size = sizeof(struct channel) + name.len + 1;
    struct channel *channel = mem_zero(size);
    channel->group = group;
    channel->base_bytes = size;
    channel->hub = hub;
    memcpy(channel->name, name.at, name.len);
    channel->entry.key = bytes_of(channel->name, name.len);
    journal_init(&channel->journal, &default_bounds);
    list_init(&channel->replicas);
    map_add(&hub->channels, &channel->entry);
    hub->channel_count++;
    if (group != NULL) {
        group->channel_count++;
    }
    channel_account(channel);
    count_up(COUNT_CHANNELS, 1);
    return channel;
}

void channel_free(struct channel *channel)
{
    CHECK(list_is_empty(&channel->replicas));
    CHECK(channel->subscriber_count == 0);
    CHECK(channel->state == CHANNEL_CLOSED && channel->counted_bytes == 0);
    journal_deinit(&channel->journal);
    for (int event = 0; event < CHANNEL_EVENT_COUNT; event++) {
        mem_free(channel->notices[event]);
    }
    mem_free(channel);
}

void channel_join(struct channel *channel, struct replica_link *link, size_t bytes)
{
    HUB_LOCKED(channel->hub);
    DCHECK(channel->state != CHANNEL_CLOSED && link->local != NULL);
    channel->base_bytes += bytes;
    channel_account(channel);
    list_init(&link->due_node);
    list_append(&channel->replicas, &link->node);
    link->offered = channel->journal.next;
    DEBUG_CALL(channel_check(channel));
}

bool channel_leave(struct channel *channel, struct replica_link *link, size_t bytes)
{
    HUB_LOCKED(channel->hub);
    DEBUG_CALL(channel_check(channel));
    DCHECK(list_is_linked(&link->node) && channel->base_bytes > bytes);
    list_remove(&link->node);
    list_remove(&link->due_node);
    channel->base_bytes -= bytes;
    channel_account(channel);
    if (!list_is_empty(&channel->replicas)) {
        return false;
    }
    channel_close(channel);
    channel->hub->channel_count--;
    count_up(COUNT_CHANNELS, (uint64_t)-1);
    count(channel, 0);
    if (channel->group != NULL) {
        channel->group->channel_count--;
    }
    return true;
}

void channel_account(struct channel *channel)
{
    count(channel, channel->base_bytes + channel->journal.memory);
}

/// Some replica must later enforce the bounds and the age of the new frame, even if no replica
/// follows the channel. A worker's own replica does. A thread without a worker has none, so it
/// tells all replicas.
int channel_append(struct channel *channel, struct bytes fields,
                   const struct channel_author *author, worker_set *woken)
{
    struct hub *hub = channel->hub;
    struct journal_moment moment = {.stamp = hub->stamp + 1, .now_ms = author->now_ms};
    int failure = 0;
    HUB_LOCKED(hub);
    if (channel->state != CHANNEL_OPEN) {
        return channel->state == CHANNEL_FINISHED ? -ESHUTDOWN : -ECANCELED;
    }
    if (fields.len <= channel->journal.bounds.bytes) {
        failure = make_room(channel, fields.len, author);
    }
    failure = failure == 0 ? journal_append(&channel->journal, fields, moment) : failure;
    channel_account(channel); // the ring may have grown even if the event was refused
    if (failure == 0) {
        hub->stamp++;
        *woken |= channel_tell(channel, author->own, author->own == NULL);
    }
    DEBUG_CALL(channel_check(channel));
    return failure;
}

int channel_reset(struct channel *channel)
{
    HUB_LOCKED(channel->hub);
    if (channel->state != CHANNEL_OPEN) {
        return channel->state == CHANNEL_FINISHED ? -ESHUTDOWN : -ECANCELED;
    }
    journal_reset(&channel->journal);
    channel_account(channel);
    DEBUG_CALL(channel_check(channel));
    return 0;
}

int channel_set_notice(struct channel *channel, enum channel_event which,
                       const struct sse_event *texts)
{
    size_t size = sizeof(struct channel_notice) + texts->event.len + texts->data.len;
    DCHECK(which < CHANNEL_EVENT_COUNT);
    struct channel_notice *fresh = mem_try_resize(NULL, size);
    if (fresh == NULL) {
        return -ENOMEM;
    }
    *fresh = (struct channel_notice){
        .has_event = texts->has_event,
        .has_data = texts->has_data,
        .event_len = texts->event.len,
        .data_len = texts->data.len,
    };
    if (texts->event.len > 0) {
        memcpy(fresh->text, texts->event.at, texts->event.len);
    }
    if (texts->data.len > 0) {
        memcpy(fresh->text + texts->event.len, texts->data.at, texts->data.len);
    }
    hub_lock(channel->hub);
    struct channel_notice *old = channel->notices[which];
    channel->notices[which] = fresh;
    hub_unlock(channel->hub);
    mem_free(old);
    return 0;
}

int channel_notice(struct channel *channel, enum channel_event which, struct buf *out,
                   struct sse_event *event)
{
    static const char *const usual[] = {"reset", "lagged"};
    static_assert(sizeof(usual) == CHANNEL_EVENT_COUNT * sizeof(usual[0]), "each has a name");
    DCHECK(which < CHANNEL_EVENT_COUNT);
    int failure = 0;
    *event = (struct sse_event){.has_event = true, .event = bytes_from_string(usual[which])};
    hub_lock(channel->hub);
    const struct channel_notice *notice = channel->notices[which];
    if (notice != NULL) {
        size_t len = notice->event_len + notice->data_len;
        buf_clear(out);
        failure = buf_append(out, bytes_of(notice->text, len)) ? 0 : -ENOMEM;
    }
    if (notice != NULL && failure == 0) {
        const char *at = buf_bytes(out).at;
        event->has_event = notice->has_event;
        event->has_data = notice->has_data;
        event->event = bytes_of(at, notice->event_len);
        event->data = bytes_of(at + notice->event_len, notice->data_len);
    }
    hub_unlock(channel->hub);
    return failure;
}

/// A replica may still have frames that have left the journal. It never has one that the journal
/// does not have yet.
void channel_check(const struct channel *channel)
{
    const struct hub *hub = channel->hub;
    const struct map_entry *entry = map_find(&hub->channels, channel->entry.key);
    HUB_LOCKED(hub);
    CHECK((entry == &channel->entry) == (channel->state != CHANNEL_CLOSED));
    CHECK(channel->counted_bytes == channel->base_bytes + channel->journal.memory);
    CHECK(channel->counted_bytes <= hub->bytes);
    CHECK(channel->group == NULL || channel->counted_bytes <= channel->group->bytes);
    LIST_EACH (node, after, &channel->replicas) {
        const struct replica_link *link = LIST_ITEM(node, struct replica_link, node);
        CHECK(link->local->hub == hub);
        CHECK(link->offered <= channel->journal.next);
    }
    journal_check(&channel->journal);
}

int channel_finish(struct channel *channel, uint64_t now_ms)
{
    HUB_LOCKED(channel->hub);
    if (channel->state == CHANNEL_CLOSED) {
        return -ECANCELED;
    }
    if (channel->state == CHANNEL_OPEN) {
        channel->state = CHANNEL_FINISHED;
        channel->finished_ms = now_ms;
    }
    DEBUG_CALL(channel_check(channel));
    return 0;
}

/// The end of a finished channel counts as one more event, the newest, so it is kept as long as
/// one.
uint64_t channel_expiry_ms(const struct channel *channel)
{
    HUB_LOCKED(channel->hub);
    return journal_is_empty(&channel->journal) ? channel_end_expiry_ms(channel)
                                               : journal_expiry_ms(&channel->journal);
}

uint64_t channel_end_expiry_ms(const struct channel *channel)
{
    uint64_t ttl_ms = channel->journal.bounds.ttl_ms;
    HUB_LOCKED(channel->hub);
    bool has_expiry = channel->state == CHANNEL_FINISHED && ttl_ms != UINT64_MAX;
    return has_expiry ? channel->finished_ms + ttl_ms : UINT64_MAX;
}

void channel_close(struct channel *channel)
{
    HUB_LOCKED(channel->hub);
    if (channel->state != CHANNEL_CLOSED) {
        channel->state = CHANNEL_CLOSED;
        map_remove(&channel->hub->channels, &channel->entry);
    }
}

worker_set channel_tell(struct channel *channel, const struct local_hub *own, bool tells_all)
{
    worker_set woken = 0;
    HUB_LOCKED(channel->hub);
    LIST_EACH (node, after, &channel->replicas) {
        struct replica_link *link = LIST_ITEM(node, struct replica_link, node);
        if (!tells_all && !link->follows) {
            continue;
        }
        if (!list_is_linked(&link->due_node)) {
            list_append(&link->local->due, &link->due_node);
        }
        if (link->local != own) {
            woken |= hub_mark_woken(link->local);
        }
    }
    return woken;
}

void channel_trim(struct channel *channel, uint64_t now_ms, uint64_t keep_from)
{
    HUB_LOCKED(channel->hub);
    journal_trim(&channel->journal, now_ms, least_offered(channel, keep_from));
    channel_account(channel);
    DEBUG_CALL(channel_check(channel));
}

uint64_t channel_bytes_behind(const struct channel *channel, uint64_t offered)
{
    HUB_LOCKED(channel->hub);
    return journal_bytes_from(&channel->journal, least_offered(channel, offered));
}

/// Makes room for `bytes` more within the ceilings of the hub and of the group. Returns as
/// `channel_append`.
static int make_room(struct channel *channel, uint64_t bytes, const struct channel_author *author)
{
    int obstacle = find_obstacle(channel, bytes, author->bytes_max);
    if (obstacle == 0) {
        return 0;
    }
    uint64_t keep_from = least_offered(channel, author->offered);
    while (obstacle != 0 && journal_drop_oldest(&channel->journal, keep_from)) {
        channel_account(channel);
        obstacle = find_obstacle(channel, bytes, author->bytes_max);
    }
    return obstacle;
}

/// Notes that the channel takes `bytes` by now, in the hub and in its group, too.
static void count(struct channel *channel, uint64_t bytes)
{
    uint64_t change =
        bytes -
        channel->counted_bytes; // may be negative: unsigned numbers wrap, so the sums are right
    channel->hub->bytes += change;
    if (channel->group != NULL) {
        channel->group->bytes += change;
    }
    channel->counted_bytes = bytes;
}

static int find_obstacle(const struct channel *channel, uint64_t bytes, uint64_t bytes_max)
{
    const struct group *group = channel->group;
    if (channel->hub->bytes + bytes > bytes_max) {
        return -ENOBUFS;
    }
    return group != NULL && group->bytes + bytes > group->bytes_max ? -ENOSPC : 0;
}

/// The least of `offered` and of what the replicas that follow have offered.
static uint64_t least_offered(const struct channel *channel, uint64_t offered)
{
    LIST_EACH (node, after, &channel->replicas) {
        const struct replica_link *link = LIST_ITEM(node, struct replica_link, node);
        if (link->follows && link->offered < offered) {
            offered = link->offered;
        }
    }
    return offered;
}
