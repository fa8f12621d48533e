// SPDX-License-Identifier: MIT
//
// A connection's input: from bytes to one exchange after the other. It reads a head, asks who
// answers, reads the body, and hands the exchange up; what arrives behind it is kept, bounded,
// until the answer is out. What cannot be taken is refused here, with an answer that is framed,
// dated, and the last. Works on the conn that owns it.
#pragma once

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

struct conn;

/// Reads messages from `at` until one waits for its answer or more bytes are needed. Returns how
/// many bytes are done with. *May call Lua*, but only as the last thing before it returns.
size_t input_feed(struct conn *conn, char *at, size_t len);

/// How many of the `len` bytes that have come are to be thrown away, because they belong to a body
/// that the route does not take.
size_t input_skip(struct conn *conn, size_t len);

/// Keeps bytes for later: an incomplete head, or what came behind a message that is being answered.
/// Stops reading when enough waits. False when there is no room for them; then the connection has
/// to close.
MUST_USE bool input_keep(struct conn *conn, char *at, size_t len);

/// Feeds what was kept. *May call Lua.*
void input_feed_kept(struct conn *conn);

/// Answers the current exchange with `status`, and nothing after it.
void input_refuse(struct conn *conn, int status, const char *why);

/// Answers with `status`, and nothing after it, while no exchange has begun.
void input_refuse_head(struct conn *conn, int status, const char *why);

/// Gives the parser back, if there is one.
void input_give_parser_back(struct conn *conn);
