// SPDX-License-Identifier: MIT
//
// What a stream is made of: the structs that the files of this floor share. They have no functions
// here, so that every file can know them and no two files need each other: backlog.c, cursor.c,
// notice.c, flush.c and stream.c stand on each other in this order. Members that begin with `_` are
// for these files alone.
#pragma once

#include "base/buf.h"
#include "hub/subscriber.h"
#include "net/timer.h"
#include "sse/heartbeat.h"
#include "sse/start.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block;
struct exchange;
struct stream_holder;

/// An open event stream, see stream.h. What a broadcast touches comes first.
struct stream {
    struct exchange *exchange;
    struct heartbeat _heartbeat;
    struct cursor *_cursors;  // one for each channel, the oldest subscription first
    struct backlog *_backlog; // what cannot go out yet; NULL while there is nothing of it
    bool is_open;
    struct stream_holder *holder; // NULL for nobody
    struct probe *_probe;         // for 3 s after the peer has closed its sending side
    struct departure *_departures;
};

/// A stream's place in a channel. Made by subscribing; freed when the stream leaves the channel.
struct cursor {
    struct subscriber subscriber;
    struct stream *stream;
    struct cursor *after;  // the next one of this stream
    struct notice *notice; // what the reader must be told before anything else; usually NULL
};

/// One line of the processor's cache.
static_assert(sizeof(struct cursor) <= 64, "a cursor has grown");

/// A channel that the stream has left. When it comes back to the channel, the id that the reader
/// came with no longer counts there: the stream has gone on from it before.
struct departure {
    struct departure *after;
    uint64_t epoch;
};

struct notice {
    enum notice_reason reason;
    uint64_t from; // with NOTICE_EXPIRED: the event that the reader had last
    size_t greet_len;
    char *greet; // name of an event that says where the reader stands; its own memory
};

/// What has its place behind something that could not go out yet. There is none while all is well.
struct backlog {
    struct block *rest_block; // held for `rest`
    struct bytes rest;        // of the frame that the kernel took a part of
    struct buf own;           // events of the stream's own that come behind frames ...
    struct buf marks;         // ... and behind which: `struct backlog_mark`s
    size_t counted_bytes;     // of all that, in COUNT_PENDING_BYTES
    uint64_t end_stamp;       // while the stream is ending: of the last frame before the end
    bool is_ending;           // the end follows once everything here is out
};

/// So many bytes of `own` come behind all frames up to `stamp`.
struct backlog_mark {
    uint64_t stamp;
    uint64_t size;
};

/// The comments that ask a peer, which has closed its sending side, whether it is still there.
struct probe {
    struct timer timer;
    struct stream *stream;
    unsigned sent_count; // by the timer
};
