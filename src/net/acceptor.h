// SPDX-License-Identifier: MIT
//
// Accepts the connections that wait at a listening socket and hands each one over. Owned by whoever
// opened it; used on its loop's thread.
//
//     CLOSED --acceptor_open--> ACCEPTING --acceptor_close--> CLOSED
//                                 |    ^                        ^
//       no descriptor, not even   |    | after 0.1 s            |
//       the spare one             v    |                        |
//                                RESTING -----acceptor_close----+
//
// `acceptor_close` is idempotent; the struct must live until the end of that turn.
#pragma once

#include "net/listen_socket.h"
#include "net/loop.h"
#include "net/timer.h"

#include <stdbool.h>

struct acceptor {
    struct polled _polled;
    struct loop *_loop;
    struct listen_socket _listen_socket;
    int _spare_fd;      // closed for a moment when no other is free, to turn a connection away
    struct timer _rest; // until it looks again, when no descriptor can be had at all
    bool is_open;
    void *user;
    /// A connection from `peer` came in: a descriptor that does not block, and is the callee's from
    /// now on.
    void (*on_accept)(void *user, int fd, const struct socket_address *peer);
};

/// Takes over the socket and begins to accept. `user` and `on_accept` are set. Returns 0 or a
/// negative errno; then nobody is accepted. Either way the acceptor is open until `acceptor_close`.
MUST_USE int acceptor_open(struct acceptor *acceptor, struct loop *loop,
                           const struct listen_socket *listen_socket);

void acceptor_close(struct acceptor *acceptor);

/// CHECKs what must hold between any two calls; debug builds do so by themselves.
void acceptor_check(const struct acceptor *acceptor);
