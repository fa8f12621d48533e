// SPDX-License-Identifier: MIT
#include "http/exchange.h"

#include "base/decimal.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/slab.h"
#include "http/access.h"
#include "http/conn.h"
#include "wire/chunk.h"
#include "wire/status.h"

#include <errno.h>

/// What is left of a request that was let go.
struct exchange_trace {
    uint64_t number;
    uint64_t started_ns;
    char text[]; // method and target, each with its NUL
};

static void write_head(struct exchange *exchange, uint64_t content_length);
static size_t trace_size(const struct exchange_trace *trace);
static void drop_request(struct exchange *exchange);
static void append(struct exchange *exchange, struct bytes bytes);
static enum response_framing open_framing(const struct exchange *exchange);

void exchange_free(struct exchange *exchange)
{
    if (exchange->_is_let_go) {
        slab_free_text((char *)exchange->_trace, trace_size(exchange->_trace));
    } else {
        drop_request(exchange);
    }
    response_deinit(&exchange->response);
    slab_free(exchange);
}

void exchange_move_request(struct exchange *exchange, void *memory)
{
    DCHECK(!exchange->_is_request_lent);
    struct request *from = exchange->request;
    exchange->request = request_move(from, memory);
    exchange->_is_request_lent = true;
    slab_free(from);
}

void exchange_let_go(struct exchange *exchange)
{
    DCHECK(exchange->response.state != RESPONSE_FRESH);
    if (exchange->_is_let_go) {
        return;
    }
    const struct request *request = exchange->request;
    struct bytes method = request->method;
    struct bytes target = access_target(request->target_text); // all that the log may show
    size_t size = sizeof(struct exchange_trace) + method.len + target.len + 2;
    struct exchange_trace *trace = (struct exchange_trace *)(void *)slab_text(size);
    *trace = (struct exchange_trace){request->number, request->started_ns};
    memcpy(trace->text, method.at, method.len);
    trace->text[method.len] = '\0';
    memcpy(trace->text + method.len + 1, target.at, target.len);
    trace->text[method.len + 1 + target.len] = '\0';
    conn_forget_body(exchange->conn, request->body_counted);
    drop_request(exchange);
    exchange->_trace = trace;
    exchange->_is_let_go = true;
}

size_t exchange_body_bytes(const struct exchange *exchange)
{
    return exchange->_is_let_go ? 0 : exchange->request->body_counted;
}

struct exchange_facts exchange_facts(const struct exchange *exchange)
{
    const struct request *request = exchange->request;
    const struct exchange_trace *trace = exchange->_trace;
    struct exchange_facts facts;
    if (exchange->_is_let_go) {
        struct bytes method = bytes_from_string(trace->text);
        facts = (struct exchange_facts){trace->number, trace->started_ns, method,
                                        bytes_from_string(trace->text + method.len + 1)};
    } else {
        facts = (struct exchange_facts){request->number, request->started_ns, request->method,
                                        request->target_text};
    }
    return facts;
}

int exchange_send(struct exchange *exchange, struct bytes content)
{
    struct response *response = &exchange->response;
    if (exchange->is_aborted) {
        return -ECANCELED;
    }
    if (response->state != RESPONSE_FRESH) {
        return -EALREADY;
    }
    if (content.len > buf_room(exchange_output(exchange)) / 2) {
        return -EFBIG;
    }
    bool has_content = status_has_content(response->status);
    if (response->status == 205) {
        content = BYTES(""); // it says its length, which is none (RFC 9110, section 15.3.6)
    }
    response->framing = has_content ? FRAMING_LENGTH : FRAMING_NONE;
    write_head(exchange, content.len);
    if (has_content && !exchange->is_head) {
        append(exchange, content);
        response->content_bytes = content.len;
    }
    response->state = RESPONSE_ENDED;
    conn_wrote(exchange->conn);
    return 0;
}

int exchange_begin(struct exchange *exchange)
{
    struct response *response = &exchange->response;
    if (exchange->is_aborted) {
        return -ECANCELED;
    }
    if (response->state != RESPONSE_FRESH) {
        return -EALREADY;
    }
    response->framing = (uint8_t)open_framing(exchange);
    write_head(exchange, 0);
    // HEAD has its whole answer now; whoever goes on writing is told that it is over.
    response->state = exchange->is_head ? RESPONSE_ENDED : RESPONSE_OPEN;
    if (response->is_stream && log_is_on(LOG_DEBUG)) {
        access_log_opened(exchange);
    }
    conn_wrote(exchange->conn);
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
    bool has_content =
        !exchange->is_head && status_has_content(response->status) && response->status != 205;
    if (content.len == 0 || !has_content) {
        return 0; // an empty chunk would end the content
    }
    if (exchange_pending_bytes(exchange) + content.len >
        exchange_limits(exchange)->stream_max_bytes) {
        limit_met("stream_max_bytes", exchange_limits(exchange)->stream_max_bytes);
        return -ENOBUFS;
    }
    if (exchange_is_chunked(exchange)) {
        char line[CHUNK_SIZE_LEN_MAX];
        append(exchange, bytes_of(line, (size_t)(chunk_put_size(line, content.len) - line)));
    }
    append(exchange, content);
    if (exchange_is_chunked(exchange)) {
        append(exchange, BYTES(CHUNK_END));
    }
    exchange_wrote(exchange, content.len);
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
    if (exchange_is_chunked(exchange) && !exchange->is_head) {
        append(exchange, BYTES(CHUNK_LAST));
    }
    response->state = RESPONSE_ENDED;
    conn_wrote(exchange->conn);
    return 0;
}

void exchange_cut(struct exchange *exchange, enum end_reason reason)
{
    DCHECK(reason != END_FINISHED);
    if (exchange->is_aborted || exchange->response.state != RESPONSE_OPEN) {
        return;
    }
    exchange->response.state = RESPONSE_ENDED;
    exchange->end_reason = (uint8_t)reason;
    exchange->wants_close = true;
    conn_wrote(exchange->conn);
}

void exchange_abort(struct exchange *exchange, enum end_reason reason)
{
    if (!exchange->is_aborted) {
        exchange->is_aborted = true;
        exchange->end_reason = (uint8_t)reason;
        conn_wrote(exchange->conn);
    }
}

struct buf *exchange_output(struct exchange *exchange)
{
    return conn_output(exchange->conn);
}

void exchange_wrote(struct exchange *exchange, size_t size)
{
    exchange->response.content_bytes += size;
    conn_wrote(exchange->conn);
}

size_t exchange_deliver(struct exchange *exchange, const struct bytes *pieces, int count)
{
    ssize_t taken = conn_deliver(exchange->conn, pieces, count);
    if (taken < 0) {
        exchange_abort(exchange, end_reason_of_failure((int)taken));
        return 0;
    }
    exchange->response.content_bytes += (size_t)taken;
    return (size_t)taken;
}

void exchange_prefetch(const struct exchange *exchange, int distance)
{
    switch (distance) {
    case 3:
        __builtin_prefetch(exchange);
        __builtin_prefetch((const char *)exchange + sizeof(struct exchange) - 1);
        return;
    case 2:
        __builtin_prefetch(exchange->conn);
        return;
    default:
        conn_prefetch(exchange->conn);
    }
}

bool exchange_is_blocked(const struct exchange *exchange)
{
    return conn_is_blocked(exchange->conn);
}

void exchange_wants_flush(struct exchange *exchange)
{
    conn_wrote(exchange->conn);
}

size_t exchange_pending_bytes(const struct exchange *exchange)
{
    return conn_pending_bytes(exchange->conn);
}

bool exchange_is_over(const struct exchange *exchange)
{
    return exchange_pending_bytes(exchange) > exchange_limits(exchange)->stream_high_bytes;
}

void exchange_ask_peer(struct exchange *exchange)
{
    conn_ask_peer(exchange->conn);
}

void exchange_await_room(struct exchange *exchange)
{
    exchange->awaits_room = true;
    conn_wrote(exchange->conn);
}

const struct limits *exchange_limits(const struct exchange *exchange)
{
    return conn_limits(exchange->conn);
}

struct loop *exchange_loop(const struct exchange *exchange)
{
    return conn_loop(exchange->conn);
}

uint32_t exchange_seed(const struct exchange *exchange)
{
    return conn_server_seed(exchange->conn);
}

bool exchange_is_over_limit(const struct exchange *exchange)
{
    return conn_is_over_limit(exchange->conn);
}

void exchange_set_health_check(struct exchange *exchange, bool is_health_check)
{
    conn_set_health_check(exchange->conn, is_health_check);
}

size_t exchange_peer_host(const struct exchange *exchange, char *out)
{
    return conn_peer_host(exchange->conn, out);
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

/// The only place where a head is written. HTTP/1.0 is told keep-alive in so many words, because
/// there it is not the default (RFC 9112, section 9.3).
static void write_head(struct exchange *exchange, uint64_t content_length)
{
    bool is_close = exchange->wants_close || exchange->response.framing == FRAMING_CLOSE ||
                    conn_is_last(exchange->conn);
    exchange->wants_close = is_close;
    struct response_head head = {
        .common = conn_common_fields(exchange->conn),
        .date_line = conn_date_line(exchange->conn),
        .content_length = content_length,
        .is_close = is_close,
        .says_keep_alive = exchange->minor_version == 0,
    };
    if (!response_write_head(&exchange->response, &head, exchange_output(exchange))) {
        exchange_abort(exchange, END_FAILED); // there is no memory for it
    }
}

/// Two strings, one behind the other.
static size_t trace_size(const struct exchange_trace *trace)
{
    size_t method_size = strlen(trace->text) + 1;
    return sizeof(*trace) + method_size + strlen(trace->text + method_size) + 1;
}

static void drop_request(struct exchange *exchange)
{
    if (!exchange->_is_request_lent) {
        request_deinit(exchange->request);
        slab_free(exchange->request);
    }
}

/// An answer that memory has no room for is cut, and the connection with it.
static void append(struct exchange *exchange, struct bytes bytes)
{
    if (!buf_append(exchange_output(exchange), bytes)) {
        exchange_abort(exchange, END_FAILED);
    }
}

static enum response_framing open_framing(const struct exchange *exchange)
{
    if (!status_has_content(exchange->response.status)) {
        return FRAMING_NONE;
    }
    return exchange->minor_version == 0 ? FRAMING_CLOSE : FRAMING_CHUNKED;
}
