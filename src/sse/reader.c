// SPDX-License-Identifier: MIT
#include "sse/reader.h"

#include "base/check.h"
#include "hub/local_hub.h"
#include "hub/replica.h"
#include "sse/notice.h"
#include "wire/sse.h"

#include <errno.h>

static void end_polls_of(struct replica *replica);
static enum subscriber_progress on_advance(struct subscriber *subscriber);
static const struct journal *lock_journal(const struct reader *reader);
static void unlock_journal(const struct reader *reader);
static void find_again(struct reader *reader, const struct journal *journal);
static void put_reset(struct reader *reader, struct taken *taken);

static const struct subscriber_ops ops = {.advance = on_advance};

/// Ages the replica first: frames that are too old stay until a timer fires, and the reader must
/// not be given those.
void reader_open(struct reader *reader, struct replica *replica, const struct stream_start *start)
{
    *reader = (struct reader){.replica = replica, .start = *start, .subscriber.ops = &ops};
    reader->start.last = reader->start.since = reader->start.greet = BYTES("");
    list_init(&reader->subscriber.node);
    replica_hold(replica);
    replica_age(replica);
    const struct journal *journal = lock_journal(reader);
    reader->place = start_find(journal, journal->first, start);
    unlock_journal(reader);
    reader->subscriber.next = reader->place.next;
}

void reader_close(struct reader *reader)
{
    struct replica *replica = reader->replica;
    reader->replica = NULL;
    if (reader->subscriber.replica != NULL) {
        replica_leave(&reader->subscriber);
    }
    if (replica != NULL) {
        replica_release(replica);
    }
}

void reader_follow(struct reader *reader)
{
    DCHECK(reader->subscriber.replica == NULL);
    if (reader->replica->state != CHANNEL_CLOSED) {
        replica_join(reader->replica, &reader->subscriber);
    }
}

void reader_await(struct reader *reader)
{
    DCHECK(reader->subscriber.replica != NULL);
    reader->is_awaiting = true;
}

void reader_await_as_poll(struct reader *reader)
{
    reader_await(reader);
    reader->is_poll = true;
}

void readers_end_polls(struct local_hub *local)
{
    OWNED(&local->loop->owner);
    LIST_EACH (node, after, &local->all) {
        end_polls_of(LIST_ITEM(node, struct replica, node));
    }
}

/// Must not free the replica: a reader that is called here is closed later.
static void end_polls_of(struct replica *replica)
{
    LIST_EACH (node, after, &replica->subscribers) {
        struct subscriber *subscriber = LIST_ITEM(node, struct subscriber, node);
        struct reader *reader = CONTAINER_OF(subscriber, struct reader, subscriber);
        if (subscriber->ops == &ops && reader->is_poll && reader->is_awaiting) {
            reader->is_awaiting = false;
            reader->on_news(reader);
        }
    }
}

/// Others may have published since the worker looked last, so it looks now.
struct taken reader_take(struct reader *reader, uint64_t count_max)
{
    struct replica *replica = reader->replica;
    struct buf *out = &replica->local->scratch;
    bool is_joined = reader->subscriber.replica != NULL;
    if (reader->is_told) { // the replica no longer has to keep what is taken now
        loop_at_turn_end(replica->local->loop, LOOP_WRITE, &replica->job);
    }
    reader->is_told = reader->is_awaiting = reader->is_poll = false;
    buf_clear(out);
    const struct journal *journal = lock_journal(reader);
    uint8_t state = is_joined ? replica->state : replica->channel->state;
    find_again(reader, journal);
    uint64_t next = reader->subscriber.next;
    uint64_t until = journal_copy_text(journal, next, count_max, READER_BYTES_MAX, out);
    struct taken taken = {
        .reason = reader->place.reason,
        .epoch = journal->epoch,
        .next = until,
        .events_len = buf_len(out),
        .has_ended = state != CHANNEL_OPEN && until == journal->next,
        .failure = until == next && next < journal->next ? -ENOMEM : 0,
    };
    unlock_journal(reader);
    put_reset(reader, &taken);
    if (taken.failure == 0) {
        reader->subscriber.next = taken.next;
        reader->place = (struct start_place){.next = taken.next};
    }
    return taken;
}

static enum subscriber_progress on_advance(struct subscriber *subscriber)
{
    struct reader *reader = CONTAINER_OF(subscriber, struct reader, subscriber);
    const struct replica *replica = subscriber->replica;
    bool has_events = subscriber->next < replica->journal.next;
    bool has_news = has_events || replica->state != CHANNEL_OPEN;
    if (reader->is_awaiting && has_news) {
        reader->is_awaiting = false;
        reader->is_told = true;
        reader->on_news(reader);
        if (reader->replica == NULL) {
            return SUBSCRIBER_DONE;
        }
    }
    return reader->is_told && has_events ? SUBSCRIBER_MORE : SUBSCRIBER_DONE;
}

/// The journal that the reader takes from: the worker's copy, which needs no lock, or the
/// channel's, under the lock.
static const struct journal *lock_journal(const struct reader *reader)
{
    struct replica *replica = reader->replica;
    if (reader->subscriber.replica != NULL) {
        local_hub_sync(replica->local);
        return &replica->journal;
    }
    hub_lock(replica->local->hub);
    return &replica->channel->journal;
}

static void unlock_journal(const struct reader *reader)
{
    if (reader->subscriber.replica == NULL) {
        hub_unlock(reader->replica->local->hub);
    }
}

/// Finds another place, if the journal has let go of what the reader gets next. A reader that was
/// to be told a reset is told that one.
static void find_again(struct reader *reader, const struct journal *journal)
{
    char id[EVENT_ID_LEN_MAX];
    uint64_t next = reader->subscriber.next;
    if (next >= journal->first) {
        return;
    }
    if (next < journal->begun) { // what follows is of another life, and all of it is news
        reader->place = (struct start_place){.next = journal->first, .reason = NOTICE_EPOCH};
        reader->subscriber.next = journal->first;
        return;
    }
    struct stream_start start = reader->start;
    start.last = bytes_of(id, event_id_format(journal_id(journal, next - 1), id));
    struct start_place place = start_find(journal, journal->first, &start);
    DCHECK(place.reason == NOTICE_EXPIRED);
    if (reader->place.reason == NOTICE_NONE) {
        reader->place = place;
    }
    reader->place.next = place.next;
    reader->subscriber.next = place.next;
}

/// Puts the text of the reset, if there is one to be told, behind the events.
static void put_reset(struct reader *reader, struct taken *taken)
{
    struct buf texts;
    char id[EVENT_ID_LEN_MAX];
    struct replica *replica = reader->replica;
    if (taken->reason == NOTICE_NONE || taken->failure != 0) {
        return;
    }
    bool is_expired = taken->reason == NOTICE_EXPIRED;
    struct notice_facts facts = {
        .reason = notice_outcome_text((int)taken->reason),
        .epoch = taken->epoch,
        .from = is_expired ? reader->place.from : NOTICE_FROM_UNKNOWN,
        .to = reader->place.next - 1,
    };
    buf_init(&texts, INT32_MAX);
    struct sse_event event;
    taken->failure = notice_event(replica, CHANNEL_RESET, &facts, &texts, &event);
    if (taken->failure == 0) {
        event.has_id = true;
        struct event_id place = {.epoch = facts.epoch, .sequence = facts.to};
        event.id = bytes_of(id, event_id_format(place, id));
        int refusal = sse_encode_event(&replica->local->scratch, &event, false);
        taken->failure = refusal == 0 ? 0 : -ENOMEM;
    }
    buf_reset(&texts);
}
