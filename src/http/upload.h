// SPDX-License-Identifier: MIT
//
// A body that the holder of the exchange reads while it comes. Bytes that have come wait in the
// upload, bounded: when nobody reads them, the connection stops reading, and the peer's system
// holds the peer back. `body_timeout` and `body_rate` count the time for which somebody waits for
// the peer, and no other. Part of an HTTP/1 connection, which owns it, from the head to the end of
// the answer; a body that has come and was read ends it earlier. All functions here do without one.
#pragma once

#include "base/check.h"
#include "http/codec.h"

#include <stdbool.h>
#include <stddef.h>

struct conn;

/// Makes the upload of the exchange, whose head is complete. It takes over the parser.
void upload_begin(struct conn *conn);

/// Whether more of a body is to come.
bool upload_has_more(const struct conn *conn);

/// Reads more of the body, of which more is to come. Returns how many of the bytes belong to it.
size_t upload_feed(struct conn *conn, char *at, size_t len);

/// The peer has closed its sending side. A body that is not complete has failed.
void upload_abort(struct conn *conn);

/// What `exchange_read_body`, `exchange_take_body` and `exchange_await_body` do.
MUST_USE int upload_read(struct conn *conn, struct body_piece *piece);
void upload_take(struct conn *conn, size_t size);
MUST_USE int upload_await(struct conn *conn, struct body_waiter *waiter);

/// Whether the connection would end if the answer were out now: too much of the body is to come, or
/// it is unknown how much.
bool upload_ends_connection(const struct conn *conn);

/// The answer is out, or the connection closes. The rest of a body that nobody has read is thrown
/// away when it is short; otherwise the connection ends after the answer. Who still waits is told.
void upload_finish(struct conn *conn);
