// SPDX-License-Identifier: MIT
//
// An EventSource sees nothing but events, so what happened to a reader's place is said by events.
// A reader whose id led nowhere, or whose channel has begun another life, gets "reset"; a reader
// that the journal has left behind gets "lagged", or is disconnected if its channel wants that.
// Each has the id of the new place, so that a reader that loses its connection right after it goes
// on there.
//
// A reader that begins behind the newest event gets an id alone. An event without data dispatches
// nothing (WHATWG HTML, section 9.2.6), but the reader keeps the id: what is published before its
// first event is not lost with the connection. Some readers ignore an id without data. For them a
// script can ask for a greeting, an event of a name of its own that has the id as data too.
#include "sse/notice.h"

#include "base/counters.h"
#include "base/decimal.h"
#include "base/slab.h"
#include "http/exchange.h"
#include "hub/local_hub.h"
#include "hub/replica.h"
#include "sse/backlog.h"
#include "sse/cursor.h"
#include "wire/event_id.h"
#include "wire/sse.h"

#include <errno.h>

enum { NOTICE_BYTES_MAX = 512 }; // of the JSON in a notice, without the channel's name

static bool say_due(struct cursor *cursor);
static struct notice take_notice(struct cursor *cursor);
static void say_place(struct cursor *cursor, struct bytes greet);
static void forget_place(struct cursor *cursor);
static void say(struct cursor *cursor, enum channel_event which, const char *reason, uint64_t from);
static void put_event(struct cursor *cursor, struct sse_event event);
static void abort_exchange(struct cursor *cursor);
static void put_facts(const struct replica *replica, const struct notice_facts *facts,
                      struct buf *out);
static void put_id(struct event_id place, struct buf *out);
static void put_string(struct bytes text, struct buf *out);
static void put(struct buf *out, struct bytes bytes);

/// By enum notice_reason.
static const char *const reasons[] = {"", "", "malformed", "epoch", "ahead", "expired"};

static_assert(sizeof(reasons) / sizeof(reasons[0]) == NOTICE_EXPIRED + 1, "each reason has a word");
static_assert((int)NOTICE_EXPIRED < (int)COUNTERS_OUTCOMES_MAX, "each outcome is counted");

bool notices_say(struct stream *stream)
{
    DCHECK(!backlog_has_rest(stream->_backlog));
    for (struct cursor *cursor = stream->_cursors; cursor != NULL; cursor = cursor->after) {
        bool is_due = cursor->notice != NULL || cursor_is_lagging(cursor);
        if (is_due && !say_due(cursor)) {
            return false;
        }
    }
    return true;
}

/// Texts of the channel's own are copied to `texts`, the facts are made behind them.
int notice_event(const struct replica *replica, enum channel_event which,
                 const struct notice_facts *facts, struct buf *texts, struct sse_event *event)
{
    int failure = channel_notice(replica->channel, which, texts, event);
    if (failure != 0 || event->has_data) {
        return failure;
    }
    size_t name_len = buf_len(texts);
    if (buf_reserve(texts, 2 * strlen(replica_name(replica)) + NOTICE_BYTES_MAX) == NULL) {
        return -ENOMEM;
    }
    put_facts(replica, facts, texts);
    event->has_data = true;
    event->data = bytes_skip(buf_bytes(texts), name_len);
    event->event = name_len == 0 ? event->event : bytes_of(buf_start(texts), name_len);
    return 0;
}

const char *notice_outcome_text(int index)
{
    return index == NOTICE_NONE ? "resumed" : index <= NOTICE_EXPIRED ? reasons[index] : NULL;
}

/// Writes what is due to the cursor's reader. Returns false when it has aborted the exchange,
/// because the reader was to be disconnected or there was no memory.
static bool say_due(struct cursor *cursor)
{
    const struct replica *replica = cursor->subscriber.replica;
    const struct journal *journal = &replica->journal;
    bool is_lagging = cursor_is_lagging(cursor);
    struct notice notice = take_notice(cursor);
    if (replica_is_of_before(replica, cursor->subscriber.next)) {
        notice.reason = NOTICE_EPOCH;
        notice.from = NOTICE_FROM_UNKNOWN;
    }
    bool is_reset = notice.reason > NOTICE_PLACE;
    count_up(COUNT_LAGGED, is_lagging && notice.reason != NOTICE_EPOCH);
    if (is_lagging && !is_reset && replica_lag(replica) == CHANNEL_RESUME) {
        slab_free_text(notice.greet, notice.greet_len);
        exchange_abort(cursor->stream->exchange, END_SLOW);
        return false;
    }
    bool was_aborted = cursor->stream->exchange->is_aborted;
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
    return was_aborted || !cursor->stream->exchange->is_aborted;
}

/// Takes the notice out of the cursor. The caller must free the text of its greeting.
static struct notice take_notice(struct cursor *cursor)
{
    struct notice notice = {.reason = NOTICE_NONE};
    if (cursor->notice != NULL) {
        notice = *cursor->notice;
        slab_free(cursor->notice);
        cursor->notice = NULL;
    }
    notice.from = notice.reason == NOTICE_EXPIRED ? notice.from : NOTICE_FROM_UNKNOWN;
    return notice;
}

/// Tells the reader its place: by an event that has it as data too, when there is a greeting, or
/// else by an id alone.
static void say_place(struct cursor *cursor, struct bytes greet)
{
    bool is_greeted = greet.len > 0;
    struct buf *id = &cursor->subscriber.replica->local->scratch;
    buf_clear(id);
    if (!cursors_put_id(cursor->stream, id)) {
        abort_exchange(cursor);
        return;
    }
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
            forget_place(other); // this event's id names the place in that channel as well
        }
    }
}

static void forget_place(struct cursor *cursor)
{
    if (cursor->notice->greet != NULL) {
        cursor->notice->reason = NOTICE_NONE;
    } else {
        cursor_drop_notice(cursor);
    }
}

/// Writes the event `which`. `stream_send` cannot do this: it refuses once the stream is ending,
/// and what it writes counts for the limit of what may be pending.
static void say(struct cursor *cursor, enum channel_event which, const char *reason, uint64_t from)
{
    struct buf texts;
    struct buf id;
    struct sse_event event;
    struct notice_facts facts = {
        .reason = reason,
        .epoch = cursor->subscriber.replica->journal.epoch,
        .from = from,
        .to = cursor->subscriber.next - 1,
    };
    buf_init(&texts, INT32_MAX); // a script's
    buf_init(&id, cursors_id_size(cursor->stream));
    bool has_memory =
        notice_event(cursor->subscriber.replica, which, &facts, &texts, &event) == 0 &&
        cursors_put_id(cursor->stream, &id);
    if (has_memory) {
        event.has_id = true;
        event.id = buf_bytes(&id);
        put_event(cursor, event);
    } else {
        abort_exchange(cursor);
    }
    buf_reset(&texts);
    buf_reset(&id);
}

static void put_event(struct cursor *cursor, struct sse_event event)
{
    struct exchange *exchange = cursor->stream->exchange;
    struct buf *out = exchange_output(exchange);
    size_t len_before = buf_len(out);
    if (sse_encode_event(out, &event, exchange_is_chunked(exchange)) != 0) {
        abort_exchange(cursor);
        return;
    }
    exchange_wrote(exchange, buf_len(out) - len_before);
}

/// There is no memory for a notice. A reader that was not told must not go on, so its exchange
/// ends.
static void abort_exchange(struct cursor *cursor)
{
    exchange_abort(cursor->stream->exchange, END_FAILED);
}

static void put_facts(const struct replica *replica, const struct notice_facts *facts,
                      struct buf *out)
{
    char number[DECIMAL_LEN_MAX];
    bool is_known = facts->from != NOTICE_FROM_UNKNOWN;
    DCHECK(!is_known || facts->from <= facts->to); // a notice never moves a reader back
    put(out, BYTES("{\"channel\":"));
    put_string(bytes_from_string(replica_name(replica)), out);
    put(out, BYTES(",\"reason\":\""));
    put(out, bytes_from_string(facts->reason));
    put(out, BYTES("\",\"from\":"));
    put_id((struct event_id){facts->epoch, facts->from}, out);
    put(out, BYTES(",\"to\":"));
    put_id((struct event_id){facts->epoch, facts->to}, out);
    put(out, BYTES(",\"missed\":"));
    uint64_t missed = facts->to - facts->from;
    put(out, is_known ? bytes_of(number, decimal_write(missed, number)) : BYTES("null"));
    put(out, BYTES("}"));
}

static void put_id(struct event_id place, struct buf *out)
{
    char id[EVENT_ID_LEN_MAX];
    if (place.sequence == NOTICE_FROM_UNKNOWN) {
        put(out, BYTES("null"));
        return;
    }
    put(out, BYTES("\""));
    put(out, bytes_of(id, event_id_format(place, id)));
    put(out, BYTES("\""));
}

/// Appends `text` as a string of JSON (RFC 8259, section 7). It is a channel's name, which has no
/// control characters.
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
    CHECK(buf_append(out, bytes)); // there is room: `notice_event` has reserved it
}
