// SPDX-License-Identifier: MIT
//
// The inside of an HTTP/1 connection: a transport, the parser while a message is read, at most one
// exchange, and the deadlines.
//
//     HEAD --> BODY --> ANSWER --> HEAD ...      one message after the other
//       |        |         |
//       +--------+---------+--> LINGER --> CLOSED
//
// HEAD waits for, then reads a request head. BODY reads its content. ANSWER: the exchange is with
// its holder, or its output is on the way; what the peer sends meanwhile waits, bounded. A body
// that the holder reads while it comes (upload.h) skips BODY. LINGER: the last answer is out, the
// sending side is closed, input is thrown away until the peer closes too, so that no reset
// overtakes the answer (RFC 9112, section 9.6). CLOSED: waiting for the transport's last call.
// `conn_check` has what must hold in each.
//
// Owned by its service, which knows it by the operations of its codec (codec.h). It closes itself:
// on the peer's end, on a deadline, after a last answer. The memory goes when the transport reports
// that it is closed. Nothing here closes a conn from inside a call from above; such calls mark it
// and the loop does the rest.
//
// The files that share it are conn.c (its life and its deadlines), input.c (what the peer sends),
// upload.c (a body that is read while it comes), conn_carrier.c (what exchanges ask of it) and
// conn_parts.c (what all of them use). Nobody else looks in here.
#pragma once

#include "base/buf.h"
#include "http/codec.h"
#include "http/service.h"
#include "net/loop.h"
#include "net/socket_address.h"
#include "net/timer.h"
#include "net/transport.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exchange;
struct http1;
struct upload;

/// The states of the drawing above.
enum conn_state { CONN_HEAD, CONN_BODY, CONN_ANSWER, CONN_LINGER, CONN_CLOSED };

/// What all HTTP/1 connections of a service share.
struct conn_codec {
    struct codec base;
    loop_job_fn on_turn_end;    // of a connection's job
    timer_fn on_deadline;       // of its timer
    struct http1 *spare_parser; // the last one given back; NULL while it is in use
};

/// What the peer has sent and what is known of it.
struct input {
    struct http1 *parser;  // only while a message is being read
    struct upload *upload; // a body that is read while it is answered; NULL for none
    struct buf kept;       // an incomplete head, or what waits behind an answer
    uint64_t
        head_started_ns; // when the first byte of the head came that is being read; 0 before it
    uint64_t body_started_ns; // from when on `body_rate` is asked for
    size_t skip_bytes;        // to be thrown away: the rest of a body; SIZE_MAX: all that comes
    size_t waiting_count;     // heads in `kept` behind an answer, guessed by their empty lines
    uint8_t line_end_len;     // how much of CRLFCRLF `kept` ends with
    bool has_partial_head;    // `kept` begins with an incomplete head
};

/// What a connection needs only while a request is read or output waits. The connection of an open
/// stream without output has none, which saves its memory.
struct conn_work {
    struct conn *conn;
    struct input input;
    struct buf output;
    struct loop_job job;
    struct timer timer;
    size_t stalled_bytes;  // what the peer had not acknowledged when the stall timer was last armed
    size_t counted_bytes;  // of the output, in COUNT_PENDING_BYTES
    uint16_t ask_pause_ms; // between the questions whether the peer is there; 0: none was asked
    uint8_t looks_left; // LINGER: how many more times conn.c tests whether the peer has all bytes,
                        // before it resets the connection; 0: it does not reset
};

struct conn {
    struct connection base;
    struct transport *transport;
    struct exchange *exchange; // NULL in HEAD until the head is complete
    struct conn_work *_work;   // see `conn_work`
    struct peer peer;
    uint8_t state; // enum conn_state
    bool is_over_limit;
    bool is_first;        // no message has been read yet
    bool is_last;         // closes after the current answer
    bool has_ended;       // the peer has closed its sending side
    bool is_reading;      // the transport reads
    bool is_health_check; // its last request was for readiness or metrics
};

/// One line of the processor's cache: a broadcast touches each reader's.
static_assert(sizeof(struct conn) <= 64, "a connection has grown");
static_assert(offsetof(struct conn, base) == 0, "a connection is its own carrier");

/// Of a body that nobody wants, to keep the connection.
enum { CONN_SKIP_BYTES_MAX = 64 * 1024 };

static inline struct conn *conn_of(const struct carrier *carrier)
{
    return (struct conn *)(void *)carrier;
}

static inline struct service *conn_service(const struct conn *conn)
{
    return conn->base.carrier.codec->service;
}

static inline struct conn_codec *conn_codec(const struct conn *conn)
{
    return (struct conn_codec *)(void *)conn->base.carrier.codec;
}

/// Returns the connection's work, and makes it if there is none. In HEAD and BODY there is one.
struct conn_work *conn_work(struct conn *conn);

/// Makes the loop look at the connection at the end of the turn. To be called when output was
/// appended or the exchange has changed.
void conn_wake(struct conn *conn);

/// Gives a parser back to the codec, which keeps one.
void conn_give_back(struct conn *conn, struct http1 *parser);

/// Begins or stops to read from the peer.
void conn_set_reading(struct conn *conn, bool is_reading);

/// Whether the connection ends after the current answer.
bool conn_is_last(const struct conn *conn);

static inline size_t conn_pending_bytes(const struct conn *conn)
{
    return conn->_work == NULL ? 0 : buf_len(&conn->_work->output);
}

/// Writes the output and then `pieces` (fewer than TRANSPORT_PIECES_MAX), in one call to the
/// kernel. Returns how many bytes of the pieces it took; when that is not all of them the exchange
/// is blocked, and the connection watches whether the peer takes anything. A negative errno when
/// the peer is gone.
MUST_USE ssize_t conn_deliver(struct conn *conn, const struct bytes *pieces, int count);

/// Blocks the exchange until the transport has room. While the exchange is answered, the connection
/// watches whether the peer takes anything.
void conn_block(struct conn *conn);

/// Starts to watch whether the peer acknowledges what was sent to it.
void conn_watch_stall(struct conn *conn);

/// CHECKs what must hold in each state of the drawing above, between any two calls from the loop.
void conn_check(const struct conn *conn);
