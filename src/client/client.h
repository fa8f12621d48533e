// SPDX-License-Identifier: MIT
//
// A connection to a server, seen from its client: a request goes out, a head and a body come back,
// and another request may follow. It is a member of the struct that uses it. After `client_close`,
// or when `on_gone` was called, that struct must live until `on_closed`. A client of zeros is
// closed. Ten thousand clients take a few megabytes. Used on the thread of its loop.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "wire/reply_head.h"

struct client_target;
struct loop;
struct client;
struct transport;

enum client_state {
    CLIENT_CLOSED,
    CLIENT_CONNECTING,
    CLIENT_READY, // for a request
    CLIENT_HEAD,  // a request is out, the head of the response has not come
    CLIENT_BODY,
};

/// The callbacks of a connection. Each may close it; `client_open` must wait for `on_closed`.
struct client_events {
    /// A head has come.
    void (*on_head)(struct client *client, const struct reply_head *head);
    /// A run of the body's data has come, without the framing. It lives until this returns. May be
    /// NULL.
    void (*on_body)(struct client *client, struct bytes piece);
    /// The body has ended. With `is_last`, so has the connection.
    void (*on_end)(struct client *client);
    /// The connection has failed, see `client_describe`, and begins to close.
    void (*on_gone)(struct client *client);
    /// The connection has closed. `client_open` may follow.
    void (*on_closed)(struct client *client);
};

struct client {
    struct transport *_transport;
    const struct client_events *events;
    struct bytes _out[2]; // what is still to be written
    struct buf _head;     // the front of a head whose end has not come
    struct body_reader _reader;
    uint64_t byte_count; // bytes that were read
    int failure;         // negative: an errno, or CLIENT_... of base/error.h
    enum client_state state;
    enum client_state failed_in;
    uint32_t source; // which of this machine's loopback addresses it connects from; 0: any
    bool is_last;    // the server closes after this response
    bool is_deaf;    // never reads; set before `client_open`
};

/// Begins to connect. Returns 0, or a negative errno, and then no callback follows.
MUST_USE int client_open(struct client *client, struct loop *loop,
                         const struct client_target *target, const struct client_events *events);

/// Sends a request of two pieces, the second of which may be empty: now, or when the connection
/// stands. The bytes must live until the response has come.
void client_send(struct client *client, struct bytes head, struct bytes body);

/// Closes in the ordinary way. Idempotent.
void client_close(struct client *client);

/// Writes why the connection failed, for a person.
void client_describe(const struct client *client, const struct client_target *target, char *out,
                     size_t size);
