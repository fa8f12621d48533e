// SPDX-License-Identifier: MIT
//
// Accepts everything that waits at a listening socket and hands each connection over. Owned by
// whoever opened it; `listener_close` is asynchronous and idempotent, and the struct must live
// until the loop has closed. Same thread as its loop.
#pragma once

#include "net/listening.h"
#include "net/loop.h"
#include "net/timer.h"

#include <stdbool.h>
#include <uv.h>

struct listener {
    uv_poll_t _poll;
    struct listening _listening;
    int _spare_fd;      // given up for a moment when there is no other, to turn a connection away
    struct timer _rest; // until it looks again, when there is not even that one
    bool is_open;
    void *user;
    /// A connection from `peer` came in: a descriptor that does not block, and is the callee's from
    /// now on.
    void (*on_accept)(void *user, int fd, const struct socket_address *peer);
};

/// Takes over the socket and begins to accept. `user` and `on_accept` are set. Returns 0 or a
/// negative UV_ code; then the socket is still the caller's.
MUST_USE int listener_open(struct listener *listener, struct loop *loop,
                           const struct listening *listening);

void listener_close(struct listener *listener);
