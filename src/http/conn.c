// SPDX-License-Identifier: MIT
//
// The life of a connection. The transport calls: `on_bytes` gives what came to input.c, which makes
// exchanges of it. Whatever an exchange is asked to do ends in `conn_wake`; at the end of the turn
// `on_turn_end` sends the output, or lets the holder flush, and when all of it is with the kernel
// looks at what the exchange wants next: its end and the next message, or room. One timer serves
// all deadlines, because each state has one.
#include "base/counters.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/slab.h"
#include "http/codecs.h"
#include "http/conn_carrier.h"
#include "http/conn_parts.h"
#include "http/exchange.h"
#include "http/http1.h"
#include "http/input.h"
#include "http/upload.h"
#include "net/timer.h"
#include "net/transport.h"

enum {
    IDLE_OUTPUT_BYTES = 1024, // kept for the next answer
    LINGER_MS = 2000,
    LINGER_DRAINING_MS = 100,
    LOOK_MS = 10, // between looks whether the peer has all that was sent before a reset
};

static_assert(LINGER_MS / LOOK_MS <= UINT8_MAX, "the looks of `reset_late` must fit");
static_assert(LINGER_DRAINING_MS >= LOOK_MS, "a drain must leave time for one look");

static void conn_open(struct codec *codec, struct transport *transport,
                      const struct socket_address *peer, bool is_over_limit);
static void drain(struct connection *connection);
static void close_connection(struct connection *connection, enum end_reason reason);
static bool each_exchange(struct connection *connection, codec_visit_fn visit, void *user);
static void free_codec(struct codec *codec);
static void conn_close(struct conn *conn, enum end_reason reason);
static void on_bytes(void *user, char *at, size_t len);
static void keep(struct conn *conn, char *at, size_t len);
static void on_end(void *user);
static void on_room(void *user);
static void on_failed(void *user, int failure);
static void on_closed(void *user);
static void on_turn_end(struct loop_job *job);
static void on_deadline(struct timer *timer);
static void note_pending(struct conn_work *work, size_t pending_bytes);
static void rest(struct conn *conn);
static bool settle_output(struct conn *conn);
static void settle_exchange(struct conn *conn);
static void end_exchange(struct conn *conn, enum end_reason reason);
static void next_message(struct conn *conn);
static bool ends_by_closing(const struct exchange *exchange);
static void linger(struct conn *conn);
static void reset_late(struct conn *conn);
static void on_answer_deadline(struct conn *conn);

static const struct connection_ops connection_ops = {
    .open = conn_open,
    .drain = drain,
    .close = close_connection,
    .each_exchange = each_exchange,
    .release = free_codec,
};

static const struct transport_events events = {
    .on_bytes = on_bytes,
    .on_end = on_end,
    .on_room = on_room,
    .on_failed = on_failed,
    .on_closed = on_closed,
};

void codecs_use_http1(struct service *service)
{
    struct conn_codec *codec = mem_new(struct conn_codec);
    CHECK(service->codec == NULL);
    codec->base.carrier_ops = &conn_carrier_ops;
    codec->base.body_ops = &conn_body_ops;
    codec->base.connection_ops = &connection_ops;
    codec->base.service = service;
    codec->on_turn_end = on_turn_end;
    codec->on_deadline = on_deadline;
    service->codec = &codec->base;
}

static void free_codec(struct codec *codec)
{
    struct conn_codec *own = CONTAINER_OF(codec, struct conn_codec, base);
    http1_free(own->spare_parser);
    mem_free(own);
}

static void conn_open(struct codec *codec, struct transport *transport,
                      const struct socket_address *peer, bool is_over_limit)
{
    struct conn *conn = slab_new(struct conn);
    conn->base.carrier.codec = codec;
    conn->transport = transport;
    conn->peer = peer_of(peer);
    conn->is_over_limit = is_over_limit;
    conn->is_first = true;
    service_add(codec->service, &conn->base);
    transport_bind(transport, &events, conn);
    timer_arm(&conn_work(conn)->timer, codec->service->limits->conn.head_timeout_ms);
    conn_set_reading(conn, true);
    DEBUG_CALL(conn_check(conn));
}

static void close_connection(struct connection *connection, enum end_reason reason)
{
    conn_close(CONTAINER_OF(connection, struct conn, base), reason);
}

static bool each_exchange(struct connection *connection, codec_visit_fn visit, void *user)
{
    const struct conn *conn = CONTAINER_OF(connection, struct conn, base);
    return conn->exchange == NULL || visit(user, conn->exchange);
}

/// Ends the exchange, if any, for `reason` and closes. Idempotent. *May call Lua.*
static void conn_close(struct conn *conn, enum end_reason reason)
{
    if (conn->state == CONN_CLOSED) {
        return;
    }
    bool is_reset =
        reason == END_SLOW || reason == END_TIMEOUT ||
        (conn->exchange != NULL && reason != END_FINISHED && ends_by_closing(conn->exchange)) ||
        (conn->_work != NULL && conn->_work->looks_left > 0);
    if (reason == END_TIMEOUT) { // our deadline passed, or the kernel's
        limit_met("peer_timeout", conn_service(conn)->limits->conn.peer_timeout_ms);
    }
    conn->state = CONN_CLOSED;
    end_exchange(conn, reason);
    rest(conn);
    if (is_reset) {
        transport_reset(conn->transport);
    } else {
        transport_close(conn->transport);
    }
    DEBUG_CALL(conn_check(conn));
}

static void drain(struct connection *connection)
{
    struct conn *conn = CONTAINER_OF(connection, struct conn, base);
    conn->is_last = true;
    if (conn->state == CONN_LINGER && conn->_work->looks_left == 0) {
        timer_arm(&conn->_work->timer, LINGER_DRAINING_MS);
    } else if (conn->state == CONN_HEAD && !conn->is_health_check &&
               !conn_work(conn)->input.has_partial_head && conn_pending_bytes(conn) == 0) {
        conn_close(conn, END_SHUTDOWN);
    }
}

static void on_bytes(void *user, char *at, size_t len)
{
    struct conn *conn = user;
    if (conn->state == CONN_LINGER) {
        return; // bytes are read and dropped: if they were not read, the kernel would send a reset
    }
    size_t skipped = input_skip(conn, len);
    at += skipped;
    len -= skipped;
    if (upload_has_more(conn)) {
        size_t taken = upload_feed(conn, at, len);
        at += taken;
        len -= taken;
    }
    if (len == 0) {
        return;
    }
    if (conn->state == CONN_ANSWER || !buf_is_empty(&conn_work(conn)->input.kept)) {
        keep(conn, at, len);
        input_feed_kept(conn);
        return;
    }
    size_t taken = input_feed(conn, at, len);
    if (conn->state != CONN_CLOSED && conn->state != CONN_LINGER) {
        keep(conn, at + taken, len - taken);
    }
    DEBUG_CALL(conn_check(conn));
}

static void keep(struct conn *conn, char *at, size_t len)
{
    if (!input_keep(conn, at, len)) {
        conn_close(conn, END_REFUSED);
    }
}

static void on_end(void *user)
{
    struct conn *conn = user;
    conn->has_ended = true;
    conn->is_reading = false;
    if (conn->state == CONN_LINGER) {
        conn_close(conn, END_FINISHED);
    } else if (conn->state == CONN_ANSWER) {
        upload_abort(conn);
        if (conn->exchange->events != NULL) {
            conn->exchange->events->on_peer_ended(conn->exchange);
        }
    } else if (conn->state == CONN_BODY) {
        input_refuse(conn, 400, "the body ended before its length (RFC 9112, 8)");
    } else if (conn_work(conn)->input.has_partial_head) {
        input_refuse_head(conn, 400, "the head ended before its empty line (RFC 9112, 8)");
    } else {
        conn_close(conn, END_LEFT);
    }
}

static void on_room(void *user)
{
    struct conn *conn = user;
    if (conn->exchange != NULL) {
        conn->exchange->is_blocked = false;
    }
    if (conn->state == CONN_ANSWER) {
        timer_disarm(&conn_work(conn)->timer); // the stall that `conn_watch_stall` watched is over
    }
    conn_wake(conn);
    DEBUG_CALL(conn_check(conn));
}

static void on_failed(void *user, int failure)
{
    conn_close(user, end_reason_of_failure(failure)); // whatever failed, the peer is gone
}

static void on_closed(void *user)
{
    struct conn *conn = user;
    CHECK(conn->state == CONN_CLOSED && conn->exchange == NULL && conn->_work == NULL);
    conn_set_health_check(conn, false);
    peer_free(conn->peer);
    service_forget(conn_service(conn), &conn->base);
    slab_free(conn);
}

/// Sends what is due, and then looks at what the exchange wants next. An aborted exchange is ended
/// here. Its output is sent first, unless it is aborted because the peer does not read.
static void on_turn_end(struct loop_job *job)
{
    struct conn *conn = CONTAINER_OF(job, struct conn_work, job)->conn;
    DEBUG_CALL(conn_check(conn));
    bool is_out = settle_output(conn);
    note_pending(conn->_work, conn_pending_bytes(conn));
    struct exchange *exchange = conn->exchange;
    if (exchange != NULL && exchange->is_aborted) {
        conn_close(conn, (enum end_reason)exchange->end_reason);
    } else if (is_out && conn->state == CONN_ANSWER) {
        settle_exchange(conn);
    }
}

static void note_pending(struct conn_work *work, size_t pending_bytes)
{
    if (work->counted_bytes != pending_bytes) {
        count_up(COUNT_PENDING_BYTES, pending_bytes - work->counted_bytes);
        work->counted_bytes = pending_bytes;
    }
}

/// Frees the work: the connection closes, or its stream has nothing of its own to say.
static void rest(struct conn *conn)
{
    struct conn_work *work = conn->_work;
    if (work == NULL) {
        return;
    }
    note_pending(work, 0);
    upload_finish(conn);
    input_give_parser_back(conn);
    timer_deinit(&work->timer);
    loop_job_cancel(&work->job);
    buf_reset(&work->input.kept);
    buf_reset(&work->output);
    slab_free(work);
    conn->_work = NULL;
}

/// Whether there is an exchange and all output is with the kernel. May abort the exchange. Without
/// an exchange there is no output.
static bool settle_output(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    if (exchange == NULL || exchange->is_blocked ||
        (exchange->is_aborted && exchange->end_reason == END_SLOW)) {
        return false;
    }
    if (exchange->events != NULL && exchange->events->flush != NULL) {
        return exchange->events->flush(exchange);
    }
    if (conn_pending_bytes(conn) > 0) {
        IGNORE(exchange_deliver(exchange, NULL, 0)); // there are no pieces to count
    }
    return !exchange->is_blocked;
}

/// Called when all output is with the kernel. If the response has ended, ends the exchange. If the
/// holder awaits room, tells it. Otherwise frees the work of a stream.
static void settle_exchange(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    DCHECK(conn->state == CONN_ANSWER && conn_pending_bytes(conn) == 0);
    if (exchange->response.state == RESPONSE_ENDED) {
        upload_finish(conn);
        bool is_last = conn_is_last(conn) || exchange->wants_close;
        bool is_reset = exchange->end_reason != END_FINISHED && ends_by_closing(exchange);
        end_exchange(conn, (enum end_reason)exchange->end_reason);
        if (is_reset) {
            reset_late(conn);
        } else if (is_last) {
            linger(conn);
        } else {
            next_message(conn);
        }
    } else if (exchange->awaits_room) {
        exchange->awaits_room = false;
        if (exchange->events != NULL) {
            exchange->events->on_room(exchange);
        }
    } else if (exchange->response.is_stream && buf_is_empty(&conn->_work->input.kept) &&
               conn->_work->input.skip_bytes == 0 && conn->_work->input.upload == NULL) {
        rest(conn);
    }
}

static void end_exchange(struct conn *conn, enum end_reason reason)
{
    struct exchange *exchange = conn->exchange;
    if (exchange != NULL) {
        conn->exchange = NULL;
        exchange_end(exchange, reason);
        exchange_free(exchange);
    }
}

static void next_message(struct conn *conn)
{
    struct conn_work *work = conn->_work;
    DCHECK(conn->exchange == NULL && work->input.parser == NULL);
    conn->state = CONN_HEAD;
    work->input.line_end_len = 0;
    timer_arm(&work->timer, conn_service(conn)->limits->conn.idle_timeout_ms);
    input_feed_kept(conn);
    if (conn->state == CONN_CLOSED) {
        return;
    }
    if (conn->state == CONN_HEAD || conn->state == CONN_BODY) {
        work->input.waiting_count = 0;
        buf_trim(&work->output, IDLE_OUTPUT_BYTES);
        conn_set_reading(conn, true);
    }
    if (conn->has_ended) {
        on_end(conn); // the holder of the next exchange must hear that the peer has ended
    }
}

/// Whether the end of the connection ends the content. Then only a reset tells the peer that some
/// content is missing.
static bool ends_by_closing(const struct exchange *exchange)
{
    return exchange->response.framing == FRAMING_CLOSE &&
           exchange->response.state != RESPONSE_FRESH;
}

static void linger(struct conn *conn)
{
    if (conn->has_ended) {
        conn_close(conn, END_FINISHED);
        return;
    }
    struct conn_work *work = conn->_work;
    DCHECK(conn->exchange == NULL && work->input.parser == NULL && work->looks_left == 0);
    conn->state = CONN_LINGER;
    buf_reset(&work->input.kept);
    buf_reset(&work->output);
    transport_shut(conn->transport);
    timer_arm(&work->timer, conn_service(conn)->is_draining ? LINGER_DRAINING_MS : LINGER_MS);
    conn_set_reading(conn, true);
}

/// Resets the connection, but not at once: a reset drops what the peer's system has not
/// acknowledged. So the connection first waits, for a bounded time, until all of it is.
static void reset_late(struct conn *conn)
{
    struct conn_work *work = conn->_work;
    DCHECK(conn->exchange == NULL && work->input.parser == NULL);
    unsigned patience_ms = conn_service(conn)->is_draining ? LINGER_DRAINING_MS : LINGER_MS;
    conn->state = CONN_LINGER;
    work->looks_left = (uint8_t)(patience_ms / LOOK_MS);
    buf_reset(&work->input.kept);
    buf_reset(&work->output);
    timer_arm(&work->timer, 0);
    conn_set_reading(conn, true);
}

static void on_deadline(struct timer *timer)
{
    struct conn_work *work = CONTAINER_OF(timer, struct conn_work, timer);
    struct conn *conn = work->conn;
    DEBUG_CALL(conn_check(conn));
    switch ((enum conn_state)conn->state) {
    case CONN_HEAD:
        if (!work->input.has_partial_head && !conn->is_first) {
            conn_close(conn, END_FINISHED); // an idle connection closes without an answer
            return;
        }
        limit_met("head_timeout", conn_service(conn)->limits->conn.head_timeout_ms);
        input_refuse_head(conn, 408, "the head was not complete in time");
        return;
    case CONN_BODY:
        limit_met("body_timeout", http1_limits(work->input.parser)->body.timeout_ms);
        input_refuse(conn, 408, "the body stalled");
        return;
    case CONN_ANSWER:
        on_answer_deadline(conn);
        return;
    case CONN_LINGER:
        if (work->looks_left > 1 && transport_unsent_bytes(conn->transport) > 0) {
            work->looks_left--;
            timer_arm(timer, LOOK_MS);
            return;
        }
        conn_close(conn, END_FINISHED);
        return;
    case CONN_CLOSED:
        UNREACHABLE();
    }
}

static void on_answer_deadline(struct conn *conn)
{
    if (!conn->exchange->is_blocked) {
        if (!conn_carrier_ask(conn)) {
            conn_close(conn, END_LEFT);
        }
    } else if (transport_unsent_bytes(conn->transport) < conn->_work->stalled_bytes) {
        conn_watch_stall(conn);
    } else {
        conn_close(conn, END_TIMEOUT);
    }
}
