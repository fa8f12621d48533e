// SPDX-License-Identifier: MIT
#include "bench/peer.h"

#include "bench/target.h"
#include "net/tcp.h"
#include "net/transport.h"

#include <errno.h>
#include <stdio.h>

enum { SOURCE_BYTE = 250 };

static void on_bytes(void *user, char *at, size_t len);
static void on_end(void *user);
static void on_room(void *user);
static void on_failed(void *user, int failure);
static void on_closed(void *user);
static const char *source_of(const struct peer *peer, const struct bench_target *target, char *out,
                             size_t size);
static void write_out(struct peer *peer);
static void drop_written(struct peer *peer, size_t len);
static void take_head(struct peer *peer, struct bytes input);
static void take_kept_head(struct peer *peer, struct bytes input);
static void begin_body(struct peer *peer, const struct response_head *head, struct bytes rest);
static void take_body(struct peer *peer, struct bytes input);
static void end_body(struct peer *peer);
static void fail(struct peer *peer, int failure);
static const char *connect_advice(int failure);

static const struct transport_events transport_events = {
    .on_bytes = on_bytes,
    .on_end = on_end,
    .on_room = on_room,
    .on_failed = on_failed,
    .on_closed = on_closed,
};

int peer_open(struct peer *peer, struct loop *loop, const struct bench_target *target,
              const struct peer_events *events)
{
    char address[sizeof("127.255.255.255")];
    int failure;
    DCHECK(peer->_transport == NULL);
    peer->events = events;
    peer->_out[0] = BYTES("");
    peer->_out[1] = BYTES("");
    peer->is_last = false;
    peer->failure = 0;
    buf_init(&peer->_head, MESSAGE_HEAD_MAX);
    const char *source = source_of(peer, target, address, sizeof(address));
    peer->_transport = tcp_connect_from(loop, source, target->host, target->port, &failure);
    if (peer->_transport == NULL) {
        peer->failure = failure;
        peer->failed_in = PEER_CONNECTING;
        return failure;
    }
    peer->state = PEER_CONNECTING;
    transport_bind(peer->_transport, &transport_events, peer);
    return 0;
}

void peer_send(struct peer *peer, struct bytes head, struct bytes body)
{
    DCHECK(peer->state == PEER_CONNECTING || peer->state == PEER_READY);
    peer->_out[0] = head;
    peer->_out[1] = body;
    if (peer->state == PEER_READY) {
        peer->state = PEER_HEAD;
        write_out(peer);
    }
}

void peer_close(struct peer *peer)
{
    if (peer->state == PEER_CLOSED) {
        return;
    }
    peer->state = PEER_CLOSED;
    buf_reset(&peer->_head);
    transport_close(peer->_transport);
}

void peer_describe(const struct peer *peer, const struct bench_target *target, char *out,
                   size_t size)
{
    static const char *const failures[] = {
        [PEER_ENDED] = "closed the connection",
        [PEER_BAD_HEAD] = "sent what is no HTTP/1.1 response",
        [PEER_BAD_CHUNKS] = "sent what is no chunked body",
        [PEER_UNASKED] = "sent bytes that belong to no response",
    };
    const char *when =
        peer->failed_in == PEER_BODY ? "in the midst of a response" : "before it had answered";
    if (peer->failed_in == PEER_CONNECTING) {
        snprintf(out, size, "cannot connect to %s: %s%s", target->authority,
                 strerror(-peer->failure), connect_advice(peer->failure));
    } else if (peer->failure < 0) {
        snprintf(out, size, "%s%s: %s, %s", target->authority, target->path,
                 strerror(-peer->failure), when);
    } else {
        snprintf(out, size, "%s%s %s, %s", target->authority, target->path, failures[peer->failure],
                 when);
    }
}

static void on_bytes(void *user, char *at, size_t len)
{
    struct peer *peer = user;
    peer->byte_count += len;
    switch (peer->state) {
    case PEER_BODY:
        take_body(peer, bytes_of(at, len));
        return;
    case PEER_HEAD:
        take_head(peer, bytes_of(at, len));
        return;
    case PEER_READY:
    case PEER_CONNECTING:
        fail(peer, PEER_UNASKED);
        return;
    case PEER_CLOSED:
        return;
    }
}

static void on_end(void *user)
{
    struct peer *peer = user;
    if (peer->state == PEER_BODY && peer->is_last) {
        end_body(peer);
        return;
    }
    fail(peer, PEER_ENDED);
}

static void on_room(void *user)
{
    struct peer *peer = user;
    if (peer->state == PEER_CONNECTING) {
        peer->state = PEER_READY;
        if (!peer->is_deaf) {
            transport_start(peer->_transport);
        }
        if (peer->_out[0].len > 0) {
            peer->state = PEER_HEAD;
        }
    }
    if (peer->_out[0].len + peer->_out[1].len > 0) {
        write_out(peer);
    }
}

static void on_failed(void *user, int failure)
{
    fail(user, failure);
}

static void on_closed(void *user)
{
    struct peer *peer = user;
    peer->_transport = NULL;
    peer->events->on_closed(peer);
}

/// A port that was closed stays taken for a minute, and there are less than 30000 of them to each
/// pair of addresses; the kernel spends most of its time looking for a free one when they get rare.
/// But all of 127.0.0.0/8 is ours.
static const char *source_of(const struct peer *peer, const struct bench_target *target, char *out,
                             size_t size)
{
    if (peer->source == 0 || strncmp(target->host, "127.", 4) != 0) {
        return NULL;
    }
    unsigned number = (peer->source - 1) % (SOURCE_BYTE * SOURCE_BYTE);
    snprintf(out, size, "127.0.%u.%u", 1 + number / SOURCE_BYTE, 1 + number % SOURCE_BYTE);
    return out;
}

static void write_out(struct peer *peer)
{
    ssize_t len = transport_write(peer->_transport, peer->_out, peer->_out[1].len > 0 ? 2 : 1);
    if (len < 0) {
        fail(peer, (int)len);
        return;
    }
    drop_written(peer, (size_t)len);
    if (peer->_out[0].len > 0) {
        transport_await_room(peer->_transport);
    }
}

/// What is left stands in the first piece, if in one at all.
static void drop_written(struct peer *peer, size_t len)
{
    for (int i = 0; i < 2; i++) {
        size_t taken = len < peer->_out[i].len ? len : peer->_out[i].len;
        peer->_out[i] = bytes_skip(peer->_out[i], taken);
        len -= taken;
    }
    if (peer->_out[0].len == 0) {
        peer->_out[0] = peer->_out[1];
        peer->_out[1] = BYTES("");
    }
}

static void take_head(struct peer *peer, struct bytes input)
{
    struct response_head head;
    if (!buf_is_empty(&peer->_head)) {
        take_kept_head(peer, input);
        return;
    }
    ssize_t len = message_parse_head(input, &head);
    if (len < 0 || (len == 0 && !buf_append(&peer->_head, input))) {
        fail(peer, PEER_BAD_HEAD);
    } else if (len > 0) {
        begin_body(peer, &head, bytes_skip(input, (size_t)len));
    }
}

/// A head in several pieces. Of the last piece, what follows the head is read where it came in.
static void take_kept_head(struct peer *peer, struct bytes input)
{
    struct response_head head;
    size_t kept_len = buf_len(&peer->_head);
    size_t room = MESSAGE_HEAD_MAX - kept_len;
    size_t len = input.len < room ? input.len : room;
    IGNORE(buf_append(&peer->_head, bytes_of(input.at, len))); // there is room
    ssize_t head_len = message_parse_head(buf_bytes(&peer->_head), &head);
    if (head_len < 0 || (head_len == 0 && len == room)) {
        fail(peer, PEER_BAD_HEAD);
    } else if (head_len > 0) {
        begin_body(peer, &head, bytes_skip(input, (size_t)head_len - kept_len));
    }
}

static void begin_body(struct peer *peer, const struct response_head *head, struct bytes rest)
{
    buf_reset(&peer->_head);
    stream_reader_init(&peer->_reader, head->framing, head->length);
    peer->is_last = head->is_last;
    peer->state = PEER_BODY;
    peer->events->on_head(peer, head);
    if (peer->state == PEER_BODY) {
        take_body(peer, rest);
    }
}

static void take_body(struct peer *peer, struct bytes input)
{
    struct bytes data;
    if (peer->events->on_body != NULL && input.len > 0) {
        peer->events->on_body(peer);
        if (peer->state != PEER_BODY) {
            return;
        }
    }
    for (;;) {
        switch (stream_reader_next(&peer->_reader, &input, &data)) {
        case STREAM_EVENT:
            peer->events->on_event(peer, data);
            if (peer->state != PEER_BODY) {
                return;
            }
            break;
        case STREAM_MORE:
            return;
        case STREAM_END:
            end_body(peer);
            return;
        case STREAM_BROKEN:
            fail(peer, PEER_BAD_CHUNKS);
            return;
        }
    }
}

static void end_body(struct peer *peer)
{
    peer->state = PEER_READY;
    peer->events->on_end(peer);
}

static void fail(struct peer *peer, int failure)
{
    if (peer->state == PEER_CLOSED) {
        return;
    }
    peer->failure = failure;
    peer->failed_in = peer->state;
    peer_close(peer);
    peer->events->on_gone(peer);
}

static const char *connect_advice(int failure)
{
    switch (-failure) {
    case ECONNREFUSED:
        return "; is the server running, and is this its port?";
    case EADDRNOTAVAIL:
        return "; no local port is free: widen net.ipv4.ip_local_port_range, or take fewer";
    case EMFILE:
    case ENFILE:
        return "; raise the limit of open files (ulimit -n)";
    default:
        return "";
    }
}
