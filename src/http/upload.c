// SPDX-License-Identifier: MIT
//
// Bytes come by `upload_feed`, are decoded into `body.content`, and leave by `upload_take`. In
// between, whoever waits for them is told. The parser is given back when the last byte has come, or
// when the body has failed: an upload without a parser gets no more bytes.
#include "http/upload.h"

#include "base/limits.h"
#include "base/slab.h"
#include "http/conn_parts.h"
#include "http/exchange.h"
#include "http/http1.h"

#include <errno.h>

enum {
    HIGH_BYTES = LOOP_READ_BYTES, // that nobody has read: the connection stops reading
    CONTENT_BYTES_MAX = HIGH_BYTES + LIMITS_HEAD_BYTES_MAX + 2 * LOOP_READ_BYTES,
};

struct upload {
    struct conn *conn;
    struct http1 *parser;     // NULL once no more comes
    struct request_body body; // its content is what nobody has read yet
    struct body_waiter *waiter;
    struct timer timer;       // armed when somebody begins to wait
    uint64_t seen_bytes;      // of the content, in all
    uint64_t waited_ns;       // for which somebody has waited
    uint64_t waiting_from_ns; // when somebody began to wait, or when bytes last came since then
    int failure;
    int status; // of an answer to the failure
    const char *why;
    bool is_continue_due; // the peer waits for a 100 before it sends the body
};

static struct upload *upload_of(const struct conn *conn);
static void judge(struct upload *upload, enum http1_result result);
static bool is_too_large(const struct upload *upload);
static bool is_dripping(struct upload *upload);
static void count(struct upload *upload);
static void fail(struct upload *upload, int failure, int status, const char *why);
static int failure_of(int status);
static void end_input(struct upload *upload);
static void on_deadline(struct timer *timer);
static void tell(struct upload *upload);

void upload_begin(struct conn *conn)
{
    struct conn_work *work = conn_work(conn);
    const struct request_body *body = &conn->exchange->request->body;
    DCHECK(work->input.upload == NULL && work->input.parser != NULL);
    DCHECK(buf_is_empty(&body->content));
    struct upload *upload = slab_new(struct upload);
    upload->conn = conn;
    upload->parser = work->input.parser;
    work->input.parser = NULL;
    work->input.upload = upload;
    upload->body = *body;
    buf_init(&upload->body.content, CONTENT_BYTES_MAX);
    upload->is_continue_due = body->expects_continue;
    timer_init(&upload->timer, &conn_service(conn)->loop->timers, on_deadline);
}

bool upload_has_more(const struct conn *conn)
{
    const struct upload *upload = upload_of(conn);
    return upload != NULL && upload->parser != NULL;
}

size_t upload_feed(struct conn *conn, char *at, size_t len)
{
    struct upload *upload = upload_of(conn);
    size_t before = buf_len(&upload->body.content);
    size_t taken = 0;
    DCHECK(upload->parser != NULL);
    if (len == 0) {
        return 0;
    }
    upload->is_continue_due = false; // a peer that sends does not wait for one
    enum http1_result result = http1_body(upload->parser, bytes_of(at, len), &upload->body, &taken);
    upload->seen_bytes += buf_len(&upload->body.content) - before;
    count(upload);
    judge(upload, result);
    return upload->failure != 0 ? len : taken;
}

void upload_abort(struct conn *conn)
{
    if (upload_has_more(conn)) {
        fail(upload_of(conn), -ECONNRESET, 400, "the body ended before its length (RFC 9112, 8)");
    }
}

int upload_read(struct conn *conn, struct body_piece *piece)
{
    const struct upload *upload = upload_of(conn);
    *piece = (struct body_piece){.bytes = BYTES("")};
    if (upload == NULL) {
        return 0;
    }
    if (upload->failure != 0) {
        piece->status = upload->status;
        piece->why = upload->why;
        return upload->failure;
    }
    piece->bytes = buf_bytes(&upload->body.content);
    return piece->bytes.len == 0 && upload->parser != NULL ? -EAGAIN : 0;
}

void upload_take(struct conn *conn, size_t size)
{
    struct upload *upload = upload_of(conn);
    DCHECK(upload != NULL && upload->failure == 0);
    buf_consume(&upload->body.content, size);
    count(upload);
    if (upload->parser == NULL && buf_is_empty(&upload->body.content)) {
        upload_finish(conn);
        conn_wake(conn); // an open stream may now do without what a request needs
    } else if (upload->parser != NULL && buf_len(&upload->body.content) < HIGH_BYTES) {
        conn_set_reading(conn, true);
    }
}

/// The 100 goes out when the handler first asks for the body, unless its answer has begun.
int upload_await(struct conn *conn, struct body_waiter *waiter)
{
    struct upload *upload = upload_of(conn);
    DCHECK(upload->parser != NULL && buf_is_empty(&upload->body.content));
    if (upload->waiter != NULL) {
        return -EBUSY;
    }
    upload->waiter = waiter;
    waiter->_place = &upload->waiter;
    upload->waiting_from_ns = clock_ns();
    timer_arm(&upload->timer, http1_limits(upload->parser)->body.timeout_ms);
    if (upload->is_continue_due && conn->exchange->response.state == RESPONSE_FRESH) {
        upload->is_continue_due = false;
        IGNORE(buf_append(&conn_work(conn)->output,
                          BYTES("HTTP/1.1 100 Continue\r\n\r\n"))); // or no memory
        conn_wake(conn);
    }
    return 0;
}

bool upload_ends_connection(const struct conn *conn)
{
    const struct upload *upload = upload_of(conn);
    return upload_has_more(conn) &&
           (upload->body.is_chunked || upload->is_continue_due ||
            http1_body_left(upload->parser, &upload->body) > CONN_SKIP_BYTES_MAX);
}

void upload_finish(struct conn *conn)
{
    struct upload *upload = upload_of(conn);
    if (upload == NULL) {
        return;
    }
    if (upload_ends_connection(conn)) {
        conn->is_last = true;
    } else if (upload->parser != NULL) {
        conn->_work->input.skip_bytes = (size_t)http1_body_left(upload->parser, &upload->body);
    }
    conn->_work->input.upload = NULL;
    end_input(upload);
    buf_reset(&upload->body.content);
    count(upload);
    tell(upload);
    timer_deinit(&upload->timer);
    slab_free(upload);
}

static struct upload *upload_of(const struct conn *conn)
{
    return conn->_work == NULL ? NULL : conn->_work->input.upload;
}

/// Looks at what has come, as `feed_body` of input.c does for a body that is read whole.
static void judge(struct upload *upload, enum http1_result result)
{
    struct http1 *parser = upload->parser;
    const struct limits *limits = http1_limits(parser);
    if (result == HTTP1_REFUSED) {
        int status = http1_status(parser);
        fail(upload, failure_of(status), status, http1_why(parser));
    } else if (is_too_large(upload)) {
        limit_met("body_bytes", upload->body.bytes_max);
        fail(upload, -EMSGSIZE, 413, "the body is larger than this route takes");
    } else if (!service_has_room(conn_service(upload->conn), upload->body.counted)) {
        limit_met("body_total_bytes", limits->body.total_bytes);
        fail(upload, -ENOBUFS, 503, "too many bodies at once; try again later");
    } else if (result == HTTP1_DONE) {
        end_input(upload);
    } else if (is_dripping(upload)) {
        limit_met("body_rate", limits->body.rate);
        fail(upload, -ETIMEDOUT, 408, "the body came slower than body_rate");
    } else if (buf_len(&upload->body.content) >= HIGH_BYTES) {
        conn_set_reading(upload->conn, false);
    }
    if (upload->parser == NULL || !buf_is_empty(&upload->body.content)) {
        tell(upload);
    } else if (upload->waiter != NULL) {
        timer_arm(&upload->timer, limits->body.timeout_ms);
    }
}

static bool is_too_large(const struct upload *upload)
{
    uint64_t bytes_max = upload->body.bytes_max;
    return upload->seen_bytes > bytes_max ||
           http1_body_left(upload->parser, &upload->body) > bytes_max - upload->seen_bytes;
}

/// Whether the body comes slower than `body_rate`, after a grace of `body_timeout`, counted while
/// somebody waits for it. If the deadline is over and its timer has not fired, then the loop did
/// not run for a while, for which the peer must not pay.
static bool is_dripping(struct upload *upload)
{
    const struct limits *limits = http1_limits(upload->parser);
    uint64_t now_ns = clock_ns();
    if (upload->waiter == NULL || limits->body.rate == 0) {
        return false;
    }
    upload->waited_ns += now_ns - upload->waiting_from_ns;
    upload->waiting_from_ns = now_ns;
    if (timer_due_ms(&upload->timer) < loop_now_ms(conn_service(upload->conn)->loop)) {
        upload->waited_ns = 0;
    }
    uint64_t earned_ms = upload->seen_bytes * UINT64_C(1000) / limits->body.rate;
    return upload->waited_ns / 1000000 > limits->body.timeout_ms + earned_ms;
}

static void count(struct upload *upload)
{
    size_t len = buf_len(&upload->body.content);
    service_count_body(conn_service(upload->conn), len - upload->body.counted);
    upload->body.counted = len;
}

/// Where the next request would begin is unknown from now on, so all that comes is thrown away, and
/// the connection ends after the answer. What nobody has read is dropped: half a body is none.
static void fail(struct upload *upload, int failure, int status, const char *why)
{
    struct conn *conn = upload->conn;
    DCHECK(failure < 0 && upload->failure == 0 && status >= 400 && status <= 599);
    upload->failure = failure;
    upload->status = status;
    upload->why = why;
    end_input(upload);
    buf_reset(&upload->body.content);
    count(upload);
    conn->is_last = true;
    conn_work(conn)->input.skip_bytes = SIZE_MAX;
    conn_set_reading(conn, true);
    tell(upload);
}

static int failure_of(int status)
{
    switch (status) {
    case 413:
        return -EMSGSIZE;
    case 503:
        return -ENOBUFS;
    default:
        return -EBADMSG;
    }
}

static void end_input(struct upload *upload)
{
    if (upload->parser != NULL) {
        conn_give_back(upload->conn, upload->parser);
        upload->parser = NULL;
    }
    timer_disarm(&upload->timer);
}

/// Who waited may have left, so that nobody waits for the peer.
static void on_deadline(struct timer *timer)
{
    struct upload *upload = CONTAINER_OF(timer, struct upload, timer);
    if (upload->waiter != NULL) {
        limit_met("body_timeout", http1_limits(upload->parser)->body.timeout_ms);
        fail(upload, -ETIMEDOUT, 408, "the body stalled");
    }
}

static void tell(struct upload *upload)
{
    struct body_waiter *waiter = upload->waiter;
    if (waiter != NULL) {
        body_waiter_leave(waiter);
        waiter->on_body(waiter);
    }
}
