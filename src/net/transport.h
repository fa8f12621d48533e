// SPDX-License-Identifier: MIT
//
// Seam 1: a connection's bytes, whatever carries them (TCP, a Unix socket, later TLS; in specs and
// fuzz targets a script). Whoever opened a transport owns it until `transport_close` or
// `transport_reset`; after that it calls `on_closed` once, from the loop and never from inside the
// call, and frees itself right after. Same thread as its loop. All other callbacks stop the moment
// it begins to close.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>

struct transport;

/// What a transport tells its user. `user` is what `transport_bind` was given.
struct transport_events {
    /// Bytes came in. They may be changed in place and are valid until the call returns.
    void (*on_bytes)(void *user, char *at, size_t len);
    /// The peer has closed its sending side. No `on_bytes` will follow.
    void (*on_end)(void *user);
    /// Everything that was written is with the kernel. Only after a write that had to wait.
    void (*on_drained)(void *user);
    /// Reading or writing failed (negative UV_ code): the peer is gone. The user should close.
    void (*on_failed)(void *user, int failure);
    /// The transport is closed and about to be freed.
    void (*on_closed)(void *user);
};

struct transport_ops {
    void (*start)(struct transport *transport);
    void (*stop)(struct transport *transport);
    int (*write)(struct transport *transport, struct buf *out);
    size_t (*pending_bytes)(const struct transport *transport);
    size_t (*unsent_bytes)(const struct transport *transport);
    void (*shut)(struct transport *transport);
    void (*close)(struct transport *transport, bool is_reset);
    bool (*peer_is_gone)(const struct transport *transport);
    size_t (*peer_name)(const struct transport *transport, char *out, size_t size);
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

/// Stops reading, so that the peer is held back by its own kernel.
static inline void transport_stop(struct transport *transport)
{
    transport->ops->stop(transport);
}

/// Takes all bytes of `out`, which is empty afterwards. Returns 0 when the kernel has them, 1 when
/// some wait (then nothing may be written until `on_drained`), or a negative UV_ code when the peer
/// is gone.
MUST_USE static inline int transport_write(struct transport *transport, struct buf *out)
{
    return transport->ops->write(transport, out);
}

/// Bytes written that the kernel has not taken yet.
static inline size_t transport_pending_bytes(const struct transport *transport)
{
    return transport->ops->pending_bytes(transport);
}

/// The same with what the kernel holds and the peer has not acknowledged: it falls when the peer
/// reads, however slowly.
static inline size_t transport_unsent_bytes(const struct transport *transport)
{
    return transport->ops->unsent_bytes(transport);
}

/// Closes the sending side once everything written is out; reading goes on.
static inline void transport_shut(struct transport *transport)
{
    transport->ops->shut(transport);
}

/// Closes both sides. What still waits to be written is lost. Idempotent.
static inline void transport_close(struct transport *transport)
{
    transport->ops->close(transport, false);
}

/// Closes with a reset, so that the kernel drops its send buffer as well. Idempotent.
static inline void transport_reset(struct transport *transport)
{
    transport->ops->close(transport, true);
}

/// Whether the kernel knows that the peer's side no longer exists.
static inline bool transport_peer_is_gone(const struct transport *transport)
{
    return transport->ops->peer_is_gone(transport);
}

/// Writes the peer's address ("192.0.2.1", "2001:db8::1", "unix") to `out`; returns its length.
static inline size_t transport_peer_name(const struct transport *transport, char *out, size_t size)
{
    return transport->ops->peer_name(transport, out, size);
}
