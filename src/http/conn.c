// SPDX-License-Identifier: MIT
#include "http/conn.h"

#include "base/counters.h"
#include "base/limits.h"
#include "base/slab.h"
#include "http/access.h"
#include "http/conn_parts.h"
#include "http/http1.h"
#include "http/input.h"
#include "net/timer.h"
#include "net/transport.h"

enum {
    IDLE_OUTPUT_BYTES = 1024, // kept for the next answer
    LINGER_MS = 2000,
    LINGER_DRAINING_MS = 100,
    OUTPUT_BYTES_MAX = INT32_MAX, // of an answer in one piece
    INPUT_BYTES_MAX = LIMITS_HEAD_BYTES_MAX + 2 * LOOP_READ_BYTES,
    ASK_MS_MIN = 100, // before the first question whether the peer is there
    ASK_MS_MAX = 15000,
    ASK_MS_HTTP10 = 1000, // a peer that cannot be asked is gone then
    LOOK_MS = 10,         // between looks whether the peer has all that was sent before a reset
};

static void on_bytes(void *user, char *at, size_t len);
static void on_end(void *user);
static void on_room(void *user);
static void on_failed(void *user, int failure);
static void on_closed(void *user);
static void on_turn_end(struct loop_job *job);
static void on_deadline(struct timer *timer);
static void note_pending(struct conn_work *work, size_t pending_bytes);
static void rest(struct conn *conn);
static bool settle_output(struct conn *conn);
static bool write_output(struct conn *conn);
static void block(struct conn *conn);
static void settle_exchange(struct conn *conn);
static void end_exchange(struct conn *conn, enum end_reason reason);
static void next_message(struct conn *conn);
static bool ends_by_closing(const struct exchange *exchange);
static void linger(struct conn *conn);
static void reset_late(struct conn *conn);
static void watch_stall(struct conn *conn);
static void on_answer_deadline(struct conn *conn);
static void ask(struct conn *conn);

static const struct transport_events events = {
    .on_bytes = on_bytes,
    .on_end = on_end,
    .on_room = on_room,
    .on_failed = on_failed,
    .on_closed = on_closed,
};

void conn_open(struct service *service, struct transport *transport,
               const struct socket_address *peer, bool is_over_limit)
{
    struct conn *conn = slab_new(struct conn);
    conn->service = service;
    conn->transport = transport;
    conn->peer = peer_of(peer);
    conn->is_over_limit = is_over_limit;
    conn->is_first = true;
    list_append(&service->conns, &conn->node);
    service->conn_count++;
    count_up(COUNT_CONNECTIONS, 1);
    (*service->total)++;
    transport_bind(transport, &events, conn);
    timer_arm(&conn_work(conn)->timer, service->limits->head_timeout_ms);
    conn_set_reading(conn, true);
}

void conn_close(struct conn *conn, enum end_reason reason)
{
    if (conn->state == CONN_CLOSED) {
        return;
    }
    bool is_reset =
        reason == END_SLOW || reason == END_TIMEOUT ||
        (conn->exchange != NULL && reason != END_FINISHED && ends_by_closing(conn->exchange)) ||
        (conn->_work != NULL && conn->_work->looks_left > 0);
    if (reason == END_TIMEOUT) { // by our clock or by the kernel's
        limit_met("peer_timeout", conn->service->limits->peer_timeout_ms);
    }
    conn->state = CONN_CLOSED;
    end_exchange(conn, reason);
    rest(conn);
    if (is_reset) {
        transport_reset(conn->transport);
    } else {
        transport_close(conn->transport);
    }
}

void conn_drain(struct conn *conn)
{
    conn->is_last = true;
    if (conn->state == CONN_LINGER && conn->_work->looks_left == 0) {
        timer_arm(&conn->_work->timer, LINGER_DRAINING_MS);
    } else if (conn->state == CONN_HEAD && !conn->is_health_check &&
               !conn_work(conn)->has_partial_head && conn_pending_bytes(conn) == 0) {
        conn_close(conn, END_SHUTDOWN);
    }
}

struct conn *conn_of_node(struct list *node)
{
    return LIST_ITEM(node, struct conn, node);
}

struct exchange *conn_exchange(const struct conn *conn)
{
    return conn->exchange;
}

void conn_wrote(struct conn *conn)
{
    if (conn->state != CONN_CLOSED) {
        loop_at_turn_end(conn->service->loop, LOOP_WRITE, &conn_work(conn)->job);
    }
}

void conn_ask_peer(struct conn *conn)
{
    if (!conn->is_blocked && conn->exchange->response.state == RESPONSE_FRESH) {
        bool is_http10 = conn->exchange->minor_version == 0;
        conn_work(conn)->ask_pause_ms = ASK_MS_MIN;
        timer_arm(&conn_work(conn)->timer, is_http10 ? ASK_MS_HTTP10 : ASK_MS_MIN);
    }
}

ssize_t conn_deliver(struct conn *conn, const struct bytes *pieces, int count)
{
    struct bytes vector[TRANSPORT_PIECES_MAX];
    size_t own = conn_pending_bytes(conn);
    size_t size = own;
    int used = 0;
    DCHECK(!conn->is_blocked && count < TRANSPORT_PIECES_MAX);
    if (own > 0) {
        vector[used++] = buf_bytes(&conn->_work->output);
    }
    for (int i = 0; i < count; i++) {
        vector[used++] = pieces[i];
        size += pieces[i].len;
    }
    ssize_t taken = transport_write(conn->transport, vector, used);
    if (taken < 0) {
        conn->is_blocked = true; // for good
        return taken;
    }
    if ((size_t)taken < size || transport_is_holding(conn->transport)) {
        block(conn);
    }
    if (own > 0) {
        own = own < (size_t)taken ? own : (size_t)taken;
        buf_consume(&conn->_work->output, own);
    }
    return taken - (ssize_t)own;
}

void conn_prefetch(const struct conn *conn)
{
    __builtin_prefetch(conn->transport);
    __builtin_prefetch((const char *)conn->transport + sizeof(struct transport) + 31);
}

bool conn_is_blocked(const struct conn *conn)
{
    return conn->is_blocked;
}

struct buf *conn_output(struct conn *conn)
{
    return &conn_work(conn)->output;
}

size_t conn_pending_bytes(const struct conn *conn)
{
    return conn->_work == NULL ? 0 : buf_len(&conn->_work->output);
}

const struct limits *conn_limits(const struct conn *conn)
{
    return conn->service->limits;
}

struct bytes conn_date_line(struct conn *conn)
{
    return service_date_line(conn->service);
}

struct bytes conn_common_fields(const struct conn *conn)
{
    return conn->service->common_fields;
}

uint32_t conn_server_seed(const struct conn *conn)
{
    return conn->service->seed;
}

size_t conn_peer_host(const struct conn *conn, char *out)
{
    return peer_host(conn->peer, out, PEER_HOST_BYTES_MAX);
}

void conn_forget_body(struct conn *conn, size_t size)
{
    DCHECK(conn->service->body_bytes >= size);
    conn->service->body_bytes -= size;
}

/// A peer that has closed its sending side can still ask what is already here.
bool conn_is_last(const struct conn *conn)
{
    return conn->is_last || conn->is_over_limit || conn->service->is_draining ||
           (conn->has_ended && (conn->_work == NULL || buf_is_empty(&conn->_work->input)));
}

bool conn_is_over_limit(const struct conn *conn)
{
    return conn->is_over_limit;
}

void conn_set_health_check(struct conn *conn, bool is_health_check)
{
    struct service *service = conn->service;
    service->health_check_count =
        service->health_check_count + is_health_check - conn->is_health_check;
    conn->is_health_check = is_health_check;
}

bool conn_is_health_check(const struct conn *conn)
{
    return conn->is_health_check;
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

struct conn_work *conn_work(struct conn *conn)
{
    if (conn->_work != NULL) {
        return conn->_work;
    }
    struct conn_work *work = slab_new(struct conn_work);
    struct service *service = conn->service;
    work->conn = conn;
    buf_init(&work->input, INPUT_BYTES_MAX);   // a head is bounded by its message's limits
    buf_init(&work->output, OUTPUT_BYTES_MAX); // streams are bounded below it where they are made
    loop_job_init(&work->job, on_turn_end);
    timer_init(&work->timer, &service->loop->timers, on_deadline);
    conn->_work = work;
    return work;
}

static void on_bytes(void *user, char *at, size_t len)
{
    struct conn *conn = user;
    if (conn->state == CONN_LINGER) {
        return; // bounded by time: to stop reading would reset the answer away
    }
    size_t skipped = input_skip(conn, len);
    at += skipped;
    len -= skipped;
    if (len == 0) {
        return;
    }
    if (conn->state == CONN_ANSWER || !buf_is_empty(&conn_work(conn)->input)) {
        input_keep(conn, at, len);
        input_feed_kept(conn);
        return;
    }
    size_t taken = input_feed(conn, at, len);
    if (conn->state != CONN_CLOSED && conn->state != CONN_LINGER) {
        input_keep(conn, at + taken, len - taken);
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
        if (conn->exchange->events != NULL) {
            conn->exchange->events->on_peer_ended(conn->exchange);
        }
    } else if (conn->state == CONN_BODY) {
        input_refuse(conn, 400, "the body ended before its length (RFC 9112, 8)");
    } else if (conn_work(conn)->has_partial_head) {
        input_refuse_head(conn, 400, "the head ended before its empty line (RFC 9112, 8)");
    } else {
        conn_close(conn, END_LEFT);
    }
}

static void on_room(void *user)
{
    struct conn *conn = user;
    conn->is_blocked = false;
    if (conn->state == CONN_ANSWER) {
        timer_disarm(&conn_work(conn)->timer); // the stall that `watch_stall` watched is over
    }
    conn_wrote(conn);
}

static void on_failed(void *user, int failure)
{
    conn_close(user, end_reason_of_failure(failure)); // in any case the peer is gone
}

static void on_closed(void *user)
{
    struct conn *conn = user;
    struct service *service = conn->service;
    CHECK(conn->state == CONN_CLOSED && conn->exchange == NULL && conn->_work == NULL);
    conn_set_health_check(conn, false);
    list_remove(&conn->node);
    peer_free(conn->peer);
    count_up(COUNT_CONNECTIONS, (uint64_t)-1);
    slab_free(conn);
    service_forget(service);
}

/// What was sent before the exchange was aborted still leaves, unless the peer does not read.
static void on_turn_end(struct loop_job *job)
{
    struct conn *conn = CONTAINER_OF(job, struct conn_work, job)->conn;
    bool is_out = !conn->is_blocked && settle_output(conn);
    if (conn->_work == NULL) {
        return; // the peer was gone, and the conn is closed
    }
    note_pending(conn->_work, conn_pending_bytes(conn));
    struct exchange *exchange = conn->exchange;
    if (exchange != NULL && exchange->is_aborted) {
        conn_close(conn, (enum end_reason)exchange->end_reason);
    } else if (is_out && exchange != NULL && conn->state == CONN_ANSWER) {
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

/// Frees the work.
static void rest(struct conn *conn)
{
    struct conn_work *work = conn->_work;
    if (work == NULL) {
        return;
    }
    note_pending(work, 0);
    input_give_parser_back(conn);
    timer_deinit(&work->timer);
    loop_job_cancel(&work->job);
    buf_reset(&work->input);
    buf_reset(&work->output);
    slab_free(work);
    conn->_work = NULL;
}

/// Whether all output is with the kernel. May abort the exchange, or close the conn without one.
static bool settle_output(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    if (exchange != NULL && exchange->is_aborted && exchange->end_reason == END_SLOW) {
        return false;
    }
    if (exchange != NULL && exchange->events != NULL && exchange->events->flush != NULL) {
        return exchange->events->flush(exchange);
    }
    return conn_pending_bytes(conn) == 0 || write_output(conn);
}

static bool write_output(struct conn *conn)
{
    ssize_t failure = conn_deliver(conn, NULL, 0);
    if (failure >= 0) {
        return !conn->is_blocked;
    }
    enum end_reason reason = end_reason_of_failure((int)failure);
    if (conn->exchange != NULL) {
        exchange_abort(conn->exchange, reason);
    } else {
        conn_close(conn, reason);
    }
    return false;
}

static void block(struct conn *conn)
{
    conn->is_blocked = true;
    transport_await_room(conn->transport);
    if (conn->state == CONN_ANSWER) {
        watch_stall(conn); // a body that still comes has a deadline of its own
    }
}

/// All output is with the kernel.
static void settle_exchange(struct conn *conn)
{
    struct exchange *exchange = conn->exchange;
    if (exchange->response.state == RESPONSE_ENDED) {
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
    } else if (exchange->response.is_stream && buf_is_empty(&conn->_work->input) &&
               conn->_work->skip_bytes == 0) {
        rest(conn); // an idle stream holds nothing
    }
}

static void end_exchange(struct conn *conn, enum end_reason reason)
{
    struct exchange *exchange = conn->exchange;
    if (exchange == NULL) {
        return;
    }
    conn->exchange = NULL;
    conn_forget_body(conn, exchange_body_bytes(exchange));
    const struct service *service = conn->service;
    uint64_t now_ns = clock_ns();
    access_log(exchange, reason, now_ns);
    if (!exchange->response.is_stream && service->events->on_answered != NULL) {
        uint64_t started_ns = exchange->request->started_ns;
        service->events->on_answered(service->user, exchange,
                                     started_ns == 0 ? 0 : now_ns - started_ns);
    }
    if (exchange->events != NULL) {
        exchange->events->on_done(exchange, reason);
    }
    exchange_free(exchange);
}

static void next_message(struct conn *conn)
{
    struct conn_work *work = conn->_work;
    conn->state = CONN_HEAD;
    work->line_end_len = 0;
    timer_arm(&work->timer, conn->service->limits->idle_timeout_ms);
    input_feed_kept(conn);
    if (conn->state == CONN_CLOSED) {
        return;
    }
    if (conn->state == CONN_HEAD || conn->state == CONN_BODY) {
        work->waiting_count = 0;
        buf_trim(&work->output, IDLE_OUTPUT_BYTES);
        conn_set_reading(conn, true);
    }
    if (conn->has_ended) {
        on_end(conn); // whoever answers the next message is told as well
    }
}

/// Where the end of the connection is the end of the content, only a reset says that some of it is
/// missing.
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
    conn->state = CONN_LINGER;
    buf_reset(&work->input);
    buf_reset(&work->output);
    transport_shut(conn->transport);
    timer_arm(&work->timer, conn->service->is_draining ? LINGER_DRAINING_MS : LINGER_MS);
    conn_set_reading(conn, true);
}

/// A reset drops what the peer's system has not acknowledged, so that is waited for first.
static void reset_late(struct conn *conn)
{
    struct conn_work *work = conn->_work;
    unsigned patience_ms = conn->service->is_draining ? LINGER_DRAINING_MS : LINGER_MS;
    conn->state = CONN_LINGER;
    work->looks_left = (uint8_t)(patience_ms / LOOK_MS);
    buf_reset(&work->input);
    buf_reset(&work->output);
    timer_arm(&work->timer, 0);
    conn_set_reading(conn, true);
}

static void watch_stall(struct conn *conn)
{
    struct conn_work *work = conn_work(conn);
    work->stalled_bytes = transport_unsent_bytes(conn->transport);
    timer_arm(&work->timer, conn->service->limits->peer_timeout_ms);
}

static void on_deadline(struct timer *timer)
{
    struct conn_work *work = CONTAINER_OF(timer, struct conn_work, timer);
    struct conn *conn = work->conn;
    switch ((enum conn_state)conn->state) {
    case CONN_HEAD:
        if (!work->has_partial_head && !conn->is_first) {
            conn_close(conn, END_FINISHED); // an idle connection is owed nothing
            return;
        }
        limit_met("head_timeout", conn->service->limits->head_timeout_ms);
        input_refuse_head(conn, 408, "the head was not complete in time");
        return;
    case CONN_BODY:
        limit_met("body_timeout", http1_limits(work->parser)->body_timeout_ms);
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
    if (!conn->is_blocked) {
        ask(conn);
    } else if (transport_unsent_bytes(conn->transport) < conn->_work->stalled_bytes) {
        watch_stall(conn);
    } else {
        conn_close(conn, END_TIMEOUT);
    }
}

/// An interim answer is all that may be sent before the answer, and every HTTP/1.1 client passes
/// over this one (RFC 9110, section 15.2). The system of a peer that is gone replies with a reset.
static void ask(struct conn *conn)
{
    struct conn_work *work = conn->_work;
    if (conn->exchange->response.state != RESPONSE_FRESH) {
        return;
    }
    if (conn->exchange->minor_version == 0) {
        conn_close(conn, END_LEFT);
        return;
    }
    IGNORE(buf_append(&work->output, BYTES("HTTP/1.1 100 Continue\r\n\r\n"))); // or no memory
    conn_wrote(conn);
    timer_arm(&work->timer, work->ask_pause_ms);
    unsigned pause_ms = work->ask_pause_ms * 3U;
    work->ask_pause_ms = (uint16_t)(pause_ms < ASK_MS_MAX ? pause_ms : ASK_MS_MAX);
}
