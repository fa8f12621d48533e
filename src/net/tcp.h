// SPDX-License-Identifier: MIT
//
// A transport over a stream socket: TCP, or a Unix socket. Made by the listener when it accepts;
// lives as `transport.h` says. A write goes to the kernel at once as far as it is taken; only the
// rest, if any, is kept and costs memory.
#pragma once

#include "net/transport.h"

#include <uv.h>

struct loop;

/// Accepts the connection that waits on `listening` (TCP or pipe handle). Returns a transport that
/// does not read yet, or NULL when there was none to accept.
struct transport *tcp_accept(struct loop *loop, uv_stream_t *listening);
