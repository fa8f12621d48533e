// SPDX-License-Identifier: MIT
#include "http/conn.h"

#include "base/log.h"
#include "base/mem.h"
#include "http/access.h"
#include "http/http1.h"
#include "net/timer.h"
#include "net/transport.h"

#include <stdio.h>

enum conn_state { CONN_HEAD, CONN_BODY, CONN_ANSWER, CONN_LINGER, CONN_CLOSED };

enum {
    INPUT_HIGH_BYTES = LOOP_READ_BYTES, // behind an answer: stop reading from here on
    IDLE_OUTPUT_BYTES = 1024,           // kept for the next answer
    LINGER_MS = 2000,
    LINGER_DRAINING_MS = 100,
};

struct conn {
    struct list node; // in the service's list
    struct service *service;
    struct transport *transport;
    struct exchange *exchange; // NULL in HEAD until the head is complete
    struct http1 *reader;      // only while a message is being read
    struct buf input;          // an incomplete head, or what waits behind an answer
    struct buf output;
    struct loop_job job;
    struct timer timer;
    uint64_t head_started_ns; // first byte of the head being read; 0 before it
    size_t head_seen_len;     // bytes of `input` that the reader has passed
    size_t stalled_bytes;     // what was pending when the stall timer was last set
    size_t waiting_count;     // heads in `input` behind an answer, guessed by their empty lines
    uint8_t state;            // enum conn_state
    uint8_t line_end_len;     // how much of CRLFCRLF the input ends with
    bool is_surplus;
    bool is_first;   // no message has been read yet
    bool is_last;    // closes after the current answer
    bool has_ended;  // the peer has closed its sending side
    bool is_reading; // the transport reads
};

static void on_bytes(void *user, char *at, size_t len);
static void on_end(void *user);
static void on_drained(void *user);
static void on_failed(void *user, int failure);
static void on_closed(void *user);
static void on_turn_end(struct loop_job *job);
static void on_deadline(struct timer *timer);
static void keep_input(struct conn *conn, char *at, size_t len);
static void count_waiting(struct conn *conn, const char *at, size_t len);
static void feed_input(struct conn *conn);
static size_t feed(struct conn *conn, char *at, size_t len);
static size_t feed_head(struct conn *conn, char *at, size_t len);
static size_t feed_body(struct conn *conn, char *at, size_t len);
static size_t await_head(struct conn *conn, size_t len);
static void begin_exchange(struct conn *conn, struct request request, bool has_more);
static struct exchange *make_exchange(struct conn *conn, struct request request);
static void begin_body(struct conn *conn, bool has_more);
static void await_body(struct conn *conn, bool has_moved);
static void complete_message(struct conn *conn);
static void refuse(struct conn *conn, int status, const char *why);
static void take_reader(struct conn *conn);
static void refuse_head(struct conn *conn, int status, const char *why);
static void give_reader_back(struct conn *conn);
static void cut(struct conn *conn, enum exchange_reason reason);
static void settle_output(struct conn *conn);
static void settle_exchange(struct conn *conn);
static void end_exchange(struct conn *conn, enum exchange_reason reason);
static void next_message(struct conn *conn);
static void linger(struct conn *conn);
static void set_reading(struct conn *conn, bool is_reading);
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
    set_reading(conn, true);
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
    give_reader_back(conn);
    if (is_reset) {
        transport_reset(conn->transport);
    } else {
        transport_close(conn->transport);
    }
}

void conn_drain(struct conn *conn)
{
    conn->is_last = true;
    if (conn->state == CONN_HEAD && conn->head_seen_len == 0 && buf_is_empty(&conn->output)) {
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

static void on_bytes(void *user, char *at, size_t len)
{
    struct conn *conn = user;
    if (conn->state == CONN_LINGER) {
        return; // bounded by time: to stop reading would reset the answer away
    }
    if (conn->state == CONN_ANSWER || !buf_is_empty(&conn->input)) {
        keep_input(conn, at, len);
        feed_input(conn);
        return;
    }
    size_t taken = feed(conn, at, len);
    if (conn->state != CONN_CLOSED && conn->state != CONN_LINGER) {
        keep_input(conn, at + taken, len - taken);
    }
}

/// The ceiling is never met: reading stops a whole read before it (see `keep_input`).
static void keep_input(struct conn *conn, char *at, size_t len)
{
    CHECK(buf_append(&conn->input, bytes_of(at, len)));
    if (conn->state != CONN_ANSWER) {
        return;
    }
    count_waiting(conn, at, len);
    if (buf_len(&conn->input) >= INPUT_HIGH_BYTES ||
        conn->waiting_count >= conn->service->limits->pipeline) {
        set_reading(conn, false);
    }
}

/// An empty line in a body counts too: then reading merely stops a little early.
static void count_waiting(struct conn *conn, const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char wanted = conn->line_end_len % 2 == 0 ? '\r' : '\n';
        if (at[i] == wanted) {
            conn->line_end_len++;
        } else {
            conn->line_end_len = at[i] == '\r' ? 1 : 0;
        }
        if (conn->line_end_len == 4) {
            conn->waiting_count++;
            conn->line_end_len = 0;
        }
    }
}

static void feed_input(struct conn *conn)
{
    if (conn->state != CONN_HEAD && conn->state != CONN_BODY) {
        return;
    }
    struct bytes bytes = buf_bytes(&conn->input);
    size_t taken = feed(conn, (char *)bytes.at, bytes.len);
    buf_consume(&conn->input, taken);
    if (buf_is_empty(&conn->input)) {
        buf_reset(&conn->input);
    }
}

/// Reads messages from `at` until one waits for its answer or more bytes are needed. Returns how
/// many bytes are done with. *May call Lua*, but only as the last thing before it returns.
static size_t feed(struct conn *conn, char *at, size_t len)
{
    size_t taken = 0;
    if (conn->state == CONN_HEAD) {
        taken = feed_head(conn, at, len);
    }
    if (conn->state == CONN_BODY) {
        taken += feed_body(conn, at + taken, len - taken);
    }
    return taken;
}

static size_t feed_head(struct conn *conn, char *at, size_t len)
{
    if (len == 0) {
        return 0;
    }
    if (conn->reader == NULL) {
        take_reader(conn);
    }
    struct request request = {0};
    size_t taken = 0;
    switch (http1_head(conn->reader, at, conn->head_seen_len, len, &request, &taken)) {
    case HTTP1_MORE:
        return await_head(conn, len);
    case HTTP1_REFUSED:
        conn->exchange = make_exchange(conn, request);
        refuse(conn, http1_status(conn->reader), http1_why(conn->reader));
        return len;
    case HTTP1_DONE:
        break;
    }
    conn->head_seen_len = 0;
    begin_exchange(conn, request, len > taken);
    return taken;
}

/// Empty lines begin no message (RFC 9112, section 2.2). What does has `head_timeout` to its end.
static size_t await_head(struct conn *conn, size_t len)
{
    if (!http1_has_begun(conn->reader)) {
        return len;
    }
    if (conn->head_seen_len == 0) {
        conn->head_started_ns = loop_clock_ns(conn->service->loop);
        if (!conn->is_first) {
            timer_arm(&conn->timer, conn->service->limits->head_timeout_ms);
        }
    }
    conn->head_seen_len = len;
    return 0;
}

static void begin_exchange(struct conn *conn, struct request request, bool has_more)
{
    struct exchange *exchange = make_exchange(conn, request);
    conn->exchange = exchange;
    conn->is_first = false;
    conn->waiting_count -= conn->waiting_count > 0 ? 1 : 0;
    conn->service->events->on_head(conn->service->user, exchange);
    if (request.content_length > exchange->body_bytes_max) {
        refuse(conn, 413, "the body is larger than this route takes");
        return;
    }
    buf_init(&exchange->request.body, exchange->body_bytes_max);
    if (request.expects_continue && exchange->is_refused_early) {
        conn->is_last = true; // whether the body follows is not known
        complete_message(conn);
        return;
    }
    conn->state = CONN_BODY;
    begin_body(conn, has_more);
}

static struct exchange *make_exchange(struct conn *conn, struct request request)
{
    struct exchange *exchange = mem_new(struct exchange);
    exchange->conn = conn;
    exchange->request = request;
    exchange->number = conn->service->next_number++;
    exchange->started_ns =
        conn->head_started_ns != 0 ? conn->head_started_ns : loop_clock_ns(conn->service->loop);
    exchange->body_bytes_max = conn->service->limits->body_bytes;
    conn->head_started_ns = 0;
    response_init(&exchange->response);
    return exchange;
}

/// A peer that has begun to send its body does not wait for a 100 (RFC 9110, section 10.1.1).
static void begin_body(struct conn *conn, bool has_more)
{
    const struct request *request = &conn->exchange->request;
    if (!request_has_body(request)) {
        return;
    }
    timer_arm(&conn->timer, conn->service->limits->body_timeout_ms);
    if (request->expects_continue && !has_more) {
        CHECK(buf_append(&conn->output, BYTES("HTTP/1.1 100 Continue\r\n\r\n")));
        conn_wrote(conn);
    }
}

static size_t feed_body(struct conn *conn, char *at, size_t len)
{
    struct request *request = &conn->exchange->request;
    size_t taken = 0;
    if (request_has_body(request)) {
        switch (http1_body(conn->reader, bytes_of(at, len), request, &taken)) {
        case HTTP1_MORE:
            await_body(conn, taken > 0);
            return taken;
        case HTTP1_REFUSED:
            refuse(conn, http1_status(conn->reader), http1_why(conn->reader));
            return len;
        case HTTP1_DONE:
            break;
        }
    }
    complete_message(conn);
    return taken;
}

/// A chunk that announces more than the route takes is refused before it is read.
static void await_body(struct conn *conn, bool has_moved)
{
    const struct exchange *exchange = conn->exchange;
    uint64_t left = http1_body_left(conn->reader, &exchange->request);
    if (left > exchange->body_bytes_max - buf_len(&exchange->request.body)) {
        refuse(conn, 413, "the body is larger than this route takes");
    } else if (has_moved) {
        timer_arm(&conn->timer, conn->service->limits->body_timeout_ms);
    }
}

static void complete_message(struct conn *conn)
{
    give_reader_back(conn);
    timer_disarm(&conn->timer);
    conn->state = CONN_ANSWER;
    conn->service->events->on_request(conn->service->user, conn->exchange);
}

/// The answer to a message that cannot be taken. Where the next message would begin is uncertain,
/// so the connection ends after it.
static void refuse(struct conn *conn, int status, const char *why)
{
    struct exchange *exchange = conn->exchange;
    char text[160];
    int len = snprintf(text, sizeof(text), "%d: %s\n", status, why);
    conn->is_last = true;
    conn->state = CONN_ANSWER;
    give_reader_back(conn);
    timer_disarm(&conn->timer);
    exchange->doom_reason = EXCHANGE_REFUSED;
    exchange->request.wants_close = true;
    exchange->response.status = (uint16_t)status;
    CHECK(response_set_field(&exchange->response, BYTES("Content-Type"),
                             BYTES("text/plain; charset=utf-8")) == 0);
    CHECK(exchange_send(exchange, bytes_of(text, (size_t)len)) == 0);
}

/// One reader is kept for the next message, whichever connection it comes on.
static void take_reader(struct conn *conn)
{
    struct service *service = conn->service;
    if (service->spare_reader == NULL) {
        conn->reader = http1_new(service->limits);
        return;
    }
    conn->reader = service->spare_reader;
    service->spare_reader = NULL;
    http1_restart(conn->reader);
}

/// The same for a head that is not complete.
static void refuse_head(struct conn *conn, int status, const char *why)
{
    struct request request = {0};
    http1_note_method(buf_bytes(&conn->input), &request);
    conn->exchange = make_exchange(conn, request);
    refuse(conn, status, why);
}

static void give_reader_back(struct conn *conn)
{
    if (conn->service->spare_reader == NULL) {
        conn->service->spare_reader = conn->reader;
    } else {
        http1_free(conn->reader);
    }
    conn->reader = NULL;
    conn->head_seen_len = 0;
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
        refuse(conn, 400, "the body ended before its length (RFC 9112, 8)");
    } else if (conn->head_seen_len > 0) {
        refuse_head(conn, 400, "the head ended before its empty line (RFC 9112, 8)");
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
    service->conn_count--;
    buf_reset(&conn->input);
    buf_reset(&conn->output);
    mem_free(conn);
    if (service->is_draining && service->conn_count == 0 && service->on_empty != NULL) {
        service->on_empty(service->owner);
    }
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
    feed_input(conn);
    if (conn->state == CONN_CLOSED) {
        return;
    }
    if (conn->state == CONN_HEAD || conn->state == CONN_BODY) {
        conn->waiting_count = 0;
        buf_trim(&conn->output, IDLE_OUTPUT_BYTES);
        set_reading(conn, true);
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
    set_reading(conn, true);
}

static void set_reading(struct conn *conn, bool is_reading)
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

static void watch_stall(struct conn *conn)
{
    conn->stalled_bytes = transport_pending_bytes(conn->transport);
    timer_arm(&conn->timer, conn->service->limits->peer_timeout_ms);
}

static void on_deadline(struct timer *timer)
{
    struct conn *conn = CONTAINER_OF(timer, struct conn, timer);
    switch ((enum conn_state)conn->state) {
    case CONN_HEAD:
        if (conn->head_seen_len == 0 && !conn->is_first) {
            conn_close(conn, EXCHANGE_FINISHED); // an idle connection is owed nothing
            return;
        }
        refuse_head(conn, 408, "the head was not complete in time");
        return;
    case CONN_BODY:
        refuse(conn, 408, "the body stalled");
        return;
    case CONN_ANSWER:
        if (transport_pending_bytes(conn->transport) < conn->stalled_bytes) {
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
