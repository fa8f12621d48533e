// SPDX-License-Identifier: MIT
//
// A listening socket, TCP or Unix. It accepts everything that waits and hands each connection over
// as a transport. The address is exclusive: a second server on it is refused. Owned by whoever
// opened it; `listener_close` is asynchronous and idempotent, and the struct must live until
// `on_closed`. Same thread as its loop.
#pragma once

#include "net/loop.h"
#include "net/socket_address.h"
#include "net/transport.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct listener {
    uv_poll_t _poll;
    struct loop *_loop;
    struct socket_address _address;
    int _fd;
    int _spare_fd; // given up for a moment when there is no other, to turn a connection away
    bool is_open;
    bool _is_adopted; // somebody else's, who also removes a Unix socket's file
    void *user;
    /// A connection came in. It is the callee's from now on; it does not read yet.
    void (*on_accept)(void *user, struct transport *transport);
    void (*on_closed)(void *user, struct listener *listener);
};

/// Binds and listens on a literal IPv4 or IPv6 address, "localhost" standing for 127.0.0.1. Port 0
/// picks a free one. Connections get TCP_NODELAY and `peer_timeout_ms` as TCP_USER_TIMEOUT,
/// inherited from the listening socket. Returns 0 or a negative errno (EADDRINUSE, EACCES,
/// EADDRNOTAVAIL, EINVAL for an address that is not one); after a failure the listener is not open
/// and `on_closed` does not follow.
MUST_USE int listener_open_tcp(struct listener *listener, struct loop *loop, const char *host,
                               uint16_t port, uint64_t peer_timeout_ms);

/// Binds and listens on a Unix socket. A socket file that nobody listens on is replaced; one that
/// is in use gives -EADDRINUSE, a file of another kind -EEXIST.
MUST_USE int listener_open_unix(struct listener *listener, struct loop *loop, const char *path);

/// Serves a socket, TCP or Unix, that another program has bound and listens on; the descriptor is
/// the listener's from now on. Returns 0, or a negative errno: ENOTSOCK, or EINVAL when it is not a
/// stream socket of these kinds that listens.
MUST_USE int listener_adopt(struct listener *listener, struct loop *loop, int fd,
                            uint64_t peer_timeout_ms);

/// The port that it listens on; 0 for a Unix socket.
uint16_t listener_port(const struct listener *listener);

/// Writes where it listens, as a URL: "http://127.0.0.1:3000", "http://[::1]:3000", "unix:/path"
/// or, for an abstract name, "unix:@name".
void listener_url(const struct listener *listener, char *out, size_t size);

void listener_close(struct listener *listener);
