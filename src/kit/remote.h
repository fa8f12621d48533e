// SPDX-License-Identifier: MIT
//
// A connection to an app as its peer has it: what the peer sends, which waits while the server does
// not read, and how much it takes. It goes over a loopback transport instead of a socket. Counted:
// the app holds its open remotes, and whoever made one holds it too. After the app has ended, a
// peer is closed, and what had come can still be taken.
//
// Every function that takes a remote, but `remote_turn`, is called in the environment of its
// worker.
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "net/loopback.h"

#include <stdbool.h>
#include <stddef.h>

struct app;
struct socket_address;
struct worker;

struct remote {
    struct list node; // of the app
    struct app *app;  // NULL once the connection is gone
    struct worker *worker;
    unsigned number; // of the worker
    struct loopback transport;
    struct buf unsent; // what the server has not read
    bool wants_end;    // the sending side closes once all is sent
    bool was_reset;
    unsigned hold_count;
};

/// Connects to the worker, which takes `window` bytes before it waits. The connection begins with a
/// PROXY header if it `is_proxied`. Held once for the caller and once for the connection, until it
/// is gone.
struct remote *remote_new(struct worker *worker, const struct socket_address *from, size_t window,
                          bool is_proxied);

void remote_release(struct remote *remote);

/// Sends bytes, as soon as the server reads. False when more than REMOTE_BYTES_MAX wait.
bool remote_send(struct remote *remote, struct bytes bytes);

/// Closes the sending side behind what was sent.
void remote_finish(struct remote *remote);

/// Is gone: the server finds a reset. May call anything.
void remote_leave(struct remote *remote);

/// Takes `size` more bytes from now on, or all for SIZE_MAX. May call anything.
void remote_set_window(struct remote *remote, size_t size);

/// Gives the server what waits, while it reads. Returns whether it took something. May call
/// anything.
bool remote_turn(struct remote *remote);

/// Whether the transport was closed and the loop has said so: its memory can go.
bool remote_is_gone(const struct remote *remote);

/// What a peer sees of the server's side.
const char *remote_state(const struct remote *remote);
