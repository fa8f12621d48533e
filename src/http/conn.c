// SPDX-License-Identifier: MIT
#include "http/conn.h"

#include "base/mem.h"
#include "http/access.h"
#include "http/conn_parts.h"
#include "http/intake.h"
#include "net/timer.h"
#include "net/transport.h"

enum {
    IDLE_OUTPUT_BYTES = 1024, // kept for the next answer
    LINGER_MS = 2000,
    LINGER_DRAINING_MS = 100,
};

static void on_bytes(void *user, char *at, size_t len);
static void on_end(void *user);
static void on_drained(void *user);
static void on_failed(void *user, int failure);
static void on_closed(void *user);
static void on_turn_end(struct loop_job *job);
static void on_deadline(struct timer *timer);
static void cut(struct conn *conn, enum exchange_reason reason);
static void settle_output(struct conn *conn);
static void settle_exchange(struct conn *conn);
static void end_exchange(struct conn *conn, enum exchange_reason reason);
static void next_message(struct conn *conn);
static void linger(struct conn *conn);
static void watch_stall(struct conn *conn);

static const struct transport_events events = {
    .on_bytes = on_bytes,
    .on_end = on_end,
    .on_drained = on_drained,
    .on_failed = on_failed,
    .on_closed = on_closed,
};

void conn_open(struct service *service, struct transport *transport, bool is_surplus)
{
    struct conn *conn = mem_new(struct conn);
    conn->service = service;
    conn->transport = transport;
    conn->is_surplus = is_surplus;
    conn->is_first = true;
    buf_init(&conn->input, service->limits->head_bytes + 2 * LOOP_READ_BYTES);
    buf_init(&conn->output, SIZE_MAX); // what may be appended is bounded where it is made
    loop_job_init(&conn->job, on_turn_end);
    timer_init(&conn->timer, service->loop, on_deadline);
    list_append(&service->conns, &conn->node);
    service->conn_count++;
    transport_bind(transport, &events, conn);
    timer_arm(&conn->timer, service->limits->head_timeout_ms);
    conn_set_reading(conn, true);
}

void conn_close(struct conn *conn, enum exchange_reason reason)
{
    if (conn->state == CONN_CLOSED) {
        return;
    }
    bool is_reset = reason == EXCHANGE_SLOW || reason == EXCHANGE_TIMEOUT;
    conn->state = CONN_CLOSED;
    timer_deinit(&conn->timer);
    loop_job_cancel(&conn->job);
    end_exchange(conn, reason);
    intake_give_reader_back(conn);
    if (is_reset) {
        transport_reset(conn->transport);
    } else {
        transport_close(conn->transport);
    }
}

void conn_drain(struct conn *conn)
{
    conn->is_last = true;
    if (conn->state == CONN_HEAD && !conn->has_partial_head && buf_is_empty(&conn->output)) {
        conn_close(conn, EXCHANGE_SHUTDOWN);
    }
}

struct conn *conn_of_node(struct list *node)
{
    return LIST_ITEM(node, struct conn, node);
}

void conn_wrote(struct conn *conn)
{
    if (conn->state != CONN_CLOSED) {
        loop_at_turn_end(conn->service->loop, LOOP_WRITE, &conn->job);
    }
}

struct buf *conn_output(struct conn *conn)
{
    return &conn->output;
}

size_t conn_pending_bytes(const struct conn *conn)
{
    return buf_len(&conn->output) + transport_pending_bytes(conn->transport);
}

const struct limits *conn_limits(const struct conn *conn)
{
    return conn->service->limits;
}

struct bytes conn_date(struct conn *conn)
{
    return service_date(conn->service);
}

uint32_t conn_server_seed(const struct conn *conn)
{
    return conn->service->seed;
}

bool conn_peer_is_gone(const struct conn *conn)
{
    return conn->state == CONN_CLOSED || transport_peer_is_gone(conn->transport);
}

size_t conn_peer_name(const struct conn *conn, char *out, size_t size)
{
    return transport_peer_name(conn->transport, out, size);
}

/// A peer that has closed its sending side can still ask what is already here.
bool conn_is_last(const struct conn *conn)
{
    return conn->is_last || conn->is_surplus || conn->service->is_draining ||
           (conn->has_ended && buf_is_empty(&conn->input));
}

bool conn_is_surplus(const struct conn *conn)
{
    return conn->is_surplus;
}

struct loop *conn_loop(const struct conn *conn)
{
    return conn->service->loop;
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

static void on_bytes(void *user, char *at, size_t len)
{
    struct conn *conn = user;
    if (conn->state == CONN_LINGER) {
        return; // bounded by time: to stop reading would reset the answer away
    }
    if (conn->state == CONN_ANSWER || !buf_is_empty(&conn->input)) {
        intake_keep(conn, at, len);
        intake_feed_kept(conn);
        return;
    }
    size_t taken = intake_feed(conn, at, len);
    if (conn->state != CONN_CLOSED && conn->state != CONN_LINGER) {
        intake_keep(conn, at + taken, len - taken);
    }
}

static void on_end(void *user)
{
    struct conn *conn = user;
    conn->has_ended = true;
    conn->is_reading = false;
    if (conn->state == CONN_LINGER) {
        conn_close(conn, EXCHANGE_FINISHED);
    } else if (conn->state == CONN_ANSWER) {
        if (conn->exchange->events != NULL) {
            conn->exchange->events->on_peer_ended(conn->exchange);
        }
    } else if (conn->state == CONN_BODY) {
        intake_refuse(conn, 400, "the body ended before its length (RFC 9112, 8)");
    } else if (conn->has_partial_head) {
        intake_refuse_head(conn, 400, "the head ended before its empty line (RFC 9112, 8)");
    } else {
        conn_close(conn, EXCHANGE_LEFT);
    }
}

static void on_drained(void *user)
{
    struct conn *conn = user;
    if (conn->state == CONN_ANSWER) {
        timer_disarm(&conn->timer); // the stall that `watch_stall` watched is over
    }
    conn_wrote(conn);
}

static void on_failed(void *user, int failure)
{
    (void)failure; // every failure of a connected socket means that the peer is gone
    conn_close(user, EXCHANGE_LEFT);
}

static void on_closed(void *user)
{
    struct conn *conn = user;
    struct service *service = conn->service;
    CHECK(conn->state == CONN_CLOSED && conn->exchange == NULL && conn->reader == NULL);
    list_remove(&conn->node);
    buf_reset(&conn->input);
    buf_reset(&conn->output);
    mem_free(conn);
    service_forget(service);
}

static void on_turn_end(struct loop_job *job)
{
    struct conn *conn = CONTAINER_OF(job, struct conn, job);
    struct exchange *exchange = conn->exchange;
    if (exchange != NULL && exchange->is_doomed) {
        cut(conn, (enum exchange_reason)exchange->doom_reason);
    } else if (transport_pending_bytes(conn->transport) == 0) {
        settle_output(conn);
    }
}

/// What was sent before still leaves, unless the peer does not read.
static void cut(struct conn *conn, enum exchange_reason reason)
{
    if (reason != EXCHANGE_SLOW && transport_pending_bytes(conn->transport) == 0 &&
        !buf_is_empty(&conn->output)) {
        IGNORE(transport_write(conn->transport, &conn->output)); // the conn closes either way
    }
    conn_close(conn, reason);
}

static void settle_output(struct conn *conn)
{
    if (!buf_is_empty(&conn->output)) {
        int result = transport_write(conn->transport, &conn->output);
        if (result < 0) {
            conn_close(conn, EXCHANGE_LEFT);
            return;
        }
        if (result > 0) {
            watch_stall(conn);
            return;
        }
    }
    if (conn->exchange != NULL && conn->state == CONN_ANSWER) {
        settle_exchange(conn);
    }
}

/// All output is with the kernel.
static void settle_exchange(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    if (exchange->response.state == RESPONSE_ENDED) {
        bool is_last = conn_is_last(conn) || exchange->request.wants_close;
        end_exchange(conn, (enum exchange_reason)exchange->doom_reason);
        if (is_last) {
            linger(conn);
        } else {
            next_message(conn);
        }
    } else if (exchange->awaits_drain) {
        exchange->awaits_drain = false;
        if (exchange->events != NULL) {
            exchange->events->on_drained(exchange);
        }
    } else if (exchange->response.is_stream && buf_is_empty(&conn->output)) {
        buf_reset(&conn->output); // an idle stream holds no output memory
    }
}

static void end_exchange(struct conn *conn, enum exchange_reason reason)
{
    struct exchange *exchange = conn->exchange;
    if (exchange == NULL) {
        return;
    }
    conn->exchange = NULL;
    access_log(exchange, reason, loop_clock_ns(conn->service->loop));
    if (exchange->events != NULL) {
        exchange->events->on_done(exchange, reason);
    }
    request_deinit(&exchange->request);
    response_deinit(&exchange->response);
    mem_free(exchange);
}

static void next_message(struct conn *conn)
{
    conn->state = CONN_HEAD;
    conn->line_end_len = 0;
    timer_arm(&conn->timer, conn->service->limits->idle_timeout_ms);
    intake_feed_kept(conn);
    if (conn->state == CONN_CLOSED) {
        return;
    }
    if (conn->state == CONN_HEAD || conn->state == CONN_BODY) {
        conn->waiting_count = 0;
        buf_trim(&conn->output, IDLE_OUTPUT_BYTES);
        conn_set_reading(conn, true);
    }
    if (conn->has_ended && conn->state != CONN_ANSWER) {
        on_end(conn);
    }
}

static void linger(struct conn *conn)
{
    if (conn->has_ended) {
        conn_close(conn, EXCHANGE_FINISHED);
        return;
    }
    conn->state = CONN_LINGER;
    buf_reset(&conn->input);
    buf_reset(&conn->output);
    transport_shut(conn->transport);
    timer_arm(&conn->timer, conn->service->is_draining ? LINGER_DRAINING_MS : LINGER_MS);
    conn_set_reading(conn, true);
}

static void watch_stall(struct conn *conn)
{
    conn->stalled_bytes = transport_unsent_bytes(conn->transport);
    timer_arm(&conn->timer, conn->service->limits->peer_timeout_ms);
}

static void on_deadline(struct timer *timer)
{
    struct conn *conn = CONTAINER_OF(timer, struct conn, timer);
    switch ((enum conn_state)conn->state) {
    case CONN_HEAD:
        if (!conn->has_partial_head && !conn->is_first) {
            conn_close(conn, EXCHANGE_FINISHED); // an idle connection is owed nothing
            return;
        }
        intake_refuse_head(conn, 408, "the head was not complete in time");
        return;
    case CONN_BODY:
        intake_refuse(conn, 408, "the body stalled");
        return;
    case CONN_ANSWER:
        if (transport_unsent_bytes(conn->transport) < conn->stalled_bytes) {
            watch_stall(conn);
        } else {
            conn_close(conn, EXCHANGE_TIMEOUT);
        }
        return;
    case CONN_LINGER:
        conn_close(conn, EXCHANGE_FINISHED);
        return;
    case CONN_CLOSED:
        UNREACHABLE();
    }
}
