// SPDX-License-Identifier: MIT
//
// A listening socket, TCP or Unix. It accepts everything that waits and hands each connection over
// as a transport. The address is exclusive: a second server on it is refused. Owned by whoever
// opened it; `listener_close` is asynchronous and idempotent, and the struct must live until
// `on_closed`. Same thread as its loop.
#pragma once

#include "net/loop.h"
#include "net/transport.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct listener {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    struct loop *loop;
    bool is_open;
    void *user;
    /// A connection came in. It is the callee's from now on; it does not read yet.
    void (*on_accept)(void *user, struct transport *transport);
    void (*on_closed)(void *user, struct listener *listener);
};

/// Binds and listens on a literal IPv4 or IPv6 address, "localhost" standing for 127.0.0.1. Port 0
/// picks a free one. Connections get TCP_NODELAY and `peer_timeout_ms` as TCP_USER_TIMEOUT,
/// inherited from the listening socket. Returns 0 or a negative UV_ code (UV_EADDRINUSE, UV_EACCES,
/// UV_EADDRNOTAVAIL, UV_EINVAL for an address that is not one); after a failure the handle closes
/// by itself and `on_closed` follows.
MUST_USE int listener_open_tcp(struct listener *listener, struct loop *loop, const char *host,
                               uint16_t port, uint64_t peer_timeout_ms);

/// Binds and listens on a Unix socket. A socket file that nobody listens on is replaced; one that
/// is in use gives UV_EADDRINUSE, a file of another kind UV_EEXIST.
MUST_USE int listener_open_unix(struct listener *listener, struct loop *loop, const char *path);

/// The port that it listens on; 0 for a Unix socket.
uint16_t listener_port(const struct listener *listener);

/// Writes where it listens, as a URL: "http://127.0.0.1:3000", "http://[::1]:3000" or "unix:/path".
void listener_url(const struct listener *listener, char *out, size_t size);

void listener_close(struct listener *listener);
