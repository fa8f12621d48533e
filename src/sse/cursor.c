// SPDX-License-Identifier: MIT
//
// What moves here is one number a channel: `subscriber.next`, the frame that the reader gets next.
// It is set three times. When the stream subscribes, start.c finds the place of the id that the
// reader brought; if that id leads nowhere, the place that the script names; and without one, the
// place behind the newest event, so that the reader gets what is published from then on. Why an id
// led nowhere becomes the cursor's notice, which notice.c tells the reader before any frame. Then
// flush.c moves the cursor over what the kernel has taken. And when the journal has dropped the
// next frame (`cursor_is_lagging`), notice.c moves the cursor behind the newest event and tells the
// reader what it missed; or to the oldest event, if the reader has yet to be told `reset`.
//
// The ids that the reader sees come from here too. An id names the place in every channel of the
// stream, so that the reader may come back with one id and miss nothing of any channel. It names
// only places of which the reader was told: a connection may be lost between two notices, and the
// second must still come when the reader is back.
#include "sse/cursor.h"

#include "base/counters.h"
#include "base/slab.h"
#include "hub/replica.h"

static bool has_ended(const struct cursor *cursor);
static void part(struct cursor **link);
static void leave(struct cursor **link);
static bool told_place(const struct cursor *cursor, uint64_t *sequence);
static bool has_departed(const struct stream *stream, uint64_t epoch);
static void place(struct cursor *cursor, const struct stream_start *start);
static void put_greet(struct notice *notice, struct bytes greet);
static uint64_t first_of(const struct cursor *cursor);

struct cursor *cursor_find(const struct stream *stream, const struct replica *replica,
                           uint64_t *count)
{
    struct cursor *cursor = stream->_cursors;
    for (*count = 0; cursor != NULL && cursor->subscriber.replica != replica; (*count)++) {
        cursor = cursor->after;
    }
    return cursor;
}

/// Ages the replica first: frames that are too old stay until a timer fires, and the reader must
/// not be given those.
struct cursor *cursor_add(struct stream *stream, struct replica *replica,
                          const struct subscriber_ops *ops, const struct stream_start *start)
{
    struct stream_start from = *start;
    struct cursor **end = &stream->_cursors;
    replica_age(replica);
    while (*end != NULL) {
        DCHECK((*end)->subscriber.replica != replica);
        end = &(*end)->after;
    }
    struct cursor *cursor = slab_new(struct cursor);
    cursor->stream = stream;
    cursor->subscriber.ops = ops;
    list_init(&cursor->subscriber.node);
    replica_join(replica, &cursor->subscriber);
    if (has_departed(stream, replica->journal.epoch)) {
        from.last = BYTES("");
    }
    place(cursor, &from);
    *end = cursor;
    DEBUG_CALL(cursor_check(cursor));
    return cursor;
}

void cursor_part(struct cursor *cursor)
{
    struct cursor **link = &cursor->stream->_cursors;
    while (*link != cursor) {
        link = &(*link)->after;
    }
    part(link);
}

bool cursor_is_behind(const struct cursor *cursor)
{
    const struct replica *replica = cursor->subscriber.replica;
    return cursor->subscriber.next < replica->journal.next || cursor->notice != NULL ||
           replica->state != CHANNEL_OPEN;
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

bool cursors_have_ended(const struct stream *stream)
{
    const struct cursor *cursor = stream->_cursors;
    while (cursor != NULL && has_ended(cursor)) {
        cursor = cursor->after;
    }
    return stream->_cursors != NULL && cursor == NULL;
}

bool cursors_leave_ended(struct stream *stream)
{
    bool has_left = false;
    for (struct cursor **link = &stream->_cursors; *link != NULL;) {
        if (has_ended(*link)) {
            part(link);
            has_left = true;
        } else {
            link = &(*link)->after;
        }
    }
    return has_left && stream->_cursors == NULL;
}

void cursor_drop_notice(struct cursor *cursor)
{
    struct notice *notice = cursor->notice;
    if (notice != NULL) {
        slab_free_text(notice->greet, notice->greet_len);
        slab_free(notice);
        cursor->notice = NULL;
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

bool cursors_put_id(const struct stream *stream, struct buf *out)
{
    char *at = buf_reserve(out, cursors_id_size(stream));
    if (at == NULL) {
        return false;
    }
    buf_commit(out, (size_t)(cursors_write_id(stream, at) - at));
    return true;
}

void cursor_check(const struct cursor *cursor)
{
    const struct replica *replica = cursor->subscriber.replica;
    CHECK(cursor->stream != NULL && replica != NULL);
    CHECK(list_is_linked(&cursor->subscriber.node));
    CHECK(cursor->subscriber.next <= replica->journal.next); // it stands behind the newest at most
    if (cursor->notice != NULL) {
        const struct notice *notice = cursor->notice;
        CHECK(notice->reason <= NOTICE_EXPIRED);
        CHECK((notice->greet != NULL) == (notice->greet_len > 0));
        CHECK(notice->reason != NOTICE_NONE || notice->greet != NULL); // or nothing is to be said
    }
}

/// Whether the channel has ended and the reader has all of it.
static bool has_ended(const struct cursor *cursor)
{
    const struct replica *replica = cursor->subscriber.replica;
    return replica->state != CHANNEL_OPEN && cursor->subscriber.next >= replica->journal.next;
}

/// Leaves the channel and remembers that, unless the channel is closed: nobody comes back to it.
static void part(struct cursor **link)
{
    struct stream *stream = (*link)->stream;
    uint64_t epoch = (*link)->subscriber.replica->journal.epoch;
    bool is_closed = (*link)->subscriber.replica->state == CHANNEL_CLOSED;
    leave(link);
    if (!is_closed && !has_departed(stream, epoch)) {
        struct departure *departure = slab_new(struct departure);
        *departure = (struct departure){.after = stream->_departures, .epoch = epoch};
        stream->_departures = departure;
    }
}

static void leave(struct cursor **link)
{
    struct cursor *cursor = *link;
    *link = cursor->after;
    replica_leave(&cursor->subscriber);
    cursor_drop_notice(cursor);
    slab_free(cursor);
}

/// Finds the last place that the reader knows of. If the cursor has a `reset` to say, that is the
/// place of the id that the reader came with, provided that the id is of this channel and expired.
/// Returns false when the reader knows of no place.
static bool told_place(const struct cursor *cursor, uint64_t *sequence)
{
    if (replica_is_of_before(cursor->subscriber.replica, cursor->subscriber.next)) {
        return false;
    }
    if (cursor->notice == NULL || cursor->notice->reason <= NOTICE_PLACE) {
        *sequence = cursor->subscriber.next - 1;
        return true;
    }
    *sequence = cursor->notice->from;
    return cursor->notice->reason == NOTICE_EXPIRED;
}

static bool has_departed(const struct stream *stream, uint64_t epoch)
{
    const struct departure *departure = stream->_departures;
    while (departure != NULL && departure->epoch != epoch) {
        departure = departure->after;
    }
    return departure != NULL;
}

/// Finds the place of `start`, and makes the notice that the reader must be given before all else.
static void place(struct cursor *cursor, const struct stream_start *start)
{
    const struct journal *journal = &cursor->subscriber.replica->journal;
    struct start_place found = start_find(journal, first_of(cursor), start);
    struct notice notice = {.reason = found.reason, .from = found.from};
    cursor->subscriber.next = found.next;
    if (start->last.len > 0) {
        counters_add(&counters_here->resumed[found.reason], 1);
    }
    bool is_without_id = start->last.len == 0 && found.next == journal->next;
    if (notice.reason == NOTICE_NONE && is_without_id) {
        notice.reason = NOTICE_PLACE;
    }
    if (notice.reason != NOTICE_NONE || start->greet.len > 0) {
        cursor->notice = slab_new(struct notice);
        *cursor->notice = notice;
        put_greet(cursor->notice, start->greet);
    }
}

static void put_greet(struct notice *notice, struct bytes greet)
{
    if (greet.len > 0) {
        notice->greet = slab_text(greet.len);
        notice->greet_len = greet.len;
        memcpy(notice->greet, greet.at, greet.len);
    }
}

/// The oldest frame for a reader that subscribes now. The worker's copy of the journal may have
/// older ones, which the channel has already let go.
static uint64_t first_of(const struct cursor *cursor)
{
    const struct replica *replica = cursor->subscriber.replica;
    uint64_t first = replica->journal.first;
    return first > replica->first ? first : replica->first;
}
