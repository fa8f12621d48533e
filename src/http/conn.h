// SPDX-License-Identifier: MIT
//
// An accepted connection: a transport, the codec's reader while a message is read, at most one
// exchange, and the deadlines.
//
//     HEAD --> BODY --> ANSWER --> HEAD ...      one message after the other
//       |        |         |
//       +--------+---------+--> LINGER --> CLOSED
//
// HEAD waits for, then reads a request head. BODY reads its content. ANSWER: the exchange is with
// its holder, or its output is on the way; what the peer sends meanwhile waits, bounded. LINGER:
// the last answer is out, the sending side is closed, input is thrown away until the peer closes
// too, so that no reset overtakes the answer (RFC 9112, section 9.6). CLOSED: waiting for the
// transport's last call.
//
// Owned by its service. It closes itself: on the peer's end, on a deadline, after a last answer.
// The memory goes when the transport reports that it is closed. Nothing here closes a conn from
// inside a call from above; such calls mark it and the loop does the rest.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "base/list.h"
#include "http/exchange.h"
#include "http/service.h"

#include <stdbool.h>
#include <sys/types.h>

struct conn;
struct socket_address;
struct transport;

/// Takes over `transport`, whose other side is `peer`, and begins to read. A connection over the
/// limit is answered once and closed.
void conn_open(struct service *service, struct transport *transport,
               const struct socket_address *peer, bool is_over_limit);

/// Ends the exchange, if any, for `reason` and closes. Idempotent. *May call Lua.*
void conn_close(struct conn *conn, enum end_reason reason);

/// Closes an idle connection; any other closes after its answer, and an idle health check after the
/// next. One that lingers does so for a shorter time.
void conn_drain(struct conn *conn);

struct conn *conn_of_node(struct list *node);

/// What is being answered, or NULL.
struct exchange *conn_exchange(const struct conn *conn);

// For the exchange of this conn.

/// Output was appended, or the exchange changed: the loop looks at the conn at the end of the turn.
void conn_wrote(struct conn *conn);

/// Asks the peer from time to time whether it is there, until the answer begins.
void conn_ask_peer(struct conn *conn);

/// Writes the conn's output and then `pieces` (fewer than TRANSPORT_PIECES_MAX), in one call to the
/// kernel. Returns how many bytes of the pieces it took; when that is not all of them the conn is
/// blocked. A negative errno when the peer is gone.
MUST_USE ssize_t conn_deliver(struct conn *conn, const struct bytes *pieces, int count);

/// `conn_deliver` comes soon: fetches the transport into the cache.
void conn_prefetch(const struct conn *conn);

/// Whether the kernel takes nothing at the moment. The loop looks at the conn when it does again.
bool conn_is_blocked(const struct conn *conn);
struct buf *conn_output(struct conn *conn);
size_t conn_pending_bytes(const struct conn *conn);
/// The limits that are current. Not to be kept.
const struct limits *conn_limits(const struct conn *conn);
struct bytes conn_date_line(struct conn *conn);
/// The fields that every answer has. Not to be kept.
struct bytes conn_common_fields(const struct conn *conn);
uint32_t conn_server_seed(const struct conn *conn);

/// Writes the host of the peer to `out`, which has PEER_HOST_BYTES_MAX; returns its length.
size_t conn_peer_host(const struct conn *conn, char *out);

/// `size` bytes of a body are no longer kept for the request.
void conn_forget_body(struct conn *conn, size_t size);

/// Whether the connection ends after the current answer.
bool conn_is_last(const struct conn *conn);

/// Whether the connection came in over the limit.
bool conn_is_over_limit(const struct conn *conn);

/// Whether the request that is being answered only asks if the server is ready. Such a connection
/// stays open while the server drains, to be told, but nothing waits for it.
void conn_set_health_check(struct conn *conn, bool is_health_check);
bool conn_is_health_check(const struct conn *conn);

struct loop *conn_loop(const struct conn *conn);
