// SPDX-License-Identifier: MIT
//
// A request goes out in two pieces, head and body, as the transport takes them (`write_out`). Then
// bytes of the answer arrive in `on_bytes`. A head that comes whole is parsed where it lies; one
// that comes in pieces is gathered in `_head`. What follows the head goes through a body reader,
// which takes the chunks away, and the pieces go to `on_body`. Whatever ends the connection early
// passes through `fail`, which says in which state that was.
#include "client/client.h"

#include "base/error.h"
#include "client/target.h"
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
static const char *source_of(const struct client *client, const struct client_target *target,
                             char *out, size_t size);
static void write_out(struct client *client);
static void drop_written(struct client *client, size_t len);
static void take_head(struct client *client, struct bytes input);
static void take_kept_head(struct client *client, struct bytes input);
static void begin_body(struct client *client, const struct reply_head *head, struct bytes rest);
static void take_body(struct client *client, struct bytes input);
static void end_body(struct client *client);
static void fail(struct client *client, int failure);
static const char *connect_advice(int failure);

static const struct transport_events transport_events = {
    .on_bytes = on_bytes,
    .on_end = on_end,
    .on_room = on_room,
    .on_failed = on_failed,
    .on_closed = on_closed,
};

int client_open(struct client *client, struct loop *loop, const struct client_target *target,
                const struct client_events *events)
{
    char address[sizeof("127.255.255.255")];
    DCHECK(client->state == CLIENT_CLOSED);
    DCHECK(client->_transport == NULL); // `on_closed` has come
    DCHECK(events->on_head != NULL && events->on_end != NULL);
    DCHECK(events->on_gone != NULL && events->on_closed != NULL);
    client->events = events;
    client->_out[0] = BYTES("");
    client->_out[1] = BYTES("");
    client->is_last = false;
    buf_init(&client->_head, REPLY_HEAD_MAX);
    const char *source = source_of(client, target, address, sizeof(address));
    client->failure =
        tcp_connect_from(loop, source, target->host, target->port, &client->_transport);
    if (client->failure != 0) {
        client->failed_in = CLIENT_CONNECTING;
        return client->failure;
    }
    client->state = CLIENT_CONNECTING;
    transport_bind(client->_transport, &transport_events, client);
    return 0;
}

void client_send(struct client *client, struct bytes head, struct bytes body)
{
    DCHECK(client->state == CLIENT_CONNECTING || client->state == CLIENT_READY);
    DCHECK(head.len > 0); // an empty piece would look like one that is out
    client->_out[0] = head;
    client->_out[1] = body;
    if (client->state == CLIENT_READY) {
        client->state = CLIENT_HEAD;
        write_out(client);
    }
}

void client_close(struct client *client)
{
    if (client->state == CLIENT_CLOSED) {
        return;
    }
    client->state = CLIENT_CLOSED;
    buf_reset(&client->_head);
    transport_close(client->_transport);
}

void client_describe(const struct client *client, const struct client_target *target, char *out,
                     size_t size)
{
    const char *when =
        client->failed_in == CLIENT_BODY ? "in the midst of a response" : "before it had answered";
    DCHECK(client->failure < 0);
    if (client->failed_in == CLIENT_CONNECTING) {
        snprintf(out, size, "cannot connect to %s: %s%s", target->authority,
                 error_text(client->failure), connect_advice(client->failure));
    } else {
        snprintf(out, size, "%s%s: %s, %s", target->authority, target->path,
                 error_text(client->failure), when);
    }
}

static void on_bytes(void *user, char *at, size_t len)
{
    struct client *client = user;
    client->byte_count += len;
    switch (client->state) {
    case CLIENT_BODY:
        take_body(client, bytes_of(at, len));
        return;
    case CLIENT_HEAD:
        take_head(client, bytes_of(at, len));
        return;
    case CLIENT_READY:
    case CLIENT_CONNECTING:
        fail(client, CLIENT_UNASKED);
        return;
    case CLIENT_CLOSED:
        return;
    }
}

static void on_end(void *user)
{
    struct client *client = user;
    if (client->state == CLIENT_BODY && client->is_last) {
        end_body(client);
        return;
    }
    fail(client, CLIENT_ENDED);
}

static void on_room(void *user)
{
    struct client *client = user;
    if (client->state == CLIENT_CONNECTING) {
        client->state = CLIENT_READY;
        if (!client->is_deaf) {
            transport_start(client->_transport);
        }
        if (client->_out[0].len > 0) {
            client->state = CLIENT_HEAD;
        }
    }
    if (client->_out[0].len + client->_out[1].len > 0) {
        write_out(client);
    }
}

static void on_failed(void *user, int failure)
{
    fail(user, failure);
}

static void on_closed(void *user)
{
    struct client *client = user;
    DCHECK(client->state == CLIENT_CLOSED); // a transport closes only when it is told to
    client->_transport = NULL;
    client->events->on_closed(client);
}

/// Writes the loopback address number `source`. The port of a closed connection stays taken for a
/// minute, and each pair of addresses has fewer than 30000 ports; when few are free, the kernel
/// spends most of its time looking for one. All of 127.0.0.0/8 is this machine's.
static const char *source_of(const struct client *client, const struct client_target *target,
                             char *out, size_t size)
{
    if (client->source == 0 || strncmp(target->host, "127.", 4) != 0) {
        return NULL;
    }
    unsigned number = (client->source - 1) % (SOURCE_BYTE * SOURCE_BYTE);
    snprintf(out, size, "127.0.%u.%u", 1 + number / SOURCE_BYTE, 1 + number % SOURCE_BYTE);
    return out;
}

static void write_out(struct client *client)
{
    DCHECK(client->_out[0].len > 0);
    ssize_t len =
        transport_write(client->_transport, client->_out, client->_out[1].len > 0 ? 2 : 1);
    if (len < 0) {
        fail(client, (int)len);
        return;
    }
    drop_written(client, (size_t)len);
    if (client->_out[0].len > 0) {
        transport_await_room(client->_transport);
    }
}

/// Afterwards the first piece is empty only if both are.
static void drop_written(struct client *client, size_t len)
{
    for (int i = 0; i < 2; i++) {
        size_t taken = len < client->_out[i].len ? len : client->_out[i].len;
        client->_out[i] = bytes_skip(client->_out[i], taken);
        len -= taken;
    }
    DCHECK(len == 0); // the kernel takes no more than it was given
    if (client->_out[0].len == 0) {
        client->_out[0] = client->_out[1];
        client->_out[1] = BYTES("");
    }
}

static void take_head(struct client *client, struct bytes input)
{
    struct reply_head head;
    if (!buf_is_empty(&client->_head)) {
        take_kept_head(client, input);
        return;
    }
    ssize_t len = reply_head_parse(input, &head);
    if (len < 0 || (len == 0 && !buf_append(&client->_head, input))) {
        fail(client, CLIENT_BAD_HEAD);
    } else if (len > 0) {
        begin_body(client, &head, bytes_skip(input, (size_t)len));
    }
}

/// Reads a head that comes in several pieces. What follows the head in the last piece is not
/// copied.
static void take_kept_head(struct client *client, struct bytes input)
{
    struct reply_head head;
    size_t kept_len = buf_len(&client->_head);
    size_t room = REPLY_HEAD_MAX - kept_len;
    size_t len = input.len < room ? input.len : room;
    if (!buf_append(&client->_head, bytes_of(input.at, len))) {
        fail(client, -ENOMEM);
        return;
    }
    ssize_t head_len = reply_head_parse(buf_bytes(&client->_head), &head);
    if (head_len < 0 || (head_len == 0 && len == room)) {
        fail(client, CLIENT_BAD_HEAD);
    } else if (head_len > 0) {
        begin_body(client, &head, bytes_skip(input, (size_t)head_len - kept_len));
    }
}

static void begin_body(struct client *client, const struct reply_head *head, struct bytes rest)
{
    DCHECK(client->state == CLIENT_HEAD);
    buf_reset(&client->_head);
    body_reader_init(&client->_reader, head->framing, head->length);
    client->is_last = head->is_last;
    client->state = CLIENT_BODY;
    client->events->on_head(client, head);
    if (client->state == CLIENT_BODY) {
        take_body(client, rest);
    }
}

static void take_body(struct client *client, struct bytes input)
{
    struct bytes piece;
    for (;;) {
        switch (body_reader_next(&client->_reader, &input, &piece)) {
        case BODY_PIECE:
            if (client->events->on_body != NULL) {
                client->events->on_body(client, piece);
            }
            if (client->state != CLIENT_BODY) {
                return;
            }
            break;
        case BODY_MORE:
            return;
        case BODY_END:
            end_body(client);
            return;
        case BODY_BROKEN:
            fail(client, CLIENT_BAD_CHUNKS);
            return;
        }
    }
}

static void end_body(struct client *client)
{
    DCHECK(client->state == CLIENT_BODY);
    client->state = CLIENT_READY;
    client->events->on_end(client);
}

static void fail(struct client *client, int failure)
{
    DCHECK(failure < 0);
    if (client->state == CLIENT_CLOSED) {
        return;
    }
    client->failure = failure;
    client->failed_in = client->state;
    client_close(client);
    client->events->on_gone(client);
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
