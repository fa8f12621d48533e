// SPDX-License-Identifier: MIT
//
// One request with its response: what the upper floors hold. It hides the version of HTTP and the
// connection behind its carrier (codec.h). The codec makes it, owns it and ends it: when the
// response is out, when the peer leaves, when a deadline passes. `on_done` tells the holder of the
// end, once, and the exchange is freed when `on_done` returns, so the holder must clear its pointer
// there. No function below ends an exchange before it returns, whatever it finds: the loop does so
// later. An exchange is used on the thread of its loop.
//
// The request is the larger part of an exchange, and an open stream does not need it. A holder may
// move the request into its own memory (`exchange_move_request`) and free it before the exchange
// ends (`exchange_let_go`).
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
struct origin;

/// What the holder of an exchange is told.
struct exchange_events {
    /// Called at the end of the turn, to write what is due with `exchange_deliver`. Returns whether
    /// the kernel has taken everything. Must not close anything. NULL for a holder whose content
    /// all goes through the output.
    bool (*flush)(struct exchange *exchange);
    /// Called once after `exchange_await_room`, when the kernel has taken all output. *May call
    /// Lua.*
    void (*on_room)(struct exchange *exchange);
    /// The peer has closed its sending side while the answer was under way.
    void (*on_peer_ended)(struct exchange *exchange);
    /// The exchange ends. No other function of these is called afterwards. *May call Lua.*
    void (*on_done)(struct exchange *exchange, enum end_reason reason);
};

struct exchange {
    struct carrier *carrier;
    const struct exchange_events *events; // of the holder; NULL while there is none
    void *holder;                         // what `events` work on, such as a request scope
    union {
        struct request *request;       // until it is let go
        struct exchange_trace *_trace; // afterwards: what the log says of it
    };
    struct response response;
    uint8_t end_reason;     // enum end_reason: why it will end, once its answer is out
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

/// Makes an exchange of `request` on `carrier`. The exchange owns the request and gives it a
/// number.
struct exchange *exchange_new(struct carrier *carrier, struct request *request);

/// Answers with `status` and a line of text that says `why`. The response must be fresh. The
/// exchange ends with END_REFUSED, and its connection ends after the answer.
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

/// What the log says of a request. It is there after `exchange_let_go`, too. Valid until the
/// exchange changes.
struct exchange_facts {
    uint64_t number;
    uint64_t started_ns;
    struct bytes method; // empty where the request was too broken to have one
    struct bytes target;
};
struct exchange_facts exchange_facts(const struct exchange *exchange);

/// Sends the whole response: head with Content-Length, and `content`. Returns 0, -EALREADY when
/// the head is out, -ECANCELED when the exchange is aborted, or -EFBIG for more than 1 GiB. Each
/// function that sends aborts the exchange when there is no memory for what is sent.
MUST_USE int exchange_send(struct exchange *exchange, struct bytes content);

/// Sends the head of a response with `length` bytes of content, which the holder's `flush` delivers
/// (`exchange_deliver`, `exchange_sent`). The response has ended for everybody else. The exchange
/// is done when `flush` has returned true, before which the holder calls `exchange_finish_sized`.
/// The answer to HEAD, and a status without content, need neither. Returns as `exchange_send`.
MUST_USE int exchange_begin_sized(struct exchange *exchange, uint64_t length);

/// All content of a response of `exchange_begin_sized` is with the kernel.
void exchange_finish_sized(struct exchange *exchange);

/// Returns one more descriptor of the socket, to which another thread may give content while no
/// output is pending; `exchange_sent` reports it. The caller closes it. A negative errno, such as
/// -ENOTSUP, where that cannot be: the content is then delivered as always.
MUST_USE int exchange_duplicate_socket(const struct exchange *exchange);

/// Reports that `size` bytes of content went to a descriptor of `exchange_duplicate_socket`, and
/// whether the kernel takes no more at the moment: then the exchange is blocked. `flush` follows.
void exchange_sent(struct exchange *exchange, size_t size, bool is_full);

/// Sends the head of a response whose content follows in pieces. Returns as `exchange_send`.
MUST_USE int exchange_begin(struct exchange *exchange);

/// Sends a piece of content in a chunk of its own. An empty piece sends nothing. Returns 0,
/// -EINVAL when the response is not open, -ECANCELED when aborted, or -ENOBUFS when the queue
/// would pass `stream_max_bytes`; then nothing was added.
MUST_USE int exchange_write(struct exchange *exchange, struct bytes content);

/// Ends the content. Returns 0, -EINVAL when the response is not open, or -ECANCELED.
MUST_USE int exchange_finish(struct exchange *exchange);

/// Ends the content before it is complete, for `reason`, which is not END_FINISHED. What was
/// written is still sent. Then the connection closes without the last chunk; content that has no
/// chunks ends with a reset. So no client takes a part of the content for all of it (RFC 9112,
/// section 8). Does nothing when the response is not open, or when the exchange is aborted.
void exchange_cut(struct exchange *exchange, enum end_reason reason);

/// Has the loop end the exchange although its answer is not out: the connection is reset (END_SLOW)
/// or closed. When this is called twice, the first reason counts.
void exchange_abort(struct exchange *exchange, enum end_reason reason);

/// Returns the output, for an encoder that appends content to it directly, in chunks where
/// `exchange_is_chunked` says so. What was appended is sent after `exchange_wrote`.
struct buf *exchange_output(struct exchange *exchange);

/// Reports that `size` bytes were appended to `exchange_output`, the framing of chunks included.
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

/// Has `flush` called at the end of this turn. A call from inside `flush` has it called at the end
/// of the next turn.
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

/// Finds out whether a peer that has closed its sending side still reads. It is asked from time to
/// time until the answer begins. HTTP/1.0 has nothing to ask with: there the peer counts as gone
/// when a second has passed without an answer. The exchange of a peer that is gone ends with
/// END_LEFT.
void exchange_ask_peer(struct exchange *exchange);

/// Reads a body that is streamed. Returns 0 and what has come of it, which stays until
/// `exchange_take_body`; no bytes are the end. -EAGAIN: nothing has come yet, and
/// `exchange_await_body` tells when. Otherwise it fails for good, and `piece` says why: -EMSGSIZE,
/// more than the route takes; -ETIMEDOUT, it stalled or came too slowly; -ECONNRESET, the peer
/// ended before the body; -EBADMSG, its framing is broken; -ENOBUFS, too many bodies at once.
MUST_USE int exchange_read_body(struct exchange *exchange, struct body_piece *piece);

/// Drops `size` bytes from the front of what `exchange_read_body` has returned. While nobody does,
/// the peer is held back.
void exchange_take_body(struct exchange *exchange, size_t size);

/// Has `waiter` told, once, when `exchange_read_body` no longer returns -EAGAIN, or the exchange
/// has ended. Only after -EAGAIN. Returns 0, or -EBUSY when somebody waits already. While somebody
/// waits, the peer has to send: `body_timeout` and `body_rate` bound it.
MUST_USE int exchange_await_body(struct exchange *exchange, struct body_waiter *waiter);

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

/// Whether the request came over a connection beyond the limit `connections`. Such a connection
/// gets one answer and is closed. Not to be called after `exchange_let_go`.
static inline bool exchange_is_over_limit(const struct exchange *exchange)
{
    return exchange->request->is_over_limit;
}

/// Marks a request that only asks whether the server is ready. While the server drains, the
/// connection of such a request stays open so that it can be answered, but the drain does not wait
/// for it.
void exchange_set_health_check(struct exchange *exchange, bool is_health_check);

/// Writes the host of the peer to `out`, which has PEER_HOST_BYTES_MAX; returns its length.
size_t exchange_peer_host(const struct exchange *exchange, char *out);

/// Writes the address of the client in the same way: that of the peer, or what trusted proxies say.
size_t exchange_client(const struct exchange *exchange, char *out);

/// Reads where `request` comes from, which is the exchange's, or was until it was let go.
void exchange_origin(const struct exchange *exchange, const struct request *request,
                     struct origin *origin);

enum { EXCHANGE_ID_LEN_MAX = 32 };

/// Writes the request id, unique for this process and unlikely elsewhere; returns its length.
size_t exchange_id(const struct exchange *exchange, char *out);

/// Writes a request id from its two parts, the service's seed and the exchange's number.
size_t exchange_id_format(uint32_t seed, uint64_t number, char *out);
