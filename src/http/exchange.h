// SPDX-License-Identifier: MIT
//
// One request with its response: what the upper floors hold. It hides the HTTP version and the
// connection. Owned by its conn, which ends it: when the response is out, when the peer leaves,
// when a deadline passes. Its end is told once, through `on_done`, and the exchange is gone when
// that returns; so whoever keeps a pointer cuts it there. Calls into an exchange never end it on
// the spot, whatever they find: the end comes from the loop. All of it is on the loop's thread.
#pragma once

#include "http/request.h"
#include "http/response.h"

#include <stdbool.h>
#include <stdint.h>

struct conn;
struct exchange;

/// Why an exchange ended. `exchange_reason_text` has the words that scripts and the log see.
enum exchange_reason {
    EXCHANGE_FINISHED, // the response is complete and with the kernel
    EXCHANGE_LEFT,     // the peer closed or reset the connection, or vanished
    EXCHANGE_SLOW,     // the peer did not read and the queue passed its ceiling
    EXCHANGE_FAILED,   // the handler failed after the head was out
    EXCHANGE_TIMEOUT,  // a deadline of the connection passed
    EXCHANGE_SHUTDOWN, // the server is ending
    EXCHANGE_REFUSED,  // the message was malformed or over a limit
};

/// What the holder of an exchange is told.
struct exchange_events {
    /// All output is with the kernel; told after `exchange_await_drain`. *May call Lua.*
    void (*on_drained)(struct exchange *exchange);
    /// The peer has closed its sending side while the answer was under way.
    void (*on_peer_ended)(struct exchange *exchange);
    /// The exchange ends; the last call. *May call Lua.*
    void (*on_done)(struct exchange *exchange, enum exchange_reason reason);
};

struct exchange {
    struct conn *conn;
    const struct exchange_events *events; // NULL until somebody holds it
    void *holder;                         // whose business it is
    void *route;                          // what dispatch found, opaque here
    struct request request;
    struct response response;
    uint64_t number;         // of this server's exchanges
    uint64_t started_ns;     // loop_clock_ns at the first byte of the head
    uint64_t body_bytes_max; // 413 beyond; dispatch may change it in `on_head`
    bool is_refused_early;   // dispatch knows the answer and wants no body: 404 with Expect
    bool awaits_drain;
    bool is_doomed; // `exchange_abort` was called; the loop will end it
    uint8_t doom_reason;
};

/// The word for `reason`: "finished", "left", "slow", "failed", "timeout", "shutdown", "refused".
const char *exchange_reason_text(enum exchange_reason reason);

/// Whether the response is for HEAD: no content goes out, whatever is written.
bool exchange_is_head(const struct exchange *exchange);

/// Sends the whole response: head with Content-Length, and `content`. Returns 0, -EALREADY when
/// the head is out, or -ECANCELED when the exchange is doomed.
MUST_USE int exchange_send(struct exchange *exchange, struct bytes content);

/// Sends the head of a response whose content follows in pieces. Returns as `exchange_send`.
MUST_USE int exchange_begin(struct exchange *exchange);

/// Sends a piece of content in a chunk of its own. An empty piece sends nothing. Returns 0,
/// -EINVAL when the response is not open, -ECANCELED when doomed, or -ENOBUFS when the queue
/// would pass `stream_max_bytes`; then nothing was added.
MUST_USE int exchange_write(struct exchange *exchange, struct bytes content);

/// Ends the content. Returns 0, -EINVAL when the response is not open, or -ECANCELED.
MUST_USE int exchange_finish(struct exchange *exchange);

/// Ends the exchange before its time, from the loop: the connection is reset (EXCHANGE_SLOW) or
/// closed. The first reason counts.
void exchange_abort(struct exchange *exchange, enum exchange_reason reason);

/// For an encoder that writes framed content by itself: the connection's output. What was appended
/// is sent after `exchange_wrote`.
struct buf *exchange_output(struct exchange *exchange);

/// `size` bytes, framing included, were appended to `exchange_output`.
void exchange_wrote(struct exchange *exchange, size_t size);

/// Whether content goes in chunks (HTTP/1.1) or bare (HTTP/1.0).
static inline bool exchange_is_chunked(const struct exchange *exchange)
{
    return exchange->response.framing == FRAMING_CHUNKED;
}

/// Bytes of output that the kernel has not taken.
size_t exchange_pending_bytes(const struct exchange *exchange);

/// Whether more is pending than `stream_high_bytes`: who sends should wait.
bool exchange_is_over(const struct exchange *exchange);

/// Asks for one `on_drained` when nothing is pending any more.
void exchange_await_drain(struct exchange *exchange);

/// Whether the kernel knows that the peer is gone.
bool exchange_peer_is_gone(const struct exchange *exchange);

/// Writes the peer's address to `out`; returns its length.
size_t exchange_peer_name(const struct exchange *exchange, char *out, size_t size);

enum { EXCHANGE_ID_LEN_MAX = 32 };

/// Writes the request id, unique for this process and unlikely elsewhere; returns its length.
size_t exchange_id(const struct exchange *exchange, char *out);

/// The same from its two parts: the service's seed and the exchange's number.
size_t exchange_id_format(uint32_t seed, uint64_t number, char *out);
