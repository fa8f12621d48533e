// SPDX-License-Identifier: MIT
#include "base/counters.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/slab.h"
#include "http/service.h"
#include "hub/local_hub.h"
#include "sse/stream_parts.h"

#include <errno.h>

/// Between the questions to a peer that has closed its sending side: the last one is asked 3 s
/// after that. Later it is the heartbeat that asks.
static const uint16_t probe_pauses_ms[] = {100, 200, 700, 2000};

enum { PROBE_PAUSE_COUNT = sizeof(probe_pauses_ms) / sizeof(probe_pauses_ms[0]) };

/// Where an event of the stream's own is written.
struct sending {
    struct buf *out;
    size_t len_before;
    size_t size; // by `commit`
};

static bool count_open(void *user, struct exchange *exchange);
static bool on_flush(struct exchange *exchange);
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
static void ask(struct stream *stream);
static void on_probe_timer(struct timer *timer);
static void end_probe(struct stream *stream);

static const struct exchange_events events = {
    .flush = on_flush,
    .on_room = on_room,
    .on_peer_ended = on_peer_ended,
    .on_done = on_done,
};

struct stream *stream_open(struct exchange *exchange, const struct stream_options *options,
                           int *failure)
{
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
    exchange->response.status = 200;  // before the framing is chosen: 204 would have none
    IGNORE(exchange_begin(exchange)); // it is fresh
    stream->exchange = exchange;
    stream->is_open = true;
    count_up(COUNT_STREAMS_OPENED, 1);
    exchange->events = &events;
    exchange->holder = stream;
    if (options->heartbeat_ms > 0) {
        heartbeat_start(&stream->_heartbeat, options->heartbeats, options->heartbeat_ms);
    }
    IGNORE(stream_comment(stream, BYTES(""))); // the queue is empty
    if (options->has_retry) {
        IGNORE(stream_retry(stream, options->retry_ms));
    }
    return stream;
}

struct stream *stream_of_exchange(const struct exchange *exchange)
{
    return exchange->events == &events ? exchange->holder : NULL;
}

void stream_beat(struct heartbeat *heartbeat)
{
    ask(CONTAINER_OF(heartbeat, struct stream, _heartbeat));
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
    uint64_t bytes_max = exchange_limits(stream->exchange)->stream_max_bytes;
    size_t size = event_size(event);
    bool has_room = own_bytes(stream) + size <= bytes_max && !stream_is_over(stream);
    bool is_sendable = stream->is_open && !stream->exchange->is_aborted && size <= bytes_max;
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

void stream_end(struct stream *stream)
{
    if (!stream->is_open) {
        return;
    }
    look_for_frames(stream);
    stream->is_open = false;
    heartbeat_stop(&stream->_heartbeat);
    if (has_backlog(stream)) {
        stream_backlog(stream)->end_stamp = newest_stamp(stream);
        stream->_is_ending = true;
        exchange_wants_flush(stream->exchange);
    } else {
        stream_finish(stream);
    }
}

void stream_cut(struct stream *stream, enum end_reason reason)
{
    if (stream->is_open && !stream->exchange->is_aborted) {
        stream->exchange->end_reason = (uint8_t)reason; // `stream_finish` looks at it
    }
    stream_end(stream);
}

bool stream_may_complete(const struct stream *stream, uint64_t until_ms)
{
    const struct stream_holder *holder = stream->holder;
    return !stream_is_subscribed(stream) && holder != NULL &&
           holder->events->is_at_work(holder, until_ms);
}

void stream_dismiss(struct stream *stream, uint64_t retry_ms)
{
    struct stream_holder *holder = stream->holder;
    IGNORE(stream_retry(stream, retry_ms)); // a reader that it is too much for is being reset
    stream_cut(stream, END_SHUTDOWN);
    if (holder != NULL) {
        holder->events->on_dismissed(holder);
    }
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
    return own_bytes(stream) > exchange_limits(stream->exchange)->stream_high_bytes;
}

void stream_probe(struct stream *stream)
{
    if (!stream->is_open || stream->_probe != NULL) {
        return;
    }
    stream->_probe = slab_new(struct stream_probe);
    stream->_probe->stream = stream;
    timer_init(&stream->_probe->timer, &exchange_loop(stream->exchange)->timers, on_probe_timer);
    timer_arm(&stream->_probe->timer, probe_pauses_ms[0]);
    ask(stream);
}

struct stream_backlog *stream_backlog(struct stream *stream)
{
    if (stream->_backlog == NULL) {
        stream->_backlog = mem_new(struct stream_backlog);
        buf_init(&stream->_backlog->own, SIZE_MAX); // `begin` holds it to the limit
        buf_init(&stream->_backlog->marks, SIZE_MAX);
    }
    return stream->_backlog;
}

void stream_note_pending(struct stream_backlog *backlog)
{
    size_t bytes = backlog->rest.len + buf_len(&backlog->own);
    count_up(COUNT_PENDING_BYTES, bytes - backlog->counted_bytes);
    backlog->counted_bytes = bytes;
}

void stream_drop_backlog(struct stream *stream)
{
    struct stream_backlog *backlog = stream->_backlog;
    if (backlog != NULL) {
        stream_note_pending(backlog);
    }
    if (backlog != NULL && backlog->rest.len == 0 && buf_is_empty(&backlog->own) &&
        !stream->_is_ending) {
        block_release(backlog->rest_block);
        buf_reset(&backlog->own);
        buf_reset(&backlog->marks);
        mem_free(backlog);
        stream->_backlog = NULL;
    }
}

void stream_finish(struct stream *stream)
{
    stream->is_open = false;
    stream->_is_ending = false;
    heartbeat_stop(&stream->_heartbeat);
    end_probe(stream);
    cursors_leave(stream);
    stream_drop_backlog(stream);
    struct exchange *exchange = stream->exchange;
    if (exchange->end_reason == END_FINISHED) {
        IGNORE(exchange_finish(exchange)); // fails only when it is aborted, and ends anyway
    } else {
        exchange_cut(exchange, (enum end_reason)exchange->end_reason);
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
    return stream_flush(stream) == SUBSCRIBER_DONE && !exchange_is_blocked(exchange) &&
           exchange_pending_bytes(exchange) == 0;
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
    exchange->events = NULL;
    exchange->holder = NULL;
    heartbeat_stop(&stream->_heartbeat);
    end_probe(stream);
    cursors_leave(stream);
    if (stream->_backlog != NULL) {
        stream->_is_ending = false;
        stream->_backlog->rest.len = 0;
        buf_reset(&stream->_backlog->own);
        stream_drop_backlog(stream);
    }
    slab_free(stream);
    counters_add(&counters_here->closed[reason], 1);
    if (holder != NULL) {
        holder->events->on_done(holder, reason);
    }
}

/// Before it is encoded.
static size_t event_size(const struct sse_event *event)
{
    return event->id.len + event->event.len + event->data.len;
}

/// A queue over its ceiling means that the peer does not read and that the senders do not wait.
static int begin(struct stream *stream, size_t size, struct sending *sending)
{
    if (!stream->is_open || stream->exchange->is_aborted) {
        return -ECANCELED;
    }
    look_for_frames(stream);
    uint64_t bytes_max = exchange_limits(stream->exchange)->stream_max_bytes;
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
        has_backlog(stream) ? &stream_backlog(stream)->own : exchange_output(stream->exchange);
    sending->len_before = buf_len(sending->out);
    return 0;
}

static int commit(struct stream *stream, struct sending *sending, int refusal)
{
    size_t size = buf_len(sending->out) - sending->len_before;
    sending->size = size;
    if (refusal != 0) {
        stream_drop_backlog(stream);
    } else if (has_backlog(stream)) {
        mark(stream, size);
    } else {
        exchange_wrote(stream->exchange, size);
    }
    return refusal;
}

/// Behind everything that was published so far.
static void mark(struct stream *stream, size_t size)
{
    struct stream_backlog *backlog = stream->_backlog;
    struct stream_mark mark = {.stamp = newest_stamp(stream), .size = size};
    struct bytes bytes = bytes_of((const char *)&mark, sizeof(mark));
    if (!buf_append(&backlog->marks, bytes)) {
        exchange_abort(stream->exchange, END_SLOW); // no memory for what the peer did not take
    }
    stream_note_pending(backlog);
    exchange_wants_flush(stream->exchange);
}

/// What another worker has published before comes before whatever is said now.
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

/// Without a channel nothing is published that could come first.
static uint64_t newest_stamp(const struct stream *stream)
{
    return stream->_cursors == NULL ? 0 : stream->_cursors->subscriber.replica->local->stamp;
}

/// Sends a comment: a peer that is gone answers it with a reset, which the transport reports. A
/// peer that does not take what is there already is not sent more.
static void ask(struct stream *stream)
{
    if (own_bytes(stream) == 0 && !exchange_is_blocked(stream->exchange)) {
        IGNORE(stream_comment(stream, BYTES(""))); // cannot fail with an empty queue
    }
}

static void on_probe_timer(struct timer *timer)
{
    struct stream_probe *probe = CONTAINER_OF(timer, struct stream_probe, timer);
    struct stream *stream = probe->stream;
    probe->asked_count++;
    if (probe->asked_count == PROBE_PAUSE_COUNT) {
        end_probe(stream);
    } else {
        timer_arm(&probe->timer, probe_pauses_ms[probe->asked_count]);
    }
    ask(stream);
}

static void end_probe(struct stream *stream)
{
    if (stream->_probe != NULL) {
        timer_deinit(&stream->_probe->timer);
        slab_free(stream->_probe);
        stream->_probe = NULL;
    }
}
