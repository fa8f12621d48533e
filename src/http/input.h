// SPDX-License-Identifier: MIT
//
// The input of a connection turns bytes into one exchange after the other. It reads a head, has the
// service decide how the request will be answered, reads the body, and hands the exchange to the
// service. Bytes that arrive behind a request are kept, up to a bound, until its answer is out. The
// input itself answers a request that it cannot accept, and the connection ends after that answer.
// The conn owns the input.
#pragma once

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

struct conn;

/// Reads messages from `at` until one of them waits for its answer, or more bytes are needed.
/// Returns how many bytes it has read. *May call Lua*, but only as the last thing before it
/// returns.
size_t input_feed(struct conn *conn, char *at, size_t len);

/// Returns how many of the `len` bytes that have come the caller must drop, because they belong to
/// a body that the route does not accept.
size_t input_skip(struct conn *conn, size_t len);

/// Keeps bytes for later: an incomplete head, or bytes behind a message that is being answered.
/// When enough of them wait, the connection stops reading. Returns false when there is no room for
/// the bytes: the caller must close the connection.
MUST_USE bool input_keep(struct conn *conn, char *at, size_t len);

/// Feeds what was kept. *May call Lua.*
void input_feed_kept(struct conn *conn);

/// Answers the current exchange with `status`. The connection ends after the answer.
void input_refuse(struct conn *conn, int status, const char *why);

/// The same while there is no exchange yet.
void input_refuse_head(struct conn *conn, int status, const char *why);

/// Gives the parser back to the codec, if the connection has one.
void input_give_parser_back(struct conn *conn);
