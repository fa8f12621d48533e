// SPDX-License-Identifier: MIT
//
// Seam 2: a version of HTTP, both halves of it. A codec reads bytes and makes exchanges of them
// (`exchange_new`, then the service's `on_head` and `on_request`), and it carries what the
// exchanges answer back as bytes. HTTP/1 is one (conn.c); a codec with other framing is served by
// the same `exchange`, `sse` and `script`, which know none of it.
//
//     service --connection_ops--> connection    what was accepted: one for each transport
//                                     |
//     exchange --carrier_ops-----> carrier      what one exchange goes over
//
// HTTP/1 carries one exchange at a time, so its connection is its carrier. A codec that carries
// several at once has a carrier for each.
//
// The content of an answer goes one of two ways. `write` takes a piece of content, and the codec
// frames it. A stream is quicker: it fills `output` by itself and gives `deliver` pieces of memory
// that many readers share. `begin` says in `response.framing` what such bytes are. FRAMING_CHUNKED:
// each is a whole chunk (RFC 9112, section 7.1), framing included, so that a codec that sends
// chunks copies nothing. Any other framing: bare content, which the codec frames itself if it has
// to.
//
// Everything is on the service's thread. No operation ends an exchange or frees a carrier: a codec
// looks at its exchanges at the end of the turn (`wake` asks for that) and ends them from there.
#pragma once

#include "base/bytes.h"
#include "base/list.h"
#include "http/end_reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct buf;
struct codec;
struct exchange;
struct service;
struct socket_address;
struct transport;

/// What an exchange goes over: the first member of a struct of the codec's.
struct carrier {
    struct codec *codec;
};

/// What a service lists: the first member of a struct of the codec's.
struct connection {
    struct carrier carrier; // for a codec that carries one exchange at a time
    struct list node;       // in the service's list
};

/// What `begin` is told of the content.
enum codec_content {
    CONTENT_NONE,  // there is none, by the status
    CONTENT_SIZED, // all of it comes in one `write`, or there is none to send (HEAD)
    CONTENT_OPEN,  // it comes in pieces, until `finish`
};

/// What has come of a streamed body.
struct body_piece {
    struct bytes bytes; // valid until the body is read again, or the turn ends
    int status;         // of an answer that says why reading has failed
    const char *why;    // the same as a sentence, which lives as long as the program
};

/// Who waits for more of a streamed body. Zeroed memory waits for nothing.
struct body_waiter {
    /// More has come, or nothing more will; the wait is over. Must not call Lua.
    void (*on_body)(struct body_waiter *waiter);
    struct body_waiter **_place; // where the pointer to it stands; NULL while it does not wait
};

/// Ends the wait without a call. Idempotent.
static inline void body_waiter_leave(struct body_waiter *waiter)
{
    if (waiter->_place != NULL) {
        *waiter->_place = NULL;
        waiter->_place = NULL;
    }
}

/// What an exchange asks of its carrier.
struct carrier_ops {
    /// Sends the head, and sets `response.framing`. `length` is the content's with CONTENT_SIZED.
    /// The answer to HEAD (`is_head`) has no content, whatever `content` says.
    void (*begin)(struct exchange *exchange, enum codec_content content, uint64_t length);

    /// Sends a piece of content, which is not empty.
    void (*write)(struct exchange *exchange, struct bytes content);

    /// Ends the content, which is complete. A response that has ended without this call was cut,
    /// and the peer must not take its content for all of it.
    void (*finish)(struct exchange *exchange);

    /// The buffer of output. The caller may append content to it, framed as `response.framing`
    /// says, and then has to call `wake`.
    struct buf *(*output)(struct exchange *exchange);

    /// Something of the exchange has changed: output was appended, it is aborted or cut, it awaits
    /// room or wants to be flushed. The codec looks at it at the end of the turn, or of the next
    /// one when the turn is ending.
    void (*wake)(struct exchange *exchange);

    /// Writes the output and then the `count` pieces. Returns how many bytes of the pieces the
    /// kernel took; when that is not all of them, or not all of the output, it sets `is_blocked`. A
    /// negative errno when the peer is gone.
    ssize_t (*deliver)(struct exchange *exchange, const struct bytes *pieces, int count);

    /// Returns one more descriptor of the socket, for content that another thread gives to the
    /// kernel while no output is pending. The caller closes it. -ENOTSUP, or NULL in the place of
    /// this function, where the codec frames the content or there is no bare socket.
    int (*duplicate_socket)(const struct exchange *exchange);

    /// Sets `is_blocked` until the kernel takes something again. Only where there is
    /// `duplicate_socket`.
    void (*block)(struct exchange *exchange);

    /// Bytes of output that the kernel has not taken.
    size_t (*pending_bytes)(const struct exchange *exchange);

    /// Finds out from time to time whether the peer still reads, until the answer begins.
    void (*ask_peer)(struct exchange *exchange);

    /// Tells that `is_health_check` of the exchange has changed: see `exchange_set_health_check`.
    void (*note_health_check)(struct exchange *exchange);

    /// Writes the host of the peer to `out`, which has PEER_HOST_BYTES_MAX; returns its length.
    size_t (*peer_host)(const struct exchange *exchange, char *out);
};

/// What an exchange asks of its carrier about a body that is streamed: see `exchange_read_body`,
/// `exchange_take_body` and `exchange_await_body`.
struct body_ops {
    int (*read)(struct exchange *exchange, struct body_piece *piece);
    void (*take)(struct exchange *exchange, size_t size);
    int (*await)(struct exchange *exchange, struct body_waiter *waiter);
};

/// Is called with one exchange after the other of a walk. Returns whether the walk goes on.
typedef bool (*codec_visit_fn)(void *user, struct exchange *exchange);

/// What a service asks of its codec and of the connections.
struct connection_ops {
    /// Takes over an accepted transport whose other side is `peer`, and calls `service_add`. A
    /// connection over the limit is answered once and closed.
    void (*open)(struct codec *codec, struct transport *transport,
                 const struct socket_address *peer, bool is_over_limit);

    /// Makes the connection take no new request. An idle one closes at once, any other after its
    /// answer, and a health check after the answer that follows.
    void (*drain)(struct connection *connection);

    /// Ends what is under way for `reason` and closes. Idempotent. The connection leaves the
    /// service later, from the loop. *May call Lua.*
    void (*close)(struct connection *connection, enum end_reason reason);

    /// Calls `visit` for each exchange under way. Returns whether the walk goes on.
    bool (*each_exchange)(struct connection *connection, codec_visit_fn visit, void *user);

    /// Frees the codec. The service has no connection any more.
    void (*release)(struct codec *codec);
};

/// A codec as one service uses it: the first member of a struct of the codec's, owned by the
/// service.
struct codec {
    const struct carrier_ops *carrier_ops;
    const struct connection_ops *connection_ops;
    struct service *service;
    const struct body_ops *body_ops; // NULL where all bodies are read before the answer
};
