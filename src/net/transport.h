// SPDX-License-Identifier: MIT
//
// Seam 1: a connection's bytes, whatever carries them (TCP, a Unix socket, later TLS; a script in
// specs and fuzz targets). A transport may stand on another one, as TLS stands on TCP: then it is
// the user of the lower one. Whoever opened a transport owns it until `transport_close` or
// `transport_reset`. After that no callback comes but `on_closed`, once, from the loop and never
// from within the call; right after it the transport frees itself. Used on its loop's thread.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct transport;

/// What a transport tells its user. `user` is what `transport_bind` was given.
struct transport_events {
    /// Bytes came in. The callee may change them in place; they are valid until it returns.
    void (*on_bytes)(void *user, char *at, size_t len);
    /// The peer has closed its sending side. No `on_bytes` will follow.
    void (*on_end)(void *user);
    /// The kernel takes bytes again. Called once for each `transport_await_room`.
    void (*on_room)(void *user);
    /// The peer is gone: reading or connecting failed, or the peer has answered with a reset.
    /// `failure` is a negative errno. Called whether reading is on or not. The user should close.
    void (*on_failed)(void *user, int failure);
    /// The transport is closed and about to be freed.
    void (*on_closed)(void *user);
};

struct transport_ops {
    void (*start)(struct transport *transport);
    void (*stop)(struct transport *transport);
    ssize_t (*write)(struct transport *transport, const struct bytes *pieces, int count);
    void (*await_room)(struct transport *transport);
    bool (*is_holding)(const struct transport *transport); // NULL: it never does
    size_t (*unsent_bytes)(const struct transport *transport);
    void (*shut)(struct transport *transport);
    void (*close)(struct transport *transport, bool is_reset);
    int (*duplicate_socket)(const struct transport *transport); // NULL: there is no bare socket
};

struct transport {
    const struct transport_ops *ops;
    const struct transport_events *events;
    void *user;
};

static inline void transport_bind(struct transport *transport,
                                  const struct transport_events *events, void *user)
{
    transport->events = events;
    transport->user = user;
}

/// Begins, or goes on, to read.
static inline void transport_start(struct transport *transport)
{
    transport->ops->start(transport);
}

/// Stops reading. The peer's kernel then fills up and holds the peer back.
static inline void transport_stop(struct transport *transport)
{
    transport->ops->stop(transport);
}

/// Most pieces of one write.
enum { TRANSPORT_PIECES_MAX = 64 };

/// Writes the `count` pieces in one call to the kernel. Returns how many bytes were taken, which
/// may be fewer than there are, or 0; or a negative errno when the peer is gone. Bytes that were
/// not taken stay the caller's.
MUST_USE static inline ssize_t transport_write(struct transport *transport,
                                               const struct bytes *pieces, int count)
{
    return transport->ops->write(transport, pieces, count);
}

/// Whether the transport still holds bytes that it took. TCP never does: what it takes is with the
/// kernel. A transport that turns bytes into records (TLS) holds the rest of a record of which the
/// kernel took a part. The user then asks for `on_room`, which comes when nothing is held; until
/// then it must not shut the transport, and to close it loses those bytes.
static inline bool transport_is_holding(const struct transport *transport)
{
    return transport->ops->is_holding != NULL && transport->ops->is_holding(transport);
}

/// Asks for one `on_room`, when the kernel takes bytes again and nothing is held.
static inline void transport_await_room(struct transport *transport)
{
    transport->ops->await_room(transport);
}

/// Bytes that the kernel or the transport holds and the peer has not acknowledged. The number falls
/// when the peer reads, however slowly.
static inline size_t transport_unsent_bytes(const struct transport *transport)
{
    return transport->ops->unsent_bytes(transport);
}

/// Returns one more descriptor of the socket that carries the bytes as they are, for content that
/// another thread gives to the kernel (sendfile). It is the caller's, who closes it soon: until
/// then the peer does not see that the transport was closed. The user writes nothing while that
/// thread does. -ENOTSUP where the transport has no such socket or changes the bytes, as TLS does;
/// otherwise a negative errno.
MUST_USE static inline int transport_duplicate_socket(const struct transport *transport)
{
    return transport->ops->duplicate_socket == NULL ? -ENOTSUP
                                                    : transport->ops->duplicate_socket(transport);
}

/// Closes the sending side after the bytes that were written. Reading goes on.
static inline void transport_shut(struct transport *transport)
{
    transport->ops->shut(transport);
}

/// Closes both sides. Idempotent.
static inline void transport_close(struct transport *transport)
{
    transport->ops->close(transport, false);
}

/// Closes both sides with a reset: the kernel drops the bytes that it has not sent. Idempotent.
static inline void transport_reset(struct transport *transport)
{
    transport->ops->close(transport, true);
}
