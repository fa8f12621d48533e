// SPDX-License-Identifier: MIT
//
// The transport over a TCP or Unix socket. There are thousands of them, so each is a bare
// descriptor that the loop's poller watches, without a queue and without a buffer.
#pragma once

#include "net/transport.h"

#include <stdint.h>

struct loop;

/// Makes a transport of `fd`, a connected socket that does not block. The transport owns `fd`.
struct transport *tcp_of_socket(struct loop *loop, int fd);

/// Reads what has come already, if the transport was started. A socket that was just accepted has
/// its request (TCP_DEFER_ACCEPT, see listen_socket.h), so the loop need not wait for it. May close
/// the transport.
void tcp_read(struct transport *transport);

/// Begins to connect to a literal address, "localhost" standing for 127.0.0.1, or to a Unix socket
/// if `host` begins with a slash. `on_room` tells that the connection stands, `on_failed` that it
/// does not. The connection comes from the literal address `source`, one of this machine's: several
/// sources have more ports for connections to one port than one has. NULL leaves it to the kernel.
/// Returns 0 and the transport, or a negative errno when connecting fails at once.
MUST_USE int tcp_connect_from(struct loop *loop, const char *source, const char *host,
                              uint16_t port, struct transport **transport);
