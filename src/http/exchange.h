// SPDX-License-Identifier: MIT
//
// One request with its response: what the upper floors hold. It hides the version of HTTP and the
// connection behind its carrier (codec.h). The codec makes it, owns it and ends it: when the
// response is out, when the peer leaves, when a deadline passes. Its end is told once, through
// `on_done`, and the exchange is gone when that returns; so a holder that keeps a pointer cuts it
// there. Calls into an exchange never end it on the spot, whatever they find: the end comes from
// the loop. All of it is on the loop's thread.
//
// The request is the larger part of it, and not needed to the end: a holder may keep it in memory
// of its own (`exchange_move_request`) and let it go when nobody will ask any more.
#pragma once

#include "http/codec.h"
#include "http/end_reason.h"
#include "http/request.h"
#include "http/response.h"
#include "http/service.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

struct exchange_trace;

/// What the holder of an exchange is told.
struct exchange_events {
    /// The turn ends: writes what is due with `exchange_deliver`. Returns whether everything is
    /// with the kernel. Must not close anything. NULL where the output is all there is.
    bool (*flush)(struct exchange *exchange);
    /// All output is with the kernel; told after `exchange_await_room`. *May call Lua.*
    void (*on_room)(struct exchange *exchange);
    /// The peer has closed its sending side while the answer was under way.
    void (*on_peer_ended)(struct exchange *exchange);
    /// The exchange ends; the last call. *May call Lua.*
    void (*on_done)(struct exchange *exchange, enum end_reason reason);
};

struct exchange {
    struct carrier *carrier;
    const struct exchange_events *events; // NULL until somebody holds it
    void *holder;                         // whose business it is
    union {
        struct request *request;       // until it is let go
        struct exchange_trace *_trace; // then: what the log wants to know
    };
    struct response response;
    uint8_t end_reason;     // enum end_reason: what it ends for, once its answer is out
    uint8_t _request_state; // enum exchange_request_state
    bool is_head;           // no content goes out, whatever is written
    bool wants_close;       // the connection ends after the answer
    bool awaits_room;       // the codec calls `on_room` once when nothing is pending
    bool is_aborted;        // `exchange_abort` was called; the loop will end it
    bool is_blocked;        // set by the codec while the kernel takes nothing; `flush` follows
    bool is_health_check;   // see `exchange_set_health_check`
};

/// One line of the processor's cache: a broadcast touches each reader's.
static_assert(sizeof(struct exchange) <= 64, "an exchange has grown");

// For the codec that carries it.

/// Makes an exchange of `request`, which it takes over, on `carrier`. The request has its number
/// from then on.
struct exchange *exchange_new(struct carrier *carrier, struct request *request);

/// Answers the exchange, whose response is fresh, with `status` and a line that says `why`. It ends
/// with END_REFUSED, and the connection after it.
void exchange_refuse(struct exchange *exchange, int status, const char *why);

/// Ends the exchange for `reason`: it is logged and counted, and its holder is told. The codec must
/// have let go of it, and frees it next. *May call Lua.*
void exchange_end(struct exchange *exchange, enum end_reason reason);

/// Frees the exchange, which has ended.
void exchange_free(struct exchange *exchange);

// For everybody.

/// Moves the request to `memory` (aligned for a pointer, `request_size` bytes), which belongs to
/// the caller and must last until `exchange_let_go` or the end. Slices taken before are no longer
/// valid.
void exchange_move_request(struct exchange *exchange, void *memory);

/// Frees the request, which no caller may look at afterwards. The head must be out.
void exchange_let_go(struct exchange *exchange);

/// Bytes of the request's body that are kept: none once it is let go.
size_t exchange_body_bytes(const struct exchange *exchange);

/// What the log says of a request, also after it was let go. Valid until the exchange changes.
struct exchange_facts {
    uint64_t number;
    uint64_t started_ns;
    struct bytes method; // empty where the request was too broken to have one
    struct bytes target;
};
struct exchange_facts exchange_facts(const struct exchange *exchange);

/// Sends the whole response: head with Content-Length, and `content`. Returns 0, -EALREADY when
/// the head is out, -ECANCELED when the exchange is aborted, or -EFBIG for more than 1 GiB. Where
/// there is no memory for it the exchange is aborted, as with all that is sent.
MUST_USE int exchange_send(struct exchange *exchange, struct bytes content);

/// Sends the head of a response whose content follows in pieces. Returns as `exchange_send`.
MUST_USE int exchange_begin(struct exchange *exchange);

/// Sends a piece of content in a chunk of its own. An empty piece sends nothing. Returns 0,
/// -EINVAL when the response is not open, -ECANCELED when aborted, or -ENOBUFS when the queue
/// would pass `stream_max_bytes`; then nothing was added.
MUST_USE int exchange_write(struct exchange *exchange, struct bytes content);

/// Ends the content. Returns 0, -EINVAL when the response is not open, or -ECANCELED.
MUST_USE int exchange_finish(struct exchange *exchange);

/// Ends the content before it is complete, for `reason`, which is not END_FINISHED. What was
/// written is still sent. Then the connection closes without the last chunk, and where content has
/// no chunks with a reset: so no client takes a part of the content for all of it (RFC 9112,
/// section 8). Does nothing to a response that is not open, or that is aborted.
void exchange_cut(struct exchange *exchange, enum end_reason reason);

/// Ends the exchange before its time, from the loop: the connection is reset (END_SLOW) or
/// closed. The first reason counts.
void exchange_abort(struct exchange *exchange, enum end_reason reason);

/// For an encoder that writes content by itself, in chunks where `exchange_is_chunked` says so: the
/// output. What was appended is sent after `exchange_wrote`.
struct buf *exchange_output(struct exchange *exchange);

/// Tells that `size` bytes, those of chunks included, were appended to `exchange_output`.
void exchange_wrote(struct exchange *exchange, size_t size);

/// Writes the output and then `pieces`, which are chunks where `exchange_is_chunked` says so, in
/// one call to the kernel. Returns how many bytes of the pieces it took: when that is not all of
/// them, or the output was too much, the exchange is blocked. A failure aborts the exchange and
/// counts as blocked.
MUST_USE size_t exchange_deliver(struct exchange *exchange, const struct bytes *pieces, int count);

/// Whether the kernel takes nothing at the moment. `flush` is called when it does again.
static inline bool exchange_is_blocked(const struct exchange *exchange)
{
    return exchange->is_blocked;
}

/// Has `flush` called at the end of the turn, or of the next one from inside a flush.
void exchange_wants_flush(struct exchange *exchange);

/// Whether the codec takes content that somebody else has framed in chunks, as HTTP/1.1 does, or
/// bare content. Known once the head is out.
static inline bool exchange_is_chunked(const struct exchange *exchange)
{
    return exchange->response.framing == FRAMING_CHUNKED;
}

/// Bytes of output that the kernel has not taken.
size_t exchange_pending_bytes(const struct exchange *exchange);

/// Whether more than `stream_high_bytes` is pending, so that the sender should wait.
bool exchange_is_over(const struct exchange *exchange);

/// Asks a peer that has closed its sending side, from time to time until the answer begins, whether
/// it still reads. Over HTTP/1.0 nothing can be asked: there the peer is taken for gone after a
/// second without an answer. The exchange of a peer that is gone ends with END_LEFT.
void exchange_ask_peer(struct exchange *exchange);

/// Asks for one `on_room` when nothing is pending any more.
void exchange_await_room(struct exchange *exchange);

/// The service that answers.
static inline struct service *exchange_service(const struct exchange *exchange)
{
    return exchange->carrier->codec->service;
}

/// The limits that are current. Not to be kept.
static inline const struct limits *exchange_limits(const struct exchange *exchange)
{
    return exchange_service(exchange)->limits;
}

/// The loop on which the exchange is answered.
static inline struct loop *exchange_loop(const struct exchange *exchange)
{
    return exchange_service(exchange)->loop;
}

/// The first part of every request id of this exchange's service.
uint32_t exchange_seed(const struct exchange *exchange);

/// Whether the request came over a connection beyond the limit `connections`, which is answered
/// once. While the request is there.
static inline bool exchange_is_over_limit(const struct exchange *exchange)
{
    return exchange->request->is_over_limit;
}

/// Marks a request that only asks whether the server is ready. Its connection stays open while the
/// server drains, to be told, but the drain does not wait for it.
void exchange_set_health_check(struct exchange *exchange, bool is_health_check);

/// Writes the host of the peer to `out`, which has PEER_HOST_BYTES_MAX; returns its length.
size_t exchange_peer_host(const struct exchange *exchange, char *out);

enum { EXCHANGE_ID_LEN_MAX = 32 };

/// Writes the request id, unique for this process and unlikely elsewhere; returns its length.
size_t exchange_id(const struct exchange *exchange, char *out);

/// Writes a request id from its two parts, the service's seed and the exchange's number.
size_t exchange_id_format(uint32_t seed, uint64_t number, char *out);
