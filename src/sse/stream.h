// SPDX-License-Identifier: MIT
//
// An open event stream over an exchange (WHATWG HTML, section 9.2). It writes the head and a first
// comment in one piece, sends events of its own and those of the channels that it subscribes to,
// keeps the connection alive with comments, and finds out whether a peer that has gone silent is
// still there.
//
//     OPEN --end, cut----> ENDING --everything is out--> ENDED --+
//       \--------------------\------exchange done---------------+--> freed
//
// Made by `stream_open` and owned by its exchange: it is freed when that is done, after its holder,
// if it still has one, was told. It needs no holder: a stream that only listens to channels goes on
// by itself. One thread. Sending and subscribing never call out; what is told to the holder is.
//
// What it sends leaves at the end of the turn, in one write: first what the connection has, then
// the frames between its cursors and the newest, and its own events among them in the order in
// which they were made. See flush.c.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "http/exchange.h"
#include "sse/heartbeat.h"
#include "wire/sse.h"

#include <stdbool.h>
#include <stdint.h>

struct replica;
struct cursor;
struct service;
struct stream;
struct stream_backlog;
struct stream_probe;

/// Whoever wants to know of a stream has this as a member.
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
    /// The server has ended the stream, see `stream_dismiss`. *May call Lua.*
    void (*on_dismissed)(struct stream_holder *holder);
    /// The stream and its exchange are gone: the last call. *May call Lua.*
    void (*on_done)(struct stream_holder *holder, enum end_reason reason);
};

/// What a broadcast touches comes first.
struct stream {
    struct exchange *exchange;
    struct heartbeat _heartbeat;
    struct cursor *_cursors;         // one for each channel, the oldest subscription first
    struct stream_backlog *_backlog; // what cannot go out yet; see stream_parts.h
    bool is_open;
    bool _is_ending;              // the end follows once the backlog is out
    struct stream_holder *holder; // NULL for nobody
    struct stream_probe *_probe;  // for 3 s after the peer has closed its sending side
    struct departure *_departures;
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

/// Sends one event. Returns 0; SSE_BAD_ID or SSE_BAD_EVENT; -ECANCELED when the stream is not
/// open or the peer left; -EMSGSIZE when the event alone is over `stream_max_bytes`; -ENOBUFS
/// when the queue would pass it: the stream is then being reset as slow.
MUST_USE int stream_send(struct stream *stream, const struct sse_event *event);

/// Sends one event, unless so much is pending that a sender should wait (`stream_is_over`), or that
/// the queue would pass `stream_max_bytes`: then nothing is sent, the stream goes on, and the
/// answer is -EAGAIN. Otherwise returns as `stream_send`, but never -ENOBUFS.
MUST_USE int stream_try_send(struct stream *stream, const struct sse_event *event);

/// Sends a comment. Returns as `stream_send`.
MUST_USE int stream_comment(struct stream *stream, struct bytes text);

/// Tells the reader to wait `retry_ms` before it reconnects. Returns as `stream_send`.
MUST_USE int stream_retry(struct stream *stream, uint64_t retry_ms);

/// Where a subscription begins.
struct stream_place {
    struct bytes last;     // the id that the peer came with; empty for none. It counts first
    struct bytes since;    // an id that the script names; empty for none
    bool is_earliest;      // instead of `since`: everything that the channel still has
    uint64_t newest_count; // instead of `since`: so many of its newest events, or all it has
    struct bytes greet;    // name of an event that says the reader's place; empty for none
};

/// Subscribes to `replica`: what was published after `place`, then everything that follows. With
/// nothing in it the stream begins at the newest. Where the peer's id cannot be resumed, one
/// in-band event says so, and the stream goes on at `since`, or like a newcomer. With `greet` an
/// event of that name follows, before those of the channel, whoever the reader is: its data and its
/// id are the stream's place. Returns 0,
/// -EALREADY when it subscribes already, -E2BIG beyond `stream_channels`, or -ECANCELED when stream
/// or channel is closed.
MUST_USE int stream_subscribe(struct stream *stream, struct replica *replica,
                              const struct stream_place *place);

/// Stops to follow `replica`: what was not sent yet is not sent. False when it did not.
bool stream_unsubscribe(struct stream *stream, struct replica *replica);

/// Whether the stream follows some channel.
static inline bool stream_is_subscribed(const struct stream *stream)
{
    return stream->_cursors != NULL;
}

/// Ends the stream as complete: what was sent and published before is delivered, then the last
/// chunk. Does nothing to a stream that is ending.
void stream_end(struct stream *stream);

/// Ends the stream as incomplete, for `reason`: what was sent and published before is delivered,
/// then the connection is cut as by `exchange_cut`. Does nothing to a stream that is ending.
void stream_cut(struct stream *stream, enum end_reason reason);

/// Whether the stream may be complete before `until_ms` of the loop's clock: its handler runs, and
/// it follows no channel.
bool stream_may_complete(const struct stream *stream, uint64_t until_ms);

/// The server is ending: tells the reader to come back after `retry_ms`, cuts the stream and tells
/// the holder, who should let go. *May call Lua.*
void stream_dismiss(struct stream *stream, uint64_t retry_ms);

/// What may become of an id that a reader comes back with: "resumed", or why not, by number; empty
/// for a number that stands for nothing, NULL after the last.
const char *stream_outcome_text(int index);

/// How many streams of the service are open.
size_t streams_count(const struct service *service);

/// Bytes that the kernel has not taken: its own, and those of its channels.
size_t stream_pending_bytes(const struct stream *stream);

/// Whether more of its own is pending than `stream_high_bytes`: who sends should wait.
bool stream_is_over(const struct stream *stream);

/// The peer has closed its sending side. It may read on, or close the rest a moment later, of which
/// TCP says nothing by itself: a comment is sent now and after 0.1, 0.3, 1 and 3 s, and a peer that
/// is gone answers it with a reset. Later each heartbeat asks. Nobody who reads on is ended.
void stream_probe(struct stream *stream);
