// SPDX-License-Identifier: MIT
#include "hub/channel.h"

#include "base/buf.h"
#include "base/counters.h"
#include "base/mem.h"
#include "hub/branch.h"
#include "wire/sse.h"

#include <errno.h>
#include <string.h>

enum {
    AGE_STEPS = 8,          // an aged frame stays at most this part of the age longer ...
    AGE_STEP_MS_MAX = 1000, // ... and at most this
    FOLLOWED_MAX = 1000,    // frames that are copied while others wait for the lock
};

/// The readers that come next, the nearest first. A reader only takes itself out of the list, and
/// only when it is its turn; it is not in here then.
struct foresight {
    const struct list *head;
    struct list *next; // the first that is not in `near`
    struct reader *near[READER_FORESIGHT];
};

static int append(struct channel *channel, branch_set *woken, struct event_id *id);
static bool is_over(const struct channel *channel);
static void follow(struct channel *channel);
static void unfollow(struct channel *channel);
static void on_turn_end(struct loop_job *job);
static uint64_t wake_readers(struct channel *channel);
static void look_ahead(struct foresight *foresight);
static uint64_t offered(const struct channel *channel);
static void note_idle(struct channel *channel);
static void note_offered(struct channel *channel, uint64_t keep_from);
static void on_age(struct timer *timer);
static uint64_t trim(struct channel *channel, uint64_t keep_from);
static void arm_age(struct channel *channel, const struct journal *journal);
static void settle(struct channel *channel);
static bool has_frames(struct channel *channel);
static void note_closed(struct channel *channel);

struct channel *channel_new(struct branch *branch, struct topic *topic)
{
    struct channel *channel = mem_new(struct channel);
    channel->branch = branch;
    channel->topic = topic;
    channel->membership.branch = branch;
    topic_join(topic, &channel->membership, sizeof(struct channel));
    journal_init_copy(&channel->journal, &topic->journal);
    channel->entry.key = bytes_from_string(topic->name);
    map_add(&branch->channels, &channel->entry);
    list_append(&branch->all, &channel->node);
    list_init(&channel->readers);
    timer_init(&channel->age, branch->loop, on_age);
    loop_job_init(&channel->job, on_turn_end);
    loop_at_turn_end(branch->loop, LOOP_WRITE, &channel->job);
    return channel;
}

void channel_free(struct channel *channel)
{
    struct branch *branch = channel->branch;
    CHECK(channel->holds == 0);
    CHECK(channel->reader_count == 0);
    hub_lock(branch->hub);
    bool is_last = topic_leave(channel->topic, &channel->membership, sizeof(struct channel));
    branch_set woken = channel->membership.follows ? hub_tell_room(branch->hub) : 0;
    hub_unlock(branch->hub);
    hub_wake(branch->hub, woken);
    if (!channel->is_closed) {
        map_remove(&branch->channels, &channel->entry);
    }
    loop_job_cancel(&channel->job);
    timer_deinit(&channel->age);
    journal_deinit(&channel->journal);
    list_remove(&channel->node);
    if (is_last) {
        topic_free(channel->topic);
    }
    mem_free(channel);
}

int channel_publish(struct channel *channel, const struct sse_event *event, struct event_id *id)
{
    struct branch *branch = channel->branch;
    DCHECK(!event->has_id);
    buf_clear(&branch->scratch);
    int refusal = sse_encode_event(&branch->scratch, event, false);
    if (refusal != 0) {
        return refusal == SSE_TOO_LONG ? -EMSGSIZE : refusal;
    }
    branch_set woken = 0;
    hub_lock(branch->hub);
    int failure = append(channel, &woken, id);
    hub_unlock(branch->hub);
    hub_wake(branch->hub, woken);
    count_up(COUNT_PUBLISHED, failure == 0);
    if (failure == 0 || failure == -ENOMEM || failure == -ENOSPC) { // its history may have gone
        loop_at_turn_end(branch->loop, LOOP_WRITE, &channel->job);
    }
    return failure;
}

/// Under the lock. What others have published before is taken over with it, so that this worker's
/// readers, too, see everything in one order.
static int append(struct channel *channel, branch_set *woken, struct event_id *id)
{
    struct branch *branch = channel->branch;
    struct topic *topic = channel->topic;
    struct journal_moment moment = {.stamp = branch->hub->stamp + 1,
                                    .now_ms = loop_now_ms(branch->loop)};
    if (topic->is_closed) {
        return -ECANCELED;
    }
    note_idle(channel);
    struct bytes fields = buf_bytes(&branch->scratch);
    uint64_t bytes_max = branch->limits->channel_total_bytes;
    int failure = 0;
    if (fields.len <= topic->journal.bounds.bytes) {
        failure = topic_make_room(topic, fields.len, bytes_max, channel->membership.offered);
    }
    failure = failure == 0 ? journal_append(&topic->journal, fields, moment) : failure;
    if (failure == 0) {
        topic_account(topic);
        branch->hub->stamp++;
        *id = journal_id(&topic->journal, topic->journal.next - 1);
        *woken = topic_tell(topic, branch, false);
        branch_pull(branch);
    }
    return failure;
}

bool channel_is_over(const struct channel *channel)
{
    hub_lock(channel->branch->hub);
    bool is_so = is_over(channel);
    hub_unlock(channel->branch->hub);
    return is_so;
}

/// To look and to wait is one step, so that nobody catches up in between unheard.
bool channel_await_room(struct channel *channel, struct branch_waiter *waiter)
{
    struct branch *branch = channel->branch;
    hub_lock(branch->hub);
    bool is_so = is_over(channel);
    if (is_so) {
        branch->hub->awaiting |= (branch_set)1 << branch->index;
    }
    hub_unlock(branch->hub);
    if (is_so && !list_is_linked(&waiter->node)) {
        list_append(&branch->waiters, &waiter->node);
    }
    return is_so;
}

/// Under the lock. What is more than the channel keeps would go before the readers are woken.
static bool is_over(const struct channel *channel)
{
    uint64_t bytes_max = channel->branch->limits->stream_high_bytes;
    uint64_t kept_bytes = channel->topic->journal.bounds.bytes;
    return topic_bytes_behind(channel->topic, offered(channel)) >
           (bytes_max < kept_bytes ? bytes_max : kept_bytes);
}

/// The copy stays as it is: who has joined in this turn may have its place in what goes.
void channel_age(struct channel *channel)
{
    struct topic *topic = channel->topic;
    uint64_t now_ms = loop_now_ms(channel->branch->loop);
    hub_lock(topic->hub);
    if (journal_expiry_ms(&topic->journal) <= now_ms) {
        topic_trim(topic, now_ms, offered(channel));
    }
    hub_unlock(topic->hub);
}

struct journal_bounds channel_bounds(const struct channel *channel)
{
    hub_lock(channel->branch->hub);
    struct journal_bounds bounds = channel->topic->journal.bounds;
    hub_unlock(channel->branch->hub);
    return bounds;
}

void channel_set_bounds(struct channel *channel, const struct journal_bounds *bounds)
{
    struct branch *branch = channel->branch;
    hub_lock(branch->hub);
    channel->topic->journal.bounds = *bounds;
    branch_set woken = topic_tell(channel->topic, branch, true); // they may be smaller now
    branch_pull(branch);
    hub_unlock(branch->hub);
    hub_wake(branch->hub, woken);
    loop_at_turn_end(branch->loop, LOOP_WRITE, &channel->job);
}

void channel_set_lag(struct channel *channel, enum channel_lag lag)
{
    channel->topic->lag = (uint8_t)lag;
}

void channel_name_event(struct channel *channel, enum topic_event event, struct bytes name)
{
    char *copy = mem_string(name);
    hub_lock(channel->branch->hub);
    char *old = channel->topic->event_names[event];
    channel->topic->event_names[event] = copy;
    hub_unlock(channel->branch->hub);
    mem_free(old);
}

void channel_put_event_name(const struct channel *channel, enum topic_event event, struct buf *out)
{
    static const char *const usual[] = {"reset", "lagged"};
    hub_lock(channel->branch->hub);
    const char *name = channel->topic->event_names[event];
    CHECK(buf_append(out, bytes_from_string(name == NULL ? usual[event] : name)));
    hub_unlock(channel->branch->hub);
}

struct event_id channel_cursor(const struct channel *channel)
{
    const struct journal *journal = &channel->topic->journal;
    hub_lock(channel->branch->hub);
    struct event_id id = journal_id(journal, journal->next - 1);
    hub_unlock(channel->branch->hub);
    return id;
}

void channel_join(struct channel *channel, struct reader *reader)
{
    DCHECK(!channel->is_closed);
    if (!channel->membership.follows) {
        follow(channel);
    } else {
        hub_lock(channel->branch->hub);
        branch_pull(channel->branch);
        channel->first = channel->topic->journal.first;
        hub_unlock(channel->branch->hub);
    }
    reader->channel = channel;
    list_append(&channel->readers, &reader->node);
    channel->reader_count++;
    channel->topic->reader_count++;
}

void channel_leave(struct reader *reader)
{
    struct channel *channel = reader->channel;
    list_remove(&reader->node);
    reader->channel = NULL;
    channel->reader_count--;
    channel->topic->reader_count--;
    if (channel->reader_count == 0) {
        loop_at_turn_end(channel->branch->loop, LOOP_WRITE, &channel->job);
        settle(channel);
    }
}

/// A long history is copied in parts, so that others get the lock in between.
static void follow(struct channel *channel)
{
    struct branch *branch = channel->branch;
    const struct journal *journal = &channel->topic->journal;
    hub_lock(branch->hub);
    journal_init_copy(&channel->journal, journal);
    while (!journal_follow(&channel->journal, journal, FOLLOWED_MAX)) {
        hub_unlock(branch->hub);
        hub_lock(branch->hub);
    }
    note_idle(channel);
    channel->membership.follows = true;
    channel->first = journal->first;
    branch_pull(branch);
    hub_unlock(branch->hub);
}

/// Not before the turn's end: another reader may come. Nobody waits for this worker any more.
static void unfollow(struct channel *channel)
{
    struct hub *hub = channel->branch->hub;
    hub_lock(hub);
    channel->membership.follows = false;
    branch_set woken = hub_tell_room(hub);
    hub_unlock(hub);
    hub_wake(hub, woken);
    journal_drop(&channel->journal, channel->journal.next);
}

void channel_close(struct channel *channel)
{
    struct branch *branch = channel->branch;
    hub_lock(branch->hub);
    topic_close(channel->topic);
    branch_set woken = topic_tell(channel->topic, branch, true);
    branch_pull(branch);
    hub_unlock(branch->hub);
    hub_wake(branch->hub, woken);
}

void channel_pull(struct channel *channel)
{
    if (channel->membership.follows) {
        (void)journal_follow(&channel->journal, &channel->topic->journal, UINT64_MAX); // all
    }
    if (channel->topic->is_closed) {
        note_closed(channel);
    }
    loop_at_turn_end(channel->branch->loop, LOOP_WRITE, &channel->job);
}

void channel_hold(struct channel *channel)
{
    channel->holds++;
}

void channel_release(struct channel *channel)
{
    DCHECK(channel->holds > 0);
    channel->holds--;
    settle(channel);
}

/// Held, because the last reader may leave on the way.
static void on_turn_end(struct loop_job *job)
{
    struct channel *channel = CONTAINER_OF(job, struct channel, job);
    channel_hold(channel);
    uint64_t keep_from = wake_readers(channel);
    if (channel->reader_count == 0 && channel->membership.follows) {
        unfollow(channel);
    }
    note_offered(channel, keep_from);
    channel_release(channel);
}

/// Returns the first frame that a reader takes in the next turn though its kernel would take it
/// now; UINT64_MAX when there is none.
static uint64_t wake_readers(struct channel *channel)
{
    uint64_t keep_from = UINT64_MAX;
    struct foresight foresight = {.head = &channel->readers, .next = channel->readers.next};
    for (int i = 0; i < READER_FORESIGHT; i++) {
        look_ahead(&foresight); // the first ones, and then one for each that has its turn
    }
    LIST_EACH (node, after, &channel->readers) {
        struct reader *reader = LIST_ITEM(node, struct reader, node);
        look_ahead(&foresight);
        if (reader->ops->advance(reader) == READER_MORE && reader->next < keep_from) {
            keep_from = reader->next;
        }
    }
    return keep_from;
}

/// One reader further.
static void look_ahead(struct foresight *foresight)
{
    for (int i = 1; i < READER_FORESIGHT; i++) {
        foresight->near[i - 1] = foresight->near[i];
    }
    struct reader *far = NULL;
    if (foresight->next != foresight->head) {
        far = LIST_ITEM(foresight->next, struct reader, node);
        foresight->next = foresight->next->next;
        __builtin_prefetch(foresight->next);
    }
    foresight->near[READER_FORESIGHT - 1] = far;
    for (int i = 0; i < READER_FORESIGHT; i++) {
        if (foresight->near[i] != NULL) {
            foresight->near[i]->ops->foresee(foresight->near[i], i + 1);
        }
    }
}

/// Under the lock. A worker that does not follow has nothing to offer, unless it has published in
/// this turn: of what others publish nobody tells it.
static uint64_t offered(const struct channel *channel)
{
    bool is_idle = !channel->membership.follows && !loop_job_is_queued(&channel->job);
    return is_idle ? channel->topic->journal.next : channel->membership.offered;
}

/// Under the lock.
static void note_idle(struct channel *channel)
{
    channel->membership.offered = offered(channel);
}

/// The readers here were woken for all that this worker has seen.
static void note_offered(struct channel *channel, uint64_t keep_from)
{
    struct hub *hub = channel->branch->hub;
    hub_lock(hub);
    channel->membership.offered =
        channel->membership.follows ? channel->journal.next : channel->topic->journal.next;
    branch_set woken = hub_tell_room(hub);
    uint64_t first = trim(channel, keep_from);
    hub_unlock(hub);
    hub_wake(hub, woken);
    journal_drop(&channel->journal, first);
}

static void on_age(struct timer *timer)
{
    struct channel *channel = CONTAINER_OF(timer, struct channel, age);
    hub_lock(channel->branch->hub);
    note_idle(channel);
    uint64_t first = trim(channel, channel->membership.offered);
    hub_unlock(channel->branch->hub);
    journal_drop(&channel->journal, first);
    settle(channel);
}

/// Under the lock. Returns the first frame that the copy here has to keep.
static uint64_t trim(struct channel *channel, uint64_t keep_from)
{
    const struct journal *journal = &channel->topic->journal;
    topic_trim(channel->topic, loop_now_ms(channel->branch->loop), keep_from);
    arm_age(channel, journal);
    return journal->first < keep_from ? journal->first : keep_from;
}

/// Not for each frame: what ages within a step of the first leaves with it. What is too old and has
/// to stay, because some worker has yet to offer it, is looked at again after a step.
static void arm_age(struct channel *channel, const struct journal *journal)
{
    uint64_t expiry_ms = journal_expiry_ms(journal);
    if (expiry_ms == UINT64_MAX) {
        timer_disarm(&channel->age);
        return;
    }
    uint64_t now_ms = loop_now_ms(channel->branch->loop);
    uint64_t step_ms = journal->bounds.age_ms / AGE_STEPS;
    step_ms = step_ms < AGE_STEP_MS_MAX ? step_ms : AGE_STEP_MS_MAX;
    bool is_late = expiry_ms + step_ms <= now_ms;
    timer_arm_at(&channel->age, (is_late ? now_ms + 1 : expiry_ms) + step_ms);
}

/// A channel that nobody needs any more goes. Whoever stays only for the history looks after it:
/// the timer is armed.
static void settle(struct channel *channel)
{
    if (channel->holds > 0 || channel->reader_count > 0) {
        return;
    }
    if (channel->is_closed || !has_frames(channel)) {
        channel_free(channel);
    }
}

/// Without a history, what is there when a turn has ended is for others to offer and to let go.
static bool has_frames(struct channel *channel)
{
    const struct journal *journal = &channel->topic->journal;
    hub_lock(channel->branch->hub);
    bool has_history = journal->bounds.count > 0 || loop_job_is_queued(&channel->job);
    bool has_some = !journal_is_empty(journal) && has_history;
    if (!timer_is_armed(&channel->age)) {
        arm_age(channel, journal);
    }
    hub_unlock(channel->branch->hub);
    return has_some;
}

static void note_closed(struct channel *channel)
{
    if (!channel->is_closed) {
        channel->is_closed = true;
        map_remove(&channel->branch->channels, &channel->entry);
    }
}
