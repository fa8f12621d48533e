// SPDX-License-Identifier: MIT
//
// A stream is a place where three things meet: events of its own, which scripts send; frames of its
// channels, which others publish; and the end of the turn, when both go out.
//
// An event of its own is encoded straight into the connection's output, if nothing stands before
// it. If frames do that it has yet to send, the event goes to the backlog, with a mark that says
// behind which frame it comes (`begin`, `commit`). So the reader sees both in the order in which
// they were made. For the same reason everything that another worker has published by now is taken
// over before an event is sent (`look_for_frames`).
//
// Frames need nothing of this file until the replica wakes a cursor (`on_advance`), or the exchange
// says that the turn ends (`on_flush`). Both come to `flush`, which lets flush.c write, and then
// does what follows when all is out: a stream that is ending ends, and one whose channels have all
// ended does too.
#include "sse/stream.h"

#include "base/counters.h"
#include "base/limits.h"
#include "base/slab.h"
#include "http/service.h"
#include "hub/local_hub.h"
#include "hub/replica.h"
#include "net/loop.h"
#include "sse/backlog.h"
#include "sse/flush.h"

#include <errno.h>

/// The pauses between the probes of a peer that has closed its sending side. The last one is sent
/// 3 s after that; from then on the heartbeats serve as probes.
static const uint16_t probe_pauses_ms[] = {100, 200, 700, 2000};

static_assert((int)END_RELOADED < (int)COUNTERS_REASONS_MAX, "each reason to end is counted");

enum { PROBE_PAUSE_COUNT = sizeof(probe_pauses_ms) / sizeof(probe_pauses_ms[0]) };

/// Where an event of the stream's own is written.
struct sending {
    struct buf *out;
    size_t len_before;
    size_t size; // by `commit`
};

static bool count_open(void *user, struct exchange *exchange);
static bool on_flush(struct exchange *exchange);
static enum subscriber_progress on_advance(struct subscriber *subscriber);
static enum subscriber_progress flush(struct stream *stream);
static void end_what_is_out(struct stream *stream);
static void finish(struct stream *stream);
static void on_room(struct exchange *exchange);
static void on_peer_ended(struct exchange *exchange);
static void on_done(struct exchange *exchange, enum end_reason reason);
static size_t event_size(const struct sse_event *event);
static int begin(struct stream *stream, size_t size, struct sending *sending);
static int commit(struct stream *stream, struct sending *sending, int refusal);
static void mark(struct stream *stream, size_t size);
static void look_for_frames(const struct stream *stream);
static bool has_backlog(const struct stream *stream);
static size_t own_bytes(const struct stream *stream);
static uint64_t newest_stamp(const struct stream *stream);
static bool is_working(const struct stream *stream);
static void probe(struct stream *stream);
static void on_probe_timer(struct timer *timer);
static void end_probe(struct stream *stream);

static const struct exchange_events events = {
    .flush = on_flush,
    .on_room = on_room,
    .on_peer_ended = on_peer_ended,
    .on_done = on_done,
};

static const struct subscriber_ops cursor_ops = {.advance = on_advance};

struct stream *stream_open(struct exchange *exchange, const struct stream_options *options,
                           int *failure)
{
    OWNED(&exchange_loop(exchange)->owner);
    *failure = exchange->is_head ? -EINVAL : 0;
    if (*failure == 0 && exchange->response.state != RESPONSE_FRESH) {
        *failure = -EALREADY;
    }
    if (*failure == 0 && exchange->is_aborted) {
        *failure = -ECANCELED;
    }
    if (*failure != 0) {
        return NULL;
    }
    struct stream *stream = slab_new(struct stream);
    exchange->response.is_stream = true;
    exchange->response.status = 200;  // set before the framing is chosen: 204 has no content
    IGNORE(exchange_begin(exchange)); // it is fresh
    stream->exchange = exchange;
    stream->is_open = true;
    count_up(COUNT_STREAMS_OPENED, 1);
    exchange->events = &events;
    exchange->holder = stream;
    if (options->heartbeat_ms > 0) {
        heartbeat_start(&stream->_heartbeat, options->heartbeats, options->heartbeat_ms);
    }
    IGNORE(stream_comment(stream, BYTES(""))); // cannot be refused: nothing is pending
    if (options->has_retry) {
        IGNORE(stream_retry(stream, options->retry_ms));
    }
    DEBUG_CALL(stream_check(stream));
    return stream;
}

struct stream *stream_of_exchange(const struct exchange *exchange)
{
    return exchange->events == &events ? exchange->holder : NULL;
}

void stream_beat(struct heartbeat *heartbeat)
{
    probe(CONTAINER_OF(heartbeat, struct stream, _heartbeat));
}

int stream_send(struct stream *stream, const struct sse_event *event)
{
    struct sending sending;
    int failure = begin(stream, event_size(event), &sending);
    if (failure != 0) {
        return failure;
    }
    bool is_chunked = exchange_is_chunked(stream->exchange);
    failure = commit(stream, &sending, sse_encode_event(sending.out, event, is_chunked));
    if (failure == 0) {
        count_up(COUNT_EVENTS_SENT, 1);
        count_up(COUNT_EVENT_BYTES, sending.size);
    }
    return failure;
}

int stream_try_send(struct stream *stream, const struct sse_event *event)
{
    uint64_t bytes_max = exchange_limits(stream->exchange)->stream.max_bytes;
    size_t size = event_size(event);
    bool has_room = own_bytes(stream) + size <= bytes_max && !stream_is_over(stream);
    bool is_sendable = is_working(stream) && size <= bytes_max;
    return is_sendable && !has_room ? -EAGAIN : stream_send(stream, event);
}

int stream_comment(struct stream *stream, struct bytes text)
{
    struct sending sending;
    int failure = begin(stream, text.len, &sending);
    if (failure != 0) {
        return failure;
    }
    bool is_chunked = exchange_is_chunked(stream->exchange);
    return commit(stream, &sending, sse_encode_comment(sending.out, text, is_chunked));
}

int stream_retry(struct stream *stream, uint64_t retry_ms)
{
    struct sending sending;
    int failure = begin(stream, 0, &sending);
    if (failure != 0) {
        return failure;
    }
    bool is_chunked = exchange_is_chunked(stream->exchange);
    return commit(stream, &sending, sse_encode_retry(sending.out, retry_ms, is_chunked));
}

int stream_subscribe(struct stream *stream, struct replica *replica,
                     const struct stream_start *start)
{
    uint64_t count;
    DEBUG_CALL(stream_check(stream));
    if (!is_working(stream) || replica->state == CHANNEL_CLOSED) {
        return -ECANCELED;
    }
    if (cursor_find(stream, replica, &count) != NULL) {
        return -EALREADY;
    }
    if (count >= exchange_limits(stream->exchange)->stream.channels) {
        limit_met("stream_channels", count);
        return -E2BIG;
    }
    const struct cursor *cursor = cursor_add(stream, replica, &cursor_ops, start);
    if (cursor_is_behind(cursor)) {
        exchange_wants_flush(stream->exchange);
    }
    DEBUG_CALL(stream_check(stream));
    return 0;
}

bool stream_unsubscribe(struct stream *stream, struct replica *replica)
{
    uint64_t count;
    struct cursor *cursor = cursor_find(stream, replica, &count);
    DEBUG_CALL(stream_check(stream));
    if (cursor != NULL) {
        cursor_part(cursor);
    }
    DEBUG_CALL(stream_check(stream));
    return cursor != NULL;
}

/// The `retry:` is sent while the stream is still open. If it is one event too many for a slow
/// reader, the exchange is aborted as slow, and that reason counts.
void stream_end(struct stream *stream, enum end_reason reason, uint64_t retry_ms)
{
    struct stream_holder *holder = stream->holder;
    DEBUG_CALL(stream_check(stream));
    if (!stream->is_open) {
        return;
    }
    if (retry_ms != STREAM_NO_RETRY) {
        IGNORE(stream_retry(stream, retry_ms));
    }
    if (!stream->exchange->is_aborted) {
        stream->exchange->end_reason = (uint8_t)reason; // `finish` looks at it
    }
    look_for_frames(stream);
    stream->is_open = false;
    heartbeat_stop(&stream->_heartbeat);
    if (has_backlog(stream)) {
        struct backlog *backlog = backlog_of(stream);
        backlog->end_stamp = newest_stamp(stream);
        backlog->is_ending = true;
        exchange_wants_flush(stream->exchange);
    } else {
        finish(stream);
    }
    DEBUG_CALL(stream_check(stream));
    if (reason == END_SHUTDOWN && holder != NULL) {
        holder->events->on_ended(holder);
    }
}

bool stream_may_complete(const struct stream *stream, uint64_t until_ms)
{
    const struct stream_holder *holder = stream->holder;
    return !stream_is_subscribed(stream) && holder != NULL &&
           holder->events->is_at_work(holder, until_ms);
}

size_t streams_count(const struct service *service)
{
    size_t count = 0;
    service_each_exchange(service, count_open, &count);
    return count;
}

size_t stream_pending_bytes(const struct stream *stream)
{
    uint64_t pending = own_bytes(stream);
    if (stream->_backlog != NULL) {
        pending += stream->_backlog->rest.len;
    }
    for (const struct cursor *cursor = stream->_cursors; cursor != NULL; cursor = cursor->after) {
        pending +=
            journal_bytes_from(&cursor->subscriber.replica->journal, cursor->subscriber.next);
    }
    return pending;
}

bool stream_is_over(const struct stream *stream)
{
    return own_bytes(stream) > exchange_limits(stream->exchange)->stream.high_bytes;
}

void stream_probe(struct stream *stream)
{
    DEBUG_CALL(stream_check(stream));
    if (!stream->is_open || stream->_probe != NULL) {
        return;
    }
    stream->_probe = slab_new(struct probe);
    stream->_probe->stream = stream;
    timer_init(&stream->_probe->timer, &exchange_loop(stream->exchange)->timers, on_probe_timer);
    timer_arm(&stream->_probe->timer, probe_pauses_ms[0]);
    probe(stream);
    DEBUG_CALL(stream_check(stream));
}

void stream_check(const struct stream *stream)
{
    const struct backlog *backlog = stream->_backlog;
    const struct exchange *exchange = stream->exchange;
    bool is_ending = backlog_is_ending(backlog);
    bool is_over = !stream->is_open && !is_ending;
    OWNED(&exchange_loop(exchange)->owner);
    CHECK(exchange->events == &events && exchange->holder == stream);
    CHECK(exchange->response.is_stream && exchange->response.state != RESPONSE_FRESH);
    CHECK(!(stream->is_open && is_ending));
    CHECK(stream->is_open || stream->_heartbeat._pulse == NULL);
    CHECK(!is_over || (stream->_cursors == NULL && stream->_departures == NULL));
    CHECK(!is_over || (backlog == NULL && stream->_probe == NULL));
    CHECK(stream->_probe == NULL || stream->_probe->stream == stream);
    if (backlog != NULL && !exchange->is_aborted) { // without memory a mark may be missing
        backlog_check(backlog);
    }
    for (const struct cursor *cursor = stream->_cursors; cursor != NULL; cursor = cursor->after) {
        CHECK(cursor->stream == stream);
        cursor_check(cursor);
    }
}

static bool count_open(void *user, struct exchange *exchange)
{
    const struct stream *stream = stream_of_exchange(exchange);
    size_t *count = user;
    *count += stream != NULL && stream->is_open;
    return true;
}

static bool on_flush(struct exchange *exchange)
{
    struct stream *stream = exchange->holder;
    return flush(stream) == SUBSCRIBER_DONE && !exchange_is_blocked(exchange) &&
           exchange_pending_bytes(exchange) == 0;
}

/// The replica has woken a cursor. If the kernel takes nothing now, the socket will wake the stream
/// later; but a reader that its channel wants disconnected for lagging is disconnected at once,
/// because its socket may never wake it.
static enum subscriber_progress on_advance(struct subscriber *subscriber)
{
    struct cursor *cursor = CONTAINER_OF(subscriber, struct cursor, subscriber);
    struct stream *stream = cursor->stream;
    if (!exchange_is_blocked(stream->exchange)) {
        enum subscriber_progress progress = flush(stream);
        return stream->_cursors == NULL ? SUBSCRIBER_DONE : progress; // a freed cursor is done
    }
    bool is_lagging =
        cursor_is_lagging(cursor) && !replica_is_of_before(subscriber->replica, subscriber->next);
    if (is_lagging && replica_lag(subscriber->replica) == CHANNEL_RESUME) {
        count_up(COUNT_LAGGED, !stream->exchange->is_aborted);
        exchange_abort(stream->exchange, END_SLOW);
    }
    return SUBSCRIBER_DONE;
}

/// Writes until all is out or the kernel takes no more. What ends then may add the last chunk to
/// the output, which has to leave too.
static enum subscriber_progress flush(struct stream *stream)
{
    enum flush_result result;
    while ((result = flush_write(stream)) == FLUSH_OUT) {
        end_what_is_out(stream);
        if (exchange_pending_bytes(stream->exchange) == 0) {
            break;
        }
    }
    DEBUG_CALL(stream_check(stream));
    return result == FLUSH_MORE ? SUBSCRIBER_MORE : SUBSCRIBER_DONE;
}

/// Called when the kernel has everything that the stream had to send. Finishes a stream that is
/// ending, leaves channels that have ended, and ends a stream that has left its last one.
static void end_what_is_out(struct stream *stream)
{
    if (backlog_is_ending(stream->_backlog)) {
        finish(stream);
        return;
    }
    backlog_free_empty(stream);
    if (cursors_leave_ended(stream)) {
        stream_end(stream, END_FINISHED, STREAM_NO_RETRY); // its last channel has ended
    }
}

/// Ends the response, complete or cut as `stream_end` was told. The backlog is out. A stream that
/// the server ends is complete all the same if it has read all its channels to their ends: there is
/// nothing to come back for.
static void finish(struct stream *stream)
{
    struct exchange *exchange = stream->exchange;
    bool is_the_servers =
        exchange->end_reason == END_SHUTDOWN || exchange->end_reason == END_RELOADED;
    DCHECK(!stream->is_open);
    if (is_the_servers && cursors_have_ended(stream)) {
        exchange->end_reason = END_FINISHED;
    }
    heartbeat_stop(&stream->_heartbeat);
    end_probe(stream);
    cursors_leave(stream);
    backlog_drop(stream);
    if (exchange->end_reason == END_FINISHED) {
        IGNORE(exchange_finish(exchange)); // fails only when it is aborted, and ends anyway
    } else {
        exchange_cut(exchange, (enum end_reason)exchange->end_reason);
    }
}

static void on_room(struct exchange *exchange)
{
    struct stream *stream = exchange->holder;
    if (stream->holder != NULL) {
        stream->holder->events->on_room(stream->holder);
    }
}

static void on_peer_ended(struct exchange *exchange)
{
    struct stream *stream = exchange->holder;
    stream_probe(stream);
    if (stream->holder != NULL) {
        stream->holder->events->on_peer_ended(stream->holder);
    }
}

static void on_done(struct exchange *exchange, enum end_reason reason)
{
    struct stream *stream = exchange->holder;
    struct stream_holder *holder = stream->holder;
    DEBUG_CALL(stream_check(stream));
    exchange->events = NULL;
    exchange->holder = NULL;
    heartbeat_stop(&stream->_heartbeat);
    end_probe(stream);
    cursors_leave(stream);
    backlog_drop(stream);
    slab_free(stream);
    counters_add(&counters_here->closed[reason], 1);
    if (holder != NULL) {
        holder->events->on_done(holder, reason);
    }
}

/// Returns the size of the event's texts before they are encoded.
static size_t event_size(const struct sse_event *event)
{
    return event->id.len + event->event.len + event->data.len;
}

/// Finds where an event of the stream's own is to be written. If more than `stream_max_bytes` would
/// be pending, the peer does not read and the sender does not wait, so the stream is reset.
static int begin(struct stream *stream, size_t size, struct sending *sending)
{
    DEBUG_CALL(stream_check(stream));
    if (!is_working(stream)) {
        return -ECANCELED;
    }
    look_for_frames(stream);
    uint64_t bytes_max = exchange_limits(stream->exchange)->stream.max_bytes;
    if (size > bytes_max) {
        limit_met("stream_max_bytes", bytes_max);
        return -EMSGSIZE;
    }
    if (own_bytes(stream) + size > bytes_max) {
        limit_met("stream_max_bytes", bytes_max);
        exchange_abort(stream->exchange, END_SLOW);
        return -ENOBUFS;
    }
    sending->out =
        has_backlog(stream) ? &backlog_of(stream)->own : exchange_output(stream->exchange);
    sending->len_before = buf_len(sending->out);
    return 0;
}

/// Ends what `begin` began: the event was written, or the encoder refused it and wrote nothing.
static int commit(struct stream *stream, struct sending *sending, int refusal)
{
    size_t size = buf_len(sending->out) - sending->len_before;
    sending->size = size;
    DCHECK(refusal == 0 || size == 0);
    if (refusal != 0) {
        backlog_free_empty(stream);
    } else if (has_backlog(stream)) {
        mark(stream, size);
    } else {
        exchange_wrote(stream->exchange, size);
    }
    return refusal;
}

/// Marks the last `size` bytes of the backlog's `own` as coming behind every frame published so
/// far.
static void mark(struct stream *stream, size_t size)
{
    struct backlog *backlog = stream->_backlog;
    if (!backlog_mark(backlog, newest_stamp(stream), size)) {
        exchange_abort(stream->exchange, END_SLOW); // no memory for what the peer did not take
    }
    backlog_count(backlog);
    exchange_wants_flush(stream->exchange);
}

/// Takes over what other workers have published by now, so that those frames precede the next
/// event.
static void look_for_frames(const struct stream *stream)
{
    if (stream->_cursors != NULL) {
        local_hub_sync(stream->_cursors->subscriber.replica->local);
    }
}

static bool has_backlog(const struct stream *stream)
{
    bool is_behind = stream->_backlog != NULL;
    for (const struct cursor *cursor = stream->_cursors; cursor != NULL && !is_behind;
         cursor = cursor->after) {
        is_behind = cursor_is_behind(cursor);
    }
    return is_behind;
}

static size_t own_bytes(const struct stream *stream)
{
    size_t behind = stream->_backlog == NULL ? 0 : buf_len(&stream->_backlog->own);
    return exchange_pending_bytes(stream->exchange) + behind;
}

/// The stamp of the newest event of the hub that this worker knows of; 0 for a stream without a
/// channel, which has nothing to put in order.
static uint64_t newest_stamp(const struct stream *stream)
{
    return stream->_cursors == NULL ? 0 : stream->_cursors->subscriber.replica->local->stamp;
}

static bool is_working(const struct stream *stream)
{
    return stream->is_open && !stream->exchange->is_aborted;
}

/// Sends a comment. The system of a peer that is gone answers it with a reset, which the transport
/// reports. If output is pending, no comment is sent: that output finds out the same, and a slow
/// peer must not be sent more.
static void probe(struct stream *stream)
{
    if (own_bytes(stream) == 0 && !exchange_is_blocked(stream->exchange)) {
        IGNORE(stream_comment(stream, BYTES(""))); // cannot fail with an empty queue
    }
}

static void on_probe_timer(struct timer *timer)
{
    struct probe *probing = CONTAINER_OF(timer, struct probe, timer);
    struct stream *stream = probing->stream;
    probing->sent_count++;
    DCHECK(probing->sent_count <= PROBE_PAUSE_COUNT);
    if (probing->sent_count == PROBE_PAUSE_COUNT) {
        end_probe(stream);
    } else {
        timer_arm(&probing->timer, probe_pauses_ms[probing->sent_count]);
    }
    probe(stream);
}

static void end_probe(struct stream *stream)
{
    if (stream->_probe != NULL) {
        timer_deinit(&stream->_probe->timer);
        slab_free(stream->_probe);
        stream->_probe = NULL;
    }
}
