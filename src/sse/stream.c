// SPDX-License-Identifier: MIT
#include "sse/stream.h"

#include "http/conn.h"
#include "http/exchange.h"

#include <errno.h>

enum {
    PROBE_FIRST_MS = 10,
    PROBE_LAST_MS =
        1280, // after this pause, a peer that still answers only closed its sending side
};

static int settle(struct stream *stream, size_t len_before, int refusal);
static int check_room(struct stream *stream, size_t size);
static void on_timer(struct timer *timer);
static void begin_probe(struct stream *stream);
static void look_at_peer(struct stream *stream);
static void send_heartbeat(struct stream *stream);
static void arm_heartbeat(struct stream *stream);

int stream_open(struct stream *stream, struct exchange *exchange,
                const struct stream_options *options)
{
    *stream = (struct stream){.exchange = exchange, ._heartbeat_ms = options->heartbeat_ms};
    timer_init(&stream->_timer, conn_loop(exchange->conn), on_timer);
    if (exchange->response.state != RESPONSE_FRESH) {
        return -EALREADY;
    }
    exchange->response.is_stream = true;
    exchange->response.status = 200; // before the framing is chosen: 204 would have none
    int failure = exchange_begin(exchange);
    if (failure != 0) {
        return failure;
    }
    stream->is_open = true;
    failure = stream_comment(stream, BYTES(""));
    if (failure == 0 && options->has_retry) {
        failure = stream_retry(stream, options->retry_ms);
    }
    return failure;
}

void stream_deinit(struct stream *stream)
{
    timer_deinit(&stream->_timer);
    stream->is_open = false;
    stream->exchange = NULL;
}

int stream_send(struct stream *stream, const struct sse_event *event)
{
    int failure = check_room(stream, event->id.len + event->event.len + event->data.len);
    if (failure != 0) {
        return failure;
    }
    struct buf *out = exchange_output(stream->exchange);
    size_t len_before = buf_len(out);
    int refusal = sse_encode_event(out, event, exchange_is_chunked(stream->exchange));
    return settle(stream, len_before, refusal);
}

int stream_comment(struct stream *stream, struct bytes text)
{
    int failure = check_room(stream, text.len);
    if (failure != 0) {
        return failure;
    }
    struct buf *out = exchange_output(stream->exchange);
    size_t len_before = buf_len(out);
    int refusal = sse_encode_comment(out, text, exchange_is_chunked(stream->exchange));
    return settle(stream, len_before, refusal);
}

int stream_retry(struct stream *stream, uint64_t retry_ms)
{
    int failure = check_room(stream, 0);
    if (failure != 0) {
        return failure;
    }
    struct buf *out = exchange_output(stream->exchange);
    size_t len_before = buf_len(out);
    int refusal = sse_encode_retry(out, retry_ms, exchange_is_chunked(stream->exchange));
    return settle(stream, len_before, refusal);
}

void stream_end(struct stream *stream)
{
    if (stream->is_open) {
        stream->is_open = false;
        timer_disarm(&stream->_timer);
        IGNORE(exchange_finish(stream->exchange)); // fails only when it is doomed, and ends anyway
    }
}

void stream_probe(struct stream *stream)
{
    if (!stream->is_open) {
        return;
    }
    stream->_has_peer_ended = true;
    begin_probe(stream);
    IGNORE(stream_comment(stream, BYTES(""))); // a peer that is gone answers it with a reset
}

static int settle(struct stream *stream, size_t len_before, int refusal)
{
    if (refusal != 0) {
        return refusal;
    }
    exchange_wrote(stream->exchange, buf_len(exchange_output(stream->exchange)) - len_before);
    if (stream->_probe_ms != 0) {
        return 0;
    }
    if (stream->_has_peer_ended) {
        begin_probe(stream);
    } else {
        arm_heartbeat(stream);
    }
    return 0;
}

/// A queue over its ceiling means that the peer does not read and that the senders do not wait.
static int check_room(struct stream *stream, size_t size)
{
    if (!stream->is_open || stream->exchange->is_doomed) {
        return -ECANCELED;
    }
    uint64_t bytes_max = conn_limits(stream->exchange->conn)->stream_max_bytes;
    if (size > bytes_max) {
        return -EMSGSIZE;
    }
    if (exchange_pending_bytes(stream->exchange) + size > bytes_max) {
        exchange_abort(stream->exchange, EXCHANGE_SLOW);
        return -ENOBUFS;
    }
    return 0;
}

static void on_timer(struct timer *timer)
{
    struct stream *stream = CONTAINER_OF(timer, struct stream, _timer);
    if (stream->_probe_ms != 0) {
        look_at_peer(stream);
    } else {
        send_heartbeat(stream);
    }
}

static void begin_probe(struct stream *stream)
{
    stream->_probe_ms = PROBE_FIRST_MS;
    timer_arm(&stream->_timer, stream->_probe_ms);
}

static void look_at_peer(struct stream *stream)
{
    if (exchange_peer_is_gone(stream->exchange)) {
        exchange_abort(stream->exchange, EXCHANGE_LEFT);
        return;
    }
    stream->_probe_ms *= 2;
    if (stream->_probe_ms > PROBE_LAST_MS) {
        stream->_probe_ms = 0;
        arm_heartbeat(stream);
        return;
    }
    timer_arm(&stream->_timer, stream->_probe_ms);
}

/// A slow peer has enough to read; it is not sent more to keep it awake.
static void send_heartbeat(struct stream *stream)
{
    if (exchange_pending_bytes(stream->exchange) > 0) {
        arm_heartbeat(stream);
    } else {
        IGNORE(stream_comment(stream, BYTES(""))); // cannot fail with an empty queue
    }
}

static void arm_heartbeat(struct stream *stream)
{
    if (stream->_heartbeat_ms > 0) {
        timer_arm(&stream->_timer, stream->_heartbeat_ms);
    }
}
