// SPDX-License-Identifier: MIT
//
// The transport over a TCP or Unix socket. What a connection costs counts thousands of times, so it
// is a bare descriptor that the loop watches: there is no queue and no buffer here.
#pragma once

#include "net/transport.h"

#include <stdint.h>

struct loop;

/// Makes a transport of `fd`, a connected socket that does not block.
struct transport *tcp_of_socket(struct loop *loop, int fd);

/// Reads what has come already, if anybody wants it: of a socket that was just accepted, the
/// request (see listening.h). Without a request, nothing. May close it.
void tcp_read(struct transport *transport);

/// Begins to connect to a literal address, "localhost" standing for 127.0.0.1, or to a Unix socket
/// where `host` begins with a slash. `on_room` tells that the connection stands, `on_failed` that
/// it does not. From the literal address `source`, one of this machine's, so that many connections
/// to one port find free ports of their own; NULL leaves it to the kernel. Returns NULL and a
/// negative errno through `failure` when it is clear at once that there is no way.
struct transport *tcp_connect_from(struct loop *loop, const char *source, const char *host,
                                   uint16_t port, int *failure);
