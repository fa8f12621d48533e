// SPDX-License-Identifier: MIT
//
// Bytes move from the transport through the parser into a request. A head must stand in one piece,
// so what came of it is kept until it is complete; a body is read as it comes. In order:
// `feed_head` makes an exchange of a head and asks the service who answers (`on_head`), `feed_body`
// fills the body, `complete_message` hands the exchange up (`on_request`). A body that the handler
// reads while it comes is an upload, and `start_upload` hands it up with its first bytes. Bytes
// behind a message that is being answered are kept, and the transport is stopped when they are
// many. A message that breaks a rule or a limit is answered by `input_refuse`, and the connection
// ends after it.
#include "http/input.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/slab.h"
#include "http/conn_parts.h"
#include "http/exchange.h"
#include "http/http1.h"
#include "http/upload.h"

#include <errno.h>

enum {
    INPUT_HIGH_BYTES = LOOP_READ_BYTES, // behind an answer: stop reading from here on
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
static bool is_dripping(const struct conn *conn);
static void await_body(struct conn *conn, bool has_moved);
static size_t start_upload(struct conn *conn, char *at, size_t len);
static void complete_message(struct conn *conn);
static void take_parser(struct conn *conn);
static void count_waiting(struct conn *conn, const char *at, size_t len);

size_t input_feed(struct conn *conn, char *at, size_t len)
{
    size_t taken = 0;
    if (conn->state == CONN_HEAD) {
        taken = feed_head(conn, at, len);
        if (upload_has_more(conn)) {
            taken += start_upload(conn, at + taken, len - taken);
        }
    }
    if (conn->state == CONN_BODY) {
        taken += feed_body(conn, at + taken, len - taken);
    }
    DCHECK(taken <= len);
    return taken + input_skip(conn, len - taken);
}

size_t input_skip(struct conn *conn, size_t len)
{
    struct conn_work *work = conn->_work;
    if (work == NULL || work->input.skip_bytes == 0) {
        return 0;
    }
    if (work->input.skip_bytes == SIZE_MAX) {
        return len;
    }
    size_t skipped = len < work->input.skip_bytes ? len : work->input.skip_bytes;
    work->input.skip_bytes -= skipped;
    return skipped;
}

/// The ceiling of `kept` is not met in practice. The guard bounds an incomplete head, and behind an
/// answer reading stops while there is still room for a whole read.
bool input_keep(struct conn *conn, char *at, size_t len)
{
    if (len == 0) {
        return true; // nearly always: what was read ends where a message ends
    }
    struct conn_work *work = conn_work(conn);
    if (!buf_append(&work->input.kept, bytes_of(at, len))) {
        return false;
    }
    if (conn->state != CONN_ANSWER) {
        return true;
    }
    count_waiting(conn, at, len);
    if (buf_len(&work->input.kept) >= INPUT_HIGH_BYTES ||
        work->input.waiting_count >= conn_service(conn)->limits->conn.pipeline) {
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
    struct bytes bytes = buf_bytes(&work->input.kept);
    size_t taken = input_feed(conn, (char *)bytes.at, bytes.len);
    DCHECK(taken <= bytes.len && conn->_work == work);
    buf_consume(&work->input.kept, taken);
    if (buf_is_empty(&work->input.kept)) {
        buf_reset(&work->input.kept);
    }
}

/// Refuses the message and ends the connection after the answer, because behind a refused message
/// it is unknown where the next one begins.
void input_refuse(struct conn *conn, int status, const char *why)
{
    struct conn_work *work = conn_work(conn);
    DCHECK(status >= 400 && status <= 599 && conn->exchange != NULL);
    DCHECK(conn->exchange->response.state == RESPONSE_FRESH);
    conn->is_last = true;
    conn->state = CONN_ANSWER;
    input_give_parser_back(conn);
    timer_disarm(&work->timer);
    exchange_refuse(conn->exchange, status, why);
}

void input_refuse_head(struct conn *conn, int status, const char *why)
{
    struct request *request = slab_new(struct request);
    http1_note_method(buf_bytes(&conn_work(conn)->input.kept), request);
    conn->exchange = make_exchange(conn, request);
    input_refuse(conn, status, why);
}

void input_give_parser_back(struct conn *conn)
{
    struct conn_work *work = conn_work(conn);
    work->input.has_partial_head = false;
    if (work->input.parser == NULL) {
        return;
    }
    conn_give_back(conn, work->input.parser);
    work->input.parser = NULL;
}

static size_t feed_head(struct conn *conn, char *at, size_t len)
{
    struct conn_work *work = conn_work(conn);
    if (len == 0) {
        return 0;
    }
    if (work->input.parser == NULL) {
        take_parser(conn);
    }
    struct request *request = slab_new(struct request);
    size_t taken = 0;
    switch (http1_head(work->input.parser, at, len, request, &taken)) {
    case HTTP1_MORE:
        slab_free(request);
        await_head(conn, len > taken);
        return taken;
    case HTTP1_REFUSED:
        conn->exchange = make_exchange(conn, request);
        input_refuse(conn, http1_status(work->input.parser), http1_why(work->input.parser));
        return len;
    case HTTP1_DONE:
        break;
    }
    work->input.has_partial_head = false;
    begin_exchange(conn, request, len > taken);
    return taken;
}

/// A head must be complete `head_timeout` after its first byte. The time of a connection's first
/// head runs since the connection was accepted.
static void await_head(struct conn *conn, bool has_begun)
{
    struct conn_work *work = conn_work(conn);
    if (has_begun && !work->input.has_partial_head) {
        work->input.head_started_ns = clock_ns();
        if (!conn->is_first) {
            timer_arm(&work->timer, http1_limits(work->input.parser)->conn.head_timeout_ms);
        }
    }
    work->input.has_partial_head = has_begun;
}

static void begin_exchange(struct conn *conn, struct request *request, bool has_more)
{
    struct conn_work *work = conn_work(conn);
    DCHECK(conn->state == CONN_HEAD && conn->exchange == NULL);
    struct exchange *exchange = make_exchange(conn, request);
    conn->exchange = exchange;
    conn->is_first = false;
    work->input.waiting_count -= work->input.waiting_count > 0 ? 1 : 0;
    request->body.bytes_max = http1_limits(work->input.parser)->body.bytes;
    conn_service(conn)->events->on_head(conn_service(conn)->user, exchange);
    DCHECK(exchange->response.state == RESPONSE_FRESH); // it is answered from `on_request` on
    if (request->body.length > request->body.bytes_max) {
        refuse_large(conn);
        return;
    }
    buf_init(&request->body.content, request->body.bytes_max);
    bool is_skipped = request->body.is_unwanted && request_has_body(request);
    if (is_skipped && (!request->body.is_chunked || request->body.expects_continue)) {
        bool is_short =
            request->body.length <= CONN_SKIP_BYTES_MAX && !request->body.expects_continue;
        answer_before_body(conn, is_short ? (size_t)request->body.length : SIZE_MAX);
        return;
    }
    if (request->body.is_streamed && !request->body.is_unwanted && request_has_body(request)) {
        timer_disarm(&work->timer);
        conn->state = CONN_ANSWER;
        upload_begin(conn);
        return;
    }
    conn->state = CONN_BODY;
    begin_body(conn, has_more);
}

/// The route takes no body, so the answer does not wait for it, and its bytes are thrown away as
/// they come. `skip_bytes` is the length of a short body; the next request follows it. SIZE_MAX
/// says that the connection ends after the answer: the body is long, and would be sent for nothing;
/// or the peer awaits a 100, and may or may not send the body without it. A chunked body does not
/// come here before its end or CONN_SKIP_BYTES_MAX: its length is not known in advance.
static void answer_before_body(struct conn *conn, size_t skip_bytes)
{
    conn_work(conn)->input.skip_bytes = skip_bytes;
    conn->is_last = conn->is_last || skip_bytes == SIZE_MAX;
    complete_message(conn);
}

/// Makes the exchange of `request`, which it takes over.
static struct exchange *make_exchange(struct conn *conn, struct request *request)
{
    struct conn_work *work = conn_work(conn);
    request->started_ns =
        work->input.head_started_ns != 0 ? work->input.head_started_ns : clock_ns();
    request->is_over_limit = conn->is_over_limit;
    work->input.head_started_ns = 0;
    return exchange_new(&conn->base.carrier, request);
}

/// Refuses a body of which the peer has announced more than the route takes.
static void refuse_large(struct conn *conn)
{
    limit_met("body_bytes", conn->exchange->request->body.bytes_max);
    input_refuse(conn, 413, "the body is larger than this route takes");
}

/// Sends 100 Continue to a peer that asks for it, unless the peer has begun to send the body: then
/// it does not wait for one (RFC 9110, section 10.1.1).
static void begin_body(struct conn *conn, bool has_more)
{
    struct conn_work *work = conn_work(conn);
    const struct request *request = conn->exchange->request;
    if (!request_has_body(request)) {
        return;
    }
    work->input.body_started_ns = request->started_ns;
    timer_arm(&work->timer, http1_limits(work->input.parser)->body.timeout_ms);
    if (request->body.expects_continue && !has_more) {
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
        enum http1_result result =
            http1_body(work->input.parser, bytes_of(at, len), &request->body, &taken);
        count_body(conn);
        if (result != HTTP1_REFUSED &&
            !service_has_room(conn_service(conn), request->body.counted)) {
            limit_met("body_total_bytes", conn_service(conn)->limits->body.total_bytes);
            input_refuse(conn, 503, "too many bodies at once; try again later");
            return len;
        }
        switch (result) {
        case HTTP1_MORE:
            if (http1_skipped_len(work->input.parser) > CONN_SKIP_BYTES_MAX) {
                answer_before_body(conn, SIZE_MAX);
                return len;
            }
            await_body(conn, taken > 0);
            return taken;
        case HTTP1_REFUSED:
            input_refuse(conn, http1_status(work->input.parser), http1_why(work->input.parser));
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
    size_t len = buf_len(&request->body.content);
    DCHECK(len >= request->body.counted && len <= request->body.bytes_max);
    service_count_body(conn_service(conn), len - request->body.counted);
    request->body.counted = len;
}

/// Whether the body comes slower than `body_rate`, counted from the request's begin and after a
/// grace of `body_timeout`. Each byte arms `body_timeout` anew, so without this rule a peer could
/// hold the connection for days with a byte every few seconds.
static bool is_dripping(const struct conn *conn)
{
    const struct conn_work *work = conn->_work;
    const struct limits *limits = http1_limits(work->input.parser);
    const struct request *request = conn->exchange->request;
    if (limits->body.rate == 0) {
        return false;
    }
    uint64_t passed_ms = (clock_ns() - work->input.body_started_ns) / 1000000;
    uint64_t earned_ms = buf_len(&request->body.content) * UINT64_C(1000) / limits->body.rate;
    return passed_ms > limits->body.timeout_ms + earned_ms;
}

/// Waits for more of the body. A chunk that announces more than the route takes is refused before
/// it is read. If the deadline is over and its timer has not fired, then the loop did not run for a
/// while. The peer must not pay for that, so the time that `body_rate` looks at begins anew.
static void await_body(struct conn *conn, bool has_moved)
{
    struct conn_work *work = conn_work(conn);
    const struct request *request = conn->exchange->request;
    uint64_t left = http1_body_left(work->input.parser, &request->body);
    if (timer_due_ms(&work->timer) < loop_now_ms(conn_service(conn)->loop)) {
        work->input.body_started_ns = clock_ns();
    }
    if (left > request->body.bytes_max - buf_len(&request->body.content)) {
        refuse_large(conn);
    } else if (is_dripping(conn)) {
        limit_met("body_rate", http1_limits(work->input.parser)->body.rate);
        input_refuse(conn, 408, "the body came slower than body_rate");
    } else if (has_moved) {
        timer_arm(&work->timer, http1_limits(work->input.parser)->body.timeout_ms);
    }
}

/// Hands up a message of which the body is still to come. What is already known to be wrong with
/// that is answered in the handler's place.
static size_t start_upload(struct conn *conn, char *at, size_t len)
{
    struct body_piece piece = {0};
    size_t taken = upload_feed(conn, at, len);
    int failure = upload_read(conn, &piece);
    DCHECK(conn->exchange->response.state == RESPONSE_FRESH);
    if (failure != 0 && failure != -EAGAIN) {
        input_refuse(conn, piece.status, piece.why);
    } else {
        conn_service(conn)->events->on_request(conn_service(conn)->user, conn->exchange);
    }
    return taken;
}

static void complete_message(struct conn *conn)
{
    struct conn_work *work = conn_work(conn);
    DCHECK(conn->exchange != NULL && conn->exchange->response.state == RESPONSE_FRESH);
    input_give_parser_back(conn);
    timer_disarm(&work->timer);
    conn->state = CONN_ANSWER;
    conn_service(conn)->events->on_request(conn_service(conn)->user, conn->exchange);
}

/// Takes a parser for the message that begins. The codec keeps one spare parser for all connections
/// of the service, because nearly always a message is read at once.
static void take_parser(struct conn *conn)
{
    struct conn_work *work = conn_work(conn);
    struct conn_codec *codec = conn_codec(conn);
    DCHECK(work->input.parser == NULL);
    work->input.parser = codec->spare_parser == NULL ? http1_new() : codec->spare_parser;
    codec->spare_parser = NULL;
    http1_start(work->input.parser, codec->base.service->limits);
}

/// Counts the heads that wait, by their empty lines. An empty line in a body is counted as well;
/// reading then stops a little early, which does no harm.
static void count_waiting(struct conn *conn, const char *at, size_t len)
{
    struct conn_work *work = conn_work(conn);
    for (size_t i = 0; i < len; i++) {
        char wanted = work->input.line_end_len % 2 == 0 ? '\r' : '\n';
        if (at[i] == wanted) {
            work->input.line_end_len++;
        } else {
            work->input.line_end_len = at[i] == '\r' ? 1 : 0;
        }
        if (work->input.line_end_len == 4) {
            work->input.waiting_count++;
            work->input.line_end_len = 0;
        }
    }
}
