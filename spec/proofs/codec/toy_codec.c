// SPDX-License-Identifier: MIT
//
// Bytes move from the transport through `input` to `take_frame`, which makes a lane with an
// exchange of each GET. Content moves from the lane's `output`, or from pieces that belong to
// others, as DATA frames into the connection's `wire`, and from there to the transport. At the end
// of the turn `on_turn_end` lets each lane send what is due, and ends the exchanges whose answers
// are in the wire.
#include "toy_codec.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/slab.h"
#include "http/codec.h"
#include "http/exchange.h"
#include "http/fields.h"
#include "http/service.h"
#include "net/loop.h"
#include "net/transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 64, FIELDS_MAX = 8 };

struct toy_connection {
    struct connection base;
    struct transport *transport;
    struct list lanes;
    struct loop_job job;
    struct buf input; // an incomplete frame
    struct buf wire;  // frames that the transport has not taken
    bool awaits_room;
    bool is_draining;
    bool is_closed;
};

/// What carries one exchange.
struct toy_lane {
    struct carrier carrier;
    struct list node;
    struct toy_connection *connection;
    struct exchange *exchange;
    struct buf output; // content that stands in no frame yet
    long number;
    bool is_complete; // the content has been finished, and not cut
};

static void begin(struct exchange *exchange, enum codec_content content, uint64_t length);
static void put_field(void *user, struct bytes name, struct bytes value);
static void write_content(struct exchange *exchange, struct bytes content);
static void finish(struct exchange *exchange);
static struct buf *output(struct exchange *exchange);
static void wake(struct exchange *exchange);
static ssize_t deliver(struct exchange *exchange, const struct bytes *pieces, int count);
static size_t pending_bytes(const struct exchange *exchange);
static void nothing(struct exchange *exchange);
static size_t host_of_peer(const struct exchange *exchange, char *out);
static void open_connection(struct codec *codec, struct transport *transport,
                            const struct socket_address *peer, bool is_over_limit);
static void drain(struct connection *base);
static void close_connection(struct connection *base, enum end_reason reason);
static bool each_exchange(struct connection *base, codec_visit_fn visit, void *user);
static void release(struct codec *codec);
static void on_bytes(void *user, char *at, size_t len);
static void on_end(void *user);
static void on_room(void *user);
static void on_failed(void *user, int failure);
static void on_closed(void *user);
static void on_turn_end(struct loop_job *job);
static bool take_frame(struct toy_connection *connection);
static void ask(struct toy_connection *connection, long number, struct bytes text);
static struct bytes take_line(struct bytes *text);
static void settle(struct toy_lane *lane);
static void end_lane(struct toy_lane *lane, enum end_reason reason);
static size_t send_data(struct toy_lane *lane, struct bytes content);
static void put_frame(struct toy_lane *lane, const char *kind, struct bytes payload);
static void write_wire(struct toy_connection *connection);
static struct toy_lane *lane_of(const struct exchange *exchange);
static void put(struct buf *out, struct bytes bytes);

static const struct carrier_ops carrier_ops = {
    .begin = begin,
    .write = write_content,
    .finish = finish,
    .output = output,
    .wake = wake,
    .deliver = deliver,
    .pending_bytes = pending_bytes,
    .ask_peer = nothing,
    .note_health_check = nothing,
    .peer_host = host_of_peer,
};

static const struct connection_ops connection_ops = {
    .open = open_connection,
    .drain = drain,
    .close = close_connection,
    .each_exchange = each_exchange,
    .release = release,
};

static const struct transport_events transport_events = {
    .on_bytes = on_bytes,
    .on_end = on_end,
    .on_room = on_room,
    .on_failed = on_failed,
    .on_closed = on_closed,
};

void toy_codec_use(struct service *service)
{
    struct codec *codec = mem_new(struct codec);
    *codec = (struct codec){&carrier_ops, &connection_ops, service, NULL};
    service->codec = codec;
}

// The carrier.

/// Any framing but chunks: encoders and `deliver` give bare content.
static void begin(struct exchange *exchange, enum codec_content content, uint64_t length)
{
    struct service *service = exchange_service(exchange);
    struct response_surroundings surroundings = {
        .common = service->terms.common_fields,
        .date = service_date(service),
    };
    char text[TEXT_MAX];
    struct buf head;
    buf_init(&head, FIELDS_BYTES_MAX);
    put(&head,
        bytes_of(text, (size_t)snprintf(text, sizeof(text), "%d\n", exchange->response.status)));
    if (content == CONTENT_SIZED) {
        put(&head,
            bytes_of(text, (size_t)snprintf(text, sizeof(text), "size=%zu\n", (size_t)length)));
    }
    response_put_fields(&exchange->response, &surroundings, put_field, &head);
    exchange->response.framing = content == CONTENT_NONE ? FRAMING_NONE : FRAMING_OWN;
    put_frame(lane_of(exchange), "HEAD", buf_bytes(&head));
    buf_reset(&head);
    wake(exchange);
}

static void put_field(void *user, struct bytes name, struct bytes value)
{
    put(user, name);
    put(user, BYTES("="));
    put(user, value);
    put(user, BYTES("\n"));
}

static void write_content(struct exchange *exchange, struct bytes content)
{
    put(output(exchange), content);
    wake(exchange);
}

static void finish(struct exchange *exchange)
{
    lane_of(exchange)->is_complete = true;
    wake(exchange);
}

static struct buf *output(struct exchange *exchange)
{
    return &lane_of(exchange)->output;
}

static void wake(struct exchange *exchange)
{
    struct toy_connection *connection = lane_of(exchange)->connection;
    if (!connection->is_closed) {
        loop_at_turn_end(exchange_loop(exchange), LOOP_WRITE, &connection->job);
    }
}

static ssize_t deliver(struct exchange *exchange, const struct bytes *pieces, int count)
{
    struct toy_lane *lane = lane_of(exchange);
    size_t taken = send_data(lane, buf_bytes(&lane->output));
    buf_consume(&lane->output, taken);
    bool is_all = buf_is_empty(&lane->output);
    size_t total = 0;
    for (int i = 0; i < count && is_all; i++) {
        taken = send_data(lane, pieces[i]);
        total += taken;
        is_all = taken == pieces[i].len;
    }
    write_wire(lane->connection);
    exchange->is_blocked = !is_all;
    return (ssize_t)total;
}

static size_t pending_bytes(const struct exchange *exchange)
{
    return buf_len(&lane_of(exchange)->output);
}

static void nothing(struct exchange *exchange)
{
    (void)exchange;
}

static size_t host_of_peer(const struct exchange *exchange, char *out)
{
    (void)exchange;
    memcpy(out, "toy", 4);
    return 3;
}

// The connection.

static void open_connection(struct codec *codec, struct transport *transport,
                            const struct socket_address *peer, bool is_over_limit)
{
    struct toy_connection *connection = mem_new(struct toy_connection);
    (void)peer;
    CHECK(!is_over_limit);
    connection->base.carrier.codec = codec;
    connection->transport = transport;
    list_init(&connection->lanes);
    loop_job_init(&connection->job, on_turn_end);
    buf_init(&connection->input, INT32_MAX);
    buf_init(&connection->wire, INT32_MAX);
    service_add(codec->service, &connection->base);
    transport_bind(transport, &transport_events, connection);
    transport_start(transport);
}

static void drain(struct connection *base)
{
    struct toy_connection *connection = CONTAINER_OF(base, struct toy_connection, base);
    connection->is_draining = true;
    loop_at_turn_end(base->carrier.codec->service->loop, LOOP_WRITE, &connection->job);
}

static void close_connection(struct connection *base, enum end_reason reason)
{
    struct toy_connection *connection = CONTAINER_OF(base, struct toy_connection, base);
    if (connection->is_closed) {
        return;
    }
    connection->is_closed = true;
    LIST_EACH (node, after, &connection->lanes) {
        end_lane(LIST_ITEM(node, struct toy_lane, node), reason);
    }
    loop_job_cancel(&connection->job);
    transport_close(connection->transport);
}

static bool each_exchange(struct connection *base, codec_visit_fn visit, void *user)
{
    struct toy_connection *connection = CONTAINER_OF(base, struct toy_connection, base);
    LIST_EACH (node, after, &connection->lanes) {
        if (!visit(user, LIST_ITEM(node, struct toy_lane, node)->exchange)) {
            return false;
        }
    }
    return true;
}

static void release(struct codec *codec)
{
    mem_free(codec);
}

static void on_bytes(void *user, char *at, size_t len)
{
    struct toy_connection *connection = user;
    put(&connection->input, bytes_of(at, len));
    while (!connection->is_closed && take_frame(connection)) {
    }
    loop_at_turn_end(connection->base.carrier.codec->service->loop, LOOP_WRITE, &connection->job);
}

static void on_end(void *user)
{
    struct toy_connection *connection = user;
    close_connection(&connection->base, END_LEFT);
}

static void on_failed(void *user, int failure)
{
    struct toy_connection *connection = user;
    close_connection(&connection->base, end_reason_of_failure(failure));
}

static void on_room(void *user)
{
    struct toy_connection *connection = user;
    connection->awaits_room = false;
    write_wire(connection);
    if (connection->awaits_room) {
        return;
    }
    LIST_EACH (node, after, &connection->lanes) {
        LIST_ITEM(node, struct toy_lane, node)->exchange->is_blocked = false;
    }
    loop_at_turn_end(connection->base.carrier.codec->service->loop, LOOP_WRITE, &connection->job);
}

static void on_closed(void *user)
{
    struct toy_connection *connection = user;
    CHECK(list_is_empty(&connection->lanes));
    service_forget(connection->base.carrier.codec->service, &connection->base);
    buf_reset(&connection->input);
    buf_reset(&connection->wire);
    mem_free(connection);
}

static void on_turn_end(struct loop_job *job)
{
    struct toy_connection *connection = CONTAINER_OF(job, struct toy_connection, job);
    LIST_EACH (node, after, &connection->lanes) {
        settle(LIST_ITEM(node, struct toy_lane, node));
    }
    write_wire(connection);
    if (connection->is_draining && list_is_empty(&connection->lanes) &&
        buf_is_empty(&connection->wire)) {
        close_connection(&connection->base, END_SHUTDOWN);
    }
}

// Frames.

/// Takes one frame from the input. False when there is none that is complete.
static bool take_frame(struct toy_connection *connection)
{
    struct bytes text = buf_bytes(&connection->input);
    size_t whole = text.len;
    struct bytes line = take_line(&text);
    char words[TEXT_MAX];
    char kind[8];
    long number;
    size_t size;
    if (line.at == NULL || line.len >= sizeof(words)) {
        return false;
    }
    memcpy(words, line.at, line.len);
    words[line.len] = '\0';
    CHECK(sscanf(words, "%ld %7s %zu", &number, kind, &size) == 3);
    if (text.len < size) {
        return false;
    }
    if (strcmp(kind, "GET") == 0) {
        ask(connection, number, bytes_of(text.at, size));
    } else {
        LIST_EACH (node, after, &connection->lanes) {
            struct toy_lane *lane = LIST_ITEM(node, struct toy_lane, node);
            if (lane->number == number) {
                end_lane(lane, END_LEFT);
            }
        }
    }
    buf_consume(&connection->input, whole - text.len + size);
    return true;
}

/// Makes a lane and its exchange, and hands it up: the head is there, and so is all of the request.
static void ask(struct toy_connection *connection, long number, struct bytes text)
{
    const struct service *service = connection->base.carrier.codec->service;
    struct request *request = slab_new(struct request);
    struct request_field fields[FIELDS_MAX];
    size_t count = 0;
    struct bytes rest = text;
    request->method = BYTES("GET");
    request->target_text = take_line(&rest);
    for (struct bytes line = take_line(&rest); line.at != NULL; line = take_line(&rest)) {
        const char *middle = memchr(line.at, '=', line.len);
        CHECK(middle != NULL && count < FIELDS_MAX);
        size_t len = (size_t)(middle - line.at);
        fields[count++] = (struct request_field){bytes_of(line.at, len), bytes_skip(line, len + 1)};
    }
    request_keep(request, text, fields, count);
    CHECK(url_split_target(request->method, request->target_text, &request->target));
    request->started_ns = clock_ns();
    struct toy_lane *lane = mem_new(struct toy_lane);
    lane->carrier.codec = connection->base.carrier.codec;
    lane->connection = connection;
    lane->number = number;
    buf_init(&lane->output, INT32_MAX);
    list_append(&connection->lanes, &lane->node);
    lane->exchange = exchange_new(&lane->carrier, request);
    buf_init(&request->body.content, 0);
    service->events->on_head(service->user, lane->exchange);
    service->events->on_request(service->user, lane->exchange);
}

/// The next line without its end; without an address when there is none.
static struct bytes take_line(struct bytes *text)
{
    const char *end = text->len == 0 ? NULL : memchr(text->at, '\n', text->len);
    if (end == NULL) {
        return (struct bytes){NULL, 0};
    }
    struct bytes line = bytes_of(text->at, (size_t)(end - text->at));
    *text = bytes_skip(*text, line.len + 1);
    return line;
}

/// Sends what is due, and ends the exchange when its answer is in the wire.
static void settle(struct toy_lane *lane)
{
    struct exchange *exchange = lane->exchange;
    const struct exchange_events *events = exchange->events;
    bool is_out = false;
    if (exchange->is_aborted) {
        put_frame(lane, "CUT", BYTES(""));
        end_lane(lane, (enum end_reason)exchange->end_reason);
        return;
    }
    if (!exchange->is_blocked && events != NULL && events->flush != NULL) {
        is_out = events->flush(exchange);
    } else if (!exchange->is_blocked) {
        IGNORE(exchange_deliver(exchange, NULL, 0)); // there are no pieces to count
        is_out = !exchange->is_blocked;
    }
    if (is_out && exchange->response.state == RESPONSE_ENDED) {
        put_frame(lane, lane->is_complete ? "END" : "CUT", BYTES(""));
        end_lane(lane, (enum end_reason)exchange->end_reason);
    } else if (is_out && exchange->awaits_room) {
        exchange->awaits_room = false;
        events->on_room(exchange);
    }
}

static void end_lane(struct toy_lane *lane, enum end_reason reason)
{
    struct exchange *exchange = lane->exchange;
    list_remove(&lane->node);
    exchange_end(exchange, reason);
    exchange_free(exchange);
    buf_reset(&lane->output);
    mem_free(lane);
}

/// Puts as much of `content` into DATA frames as the wire has room for. Returns how much that was.
static size_t send_data(struct toy_lane *lane, struct bytes content)
{
    size_t sent = 0;
    while (sent < content.len && buf_len(&lane->connection->wire) < TOY_WIRE_MAX) {
        size_t left = content.len - sent;
        size_t size = left < TOY_DATA_MAX ? left : TOY_DATA_MAX;
        put_frame(lane, "DATA", bytes_of(content.at + sent, size));
        sent += size;
        write_wire(lane->connection);
    }
    return sent;
}

static void put_frame(struct toy_lane *lane, const char *kind, struct bytes payload)
{
    char text[TEXT_MAX];
    int len = snprintf(text, sizeof(text), "%ld %s %zu\n", lane->number, kind, payload.len);
    put(&lane->connection->wire, bytes_of(text, (size_t)len));
    put(&lane->connection->wire, payload);
}

static void write_wire(struct toy_connection *connection)
{
    if (connection->is_closed || connection->awaits_room || buf_is_empty(&connection->wire)) {
        return;
    }
    struct bytes wire = buf_bytes(&connection->wire);
    ssize_t taken = transport_write(connection->transport, &wire, 1);
    if (taken > 0) {
        buf_consume(&connection->wire, (size_t)taken);
    }
    if (!buf_is_empty(&connection->wire)) {
        connection->awaits_room = true;
        transport_await_room(connection->transport);
    }
}

static struct toy_lane *lane_of(const struct exchange *exchange)
{
    return CONTAINER_OF(exchange->carrier, struct toy_lane, carrier);
}

static void put(struct buf *out, struct bytes bytes)
{
    CHECK(buf_append(out, bytes));
}
