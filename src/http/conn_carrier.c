// SPDX-License-Identifier: MIT
//
// `begin` chooses the framing (RFC 9112, section 6.3) and writes the head; `write` and `finish`
// write content in that framing. The output of an encoder and the pieces of `deliver` are chunks
// already where the framing is FRAMING_CHUNKED, so they go out as they are.
#include "http/conn_carrier.h"

#include "http/conn_parts.h"
#include "http/exchange.h"
#include "http/http1_head.h"
#include "http/upload.h"
#include "net/transport.h"

#include <errno.h>

enum {
    ASK_MS_MIN = 100, // before the first question whether the peer is there
    ASK_MS_MAX = 15000,
    ASK_MS_HTTP10 = 1000, // after this time a peer that cannot be asked is taken for gone
};

static void begin(struct exchange *exchange, enum codec_content content, uint64_t length);
static struct bytes connection_field(const struct exchange *exchange);
static void write_content(struct exchange *exchange, struct bytes content);
static void finish(struct exchange *exchange);
static struct buf *output(struct exchange *exchange);
static void wake(struct exchange *exchange);
static ssize_t deliver(struct exchange *exchange, const struct bytes *pieces, int count);
static int duplicate_socket(const struct exchange *exchange);
static void block(struct exchange *exchange);
static size_t pending_bytes(const struct exchange *exchange);
static void ask_peer(struct exchange *exchange);
static int read_body(struct exchange *exchange, struct body_piece *piece);
static void take_body(struct exchange *exchange, size_t size);
static int await_body(struct exchange *exchange, struct body_waiter *waiter);
static void note_health_check(struct exchange *exchange);
static size_t host_of_peer(const struct exchange *exchange, char *out);
static enum response_framing framing_of(const struct exchange *exchange,
                                        enum codec_content content);
static void wrote(struct exchange *exchange, bool has_room);

const struct carrier_ops conn_carrier_ops = {
    .begin = begin,
    .write = write_content,
    .finish = finish,
    .output = output,
    .wake = wake,
    .deliver = deliver,
    .duplicate_socket = duplicate_socket,
    .block = block,
    .pending_bytes = pending_bytes,
    .ask_peer = ask_peer,
    .note_health_check = note_health_check,
    .peer_host = host_of_peer,
};

const struct body_ops conn_body_ops = {.read = read_body, .take = take_body, .await = await_body};

bool conn_carrier_ask(struct conn *conn)
{
    struct conn_work *work = conn_work(conn);
    const struct exchange *exchange = conn->exchange;
    DCHECK(conn->state == CONN_ANSWER && !exchange->is_blocked);
    if (exchange->response.state != RESPONSE_FRESH) {
        return true;
    }
    if (exchange->request->minor_version == 0) {
        return false;
    }
    // An interim answer is all that may be sent before the answer, and every HTTP/1.1 client passes
    // over this one (RFC 9110, section 15.2). The system of a peer that is gone replies with a
    // reset. Without memory for it nothing is asked this time.
    IGNORE(buf_append(&work->output, BYTES("HTTP/1.1 100 Continue\r\n\r\n")));
    conn_wake(conn);
    timer_arm(&work->timer, work->ask_pause_ms);
    unsigned pause_ms = work->ask_pause_ms * 3U;
    work->ask_pause_ms = (uint16_t)(pause_ms < ASK_MS_MAX ? pause_ms : ASK_MS_MAX);
    return true;
}

void conn_set_health_check(struct conn *conn, bool is_health_check)
{
    if (conn->is_health_check != is_health_check) {
        conn->is_health_check = is_health_check;
        service_count_health_checks(conn_service(conn), is_health_check ? 1 : -1);
    }
}

static void begin(struct exchange *exchange, enum codec_content content, uint64_t length)
{
    struct conn *conn = conn_of(exchange->carrier);
    struct service *service = conn_service(conn);
    struct response *response = &exchange->response;
    DCHECK(response->state == RESPONSE_FRESH && conn->exchange == exchange);
    response->framing = (uint8_t)framing_of(exchange, content);
    bool is_whole = content != CONTENT_OPEN || exchange->is_head;
    exchange->wants_close = exchange->wants_close || response->framing == FRAMING_CLOSE ||
                            conn_is_last(conn) || (is_whole && upload_ends_connection(conn));
    struct http1_head head = {
        .surroundings =
            {
                .common = service->terms.common_fields,
                .date = service_date(service),
                .connection = connection_field(exchange),
            },
        .content_length = length,
    };
    wrote(exchange, http1_write_head(response, &head, output(exchange)));
}

/// HTTP/1.0 is told keep-alive in so many words, because there it is not the default (RFC 9112,
/// section 9.3). The head of a stream says it as well, because proxies look for it.
static struct bytes connection_field(const struct exchange *exchange)
{
    if (exchange->wants_close) {
        return BYTES("close");
    }
    bool is_said = exchange->response.is_stream || exchange->request->minor_version == 0;
    return is_said ? BYTES("keep-alive") : BYTES("");
}

static void write_content(struct exchange *exchange, struct bytes content)
{
    struct buf *out = output(exchange);
    DCHECK(content.len > 0 && exchange->response.framing != FRAMING_NONE);
    bool has_room = exchange->response.framing == FRAMING_CHUNKED ? http1_write_chunk(content, out)
                                                                  : buf_append(out, content);
    wrote(exchange, has_room);
}

static void finish(struct exchange *exchange)
{
    bool is_chunked = exchange->response.framing == FRAMING_CHUNKED && !exchange->is_head;
    wrote(exchange, !is_chunked || http1_write_last_chunk(output(exchange)));
}

static struct buf *output(struct exchange *exchange)
{
    return &conn_work(conn_of(exchange->carrier))->output;
}

static void wake(struct exchange *exchange)
{
    conn_wake(conn_of(exchange->carrier));
}

static ssize_t deliver(struct exchange *exchange, const struct bytes *pieces, int count)
{
    return conn_deliver(conn_of(exchange->carrier), pieces, count);
}

static int duplicate_socket(const struct exchange *exchange)
{
    if (exchange->response.framing != FRAMING_LENGTH) {
        return -ENOTSUP;
    }
    return transport_duplicate_socket(conn_of(exchange->carrier)->transport);
}

static void block(struct exchange *exchange)
{
    conn_block(conn_of(exchange->carrier));
}

static size_t pending_bytes(const struct exchange *exchange)
{
    return conn_pending_bytes(conn_of(exchange->carrier));
}

static void ask_peer(struct exchange *exchange)
{
    struct conn_work *work = conn_work(conn_of(exchange->carrier));
    bool is_http10 = exchange->request->minor_version == 0;
    work->ask_pause_ms = ASK_MS_MIN;
    timer_arm(&work->timer, is_http10 ? ASK_MS_HTTP10 : ASK_MS_MIN);
}

static int read_body(struct exchange *exchange, struct body_piece *piece)
{
    return upload_read(conn_of(exchange->carrier), piece);
}

static void take_body(struct exchange *exchange, size_t size)
{
    upload_take(conn_of(exchange->carrier), size);
}

static int await_body(struct exchange *exchange, struct body_waiter *waiter)
{
    return upload_await(conn_of(exchange->carrier), waiter);
}

static void note_health_check(struct exchange *exchange)
{
    conn_set_health_check(conn_of(exchange->carrier), exchange->is_health_check);
}

static size_t host_of_peer(const struct exchange *exchange, char *out)
{
    return peer_host(conn_of(exchange->carrier)->peer, out, PEER_HOST_BYTES_MAX);
}

static enum response_framing framing_of(const struct exchange *exchange, enum codec_content content)
{
    switch (content) {
    case CONTENT_NONE:
        return FRAMING_NONE;
    case CONTENT_SIZED:
        return FRAMING_LENGTH;
    case CONTENT_OPEN:
        return exchange->request->minor_version == 0 ? FRAMING_CLOSE : FRAMING_CHUNKED;
    }
    UNREACHABLE();
}

/// Aborts the exchange, and with it the connection, when there is no memory for the answer.
static void wrote(struct exchange *exchange, bool has_room)
{
    if (!has_room) {
        exchange_abort(exchange, END_FAILED);
    }
    conn_wake(conn_of(exchange->carrier));
}
