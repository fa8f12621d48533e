// SPDX-License-Identifier: MIT
//
// A whole connection: the codec, the conn and its exchanges over a loopback transport, answered by
// a small script that the request's target chooses. However the input is cut and however slowly the
// output is taken, the answers are the same; they are well formed by a reader of their own; and
// they answer the requests that a plain reader finds, no others. All of it holds as well when the
// bytes go through a transport over that transport, which scrambles them (veil.h). Input: a byte of
// choices, one for the size of input pieces, one for the size of output pieces, then what the peer
// sends.
#include "exchanges.h"
#include "fuzz.h"
#include "messages.h"
#include "net/loopback.h"
#include "veil.h"

#include "base/log.h"
#include "base/mem.h"
#include "http/codecs.h"
#include "http/exchange.h"
#include "http/service.h"
#include "net/socket_address.h"
#include "sse/stream.h"

#include <errno.h>
#include <stdio.h>

enum {
    INPUT_BYTES_MAX = 4096,
    FINE_BYTES_MAX = 1024, // cut at each byte
    PIECES_MAX = 6,        // of an answer by hand
    TURNS_MAX = 100000,
};

enum choice { CHOICE_SMALL = 1, CHOICE_OVER_LIMIT = 2, CHOICE_LEAVES = 4, CHOICE_ENDS = 8 };

/// How the bytes of one run are cut.
struct plan {
    uint8_t choices;
    size_t input_step;
    size_t output_step;
    size_t cut_at;     // the connection is torn down when so many bytes were sent; SIZE_MAX: never
    size_t record_max; // of a veil over the loopback; 0: there is none
};

/// The result of one run.
struct outcome {
    struct loopback transport;
    struct service service;
    atomic_size_t conn_total;
    struct veil_coder coder; // of what the peer sends
    struct buf plain;        // what the peer has been sent, without the veil
    struct buf requests;     // "method target body_len\n" of each whose body was read
    size_t request_count;
};

/// The handler of one exchange.
struct holder {
    struct exchange *exchange;
    struct loop *loop;
    struct loop_job job;
    struct stream_holder watch;
    struct stream *stream; // NULL unless it is one
    struct body_waiter waiter;
    size_t body_len; // of a body that is streamed: what was read
    int piece_count; // still to be written
};

static struct limits choose_limits(uint8_t choices);
static void run(struct outcome *outcome, struct bytes input, const struct plan *plan);
static void send_all(struct outcome *outcome, struct bytes input, const struct plan *plan);
static void send_bytes(struct outcome *outcome, struct bytes bytes, const struct plan *plan);
static void end_sending(struct outcome *outcome, const struct plan *plan);
static void settle(struct outcome *outcome, size_t output_step);
static void lift_veil(struct outcome *outcome, const struct plan *plan);
static void free_outcome(struct outcome *outcome);
static void check_requests(const struct outcome *outcome, struct bytes input);
static void check_responses(struct outcome *outcome, struct buf *canonical);
static void check_same(const struct buf *wanted, struct bytes input, const struct plan *plan);
static void on_head(void *user, struct exchange *exchange);
static void on_request(void *user, struct exchange *exchange);
static void note_request(const struct request *request, size_t body_len, struct buf *out);
static void read_body(struct holder *holder);
static void on_body(struct body_waiter *waiter);
static void on_later(struct loop_job *job);
static void answer(struct holder *holder);
static void open_stream(struct holder *holder);
static void send_event(struct holder *holder);
static void echo(struct exchange *exchange);
static void on_stream_room(struct stream_holder *watch);
static void on_stream_peer_ended(struct stream_holder *watch);
static void on_stream_ended(struct stream_holder *watch);
static void on_stream_done(struct stream_holder *watch, enum end_reason reason);
static void end(struct holder *holder);
static void on_room(struct exchange *exchange);
static void on_peer_ended(struct exchange *exchange);
static void on_done(struct exchange *exchange, enum end_reason reason);
static char kind_of(const struct exchange *exchange);

static const struct service_events service_events = {.on_head = on_head, .on_request = on_request};
static const struct stream_events stream_events = {
    .on_room = on_stream_room,
    .on_peer_ended = on_stream_peer_ended,
    .on_ended = on_stream_ended,
    .on_done = on_stream_done,
};

static const struct exchange_events exchange_events = {
    .on_room = on_room, .on_peer_ended = on_peer_ended, .on_done = on_done};

static struct loop the_loop;
static struct limits the_limits;
/// A body was streamed in one of the runs. Whether a fault of it or the handler comes first depends
/// on the cut: then the runs are not compared.
static bool is_upload;

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static bool is_ready;
    if (!is_ready) {
        CHECK(loop_init(&the_loop) == 0);
        log_configure(LOG_SILENT, LOG_TEXT);
        is_ready = true;
    }
    struct bytes input = bytes_of((const char *)at, len);
    struct plan plan = {.choices = fuzz_byte(&input), .cut_at = SIZE_MAX};
    is_upload = false;
    size_t input_step = 1 + (size_t)fuzz_byte(&input);
    size_t output_step = 1 + (size_t)fuzz_byte(&input);
    input.len = input.len > INPUT_BYTES_MAX ? INPUT_BYTES_MAX : input.len;
    the_limits = choose_limits(plan.choices);
    plan.input_step = plan.output_step = SIZE_MAX;
    struct outcome whole;
    struct buf wanted;
    buf_init(&wanted, SIZE_MAX);
    run(&whole, input, &plan);
    check_requests(&whole, input);
    check_responses(&whole, &wanted);
    free_outcome(&whole);
    plan.output_step = output_step;
    check_same(&wanted, input, &plan);
    plan.input_step = input_step;
    check_same(&wanted, input, &plan);
    plan.input_step = 1;
    plan.output_step = SIZE_MAX;
    check_same(&wanted, input, &plan);
    plan.record_max = output_step % 40 + 1;
    check_same(&wanted, input, &plan);
    plan.output_step = output_step;
    plan.input_step = input_step;
    check_same(&wanted, input, &plan);
    plan.record_max = 0;
    plan.cut_at = input_step * 8;
    plan.input_step = input_step * 2;
    plan.output_step = output_step;
    run(&whole, input, &plan);
    free_outcome(&whole);
    plan.record_max = input_step;
    run(&whole, input, &plan);
    free_outcome(&whole);
    buf_reset(&wanted);
    return 0;
}

/// Sets deadlines that are far away, so that the result of a run does not depend on time.
static struct limits choose_limits(uint8_t choices)
{
    struct limits limits = limits_default();
    limits.conn.head_timeout_ms = limits.body.timeout_ms = limits.conn.idle_timeout_ms = 1000000000;
    limits.conn.peer_timeout_ms = 1000000000;
    limits.conn.count = (choices & CHOICE_OVER_LIMIT) != 0 ? 0 : 10;
    if ((choices & CHOICE_SMALL) != 0) {
        limits.head.bytes = 200;
        limits.head.fields = 6;
        limits.head.target_bytes = 40;
        limits.body.bytes = 50;
        limits.conn.pipeline = 2;
    }
    return limits;
}

static void check_same(const struct buf *wanted, struct bytes input, const struct plan *plan)
{
    if (plan->input_step == 1 && input.len > FINE_BYTES_MAX) {
        return;
    }
    struct outcome outcome;
    struct buf canonical;
    buf_init(&canonical, SIZE_MAX);
    run(&outcome, input, plan);
    check_requests(&outcome, input);
    check_responses(&outcome, &canonical);
    CHECK(is_upload || bytes_equal(buf_bytes(&canonical), buf_bytes(wanted)));
    free_outcome(&outcome);
    buf_reset(&canonical);
}

/// The peer sends everything, reads everything, closes its side, and the connection must be gone.
static void run(struct outcome *outcome, struct bytes input, const struct plan *plan)
{
    *outcome = (struct outcome){.request_count = 0};
    buf_init(&outcome->requests, SIZE_MAX);
    buf_init(&outcome->plain, SIZE_MAX);
    service_init(&outcome->service, &the_loop, &the_limits, &outcome->conn_total);
    codecs_use_http1(&outcome->service);
    outcome->service.events = &service_events;
    outcome->service.user = outcome;
    loopback_init(&outcome->transport, &the_loop, plan->output_step);
    static const struct socket_address peer; // nobody in particular
    struct transport *transport = &outcome->transport.base;
    if (plan->record_max > 0) {
        transport = veil_over(transport, &the_loop, plan->record_max);
    }
    service_accept(&outcome->service, transport, &peer, false);
    send_all(outcome, input, plan);
    if (plan->cut_at == SIZE_MAX) {
        settle(outcome, plan->output_step);
    } else if ((plan->choices & CHOICE_LEAVES) != 0) {
        loopback_fail(&outcome->transport);
    } else if ((plan->choices & CHOICE_ENDS) != 0) {
        service_close_all(&outcome->service);
    } else {
        service_drain(&outcome->service);
    }
    end_sending(outcome, plan);
    settle(outcome, plan->output_step);
    CHECK(outcome->transport.is_gone);
    CHECK(outcome->service.conn_count == 0);
    lift_veil(outcome, plan);
}

/// Takes what the server has written until the server reads again.
static void send_all(struct outcome *outcome, struct bytes input, const struct plan *plan)
{
    struct loopback *transport = &outcome->transport;
    size_t sent = 0;
    while (input.len > 0 && sent < plan->cut_at) {
        if (!transport->is_reading) {
            settle(outcome, plan->output_step);
        }
        if (transport->is_closing) {
            return;
        }
        size_t size = plan->input_step < input.len ? plan->input_step : input.len;
        send_bytes(outcome, bytes_of(input.at, size), plan);
        input = bytes_skip(input, size);
        sent += size;
        if (size % 2 == 1) {
            loop_turn(&the_loop);
            loopback_make_room(transport, plan->output_step);
        }
    }
}

/// Sends `bytes`, with a veil as a record, whose parts come one after the other.
static void send_bytes(struct outcome *outcome, struct bytes bytes, const struct plan *plan)
{
    if (plan->record_max == 0) {
        loopback_send(&outcome->transport, bytes);
        return;
    }
    struct buf record;
    buf_init(&record, SIZE_MAX);
    veil_encode(&outcome->coder, bytes, &record);
    struct bytes rest = buf_bytes(&record);
    while (rest.len > 0 && outcome->transport.is_reading && !outcome->transport.is_closing) {
        size_t size = rest.len < plan->record_max ? rest.len : plan->record_max;
        loopback_send(&outcome->transport, bytes_of(rest.at, size));
        rest = bytes_skip(rest, size);
    }
    buf_reset(&record);
}

/// Under a veil, a peer that has sent everything sends a last record. A peer that was cut sends
/// none.
static void end_sending(struct outcome *outcome, const struct plan *plan)
{
    const struct loopback *transport = &outcome->transport;
    if (plan->record_max > 0 && plan->cut_at == SIZE_MAX && transport->is_reading &&
        !transport->is_closing) {
        send_bytes(outcome, BYTES(""), plan);
    }
    loopback_end(&outcome->transport);
}

/// A connection whose sending side was shut has sent its last record before. (One that was closed,
/// because the peer had ended, has tried to.)
static void lift_veil(struct outcome *outcome, const struct plan *plan)
{
    struct bytes taken = buf_bytes(&outcome->transport.taken);
    if (plan->record_max == 0) {
        messages_put(&outcome->plain, taken);
        return;
    }
    bool has_last = veil_decode(taken, &outcome->plain);
    CHECK(has_last || !outcome->transport.is_shut);
}

/// Runs turns until nothing is left to do.
static void settle(struct outcome *outcome, size_t output_step)
{
    struct loopback *transport = &outcome->transport;
    bool is_busy = true;
    for (int turns = 0; is_busy; turns++) {
        CHECK(turns < TURNS_MAX);
        loop_turn(&the_loop);
        is_busy = !list_is_empty(&the_loop._jobs[LOOP_RUN]) ||
                  !list_is_empty(&the_loop._jobs[LOOP_WRITE]);
        if (!is_busy && !transport->is_gone && transport->awaits_room) {
            loopback_make_room(transport, output_step);
            is_busy = true;
        }
    }
}

static void free_outcome(struct outcome *outcome)
{
    service_deinit(&outcome->service);
    loopback_deinit(&outcome->transport);
    buf_reset(&outcome->requests);
    buf_reset(&outcome->plain);
}

/// Checks that everything that the server took for a request is one, with that method, target and
/// body, and that it left out none before the first that it refused.
static void check_requests(const struct outcome *outcome, struct bytes input)
{
    struct bytes found = buf_bytes(&outcome->requests);
    struct plain_request request;
    while (found.len > 0) {
        char text[32];
        CHECK(plain_request(input, &request));
        bool is_unwanted = request.target.len > 1 && request.target.at[1] == 'x';
        if (is_unwanted && request.body_len > 0) {
            input = request.rest; // its body was skipped, and nothing noted
            continue;
        }
        int len = snprintf(text, sizeof(text), " %zu\n", request.body_len);
        size_t size = request.method.len + 1 + request.target.len + (size_t)len;
        CHECK(bytes_starts_with(found, request.method));
        CHECK(found.len >= size);
        struct bytes target = bytes_of(found.at + request.method.len + 1, request.target.len);
        CHECK(bytes_equal(target, request.target));
        CHECK(memcmp(target.at + target.len, text, (size_t)len) == 0);
        found = bytes_skip(found, size);
        input = request.rest;
    }
}

/// Checks that each request has its answer, in order; that at most one more answer follows, which
/// refuses what came then; and that nothing follows an answer that says that it is the last.
static void check_responses(struct outcome *outcome, struct buf *canonical)
{
    struct bytes rest = buf_bytes(&outcome->plain);
    struct bytes requests = buf_bytes(&outcome->requests);
    size_t final_count = 0;
    bool is_close = false;
    while (rest.len > 0) {
        struct plain_response response;
        bool is_head = bytes_starts_with(requests, BYTES("HEAD "));
        CHECK(!is_close);
        plain_response(rest, is_head, requests.len == 0, &response);
        rest = response.rest;
        if (response.status >= 200) {
            messages_put(canonical, buf_bytes(&response.text));
            is_close = response.is_close;
            final_count++;
            const char *end = requests.len == 0 ? NULL : memchr(requests.at, '\n', requests.len);
            requests =
                end == NULL ? BYTES("") : bytes_skip(requests, (size_t)(end - requests.at) + 1);
        }
        buf_reset(&response.text);
    }
    CHECK(final_count >= outcome->request_count);
    CHECK(final_count <= outcome->request_count + 1);
}

static void on_head(void *user, struct exchange *exchange)
{
    (void)user;
    char kind = kind_of(exchange);
    exchange->request->body.is_unwanted = kind == 'x' || exchange_is_over_limit(exchange);
    exchange->request->body.is_streamed = kind == 'u';
    is_upload = is_upload || kind == 'u';
    if (kind == 'b') {
        exchange->request->body.bytes_max = 8;
    }
}

static void on_request(void *user, struct exchange *exchange)
{
    struct outcome *outcome = user;
    outcome->request_count++;
    const struct request *request = exchange->request;
    bool is_streamed = request->body.is_streamed && !request->body.is_unwanted;
    if (!is_streamed && (!request->body.is_unwanted || !request_has_body(request))) {
        note_request(request, buf_len(&request->body.content), &outcome->requests);
    }
    struct holder *holder = mem_new(struct holder);
    holder->exchange = exchange;
    holder->loop = &the_loop;
    loop_job_init(&holder->job, on_later);
    exchange->holder = holder;
    exchange->events = &exchange_events;
    if (is_streamed) {
        read_body(holder);
    } else if (request->target_text.len % 2 == 0) {
        answer(holder);
    } else {
        loop_at_turn_end(&the_loop, LOOP_RUN, &holder->job);
    }
}

static void note_request(const struct request *request, size_t body_len, struct buf *out)
{
    char text[32];
    int len = snprintf(text, sizeof(text), " %zu\n", body_len);
    messages_put(out, request->method);
    messages_put(out, BYTES(" "));
    messages_put(out, request->target_text);
    messages_put(out, bytes_of(text, (size_t)len));
}

/// Reads what has come of a body that is streamed, and answers behind its end.
static void read_body(struct holder *holder)
{
    struct exchange *exchange = holder->exchange;
    struct outcome *outcome = exchange_service(exchange)->user;
    struct body_piece piece;
    int failure;
    while ((failure = exchange_read_body(exchange, &piece)) == 0 && piece.bytes.len > 0) {
        size_t size = piece.bytes.len < 100 ? piece.bytes.len : 100;
        holder->body_len += size;
        exchange_take_body(exchange, size);
    }
    if (failure == -EAGAIN) {
        holder->waiter.on_body = on_body;
        CHECK(exchange_await_body(exchange, &holder->waiter) == 0);
    } else if (failure != 0) {
        exchange_refuse(exchange, piece.status, piece.why);
    } else {
        note_request(exchange->request, holder->body_len, &outcome->requests);
        answer(holder);
    }
}

static void on_body(struct body_waiter *waiter)
{
    struct holder *holder = CONTAINER_OF(waiter, struct holder, waiter);
    loop_at_turn_end(&the_loop, LOOP_RUN, &holder->job);
}

static void on_later(struct loop_job *job)
{
    struct holder *holder = CONTAINER_OF(job, struct holder, job);
    if (holder->waiter.on_body != NULL) {
        read_body(holder);
    } else {
        answer(holder);
    }
}

/// The first letter of the path says how: c, chunked by hand; s, an event stream; n, no content;
/// f, a failure; anything else, an echo.
static void answer(struct holder *holder)
{
    struct exchange *exchange = holder->exchange;
    switch (kind_of(exchange)) {
    case 'c':
        holder->piece_count = (int)exchange->request->target_text.len % PIECES_MAX;
        IGNORE(exchange_begin(exchange)); // it is fresh
        exchange_await_room(exchange);
        return;
    case 's':
        open_stream(holder);
        return;
    case 'n':
        exchange->response.status = 204;
        echo(exchange);
        return;
    case 'f':
        exchange->response.status = 500;
        echo(exchange);
        return;
    default:
        echo(exchange);
    }
}

static void open_stream(struct holder *holder)
{
    struct stream_options options = {.has_retry = true, .retry_ms = 1};
    int failure;
    holder->stream = stream_open(holder->exchange, &options, &failure);
    CHECK(holder->stream != NULL || holder->exchange->is_head);
    if (holder->stream == NULL) {
        echo(holder->exchange);
        return;
    }
    holder->watch.events = &stream_events;
    holder->stream->holder = &holder->watch;
    holder->piece_count = (int)holder->exchange->request->target_text.len % PIECES_MAX;
    exchange_await_room(holder->exchange);
}

static void echo(struct exchange *exchange)
{
    const struct request *request = exchange->request;
    struct buf body;
    buf_init(&body, SIZE_MAX);
    messages_put(&body, request->method);
    messages_put(&body, BYTES(" "));
    messages_put(&body, request->target_text);
    messages_put(&body, BYTES("\n"));
    messages_put(&body, buf_bytes(&request->body.content));
    CHECK(exchange_send(exchange, buf_bytes(&body)) == 0);
    buf_reset(&body);
}

/// Writes one more piece at each call.
static void on_room(struct exchange *exchange)
{
    struct holder *holder = exchange->holder;
    if (holder->piece_count-- > 0) {
        IGNORE(exchange_write(exchange, exchange->request->target_text)); // HEAD has ended
        exchange_await_room(exchange);
    } else {
        IGNORE(exchange_finish(exchange)); // HEAD has ended
    }
}

static void on_stream_room(struct stream_holder *watch)
{
    struct holder *holder = CONTAINER_OF(watch, struct holder, watch);
    if (holder->piece_count-- > 0) {
        send_event(holder);
        exchange_await_room(holder->stream->exchange);
    } else {
        stream_end(holder->stream, END_FINISHED, STREAM_NO_RETRY);
    }
}

static void send_event(struct holder *holder)
{
    struct sse_event event = {.has_data = true, .data = holder->exchange->request->target_text};
    CHECK(stream_send(holder->stream, &event) == 0);
}

static void on_peer_ended(struct exchange *exchange)
{
    (void)exchange; // the answer is written to its end
}

static void on_stream_peer_ended(struct stream_holder *watch)
{
    (void)watch; // the stream probes the peer by itself
}

static void on_done(struct exchange *exchange, enum end_reason reason)
{
    (void)reason;
    end(exchange->holder);
}

static void on_stream_ended(struct stream_holder *watch)
{
    (void)watch; // nothing works on it
}

static void on_stream_done(struct stream_holder *watch, enum end_reason reason)
{
    (void)reason;
    end(CONTAINER_OF(watch, struct holder, watch));
}

static void end(struct holder *holder)
{
    loop_job_cancel(&holder->job);
    body_waiter_leave(&holder->waiter);
    mem_free(holder);
}

static char kind_of(const struct exchange *exchange)
{
    struct bytes path = exchange->request->target.path;
    return path.len > 1 ? path.at[1] : '/';
}
