// SPDX-License-Identifier: MIT
//
// A connection to the server that is measured: a request goes out, a head and a body come back, and
// perhaps another request follows. Ten thousand of them fit in a few megabytes. It is a member of
// the struct that has a use for it, which calls `peer_close` or is told `on_gone`, and must then
// live until `on_closed`.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "bench/message.h"
#include "bench/stream_reader.h"

struct bench_target;
struct loop;
struct peer;
struct transport;

enum peer_state {
    PEER_CLOSED,
    PEER_CONNECTING,
    PEER_READY, // for a request
    PEER_HEAD,  // a request is out, the head of the response has not come
    PEER_BODY,
};

/// What a peer tells. Each may close it, and open no other in its place before `on_closed`.
struct peer_events {
    /// A head has come.
    void (*on_head)(struct peer *peer, const struct response_head *head);
    /// Bytes of a body have come. May be NULL.
    void (*on_body)(struct peer *peer);
    /// An event has come, in a body of whatever kind.
    void (*on_event)(struct peer *peer, struct bytes data);
    /// The body has ended. With `is_last`, so has the connection.
    void (*on_end)(struct peer *peer);
    /// The peer has failed, see `peer_describe`, and begins to close.
    void (*on_gone)(struct peer *peer);
    /// The connection has closed. `peer_open` may follow.
    void (*on_closed)(struct peer *peer);
};

struct peer {
    struct transport *_transport;
    const struct peer_events *events;
    struct bytes _out[2]; // what is still to be written
    struct buf _head;     // the front of a head whose end has not come
    struct stream_reader _reader;
    uint64_t byte_count; // that were read
    int failure;         // negative errno, or one of `enum peer_failure`
    enum peer_state state;
    enum peer_state failed_in;
    uint32_t source; // which of this machine's loopback addresses it connects from; 0: any
    bool is_last;    // the server closes after this response
    bool is_deaf;    // never reads; set before `peer_open`
};

enum peer_failure {
    PEER_ENDED = 1,  // the server closed the connection
    PEER_BAD_HEAD,   // what came is no response
    PEER_BAD_CHUNKS, // what came is no chunked body
    PEER_UNASKED,    // bytes came that belong to no response
};

/// Begins to connect. Returns 0, or a negative errno, and then no callback follows.
MUST_USE int peer_open(struct peer *peer, struct loop *loop, const struct bench_target *target,
                       const struct peer_events *events);

/// Sends a request of two pieces, the second of which may be empty: now, or when the connection
/// stands. The bytes must live until the response has come.
void peer_send(struct peer *peer, struct bytes head, struct bytes body);

/// Closes in the ordinary way. Idempotent.
void peer_close(struct peer *peer);

/// Writes why the peer failed, for a person.
void peer_describe(const struct peer *peer, const struct bench_target *target, char *out,
                   size_t size);
