// SPDX-License-Identifier: MIT
//
// The way of an event through a worker. `replica_publish` encodes it, takes the hub's lock, appends
// it to the channel's journal, marks the replicas that follow the channel as due, and gives the
// lock back; then it wakes their workers. `replica_pull_due` takes the new frames over into a
// replica's copy and queues the replica for the end of the turn. `on_turn_end` wakes the
// subscribers, which write to their sockets, and notes how far they were offered frames. Only then
// may the journal let go of those frames, so that a subscriber whose socket takes everything misses
// none.
//
// Wake-ups and the freeing of memory happen without the lock, because they take long and all
// workers share the one lock.
#include "hub/replica.h"

#include "base/buf.h"
#include "base/counters.h"
#include "base/mem.h"
#include "hub/hub.h"
#include "wire/sse.h"

#include <assert.h>
#include <errno.h>

enum {
    AGE_STEPS = 8,          // a frame leaves late by at most 1/8 of the bound on age ...
    AGE_STEP_MS_MAX = 1000, // ... and by at most a second
    FOLLOWED_MAX = 1000, // frames that are copied at a time, while other workers wait for the lock
};

static int explain_too_long(const struct replica *replica, const struct sse_event *event);
static int append(struct replica *replica, worker_set *woken, struct event_id *id);
static bool has_too_much_unoffered(const struct replica *replica);
static void pull(struct replica *replica);
static void follow(struct replica *replica);
static void unfollow(struct replica *replica);
static void on_turn_end(struct loop_job *job);
static uint64_t wake_subscribers(struct replica *replica);
static uint64_t offered(const struct replica *replica);
static void note_idle(struct replica *replica);
static void note_offered(struct replica *replica, uint64_t keep_from);
static void on_age(struct timer *timer);
static worker_set close_expired(struct replica *replica);
static uint64_t trim(struct replica *replica, uint64_t keep_from);
static void arm_age(struct replica *replica);
static void free_if_unused(struct replica *replica);
static bool has_history(struct replica *replica);
static void note_state(struct replica *replica);

struct replica *replica_new(struct local_hub *local, struct channel *channel)
{
    HUB_LOCKED(local->hub);
    struct replica *replica = mem_new(struct replica);
    replica->local = local;
    replica->channel = channel;
    replica->state = channel->state;
    replica->link.local = local;
    channel_join(channel, &replica->link, sizeof(struct replica));
    journal_init_copy(&replica->journal, &channel->journal);
    replica->entry.key = bytes_from_string(channel->name);
    map_add(&local->replicas, &replica->entry);
    list_append(&local->all, &replica->node);
    list_init(&replica->subscribers);
    timer_init(&replica->age, &local->loop->timers, on_age);
    loop_job_init(&replica->job, on_turn_end);
    loop_at_turn_end(local->loop, LOOP_WRITE, &replica->job);
    DEBUG_CALL(replica_check(replica));
    return replica;
}

void replica_free(struct replica *replica)
{
    struct local_hub *local = replica->local;
    DEBUG_CALL(replica_check(replica));
    CHECK(replica->holds == 0);
    CHECK(replica->subscriber_count == 0);
    hub_lock(local->hub);
    bool is_last = channel_leave(replica->channel, &replica->link, sizeof(struct replica));
    worker_set woken = replica->link.follows ? hub_tell_room(local->hub) : 0;
    hub_unlock(local->hub);
    hub_wake(local->hub, woken);
    if (replica->state != CHANNEL_CLOSED) {
        map_remove(&local->replicas, &replica->entry);
    }
    loop_job_cancel(&replica->job);
    timer_deinit(&replica->age);
    journal_deinit(&replica->journal);
    list_remove(&replica->node);
    if (is_last) {
        channel_free(replica->channel);
    }
    mem_free(replica);
}

int replica_publish(struct replica *replica, const struct sse_event *event, struct event_id *id)
{
    struct local_hub *local = replica->local;
    DEBUG_CALL(replica_check(replica));
    DCHECK(!event->has_id);
    buf_clear(&local->scratch);
    int refusal = sse_encode_event(&local->scratch, event, false);
    if (refusal != 0) {
        return refusal == -EMSGSIZE ? explain_too_long(replica, event) : refusal;
    }
    worker_set woken = 0;
    hub_lock(local->hub);
    int failure = append(replica, &woken, id);
    hub_unlock(local->hub);
    hub_wake(local->hub, woken);
    count_up(COUNT_PUBLISHED, failure == 0);
    bool may_have_shed = failure == -ENOMEM || failure == -ENOBUFS || failure == -ENOSPC;
    if (failure == 0 || may_have_shed) { // the job also frees a replica that is empty now
        loop_at_turn_end(local->loop, LOOP_WRITE, &replica->job);
    }
    return failure;
}

/// Returns why the scratch memory had no room for the event: it is larger than any event of the
/// channel may be (-EMSGSIZE), or the system has no memory for it (-ENOMEM).
static int explain_too_long(const struct replica *replica, const struct sse_event *event)
{
    bool is_too_large = event->data.len > replica_bounds(replica).bytes;
    return is_too_large ? -EMSGSIZE : -ENOMEM;
}

/// Appends the encoded event to the journal, under the lock. Takes over, together with it, what
/// other workers have published before: so this worker's subscribers see all events in one order.
static int append(struct replica *replica, worker_set *woken, struct event_id *id)
{
    struct local_hub *local = replica->local;
    struct channel *channel = replica->channel;
    note_idle(replica);
    struct channel_author author = {
        .own = local,
        .offered = replica->link.offered,
        .now_ms = loop_now_ms(local->loop),
        .bytes_max = local->limits->channel.total_bytes,
    };
    int failure = channel_append(channel, buf_bytes(&local->scratch), &author, woken);
    if (failure == 0) {
        *id = journal_id(&channel->journal, channel->journal.next - 1);
        replica_pull_due(local);
    }
    return failure;
}

int replica_reset(struct replica *replica)
{
    struct local_hub *local = replica->local;
    DEBUG_CALL(replica_check(replica));
    hub_lock(local->hub);
    int failure = channel_reset(replica->channel);
    worker_set woken = failure == 0 ? channel_tell(replica->channel, local, true) : 0;
    replica_pull_due(local);
    hub_unlock(local->hub);
    hub_wake(local->hub, woken);
    return failure;
}

bool replica_is_over(const struct replica *replica)
{
    DEBUG_CALL(replica_check(replica));
    hub_lock(replica->local->hub);
    bool is_so = has_too_much_unoffered(replica);
    hub_unlock(replica->local->hub);
    return is_so;
}

/// Tests for room and notes the waiter under one hold of the lock. If another worker could catch up
/// between the two, it would not know of the waiter and would never wake it.
bool replica_await_room(struct replica *replica, struct room_waiter *waiter)
{
    struct local_hub *local = replica->local;
    DEBUG_CALL(replica_check(replica));
    DCHECK(waiter->job != NULL);
    hub_lock(local->hub);
    bool is_so = has_too_much_unoffered(replica);
    if (is_so) {
        local->hub->awaiting |= (worker_set)1 << local->index;
    }
    hub_unlock(local->hub);
    if (is_so && !list_is_linked(&waiter->node)) {
        list_append(&local->waiters, &waiter->node);
    }
    return is_so;
}

/// Whether some worker has yet to offer so many bytes that a publisher should wait. Under the lock.
/// The bound is never more than the channel keeps, because frames beyond that would be lost before
/// subscribers were woken for them.
static bool has_too_much_unoffered(const struct replica *replica)
{
    HUB_LOCKED(replica->local->hub);
    uint64_t bytes_max = replica->local->limits->stream.high_bytes;
    uint64_t kept_bytes = replica->channel->journal.bounds.bytes;
    return channel_bytes_behind(replica->channel, offered(replica)) >
           (bytes_max < kept_bytes ? bytes_max : kept_bytes);
}

/// Trims the channel's journal but not the ring of this replica. A subscriber that has joined in
/// this turn may still have to be sent frames that are too old by now, and finds them in the ring.
void replica_age(struct replica *replica)
{
    DEBUG_CALL(replica_check(replica));
    struct channel *channel = replica->channel;
    uint64_t now_ms = loop_now_ms(replica->local->loop);
    hub_lock(channel->hub);
    if (journal_expiry_ms(&channel->journal) <= now_ms) {
        channel_trim(channel, now_ms, offered(replica));
    }
    hub_unlock(channel->hub);
}

struct journal_bounds replica_bounds(const struct replica *replica)
{
    DEBUG_CALL(replica_check(replica));
    hub_lock(replica->local->hub);
    struct journal_bounds bounds = replica->channel->journal.bounds;
    hub_unlock(replica->local->hub);
    return bounds;
}

void replica_set_bounds(struct replica *replica, const struct journal_bounds *bounds)
{
    DEBUG_CALL(replica_check(replica));
    struct local_hub *local = replica->local;
    hub_lock(local->hub);
    replica->channel->journal.bounds = *bounds;
    worker_set woken =
        channel_tell(replica->channel, local, true); // all journals may have to shrink
    replica_pull_due(local);
    hub_unlock(local->hub);
    hub_wake(local->hub, woken);
    loop_at_turn_end(local->loop, LOOP_WRITE, &replica->job);
}

void replica_set_lag(struct replica *replica, enum channel_lag lag)
{
    DEBUG_CALL(replica_check(replica));
    DCHECK(lag == CHANNEL_RESUME || lag == CHANNEL_SKIP);
    replica->channel->lag = (uint8_t)lag;
}

struct event_id replica_cursor(const struct replica *replica)
{
    DEBUG_CALL(replica_check(replica));
    const struct journal *journal = &replica->channel->journal;
    hub_lock(replica->local->hub);
    struct event_id id = journal_id(journal, journal->next - 1);
    hub_unlock(replica->local->hub);
    return id;
}

void replica_join(struct replica *replica, struct subscriber *subscriber)
{
    DEBUG_CALL(replica_check(replica));
    DCHECK(replica->state != CHANNEL_CLOSED);
    DCHECK(subscriber->ops != NULL && subscriber->replica == NULL);
    if (!replica->link.follows) {
        follow(replica);
    } else {
        hub_lock(replica->local->hub);
        replica_pull_due(replica->local);
        replica->first = replica->channel->journal.first;
        hub_unlock(replica->local->hub);
    }
    subscriber->replica = replica;
    list_append(&replica->subscribers, &subscriber->node);
    replica->subscriber_count++;
    replica->channel->subscriber_count++;
}

void replica_leave(struct subscriber *subscriber)
{
    struct replica *replica = subscriber->replica;
    DEBUG_CALL(replica_check(replica));
    DCHECK(list_is_linked(&subscriber->node) && replica->subscriber_count > 0);
    DCHECK(replica->channel->subscriber_count > 0);
    list_remove(&subscriber->node);
    subscriber->replica = NULL;
    replica->subscriber_count--;
    replica->channel->subscriber_count--;
    if (replica->subscriber_count == 0) {
        loop_at_turn_end(replica->local->loop, LOOP_WRITE, &replica->job);
        free_if_unused(replica);
    }
}

/// Begins to follow the channel. A long history is copied in parts, so that other workers get the
/// lock in between.
static void follow(struct replica *replica)
{
    struct local_hub *local = replica->local;
    const struct journal *journal = &replica->channel->journal;
    hub_lock(local->hub);
    journal_init_copy(&replica->journal, journal);
    while (!journal_follow(&replica->journal, journal, FOLLOWED_MAX)) {
        hub_unlock(local->hub);
        hub_lock(local->hub);
    }
    note_idle(replica);
    replica->link.follows = true;
    replica->first = journal->first;
    replica_pull_due(local);
    hub_unlock(local->hub);
}

/// Stops following the channel, when nobody subscribes here at the end of a turn. No publisher
/// waits for this worker any more, so all that wait may look again.
static void unfollow(struct replica *replica)
{
    struct hub *hub = replica->local->hub;
    DCHECK(replica->link.follows && replica->subscriber_count == 0);
    hub_lock(hub);
    replica->link.follows = false;
    worker_set woken = hub_tell_room(hub);
    hub_unlock(hub);
    hub_wake(hub, woken);
    journal_drop(&replica->journal, replica->journal.next);
}

void replica_close(struct replica *replica)
{
    struct local_hub *local = replica->local;
    DEBUG_CALL(replica_check(replica));
    hub_lock(local->hub);
    channel_close(replica->channel);
    worker_set woken = channel_tell(replica->channel, local, true);
    replica_pull_due(local);
    hub_unlock(local->hub);
    hub_wake(local->hub, woken);
}

int replica_finish(struct replica *replica)
{
    struct local_hub *local = replica->local;
    DEBUG_CALL(replica_check(replica));
    hub_lock(local->hub);
    int failure = channel_finish(replica->channel, loop_now_ms(local->loop));
    worker_set woken = failure == 0 ? channel_tell(replica->channel, local, true) : 0;
    replica_pull_due(local);
    hub_unlock(local->hub);
    hub_wake(local->hub, woken);
    return failure;
}

bool replica_is_finished(const struct replica *replica)
{
    DEBUG_CALL(replica_check(replica));
    hub_lock(replica->local->hub);
    bool is_so = replica->channel->state != CHANNEL_OPEN;
    hub_unlock(replica->local->hub);
    return is_so;
}

void replica_pull_due(struct local_hub *local)
{
    OWNED(&local->loop->owner);
    HUB_LOCKED(local->hub);
    while (!list_is_empty(&local->due)) {
        struct replica_link *link = LIST_ITEM(local->due.next, struct replica_link, due_node);
        list_remove(&link->due_node);
        DCHECK(link->local == local);
        pull(CONTAINER_OF(link, struct replica, link));
    }
    DCHECK(local->stamp <= local->hub->stamp);
    local->stamp = local->hub->stamp;
}

/// Takes over new frames, bounds, another life and the end of the channel from other workers. Under
/// the lock.
static void pull(struct replica *replica)
{
    if (replica->link.follows) {
        (void)journal_follow(&replica->journal, &replica->channel->journal,
                             UINT64_MAX); // it takes over all frames
    } else {
        journal_init_copy(&replica->journal, &replica->channel->journal);
    }
    note_state(replica);
    loop_at_turn_end(replica->local->loop, LOOP_WRITE, &replica->job);
}

void replica_hold(struct replica *replica)
{
    DEBUG_CALL(replica_check(replica));
    replica->holds++;
}

void replica_release(struct replica *replica)
{
    DEBUG_CALL(replica_check(replica));
    DCHECK(replica->holds > 0);
    replica->holds--;
    free_if_unused(replica);
}

/// Does not ask that a replica without subscribers has stopped following the channel. It does so
/// only at the end of the turn, because a subscriber that comes before that then needs no new copy.
void replica_check(const struct replica *replica)
{
    const struct local_hub *local = replica->local;
    CHECK(owner_is_here(&local->loop->owner));
    CHECK(replica->link.local == local && replica->channel->hub == local->hub);
    CHECK((replica->subscriber_count == 0) == list_is_empty(&replica->subscribers));
    CHECK(replica->subscriber_count == 0 || replica->link.follows);
    CHECK(replica->link.follows || journal_is_empty(&replica->journal));
    CHECK(replica->channel->subscriber_count >= replica->subscriber_count);
    journal_check(&replica->journal);
}

void subscriber_check(const struct subscriber *subscriber)
{
    const struct replica *replica = subscriber->replica;
    CHECK(replica != NULL && list_is_linked(&subscriber->node));
    CHECK(replica->link.follows && replica->subscriber_count > 0);
    CHECK(subscriber->next >= 1 && subscriber->next <= replica->journal.next);
}

/// Holds the replica until it returns, because the last subscriber may leave when it is woken.
static void on_turn_end(struct loop_job *job)
{
    struct replica *replica = CONTAINER_OF(job, struct replica, job);
    replica_hold(replica);
    uint64_t keep_from = wake_subscribers(replica);
    if (replica->subscriber_count == 0 && replica->link.follows) {
        unfollow(replica);
    }
    note_offered(replica, keep_from);
    replica_release(replica);
}

/// Wakes the subscribers. Returns the first frame that one of them could take now but leaves for
/// the next turn, so that this frame is kept until then; UINT64_MAX when there is none.
static uint64_t wake_subscribers(struct replica *replica)
{
    uint64_t keep_from = UINT64_MAX;
    LIST_EACH (node, after, &replica->subscribers) {
        struct subscriber *subscriber = LIST_ITEM(node, struct subscriber, node);
        DEBUG_CALL(subscriber_check(subscriber));
        if (subscriber->ops->advance(subscriber) == SUBSCRIBER_MORE &&
            subscriber->next < keep_from) {
            keep_from = subscriber->next;
        }
    }
    return keep_from;
}

/// The first frame that this worker has yet to offer, under the lock. A worker that does not follow
/// is told of no frame and so has nothing to offer, unless it has published in this turn itself.
static uint64_t offered(const struct replica *replica)
{
    HUB_LOCKED(replica->local->hub);
    bool is_idle = !replica->link.follows && !loop_job_is_queued(&replica->job);
    return is_idle ? replica->channel->journal.next : replica->link.offered;
}

/// If this worker has nothing to offer, moves `link.offered` behind the newest frame. Under the
/// lock.
static void note_idle(struct replica *replica)
{
    replica->link.offered = offered(replica);
}

/// Notes that the subscribers here were woken for all that this worker has taken over, lets go of
/// what is over the bounds, and tells the publishers that wait for this worker.
static void note_offered(struct replica *replica, uint64_t keep_from)
{
    struct hub *hub = replica->local->hub;
    hub_lock(hub);
    replica->link.offered =
        replica->link.follows ? replica->journal.next : replica->channel->journal.next;
    worker_set woken = hub_tell_room(hub);
    uint64_t first = trim(replica, keep_from);
    arm_age(replica);
    hub_unlock(hub);
    hub_wake(hub, woken);
    journal_drop(&replica->journal, first);
}

static void on_age(struct timer *timer)
{
    struct replica *replica = CONTAINER_OF(timer, struct replica, age);
    hub_lock(replica->local->hub);
    note_idle(replica);
    uint64_t first = trim(replica, replica->link.offered);
    worker_set woken = close_expired(replica);
    arm_age(replica); // after it, because an end that has expired is due at once
    hub_unlock(replica->local->hub);
    hub_wake(replica->local->hub, woken);
    journal_drop(&replica->journal, first);
    free_if_unused(replica);
}

/// Closes a finished channel whose end is too old, under the lock. Returns the workers to be woken.
static worker_set close_expired(struct replica *replica)
{
    struct channel *channel = replica->channel;
    bool is_empty = journal_is_empty(&channel->journal);
    if (!is_empty || channel_end_expiry_ms(channel) > loop_now_ms(replica->local->loop)) {
        return 0;
    }
    channel_close(channel);
    worker_set woken = channel_tell(channel, replica->local, true);
    replica_pull_due(replica->local);
    return woken;
}

/// Lets go of frames in the journal, under the lock. Returns the first frame that the copy here has
/// to keep.
static uint64_t trim(struct replica *replica, uint64_t keep_from)
{
    const struct journal *journal = &replica->channel->journal;
    channel_trim(replica->channel, loop_now_ms(replica->local->loop), keep_from);
    return journal->first < keep_from ? journal->first : keep_from;
}

/// Arms the timer for the oldest frame, a step later than its age: all frames that get too old
/// within the step leave together, and the timer does not run for each. A frame that is too old and
/// has to stay, because some worker has yet to offer it, is looked at again after a step. The end
/// of a finished channel expires at its moment, because a script may make the name anew from then
/// on.
static void arm_age(struct replica *replica)
{
    const struct channel *channel = replica->channel;
    uint64_t expiry_ms = channel_expiry_ms(channel);
    if (expiry_ms == UINT64_MAX) {
        timer_disarm(&replica->age);
        return;
    }
    uint64_t now_ms = loop_now_ms(replica->local->loop);
    uint64_t step_ms = channel->journal.bounds.ttl_ms / AGE_STEPS;
    step_ms = step_ms < AGE_STEP_MS_MAX ? step_ms : AGE_STEP_MS_MAX;
    bool is_late = expiry_ms + step_ms <= now_ms;
    uint64_t due_ms = (is_late ? now_ms + 1 : expiry_ms) + step_ms;
    uint64_t end_ms = channel_end_expiry_ms(channel);
    uint64_t exact_ms = end_ms > now_ms ? end_ms : expiry_ms;
    bool is_exact = exact_ms > now_ms || journal_is_empty(&channel->journal);
    timer_arm_at(&replica->age, is_exact && exact_ms < due_ms ? exact_ms : due_ms);
}

/// Frees the replica when nobody needs it any more. A replica that stays only for the history has
/// its timer armed, so that the history goes when it is too old, and the replica with it.
static void free_if_unused(struct replica *replica)
{
    if (replica->holds > 0 || replica->subscriber_count > 0) {
        return;
    }
    if (replica->state == CHANNEL_CLOSED || !has_history(replica)) {
        replica_free(replica);
    }
}

/// Whether the channel has frames, or an end, for which this replica has to stay. In a channel that
/// keeps no history, the frames that are left at the end of a turn are there for other workers, and
/// the last of those lets go of them.
static bool has_history(struct replica *replica)
{
    const struct channel *channel = replica->channel;
    hub_lock(replica->local->hub);
    bool keeps_frames = channel->journal.bounds.count > 0 || loop_job_is_queued(&replica->job);
    bool has_some = (!journal_is_empty(&channel->journal) && keeps_frames) ||
                    channel->state == CHANNEL_FINISHED;
    if (!timer_is_armed(&replica->age)) {
        arm_age(replica);
    }
    hub_unlock(replica->local->hub);
    return has_some;
}

/// Notes how far the channel has come. Takes the replica's name away here, once this worker has
/// seen that the channel was closed. Under the lock.
static void note_state(struct replica *replica)
{
    uint8_t state = replica->channel->state;
    DCHECK(state >= replica->state);
    if (state == CHANNEL_CLOSED && replica->state != CHANNEL_CLOSED) {
        map_remove(&replica->local->replicas, &replica->entry);
    }
    replica->state = state;
}
