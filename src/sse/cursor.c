// SPDX-License-Identifier: MIT
//
// A stream's places in its channels: where a subscription begins, and what the stream's ids say.
#include "base/counters.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/slab.h"
#include "sse/stream_parts.h"

#include <errno.h>

static bool told_place(const struct cursor *cursor, uint64_t *sequence);
static enum subscriber_progress on_advance(struct subscriber *subscriber);
static void on_near(struct subscriber *subscriber, int distance);
static struct cursor **find(struct stream *stream, const struct replica *replica, uint64_t *count);
static struct cursor *make(struct stream *stream, struct replica *replica);
static void leave(struct cursor **link);
static void note_departure(struct stream *stream, uint64_t epoch);
static bool has_departed(const struct stream *stream, uint64_t epoch);
static void place_cursor(struct cursor *cursor, const struct stream_place *place);
static uint64_t newcomers_next(const struct cursor *cursor, const struct stream_place *place);
static void put_greet(struct notice *notice, struct bytes greet);
static uint64_t first_of(const struct cursor *cursor);
static struct notice resume(struct cursor *cursor, struct bytes text);

static const struct subscriber_ops ops = {.advance = on_advance, .prefetch = on_near};

int stream_subscribe(struct stream *stream, struct replica *replica,
                     const struct stream_place *place)
{
    uint64_t count;
    if (!stream->is_open || stream->exchange->is_aborted || replica->is_closed) {
        return -ECANCELED;
    }
    struct cursor **end = find(stream, replica, &count);
    if (*end != NULL) {
        return -EALREADY;
    }
    if (count >= exchange_limits(stream->exchange)->stream_channels) {
        limit_met("stream_channels", count);
        return -E2BIG;
    }
    replica_age(replica);
    struct cursor *cursor = make(stream, replica);
    struct stream_place from = *place;
    if (has_departed(stream, replica->journal.epoch)) {
        from.last = BYTES("");
    }
    place_cursor(cursor, &from);
    *end = cursor;
    if (cursor_is_behind(cursor)) {
        exchange_wants_flush(stream->exchange);
    }
    return 0;
}

bool stream_unsubscribe(struct stream *stream, struct replica *replica)
{
    uint64_t count;
    struct cursor **link = find(stream, replica, &count);
    if (*link == NULL) {
        return false;
    }
    leave(link);
    if (!has_departed(stream, replica->journal.epoch)) {
        note_departure(stream, replica->journal.epoch);
    }
    return true;
}

bool cursor_is_behind(const struct cursor *cursor)
{
    const struct replica *replica = cursor->subscriber.replica;
    return cursor->subscriber.next < replica->journal.next || cursor->notice != NULL ||
           replica->is_closed;
}

bool cursor_is_lagging(const struct cursor *cursor)
{
    return cursor->subscriber.next < cursor->subscriber.replica->journal.first;
}

void cursors_leave(struct stream *stream)
{
    while (stream->_cursors != NULL) {
        leave(&stream->_cursors);
    }
    while (stream->_departures != NULL) {
        struct departure *departure = stream->_departures;
        stream->_departures = departure->after;
        slab_free(departure);
    }
}

void cursors_leave_closed(struct stream *stream)
{
    bool has_left = false;
    for (struct cursor **link = &stream->_cursors; *link != NULL;) {
        const struct replica *replica = (*link)->subscriber.replica;
        if (replica->is_closed && (*link)->subscriber.next >= replica->journal.next) {
            leave(link);
            has_left = true;
        } else {
            link = &(*link)->after;
        }
    }
    if (has_left && stream->_cursors == NULL) {
        stream_end(stream);
    }
}

size_t cursors_id_size(const struct stream *stream)
{
    size_t size = 0;
    for (const struct cursor *cursor = stream->_cursors; cursor != NULL; cursor = cursor->after) {
        size += EVENT_ID_LEN_MAX + 1;
    }
    return size;
}

char *cursors_write_id(const struct stream *stream, char *at)
{
    const char *start = at;
    for (const struct cursor *cursor = stream->_cursors; cursor != NULL; cursor = cursor->after) {
        uint64_t sequence = 0;
        if (told_place(cursor, &sequence)) {
            const struct journal *journal = &cursor->subscriber.replica->journal;
            if (at != start) {
                *at++ = ',';
            }
            at += event_id_format(journal_id(journal, sequence), at);
        }
    }
    return at;
}

void cursors_put_id(const struct stream *stream, struct buf *out)
{
    char *at = buf_reserve(out, cursors_id_size(stream));
    CHECK(at != NULL);
    buf_commit(out, (size_t)(cursors_write_id(stream, at) - at));
}

/// Where the reader stands as far as it was told. It may lose its connection between two notices,
/// and must still hear of the second when it comes back. False when it stands nowhere.
static bool told_place(const struct cursor *cursor, uint64_t *sequence)
{
    if (cursor->notice == NULL || cursor->notice->reason <= NOTICE_PLACE) {
        *sequence = cursor->subscriber.next - 1;
        return true;
    }
    *sequence = cursor->notice->from;
    return cursor->notice->reason == NOTICE_EXPIRED;
}

/// A blocked stream is woken by its socket; but who is to be disconnected is that at once.
static enum subscriber_progress on_advance(struct subscriber *subscriber)
{
    struct cursor *cursor = CONTAINER_OF(subscriber, struct cursor, subscriber);
    struct stream *stream = cursor->stream;
    if (!exchange_is_blocked(stream->exchange)) {
        enum subscriber_progress progress = stream_flush(stream);
        return stream->_cursors == NULL ? SUBSCRIBER_DONE : progress; // ended, this reader is gone
    }
    if (cursor_is_lagging(cursor) && replica_lag(subscriber->replica) == CHANNEL_RESUME) {
        count_up(COUNT_LAGGED, !stream->exchange->is_aborted);
        exchange_abort(stream->exchange, END_SLOW);
    }
    return SUBSCRIBER_DONE;
}

static void on_near(struct subscriber *subscriber, int distance)
{
    const struct cursor *cursor = CONTAINER_OF(subscriber, struct cursor, subscriber);
    if (distance == SUBSCRIBER_PREFETCH) {
        __builtin_prefetch(cursor->stream);
        __builtin_prefetch((const char *)cursor->stream + sizeof(struct stream) - 1);
    } else {
        exchange_prefetch(cursor->stream->exchange, distance);
    }
}

/// The link to the cursor for `replica`, or the empty one at the end.
static struct cursor **find(struct stream *stream, const struct replica *replica, uint64_t *count)
{
    struct cursor **link = &stream->_cursors;
    for (*count = 0; *link != NULL && (*link)->subscriber.replica != replica; (*count)++) {
        link = &(*link)->after;
    }
    return link;
}

static struct cursor *make(struct stream *stream, struct replica *replica)
{
    struct cursor *cursor = slab_new(struct cursor);
    cursor->stream = stream;
    cursor->subscriber.ops = &ops;
    list_init(&cursor->subscriber.node);
    replica_join(replica, &cursor->subscriber);
    return cursor;
}

static void leave(struct cursor **link)
{
    struct cursor *cursor = *link;
    *link = cursor->after;
    replica_leave(&cursor->subscriber);
    notice_free(cursor->notice);
    slab_free(cursor);
}

static void note_departure(struct stream *stream, uint64_t epoch)
{
    struct departure *departure = slab_new(struct departure);
    *departure = (struct departure){.after = stream->_departures, .epoch = epoch};
    stream->_departures = departure;
}

static bool has_departed(const struct stream *stream, uint64_t epoch)
{
    const struct departure *departure = stream->_departures;
    while (departure != NULL && departure->epoch != epoch) {
        departure = departure->after;
    }
    return departure != NULL;
}

/// Who is not resumed begins like a newcomer, and is told why; of the id that it came with.
static void place_cursor(struct cursor *cursor, const struct stream_place *place)
{
    const struct journal *journal = &cursor->subscriber.replica->journal;
    struct notice last = {.reason = NOTICE_NONE};
    struct notice since = {.reason = NOTICE_NONE};
    cursor->subscriber.next = newcomers_next(cursor, place);
    if (place->last.len > 0) {
        last = resume(cursor, place->last);
        counters_add(&counters_here->resumed[last.reason], 1);
    }
    bool is_placed = place->last.len > 0 && last.reason == NOTICE_NONE;
    if (!is_placed && place->since.len > 0) {
        since = resume(cursor, place->since);
    }
    struct notice notice = last.reason != NOTICE_NONE ? last : since;
    bool is_without_id = place->last.len == 0 && cursor->subscriber.next == journal->next;
    if (notice.reason == NOTICE_NONE && is_without_id) {
        notice.reason = NOTICE_PLACE;
    }
    if (notice.reason != NOTICE_NONE || place->greet.len > 0) {
        cursor->notice = slab_new(struct notice);
        *cursor->notice = notice;
        put_greet(cursor->notice, place->greet);
    }
}

/// Where a reader without an id begins, unless `since` names a place.
static uint64_t newcomers_next(const struct cursor *cursor, const struct stream_place *place)
{
    uint64_t first = first_of(cursor);
    uint64_t next = cursor->subscriber.replica->journal.next;
    bool is_all = place->is_earliest || place->newest_count > next - first;
    return is_all ? first : next - place->newest_count;
}

static void put_greet(struct notice *notice, struct bytes greet)
{
    if (greet.len > 0) {
        notice->greet = slab_text(greet.len);
        notice->greet_len = greet.len;
        memcpy(notice->greet, greet.at, greet.len);
    }
}

/// The oldest frame that the channel keeps, for whoever joins.
static uint64_t first_of(const struct cursor *cursor)
{
    const struct replica *replica = cursor->subscriber.replica;
    uint64_t first = replica->journal.first;
    return first > replica->first ? first : replica->first;
}

/// Puts the cursor behind the event that `text` names, if it can be resumed; in constant time.
static struct notice resume(struct cursor *cursor, struct bytes text)
{
    const struct journal *journal = &cursor->subscriber.replica->journal;
    struct event_id id;
    switch (event_id_find(text, journal->epoch, &id)) {
    case EVENT_ID_MALFORMED:
        return (struct notice){.reason = NOTICE_MALFORMED};
    case EVENT_ID_ABSENT:
        return (struct notice){.reason = NOTICE_EPOCH};
    case EVENT_ID_FOUND:
        break;
    }
    if (id.sequence >= journal->next) {
        return (struct notice){.reason = NOTICE_AHEAD};
    }
    if (id.sequence + 1 < first_of(cursor)) {
        return (struct notice){.reason = NOTICE_EXPIRED, .from = id.sequence};
    }
    cursor->subscriber.next = id.sequence + 1;
    return (struct notice){.reason = NOTICE_NONE};
}
