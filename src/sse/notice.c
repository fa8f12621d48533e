// SPDX-License-Identifier: MIT
//
// What a reader is told in-band, because an EventSource sees nothing else: that it was reset to
// another place, or left behind. One event, with the id of the new place, so that a reader that
// loses its connection right after goes on there. Who begins at the newest gets that id alone: it
// dispatches nothing (WHATWG HTML, section 9.2.6), and what is published before the first event
// comes is not lost with the connection. Readers that ignore an id without data are greeted, if the
// script says so: an event of its own name has the id as data too.
#include "base/counters.h"
#include "base/decimal.h"
#include "base/slab.h"
#include "hub/local_hub.h"
#include "sse/stream_parts.h"

enum { NOTICE_BYTES_MAX = 512 }; // of the JSON in a notice, without the channel's name

static bool settle(struct cursor *cursor);
static struct notice take_notice(struct cursor *cursor);
static void say_place(struct cursor *cursor, struct bytes greet);
static void forget_place(struct cursor *cursor);
static void say(struct cursor *cursor, enum channel_event which, const char *reason, uint64_t from);
static void put_event(struct cursor *cursor, struct sse_event event);
static void put_data(const struct cursor *cursor, const char *reason, uint64_t from,
                     struct buf *out);
static void put_id(const struct cursor *cursor, uint64_t sequence, struct buf *out);
static void put_string(struct bytes text, struct buf *out);
static void put(struct buf *out, struct bytes bytes);

/// By enum notice_reason.
static const char *const reasons[] = {"", "", "malformed", "epoch", "ahead", "expired"};

static const uint64_t unknown = UINT64_MAX; // the reader does not come from a place of this journal

bool notices_say(struct stream *stream)
{
    for (struct cursor *cursor = stream->_cursors; cursor != NULL; cursor = cursor->after) {
        bool is_due = cursor->notice != NULL || cursor_is_lagging(cursor);
        if (is_due && !settle(cursor)) {
            exchange_abort(stream->exchange, END_SLOW);
            return false;
        }
    }
    return true;
}

void notice_free(struct notice *notice)
{
    if (notice != NULL) {
        slab_free_text(notice->greet, notice->greet_len);
        slab_free(notice);
    }
}

const char *stream_outcome_text(int index)
{
    return index == NOTICE_NONE ? "resumed" : index <= NOTICE_EXPIRED ? reasons[index] : NULL;
}

static bool settle(struct cursor *cursor)
{
    const struct replica *replica = cursor->subscriber.replica;
    const struct journal *journal = &replica->journal;
    bool is_lagging = cursor_is_lagging(cursor);
    struct notice notice = take_notice(cursor);
    bool is_reset = notice.reason > NOTICE_PLACE;
    count_up(COUNT_LAGGED, is_lagging);
    if (is_lagging && !is_reset && replica_lag(replica) == CHANNEL_RESUME) {
        slab_free_text(notice.greet, notice.greet_len);
        return false;
    }
    if (is_reset) {
        cursor->subscriber.next = is_lagging ? journal->first : cursor->subscriber.next;
        say(cursor, CHANNEL_RESET, reasons[notice.reason], notice.from);
    } else if (is_lagging) {
        uint64_t from = cursor->subscriber.next - 1;
        cursor->subscriber.next = journal->next;
        say(cursor, CHANNEL_LAGGED, "slow", from);
    }
    if (notice.greet != NULL || (!is_reset && !is_lagging)) {
        say_place(cursor, bytes_of(notice.greet, notice.greet_len));
        slab_free_text(notice.greet, notice.greet_len);
    }
    return true;
}

/// The greeting is the caller's.
static struct notice take_notice(struct cursor *cursor)
{
    struct notice notice = {.reason = NOTICE_NONE};
    if (cursor->notice != NULL) {
        notice = *cursor->notice;
        slab_free(cursor->notice);
        cursor->notice = NULL;
    }
    notice.from = notice.reason == NOTICE_EXPIRED ? notice.from : unknown;
    return notice;
}

/// With a greeting it is an event with data, which every reader dispatches; without one an id.
static void say_place(struct cursor *cursor, struct bytes greet)
{
    bool is_greeted = greet.len > 0;
    struct buf *id = &cursor->subscriber.replica->local->scratch;
    buf_clear(id);
    cursors_put_id(cursor->stream, id);
    struct sse_event event = {
        .has_id = true,
        .has_event = is_greeted,
        .has_data = is_greeted,
        .id = buf_bytes(id),
        .event = greet,
        .data = buf_bytes(id),
    };
    put_event(cursor, event);
    for (struct cursor *other = cursor->stream->_cursors; other != NULL; other = other->after) {
        if (other->notice != NULL && other->notice->reason == NOTICE_PLACE) {
            forget_place(other); // the id named its place as well
        }
    }
}

static void forget_place(struct cursor *cursor)
{
    if (cursor->notice->greet != NULL) {
        cursor->notice->reason = NOTICE_NONE;
    } else {
        notice_free(cursor->notice);
        cursor->notice = NULL;
    }
}

/// It may be said though the stream is ending: the ceiling is not asked.
static void say(struct cursor *cursor, enum channel_event which, const char *reason, uint64_t from)
{
    struct buf name;
    struct buf data;
    struct buf id;
    buf_init(&name, INT32_MAX); // a script's text
    buf_init(&data, 2 * strlen(replica_name(cursor->subscriber.replica)) + NOTICE_BYTES_MAX);
    buf_init(&id, cursors_id_size(cursor->stream));
    replica_put_event_name(cursor->subscriber.replica, which, &name);
    put_data(cursor, reason, from, &data);
    cursors_put_id(cursor->stream, &id);
    struct sse_event event = {
        .has_id = true,
        .has_event = true,
        .has_data = true,
        .id = buf_bytes(&id),
        .event = buf_bytes(&name),
        .data = buf_bytes(&data),
    };
    put_event(cursor, event);
    buf_reset(&name);
    buf_reset(&data);
    buf_reset(&id);
}

static void put_event(struct cursor *cursor, struct sse_event event)
{
    struct exchange *exchange = cursor->stream->exchange;
    struct buf *out = exchange_output(exchange);
    size_t len_before = buf_len(out);
    if (sse_encode_event(out, &event, exchange_is_chunked(exchange)) != 0) {
        exchange_abort(exchange, END_FAILED); // no memory: what is not said must not be missed
        return;
    }
    exchange_wrote(exchange, buf_len(out) - len_before);
}

static void put_data(const struct cursor *cursor, const char *reason, uint64_t from,
                     struct buf *out)
{
    char number[DECIMAL_LEN_MAX];
    uint64_t to = cursor->subscriber.next - 1;
    put(out, BYTES("{\"channel\":"));
    put_string(bytes_from_string(replica_name(cursor->subscriber.replica)), out);
    put(out, BYTES(",\"reason\":\""));
    put(out, bytes_from_string(reason));
    put(out, BYTES("\",\"from\":"));
    put_id(cursor, from, out);
    put(out, BYTES(",\"to\":"));
    put_id(cursor, to, out);
    put(out, BYTES(",\"missed\":"));
    put(out, from == unknown ? BYTES("null") : bytes_of(number, decimal_write(to - from, number)));
    put(out, BYTES("}"));
}

static void put_id(const struct cursor *cursor, uint64_t sequence, struct buf *out)
{
    char id[EVENT_ID_LEN_MAX];
    if (sequence == unknown) {
        put(out, BYTES("null"));
        return;
    }
    struct event_id place = journal_id(&cursor->subscriber.replica->journal, sequence);
    put(out, BYTES("\""));
    put(out, bytes_of(id, event_id_format(place, id)));
    put(out, BYTES("\""));
}

/// A JSON string (RFC 8259, section 7). Names have no controls.
static void put_string(struct bytes text, struct buf *out)
{
    put(out, BYTES("\""));
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '"' || text.at[i] == '\\') {
            put(out, BYTES("\\"));
        }
        put(out, bytes_of(&text.at[i], 1));
    }
    put(out, BYTES("\""));
}

static void put(struct buf *out, struct bytes bytes)
{
    CHECK(buf_append(out, bytes));
}
