// SPDX-License-Identifier: MIT
//
// An exchange checks what the upper floors ask of the response against its state (fresh, open,
// ended; aborted), and passes what is left on to the carrier, which knows how it is written. What
// comes back is the codec's affair: it calls `flush`, `on_room` and `on_peer_ended` of the holder,
// and `exchange_end` at last. In order: exchange_new; the holder begins, writes and finishes, or
// sends it all at once; exchange_end; exchange_free.
#include "http/exchange.h"

#include "base/buf.h"
#include "base/decimal.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/slab.h"
#include "http/access.h"
#include "http/origin.h"
#include "net/socket_address.h"
#include "wire/status.h"

#include <errno.h>
#include <stdio.h>

enum { CONTENT_BYTES_MAX = INT32_MAX / 2 }; // of an answer in one piece

enum exchange_request_state {
    REQUEST_OWNED,            // the exchange frees it
    REQUEST_LENT,             // it lies in memory of a holder
    REQUEST_LET_GO,           // there is a trace in its place
    REQUEST_LET_GO_FORWARDED, // the same, and the trace has the client's address
};

/// What is left of a request that was let go.
struct exchange_trace {
    uint64_t number;
    uint64_t started_ns;
    char text[]; // method and target, each with its NUL; the client's address, if a proxy said it
};

/// The texts that a record of the access log points to.
struct log_texts {
    char id[EXCHANGE_ID_LEN_MAX];
    char host[PEER_HOST_BYTES_MAX];
};

static const struct carrier_ops *ops_of(const struct exchange *exchange);
static const struct body_ops *body_ops_of(const struct exchange *exchange);
static enum codec_content open_content(const struct exchange *exchange);
static bool sends_content(const struct exchange *exchange);
static void log_opened(const struct exchange *exchange);
static void log_answered(const struct exchange *exchange, enum end_reason reason, uint64_t now_ns);
static struct access_record record_of(const struct exchange *exchange, struct log_texts *texts);
static bool has_trace(const struct exchange *exchange);
static char *put_text(char *at, struct bytes text);
static struct bytes trace_text(const struct exchange_trace *trace, int index);
static size_t trace_size(const struct exchange *exchange);
static void drop_request(struct exchange *exchange);
static void uncount_body(const struct exchange *exchange);

struct exchange *exchange_new(struct carrier *carrier, struct request *request)
{
    OWNED(&carrier->codec->service->loop->owner);
    DCHECK(request->number == 0 && request->body.counted == 0);
    struct exchange *exchange = slab_new(struct exchange);
    request->number = service_next_number(carrier->codec->service);
    exchange->carrier = carrier;
    exchange->request = request;
    exchange->is_head = bytes_equal(request->method, BYTES("HEAD"));
    exchange->wants_close = request->wants_close;
    response_init(&exchange->response);
    return exchange;
}

void exchange_refuse(struct exchange *exchange, int status, const char *why)
{
    char text[160];
    int len = snprintf(text, sizeof(text), "%d: %s\n", status, why);
    DCHECK(len > 0 && (size_t)len < sizeof(text));
    exchange->end_reason = END_REFUSED;
    exchange->wants_close = true;
    exchange->response.status = (uint16_t)status;
    IGNORE(response_set_field(&exchange->response, BYTES("Content-Type"),
                              BYTES("text/plain; charset=utf-8"))); // or without it
    IGNORE(exchange_send(exchange, bytes_of(text, (size_t)len)));   // it is fresh, or aborted
}

void exchange_end(struct exchange *exchange, enum end_reason reason)
{
    const struct service *service = exchange_service(exchange);
    OWNED(&service->loop->owner);
    uint64_t now_ns = clock_ns();
    uncount_body(exchange);
    log_answered(exchange, reason, now_ns);
    if (!exchange->response.is_stream && service->events->on_answered != NULL) {
        uint64_t started_ns = exchange->request->started_ns;
        service->events->on_answered(service->user, exchange,
                                     started_ns == 0 ? 0 : now_ns - started_ns);
    }
    if (exchange->events != NULL) {
        exchange->events->on_done(exchange, reason);
    }
}

void exchange_free(struct exchange *exchange)
{
    if (has_trace(exchange)) {
        slab_free_text((char *)exchange->_trace, trace_size(exchange));
    } else {
        drop_request(exchange);
    }
    response_deinit(&exchange->response);
    slab_free(exchange);
}

void exchange_move_request(struct exchange *exchange, void *memory)
{
    DCHECK(exchange->_request_state == REQUEST_OWNED);
    struct request *from = exchange->request;
    exchange->request = request_move(from, memory);
    exchange->_request_state = REQUEST_LENT;
    slab_free(from);
}

void exchange_let_go(struct exchange *exchange)
{
    DCHECK(exchange->response.state != RESPONSE_FRESH);
    if (has_trace(exchange)) {
        return;
    }
    const struct request *request = exchange->request;
    struct bytes method = request->method;
    struct bytes target = access_target(request->target_text); // all that the log may show
    char client[PEER_HOST_BYTES_MAX];
    bool is_forwarded = exchange_service(exchange)->terms.trust != NULL;
    size_t client_len = is_forwarded ? exchange_client(exchange, client) : 0;
    size_t size = sizeof(struct exchange_trace) + method.len + target.len + 2 +
                  (is_forwarded ? client_len + 1 : 0);
    struct exchange_trace *trace = (struct exchange_trace *)(void *)slab_text(size);
    *trace = (struct exchange_trace){request->number, request->started_ns};
    char *end = put_text(put_text(trace->text, method), target);
    if (is_forwarded) {
        end = put_text(end, bytes_of(client, client_len));
    }
    DCHECK(end == (char *)trace + size);
    uncount_body(exchange);
    drop_request(exchange);
    exchange->_trace = trace;
    exchange->_request_state = is_forwarded ? REQUEST_LET_GO_FORWARDED : REQUEST_LET_GO;
}

size_t exchange_body_bytes(const struct exchange *exchange)
{
    return has_trace(exchange) ? 0 : exchange->request->body.counted;
}

struct exchange_facts exchange_facts(const struct exchange *exchange)
{
    const struct request *request = exchange->request;
    const struct exchange_trace *trace = exchange->_trace;
    struct exchange_facts facts;
    if (has_trace(exchange)) {
        facts = (struct exchange_facts){trace->number, trace->started_ns, trace_text(trace, 0),
                                        trace_text(trace, 1)};
    } else {
        facts = (struct exchange_facts){request->number, request->started_ns, request->method,
                                        request->target_text};
    }
    return facts;
}

int exchange_send(struct exchange *exchange, struct bytes content)
{
    struct response *response = &exchange->response;
    OWNED(&exchange_loop(exchange)->owner);
    if (exchange->is_aborted) {
        return -ECANCELED;
    }
    if (response->state != RESPONSE_FRESH) {
        return -EALREADY;
    }
    if (content.len > CONTENT_BYTES_MAX) {
        return -EFBIG;
    }
    bool has_content = status_has_content(response->status);
    if (response->status == 205) {
        content = BYTES(""); // a 205 says that its length is 0 (RFC 9110, section 15.3.6)
    }
    const struct carrier_ops *ops = ops_of(exchange);
    ops->begin(exchange, has_content ? CONTENT_SIZED : CONTENT_NONE, content.len);
    if (has_content && !exchange->is_head && content.len > 0) {
        ops->write(exchange, content);
        response->content_bytes = content.len;
    }
    response->state = RESPONSE_ENDED;
    ops->finish(exchange);
    return 0;
}

int exchange_begin_sized(struct exchange *exchange, uint64_t length)
{
    struct response *response = &exchange->response;
    OWNED(&exchange_loop(exchange)->owner);
    if (exchange->is_aborted) {
        return -ECANCELED;
    }
    if (response->state != RESPONSE_FRESH) {
        return -EALREADY;
    }
    const struct carrier_ops *ops = ops_of(exchange);
    bool has_content = status_has_content(response->status);
    length = response->status == 205 ? 0 : length;
    ops->begin(exchange, has_content ? CONTENT_SIZED : CONTENT_NONE, length);
    response->state = RESPONSE_ENDED;
    if (!sends_content(exchange) || length == 0) {
        ops->finish(exchange);
    }
    return 0;
}

void exchange_finish_sized(struct exchange *exchange)
{
    DCHECK(exchange->response.state == RESPONSE_ENDED && sends_content(exchange));
    ops_of(exchange)->finish(exchange);
}

int exchange_duplicate_socket(const struct exchange *exchange)
{
    const struct carrier_ops *ops = ops_of(exchange);
    DCHECK(exchange_pending_bytes(exchange) == 0 && !exchange->is_blocked);
    return ops->duplicate_socket == NULL ? -ENOTSUP : ops->duplicate_socket(exchange);
}

void exchange_sent(struct exchange *exchange, size_t size, bool is_full)
{
    const struct carrier_ops *ops = ops_of(exchange);
    OWNED(&exchange_loop(exchange)->owner);
    exchange->response.content_bytes += size;
    if (is_full) {
        ops->block(exchange);
    } else {
        ops->wake(exchange);
    }
}

int exchange_begin(struct exchange *exchange)
{
    struct response *response = &exchange->response;
    OWNED(&exchange_loop(exchange)->owner);
    if (exchange->is_aborted) {
        return -ECANCELED;
    }
    if (response->state != RESPONSE_FRESH) {
        return -EALREADY;
    }
    if (response->is_stream) {
        response->status = 200;
    }
    const struct carrier_ops *ops = ops_of(exchange);
    ops->begin(exchange, open_content(exchange), 0);
    response->state = RESPONSE_OPEN;
    if (response->is_stream && log_is_on(LOG_DEBUG)) {
        log_opened(exchange);
    }
    if (exchange->is_head) { // the head is the whole answer; later writes return -EINVAL
        response->state = RESPONSE_ENDED;
        ops->finish(exchange);
    }
    return 0;
}

int exchange_write(struct exchange *exchange, struct bytes content)
{
    struct response *response = &exchange->response;
    if (exchange->is_aborted) {
        return -ECANCELED;
    }
    if (response->state != RESPONSE_OPEN) {
        return -EINVAL;
    }
    if (content.len == 0 || !sends_content(exchange)) {
        return 0; // an empty chunk would end the content
    }
    uint64_t bytes_max = exchange_limits(exchange)->stream.max_bytes;
    if (exchange_pending_bytes(exchange) + content.len > bytes_max) {
        limit_met("stream_max_bytes", bytes_max);
        return -ENOBUFS;
    }
    ops_of(exchange)->write(exchange, content);
    response->content_bytes += content.len;
    return 0;
}

int exchange_finish(struct exchange *exchange)
{
    struct response *response = &exchange->response;
    if (exchange->is_aborted) {
        return -ECANCELED;
    }
    if (response->state != RESPONSE_OPEN) {
        return -EINVAL;
    }
    response->state = RESPONSE_ENDED;
    ops_of(exchange)->finish(exchange);
    return 0;
}

void exchange_cut(struct exchange *exchange, enum end_reason reason)
{
    DCHECK(reason != END_FINISHED);
    OWNED(&exchange_loop(exchange)->owner);
    if (exchange->is_aborted || exchange->response.state != RESPONSE_OPEN) {
        return;
    }
    exchange->response.state = RESPONSE_ENDED;
    exchange->end_reason = (uint8_t)reason;
    exchange->wants_close = true;
    ops_of(exchange)->wake(exchange);
}

void exchange_abort(struct exchange *exchange, enum end_reason reason)
{
    OWNED(&exchange_loop(exchange)->owner);
    DCHECK(reason != END_FINISHED);
    if (!exchange->is_aborted) {
        exchange->is_aborted = true;
        exchange->end_reason = (uint8_t)reason;
        ops_of(exchange)->wake(exchange);
    }
}

struct buf *exchange_output(struct exchange *exchange)
{
    return ops_of(exchange)->output(exchange);
}

void exchange_wrote(struct exchange *exchange, size_t size)
{
    exchange->response.content_bytes += size;
    ops_of(exchange)->wake(exchange);
}

size_t exchange_deliver(struct exchange *exchange, const struct bytes *pieces, int count)
{
    DCHECK(!exchange->is_blocked && (pieces != NULL || count == 0));
    ssize_t taken = ops_of(exchange)->deliver(exchange, pieces, count);
    if (taken < 0) {
        exchange->is_blocked = true; // for good
        exchange_abort(exchange, end_reason_of_failure((int)taken));
        return 0;
    }
    exchange->response.content_bytes += (size_t)taken;
    return (size_t)taken;
}

void exchange_wants_flush(struct exchange *exchange)
{
    ops_of(exchange)->wake(exchange);
}

size_t exchange_pending_bytes(const struct exchange *exchange)
{
    return ops_of(exchange)->pending_bytes(exchange);
}

bool exchange_is_over(const struct exchange *exchange)
{
    return exchange_pending_bytes(exchange) > exchange_limits(exchange)->stream.high_bytes;
}

void exchange_ask_peer(struct exchange *exchange)
{
    if (!exchange->is_blocked && exchange->response.state == RESPONSE_FRESH) {
        ops_of(exchange)->ask_peer(exchange);
    }
}

void exchange_await_room(struct exchange *exchange)
{
    exchange->awaits_room = true;
    ops_of(exchange)->wake(exchange);
}

int exchange_read_body(struct exchange *exchange, struct body_piece *piece)
{
    OWNED(&exchange_loop(exchange)->owner);
    return body_ops_of(exchange)->read(exchange, piece);
}

void exchange_take_body(struct exchange *exchange, size_t size)
{
    OWNED(&exchange_loop(exchange)->owner);
    body_ops_of(exchange)->take(exchange, size);
}

int exchange_await_body(struct exchange *exchange, struct body_waiter *waiter)
{
    OWNED(&exchange_loop(exchange)->owner);
    DCHECK(waiter->on_body != NULL && waiter->_place == NULL);
    return body_ops_of(exchange)->await(exchange, waiter);
}

uint32_t exchange_seed(const struct exchange *exchange)
{
    return exchange_service(exchange)->seed;
}

void exchange_set_health_check(struct exchange *exchange, bool is_health_check)
{
    exchange->is_health_check = is_health_check;
    ops_of(exchange)->note_health_check(exchange);
}

size_t exchange_peer_host(const struct exchange *exchange, char *out)
{
    return ops_of(exchange)->peer_host(exchange, out);
}

size_t exchange_client(const struct exchange *exchange, char *out)
{
    if (exchange->_request_state == REQUEST_LET_GO_FORWARDED) {
        struct bytes client = trace_text(exchange->_trace, 2);
        memcpy(out, client.at, client.len);
        return client.len;
    }
    if (exchange_service(exchange)->terms.trust == NULL || has_trace(exchange)) {
        return exchange_peer_host(exchange, out);
    }
    struct origin origin;
    exchange_origin(exchange, exchange->request, &origin);
    return origin_client(&origin, out);
}

void exchange_origin(const struct exchange *exchange, const struct request *request,
                     struct origin *origin)
{
    char peer[PEER_HOST_BYTES_MAX];
    size_t len = exchange_peer_host(exchange, peer);
    origin_init(origin, request, exchange_service(exchange)->terms.trust, bytes_of(peer, len));
}

size_t exchange_id(const struct exchange *exchange, char *out)
{
    return exchange_id_format(exchange_seed(exchange), exchange_facts(exchange).number, out);
}

size_t exchange_id_format(uint32_t seed, uint64_t number, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 8; i++) {
        out[i] = digits[seed >> (28 - 4 * i) & 15];
    }
    out[8] = '-';
    return 9 + decimal_write(number, out + 9);
}

static const struct carrier_ops *ops_of(const struct exchange *exchange)
{
    return exchange->carrier->codec->carrier_ops;
}

static const struct body_ops *body_ops_of(const struct exchange *exchange)
{
    const struct body_ops *ops = exchange->carrier->codec->body_ops;
    DCHECK(ops != NULL);
    return ops;
}

static enum codec_content open_content(const struct exchange *exchange)
{
    return status_has_content(exchange->response.status) ? CONTENT_OPEN : CONTENT_NONE;
}

static bool sends_content(const struct exchange *exchange)
{
    int status = exchange->response.status;
    return !exchange->is_head && status_has_content(status) && status != 205;
}

static void log_opened(const struct exchange *exchange)
{
    struct log_texts texts;
    struct access_record record = record_of(exchange, &texts);
    record.level = LOG_DEBUG;
    access_log(&record);
}

/// Logs the answer. A health check answered with 204 is not logged: it is from a page that asks for
/// newer code once a second.
static void log_answered(const struct exchange *exchange, enum end_reason reason, uint64_t now_ns)
{
    enum log_level level = exchange->is_health_check ? LOG_DEBUG : LOG_INFO;
    const struct response *response = &exchange->response;
    if (!log_is_on(level) || (exchange->is_health_check && response->status == 204)) {
        return;
    }
    struct log_texts texts;
    struct access_record record = record_of(exchange, &texts);
    uint64_t started_ns = exchange_facts(exchange).started_ns;
    record.level = level;
    record.is_stream = response->is_stream;
    record.status = response->state != RESPONSE_FRESH ? response->status : 0;
    record.bytes = response->content_bytes;
    record.duration_us = started_ns == 0 ? 0 : (now_ns - started_ns) / 1000;
    record.reason = end_reason_text(reason);
    access_log(&record);
}

static struct access_record record_of(const struct exchange *exchange, struct log_texts *texts)
{
    struct exchange_facts facts = exchange_facts(exchange);
    return (struct access_record){
        .method = facts.method,
        .target = facts.target,
        .host = bytes_of(texts->host, exchange_client(exchange, texts->host)),
        .id = bytes_of(texts->id, exchange_id(exchange, texts->id)),
    };
}

static bool has_trace(const struct exchange *exchange)
{
    return exchange->_request_state >= REQUEST_LET_GO;
}

/// Puts a text and its NUL to `at`; returns the place behind it.
static char *put_text(char *at, struct bytes text)
{
    memcpy(at, text.at, text.len);
    at[text.len] = '\0';
    return at + text.len + 1;
}

static struct bytes trace_text(const struct exchange_trace *trace, int index)
{
    struct bytes text = bytes_from_string(trace->text);
    for (; index > 0; index--) {
        text = bytes_from_string(text.at + text.len + 1);
    }
    return text;
}

static size_t trace_size(const struct exchange *exchange)
{
    const struct exchange_trace *trace = exchange->_trace;
    bool is_forwarded = exchange->_request_state == REQUEST_LET_GO_FORWARDED;
    struct bytes last = trace_text(trace, is_forwarded ? 2 : 1);
    return (size_t)(last.at + last.len + 1 - (const char *)trace);
}

static void drop_request(struct exchange *exchange)
{
    if (exchange->_request_state == REQUEST_OWNED) {
        request_deinit(exchange->request);
        slab_free(exchange->request);
    }
}

/// Takes the bytes of this request's body out of the service's count of all bodies.
static void uncount_body(const struct exchange *exchange)
{
    service_count_body(exchange_service(exchange), 0 - exchange_body_bytes(exchange));
}
