// SPDX-License-Identifier: MIT
#include "http/input.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/slab.h"
#include "http/conn_parts.h"
#include "http/exchange.h"
#include "http/http1.h"

enum {
    INPUT_HIGH_BYTES = LOOP_READ_BYTES, // behind an answer: stop reading from here on
    SKIP_BYTES_MAX = 64 * 1024,         // of a body that nobody wants, to keep the connection
};

static size_t feed_head(struct conn *conn, char *at, size_t len);
static void await_head(struct conn *conn, bool has_begun);
static void begin_exchange(struct conn *conn, struct request *request, bool has_more);
static void answer_before_body(struct conn *conn, size_t skip_bytes);
static struct exchange *make_exchange(struct conn *conn, struct request *request);
static void refuse_large(struct conn *conn);
static void begin_body(struct conn *conn, bool has_more);
static size_t feed_body(struct conn *conn, char *at, size_t len);
static void count_body(struct conn *conn);
static bool has_room(const struct conn *conn);
static bool is_dripping(const struct conn *conn);
static void await_body(struct conn *conn, bool has_moved);
static void complete_message(struct conn *conn);
static void take_parser(struct conn *conn);
static void count_waiting(struct conn *conn, const char *at, size_t len);

size_t input_feed(struct conn *conn, char *at, size_t len)
{
    size_t taken = 0;
    if (conn->state == CONN_HEAD) {
        taken = feed_head(conn, at, len);
    }
    if (conn->state == CONN_BODY) {
        taken += feed_body(conn, at + taken, len - taken);
    }
    return taken + input_skip(conn, len - taken);
}

size_t input_skip(struct conn *conn, size_t len)
{
    struct conn_work *work = conn->_work;
    if (work == NULL || work->skip_bytes == 0) {
        return 0;
    }
    if (work->skip_bytes == SIZE_MAX) {
        return len;
    }
    size_t skipped = len < work->skip_bytes ? len : work->skip_bytes;
    work->skip_bytes -= skipped;
    return skipped;
}

/// What is kept is a head that is not complete, which the guard bounds, or waits behind an answer:
/// then reading stops a whole read before the ceiling.
bool input_keep(struct conn *conn, char *at, size_t len)
{
    if (len == 0) {
        return true; // the common case: a read holds whole messages
    }
    struct conn_work *work = conn_work(conn);
    if (!buf_append(&work->input, bytes_of(at, len))) {
        return false;
    }
    if (conn->state != CONN_ANSWER) {
        return true;
    }
    count_waiting(conn, at, len);
    if (buf_len(&work->input) >= INPUT_HIGH_BYTES ||
        work->waiting_count >= conn_service(conn)->limits->pipeline) {
        conn_set_reading(conn, false);
    }
    return true;
}

void input_feed_kept(struct conn *conn)
{
    if (conn->state != CONN_HEAD && conn->state != CONN_BODY) {
        return;
    }
    struct conn_work *work = conn_work(conn);
    struct bytes bytes = buf_bytes(&work->input);
    size_t taken = input_feed(conn, (char *)bytes.at, bytes.len);
    buf_consume(&work->input, taken);
    if (buf_is_empty(&work->input)) {
        buf_reset(&work->input);
    }
}

/// The answer to a message that cannot be taken. Where the next message would begin is uncertain,
/// so the connection ends after it.
void input_refuse(struct conn *conn, int status, const char *why)
{
    struct conn_work *work = conn_work(conn);
    conn->is_last = true;
    conn->state = CONN_ANSWER;
    input_give_parser_back(conn);
    timer_disarm(&work->timer);
    exchange_refuse(conn->exchange, status, why);
}

void input_refuse_head(struct conn *conn, int status, const char *why)
{
    struct request *request = slab_new(struct request);
    http1_note_method(buf_bytes(&conn_work(conn)->input), request);
    conn->exchange = make_exchange(conn, request);
    input_refuse(conn, status, why);
}

void input_give_parser_back(struct conn *conn)
{
    struct conn_work *work = conn_work(conn);
    work->has_partial_head = false;
    if (work->parser == NULL) {
        return;
    }
    http1_stop(work->parser);
    if (conn_codec(conn)->spare_parser == NULL) {
        conn_codec(conn)->spare_parser = work->parser;
    } else {
        http1_free(work->parser);
    }
    work->parser = NULL;
}

static size_t feed_head(struct conn *conn, char *at, size_t len)
{
    struct conn_work *work = conn_work(conn);
    if (len == 0) {
        return 0;
    }
    if (work->parser == NULL) {
        take_parser(conn);
    }
    struct request *request = slab_new(struct request);
    size_t taken = 0;
    switch (http1_head(work->parser, at, len, request, &taken)) {
    case HTTP1_MORE:
        slab_free(request);
        await_head(conn, len > taken);
        return taken;
    case HTTP1_REFUSED:
        conn->exchange = make_exchange(conn, request);
        input_refuse(conn, http1_status(work->parser), http1_why(work->parser));
        return len;
    case HTTP1_DONE:
        break;
    }
    work->has_partial_head = false;
    begin_exchange(conn, request, len > taken);
    return taken;
}

/// A head that has begun has `head_timeout` to its end.
static void await_head(struct conn *conn, bool has_begun)
{
    struct conn_work *work = conn_work(conn);
    if (has_begun && !work->has_partial_head) {
        work->head_started_ns = clock_ns();
        if (!conn->is_first) {
            timer_arm(&work->timer, http1_limits(work->parser)->head_timeout_ms);
        }
    }
    work->has_partial_head = has_begun;
}

static void begin_exchange(struct conn *conn, struct request *request, bool has_more)
{
    struct conn_work *work = conn_work(conn);
    struct exchange *exchange = make_exchange(conn, request);
    conn->exchange = exchange;
    conn->is_first = false;
    work->waiting_count -= work->waiting_count > 0 ? 1 : 0;
    request->body_bytes_max = http1_limits(work->parser)->body_bytes;
    conn_service(conn)->events->on_head(conn_service(conn)->user, exchange);
    if (request->content_length > request->body_bytes_max) {
        refuse_large(conn);
        return;
    }
    buf_init(&request->body, request->body_bytes_max);
    bool is_skipped = request->is_body_unwanted && request_has_body(request);
    if (is_skipped && (!request->is_chunked || request->expects_continue)) {
        bool is_short = request->content_length <= SKIP_BYTES_MAX && !request->expects_continue;
        answer_before_body(conn, is_short ? (size_t)request->content_length : SIZE_MAX);
        return;
    }
    conn->state = CONN_BODY;
    begin_body(conn, has_more);
}

/// Nobody wants the body, so the answer does not wait for it, and none of it is kept. `skip_bytes`
/// is its length when it is short: the next request stands behind it. After any other the
/// connection ends: a long one would be sent for nothing, and whether one follows for which the
/// peer awaits a 100 is not known. Chunks that may be short are read to their end first, which is
/// not known either.
static void answer_before_body(struct conn *conn, size_t skip_bytes)
{
    conn_work(conn)->skip_bytes = skip_bytes;
    conn->is_last = conn->is_last || skip_bytes == SIZE_MAX;
    complete_message(conn);
}

/// Takes over `request`.
static struct exchange *make_exchange(struct conn *conn, struct request *request)
{
    struct conn_work *work = conn_work(conn);
    request->started_ns = work->head_started_ns != 0 ? work->head_started_ns : clock_ns();
    request->is_over_limit = conn->is_over_limit;
    work->head_started_ns = 0;
    return exchange_new(&conn->base.carrier, request);
}

/// The peer has announced more than the route takes.
static void refuse_large(struct conn *conn)
{
    limit_met("body_bytes", conn->exchange->request->body_bytes_max);
    input_refuse(conn, 413, "the body is larger than this route takes");
}

/// A peer that has begun to send its body does not wait for a 100 (RFC 9110, section 10.1.1).
static void begin_body(struct conn *conn, bool has_more)
{
    struct conn_work *work = conn_work(conn);
    const struct request *request = conn->exchange->request;
    if (!request_has_body(request)) {
        return;
    }
    work->body_started_ns = request->started_ns;
    timer_arm(&work->timer, http1_limits(work->parser)->body_timeout_ms);
    if (request->expects_continue && !has_more) {
        IGNORE(buf_append(&work->output, BYTES("HTTP/1.1 100 Continue\r\n\r\n"))); // or no memory
        conn_wake(conn);
    }
}

static size_t feed_body(struct conn *conn, char *at, size_t len)
{
    struct conn_work *work = conn_work(conn);
    struct request *request = conn->exchange->request;
    size_t taken = 0;
    if (request_has_body(request)) {
        enum http1_result result = http1_body(work->parser, bytes_of(at, len), request, &taken);
        count_body(conn);
        if (result != HTTP1_REFUSED && !has_room(conn)) {
            limit_met("body_total_bytes", conn_service(conn)->limits->body_total_bytes);
            input_refuse(conn, 503, "too many bodies at once; try again later");
            return len;
        }
        switch (result) {
        case HTTP1_MORE:
            if (http1_skipped_len(work->parser) > SKIP_BYTES_MAX) {
                answer_before_body(conn, SIZE_MAX);
                return len;
            }
            await_body(conn, taken > 0);
            return taken;
        case HTTP1_REFUSED:
            input_refuse(conn, http1_status(work->parser), http1_why(work->parser));
            return len;
        case HTTP1_DONE:
            break;
        }
    }
    complete_message(conn);
    return taken;
}

static void count_body(struct conn *conn)
{
    struct request *request = conn->exchange->request;
    size_t len = buf_len(&request->body);
    service_count_body(conn_service(conn), len - request->body_counted);
    request->body_counted = len;
}

/// A body may be as large as what all bodies together leave free. So the total is never passed, and
/// when it comes near, large bodies are refused while small ones go on.
static bool has_room(const struct conn *conn)
{
    uint64_t total = conn_service(conn)->limits->body_total_bytes;
    uint64_t used = conn_service(conn)->body_bytes;
    return used <= total && conn->exchange->request->body_counted <= total - used;
}

/// Whether the body comes slower than `body_rate`, since the request began and after a grace. Each
/// piece is too little to run into `body_timeout`, so without this a byte every few seconds would
/// hold the connection for days.
static bool is_dripping(const struct conn *conn)
{
    const struct conn_work *work = conn->_work;
    const struct limits *limits = http1_limits(work->parser);
    const struct request *request = conn->exchange->request;
    if (limits->body_rate == 0) {
        return false;
    }
    uint64_t passed_ms = (clock_ns() - work->body_started_ns) / 1000000;
    uint64_t earned_ms = buf_len(&request->body) * UINT64_C(1000) / limits->body_rate;
    return passed_ms > limits->body_timeout_ms + earned_ms;
}

/// A chunk that announces more than the route takes is refused before it is read. When bytes come
/// though the deadline has passed, the server stood still and the peer did not: the body's time
/// begins anew.
static void await_body(struct conn *conn, bool has_moved)
{
    struct conn_work *work = conn_work(conn);
    const struct request *request = conn->exchange->request;
    uint64_t left = http1_body_left(work->parser, request);
    if (timer_due_ms(&work->timer) < loop_now_ms(conn_service(conn)->loop)) {
        work->body_started_ns = clock_ns();
    }
    if (left > request->body_bytes_max - buf_len(&request->body)) {
        refuse_large(conn);
    } else if (is_dripping(conn)) {
        limit_met("body_rate", http1_limits(work->parser)->body_rate);
        input_refuse(conn, 408, "the body came slower than body_rate");
    } else if (has_moved) {
        timer_arm(&work->timer, http1_limits(work->parser)->body_timeout_ms);
    }
}

static void complete_message(struct conn *conn)
{
    struct conn_work *work = conn_work(conn);
    input_give_parser_back(conn);
    timer_disarm(&work->timer);
    conn->state = CONN_ANSWER;
    conn_service(conn)->events->on_request(conn_service(conn)->user, conn->exchange);
}

/// A message begins. One reader is kept for the next, whichever connection it comes on.
static void take_parser(struct conn *conn)
{
    struct conn_work *work = conn_work(conn);
    struct conn_codec *codec = conn_codec(conn);
    work->parser = codec->spare_parser == NULL ? http1_new() : codec->spare_parser;
    codec->spare_parser = NULL;
    http1_start(work->parser, codec->base.service->limits);
}

/// An empty line in a body counts too: then reading merely stops a little early.
static void count_waiting(struct conn *conn, const char *at, size_t len)
{
    struct conn_work *work = conn_work(conn);
    for (size_t i = 0; i < len; i++) {
        char wanted = work->line_end_len % 2 == 0 ? '\r' : '\n';
        if (at[i] == wanted) {
            work->line_end_len++;
        } else {
            work->line_end_len = at[i] == '\r' ? 1 : 0;
        }
        if (work->line_end_len == 4) {
            work->waiting_count++;
            work->line_end_len = 0;
        }
    }
}
