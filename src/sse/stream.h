// SPDX-License-Identifier: MIT
//
// An open event stream over an exchange (WHATWG HTML, section 9.2). It writes the head and a first
// comment in one piece, sends events of its own and those of the channels that it subscribes to,
// keeps the connection alive with comments, and finds out whether a peer that has gone silent is
// still there.
//
//     OPEN --stream_end--> ENDING --everything is out--> ENDED --+
//       \----------------------\------exchange done-------------+--> freed
//
//     OPEN    takes events and subscriptions
//     ENDING  delivers what was sent and published before its end
//     ENDED   has left its channels; its exchange ends when the output is with the kernel
//
// Made by `stream_open` and owned by its exchange: it is freed when that is done, after its holder,
// if it still has one, was told. A stream needs no holder: one that only listens to channels goes
// on by itself. One thread, its loop's. Sending and subscribing never call out; what is told to the
// holder does.
//
// What a stream sends leaves at the end of the turn, in one write: first what the connection has,
// then the frames between its cursors and the newest, and its own events among them in the order in
// which they were made. See flush.c.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "http/exchange.h"
#include "sse/cursor.h"
#include "sse/heartbeat.h"
#include "sse/stream_parts.h"
#include "wire/sse.h"

#include <stdbool.h>
#include <stdint.h>

struct replica;
struct service;

/// A member of the struct that wants to know of a stream.
struct stream_holder {
    const struct stream_events *events;
};

struct stream_events {
    /// All output is with the kernel; told after `exchange_await_room`. *May call Lua.*
    void (*on_room)(struct stream_holder *holder);
    /// The peer has closed its sending side, and may have left.
    void (*on_peer_ended)(struct stream_holder *holder);
    /// Whether the handler that opened the stream still runs, and may end before `until_ms` of the
    /// loop's clock. Must not close anything.
    bool (*is_at_work)(const struct stream_holder *holder, uint64_t until_ms);
    /// The server is ending and has ended the stream. The holder should let go. *May call Lua.*
    void (*on_ended)(struct stream_holder *holder);
    /// The stream and its exchange are gone: the last call. *May call Lua.*
    void (*on_done)(struct stream_holder *holder, enum end_reason reason);
};

struct stream_options {
    struct heartbeats *heartbeats;
    uint64_t heartbeat_ms; // silence before a heartbeat; 0 for none
    bool has_retry;
    uint64_t retry_ms;
};

/// The callback for `heartbeats_init`.
void stream_beat(struct heartbeat *heartbeat);

/// Opens a stream over `exchange` and takes it over from whoever held it: status 200, the
/// event-stream head, a comment and, if asked for, a `retry:`. NULL, with the reason through
/// `failure`: -EALREADY when the exchange has sent a head, -ECANCELED when it is aborted, -EINVAL
/// for HEAD.
struct stream *stream_open(struct exchange *exchange, const struct stream_options *options,
                           int *failure);

/// The stream that `exchange` carries, or NULL.
struct stream *stream_of_exchange(const struct exchange *exchange);

/// Sends one event. Returns 0; -EINVAL when its id or name is not one line; -ECANCELED when the
/// stream is not open or the peer left; -EMSGSIZE when the event alone is over `stream_max_bytes`;
/// -ENOBUFS when the queue would pass it: the stream is then being reset as slow.
MUST_USE int stream_send(struct stream *stream, const struct sse_event *event);

/// Sends one event, unless so much is pending that a sender should wait (`stream_is_over`), or that
/// the queue would pass `stream_max_bytes`: then nothing is sent, the stream goes on, and the
/// answer is -EAGAIN. Otherwise returns as `stream_send`, but never -ENOBUFS.
MUST_USE int stream_try_send(struct stream *stream, const struct sse_event *event);

/// Sends a comment. Returns as `stream_send`.
MUST_USE int stream_comment(struct stream *stream, struct bytes text);

/// Tells the reader to wait `retry_ms` before it reconnects. Returns as `stream_send`.
MUST_USE int stream_retry(struct stream *stream, uint64_t retry_ms);

/// Subscribes to `replica`: what was published after the place that `start` names, then everything
/// that follows. An empty `start` begins behind the newest event. If the peer's id cannot be
/// resumed, one in-band event says so, and the stream goes on at `since`, or like a newcomer. With
/// `greet`, an event of that name follows, before those of the channel, for every reader: its data
/// and its id are the stream's place. Returns 0, -EALREADY when it subscribes already, -E2BIG
/// beyond `stream_channels`, or -ECANCELED when stream or channel is closed.
MUST_USE int stream_subscribe(struct stream *stream, struct replica *replica,
                              const struct stream_start *start);

/// Stops to follow `replica`: what was not sent yet is not sent. False when it did not.
bool stream_unsubscribe(struct stream *stream, struct replica *replica);

/// Whether the stream follows some channel.
static inline bool stream_is_subscribed(const struct stream *stream)
{
    return stream->_cursors != NULL;
}

/// For `stream_end`: the reader keeps the pause that it has.
#define STREAM_NO_RETRY UINT64_MAX

/// Ends the stream. What was sent and published before is delivered first. END_FINISHED is a
/// complete end, with the last chunk; for every other reason the connection is then cut as by
/// `exchange_cut`, so that the reader comes back, unless the server or a reload ends a stream whose
/// channels have all ended. It is told to do so after `retry_ms`, unless that
/// is STREAM_NO_RETRY. With END_SHUTDOWN the holder is told as well. Does nothing to a stream that
/// is not open. *May call Lua* with END_SHUTDOWN.
void stream_end(struct stream *stream, enum end_reason reason, uint64_t retry_ms);

/// Whether the stream may be complete before `until_ms` of the loop's clock: its handler runs, and
/// it follows no channel.
bool stream_may_complete(const struct stream *stream, uint64_t until_ms);

/// How many streams of the service are open.
size_t streams_count(const struct service *service);

/// Bytes that the kernel has not taken: its own, and those of its channels.
size_t stream_pending_bytes(const struct stream *stream);

/// Whether more of its own is pending than `stream_high_bytes`: a sender should wait.
bool stream_is_over(const struct stream *stream);

/// The peer has closed its sending side. It may read on, or it may be gone, of which TCP says
/// nothing by itself. So a comment is sent now and after 0.1, 0.3, 1 and 3 s: a peer that is gone
/// answers it with a reset. Later each heartbeat does the same. A peer that reads on is not ended.
void stream_probe(struct stream *stream);

/// CHECKs what must hold between any two calls; debug builds do so by themselves.
void stream_check(const struct stream *stream);
