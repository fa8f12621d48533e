// SPDX-License-Identifier: MIT
//
// An address of the operator's own (`--admin`): it answers with the metrics and whether the server
// is ready, and nothing else. It has a service and limits of its own, so it answers however full
// the server is, whatever limits the scripts set, and until the program ends. Owned by the server;
// the first worker serves it, on its thread.
#pragma once

#include "base/check.h"
#include "http/service.h"
#include "net/acceptor.h"

#include <stdatomic.h>
#include <stdbool.h>

struct dispatch;
struct limits;

struct admin {
    struct service service;
    struct listen_socket socket;
    struct acceptor acceptor;
    const struct limits *limits; // held
    struct dispatch *dispatch;
    atomic_size_t total;
    bool is_bound;
    bool is_open;
};

/// Binds `address`, "unix:PATH", "HOST:PORT" or "[HOST]:PORT". Returns 0, or a negative errno when
/// it has printed why not.
MUST_USE int admin_bind(struct admin *admin, const char *address);

/// Begins to accept. It is bound. Returns 0 or a negative errno.
MUST_USE int admin_open(struct admin *admin, struct loop *loop, struct dispatch *dispatch);

/// Closes the address and all connections. Idempotent; nothing for one that is not bound.
void admin_close(struct admin *admin);

/// Frees what `admin_open` made, when the loop has closed.
void admin_deinit(struct admin *admin);
