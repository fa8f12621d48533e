// SPDX-License-Identifier: MIT
//
// Output moves from `work->output`, where heads and content gather, through `conn_deliver` to the
// transport, together with pieces that belong to others. What the kernel does not take stays in the
// output, or with its owner; the exchange is then blocked until the transport has room.
#include "http/conn_parts.h"

#include "base/slab.h"
#include "http/exchange.h"
#include "http/http1.h"

enum {
    OUTPUT_BYTES_MAX = INT32_MAX, // of an answer in one piece
    INPUT_BYTES_MAX = LIMITS_HEAD_BYTES_MAX + 2 * LOOP_READ_BYTES,
};

struct conn_work *conn_work(struct conn *conn)
{
    if (conn->_work != NULL) {
        return conn->_work;
    }
    DCHECK(conn->state != CONN_CLOSED);
    struct conn_work *work = slab_new(struct conn_work);
    const struct conn_codec *codec = conn_codec(conn);
    work->conn = conn;
    buf_init(&work->input.kept, INPUT_BYTES_MAX); // a head is bounded by its message's limits
    buf_init(&work->output, OUTPUT_BYTES_MAX); // streams are bounded below it where they are made
    loop_job_init(&work->job, codec->on_turn_end);
    timer_init(&work->timer, &codec->base.service->loop->timers, codec->on_deadline);
    conn->_work = work;
    return work;
}

void conn_wake(struct conn *conn)
{
    OWNED(&conn_service(conn)->loop->owner);
    if (conn->state != CONN_CLOSED) {
        loop_at_turn_end(conn_service(conn)->loop, LOOP_WRITE, &conn_work(conn)->job);
    }
}

void conn_give_back(struct conn *conn, struct http1 *parser)
{
    struct conn_codec *codec = conn_codec(conn);
    http1_stop(parser);
    if (codec->spare_parser == NULL) {
        codec->spare_parser = parser;
    } else {
        http1_free(parser);
    }
}

void conn_set_reading(struct conn *conn, bool is_reading)
{
    if (conn->is_reading == is_reading || conn->has_ended) {
        return;
    }
    conn->is_reading = is_reading;
    if (is_reading) {
        transport_start(conn->transport);
    } else {
        transport_stop(conn->transport);
    }
}

/// Whether the connection ends after the present answer. A peer that has closed its sending side
/// sends no more requests, but one that came before that may still wait in `kept`.
bool conn_is_last(const struct conn *conn)
{
    return conn->is_last || conn->is_over_limit || conn_service(conn)->is_draining ||
           (conn->has_ended && (conn->_work == NULL || buf_is_empty(&conn->_work->input.kept)));
}

ssize_t conn_deliver(struct conn *conn, const struct bytes *pieces, int count)
{
    struct bytes vector[TRANSPORT_PIECES_MAX];
    size_t own = conn_pending_bytes(conn);
    size_t size = own;
    int used = 0;
    DCHECK(count < TRANSPORT_PIECES_MAX);
    if (own > 0) {
        vector[used++] = buf_bytes(&conn->_work->output);
    }
    for (int i = 0; i < count; i++) {
        vector[used++] = pieces[i];
        size += pieces[i].len;
    }
    ssize_t taken = transport_write(conn->transport, vector, used);
    if (taken < 0) {
        return taken;
    }
    DCHECK((size_t)taken <= size);
    if ((size_t)taken < size || transport_is_holding(conn->transport)) {
        conn_block(conn);
    }
    if (own > 0) {
        own = own < (size_t)taken ? own : (size_t)taken;
        buf_consume(&conn->_work->output, own);
    }
    return taken - (ssize_t)own;
}

/// Only in ANSWER a deadline watches the peer: in BODY the blocked output is an interim answer, and
/// the body that still comes has a deadline of its own.
void conn_block(struct conn *conn)
{
    DCHECK(conn->exchange != NULL);
    conn->exchange->is_blocked = true;
    transport_await_room(conn->transport);
    if (conn->state == CONN_ANSWER) {
        conn_watch_stall(conn);
    }
}

void conn_watch_stall(struct conn *conn)
{
    struct conn_work *work = conn_work(conn);
    work->stalled_bytes = transport_unsent_bytes(conn->transport);
    timer_arm(&work->timer, conn_service(conn)->limits->conn.peer_timeout_ms);
}

void conn_check(const struct conn *conn)
{
    const struct conn_work *work = conn->_work;
    const struct exchange *exchange = conn->exchange;
    switch ((enum conn_state)conn->state) {
    case CONN_HEAD:
        CHECK(exchange == NULL && work != NULL);
        CHECK(buf_is_empty(&work->output));
        break;
    case CONN_BODY:
        CHECK(exchange != NULL && work != NULL && work->input.parser != NULL);
        CHECK(exchange->response.state == RESPONSE_FRESH);
        CHECK(!work->input.has_partial_head);
        break;
    case CONN_ANSWER:
        CHECK(exchange != NULL);
        CHECK(work == NULL || work->input.parser == NULL);
        CHECK(work == NULL || work->looks_left == 0);
        break;
    case CONN_LINGER:
        CHECK(exchange == NULL && work != NULL && work->input.parser == NULL);
        CHECK(buf_is_empty(&work->input.kept) && buf_is_empty(&work->output));
        break;
    case CONN_CLOSED:
        CHECK(exchange == NULL && work == NULL);
        break;
    }
    CHECK(work == NULL || work->conn == conn);
    CHECK(work == NULL || work->input.upload == NULL || conn->state == CONN_ANSWER);
    CHECK(exchange == NULL || exchange->carrier == &conn->base.carrier);
    CHECK(!conn->has_ended || !conn->is_reading);
}
