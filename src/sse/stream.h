// SPDX-License-Identifier: MIT
//
// An open event stream over an exchange (WHATWG HTML, section 9.2). It writes the head and a first
// comment in one piece, encodes events straight into the connection's output, keeps the connection
// alive with comments, and finds out whether a peer that has gone silent is still there.
//
//     OPEN --stream_end--> ENDED
//       \------exchange done--------> (deinit)
//
// A member of its holder's struct, who opens it and must call `stream_deinit` when the exchange is
// done. One thread. Never calls out.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "net/timer.h"
#include "wire/sse.h"

#include <stdbool.h>
#include <stdint.h>

struct exchange;

struct stream {
    struct exchange *exchange;
    struct timer _timer;    // heartbeat, or the next look at a peer that may have left
    uint64_t _heartbeat_ms; // 0: none
    uint64_t _probe_ms;     // pause before the next look; 0: not probing
    bool is_open;
    bool _has_peer_ended; // its sending side is closed: each writing is followed by a look
};

struct stream_options {
    uint64_t heartbeat_ms; // silence before a heartbeat; 0 for none
    bool has_retry;
    uint64_t retry_ms;
};

/// Opens the stream: status 200, the event-stream head, a comment and, if asked for, a `retry:`.
/// Returns 0, or -EALREADY when the exchange has sent a head, or -ECANCELED when it is doomed;
/// then the stream is not open, but may be deinited.
MUST_USE int stream_open(struct stream *stream, struct exchange *exchange,
                         const struct stream_options *options);

/// Stops the timer. The exchange may be gone.
void stream_deinit(struct stream *stream);

/// Sends one event. Returns 0; SSE_BAD_ID or SSE_BAD_EVENT; -ECANCELED when the stream is not
/// open or the peer left; -EMSGSIZE when the event alone is over `stream_max_bytes`; -ENOBUFS
/// when the queue would pass it: the stream is then being reset as slow.
MUST_USE int stream_send(struct stream *stream, const struct sse_event *event);

/// Sends a comment. Returns as `stream_send`.
MUST_USE int stream_comment(struct stream *stream, struct bytes text);

/// Tells the reader to wait `retry_ms` before it reconnects. Returns as `stream_send`.
MUST_USE int stream_retry(struct stream *stream, uint64_t retry_ms);

/// Ends the stream properly: what was sent is flushed, the response ends. Idempotent.
void stream_end(struct stream *stream);

/// The peer has closed its sending side: find out whether it has left altogether, now and, as it
/// may leave any time without another word, after whatever is sent later.
void stream_probe(struct stream *stream);
