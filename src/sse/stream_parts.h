// SPDX-License-Identifier: MIT
//
// The inside of a stream, for the files that share it: stream.c (its life and its own events),
// cursor.c (its places in channels), notice.c (what it must be told in-band) and flush.c (what goes
// out when). Nobody else looks in here.
#pragma once

#include "base/buf.h"
#include "hub/frame.h"
#include "hub/replica.h"
#include "hub/subscriber.h"
#include "net/timer.h"
#include "sse/stream.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

/// Why a reader does not go on where its id says.
enum notice_reason {
    NOTICE_NONE,      // it does, and is only greeted
    NOTICE_PLACE,     // it has no id and begins at the newest: it is given that one
    NOTICE_MALFORMED, // it is not an id
    NOTICE_EPOCH,     // it is an id of another life, or of another channel
    NOTICE_AHEAD,     // it names an event that was never made
    NOTICE_EXPIRED,   // what it missed is no longer here
};

/// A stream's place in a channel. Made by subscribing; freed when the stream leaves the channel.
struct cursor {
    struct subscriber subscriber;
    struct stream *stream;
    struct cursor *after;  // the next one of this stream
    struct notice *notice; // what it must be told before anything else; usually NULL
};

/// One line of the processor's cache.
static_assert(sizeof(struct cursor) <= 64, "a cursor has grown");

/// A channel that the stream has left: what the reader's id said of it was said before.
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
struct stream_backlog {
    struct block *rest_block; // held for `rest`
    struct bytes rest;        // of the frame that the kernel took a part of
    struct buf own;           // events of its own that come behind frames ...
    struct buf marks;         // ... and where: `struct stream_mark`s
    size_t counted_bytes;     // of all that, in COUNT_PENDING_BYTES
    uint64_t end_stamp;       // of the last frame before the end, when the stream is ending
};

/// So many bytes of `own` come behind all frames up to `stamp`.
struct stream_mark {
    uint64_t stamp;
    uint64_t size;
};

/// The questions to a peer that has closed its sending side.
struct stream_probe {
    struct timer timer;
    struct stream *stream;
    unsigned asked_count; // by the timer
};

// stream.c

/// The backlog, made when there is none.
struct stream_backlog *stream_backlog(struct stream *stream);

/// Counts what the backlog holds.
void stream_note_pending(struct stream_backlog *backlog);

/// Frees the backlog if nothing is in it any more.
void stream_drop_backlog(struct stream *stream);

/// Ends the response: complete, or cut where `stream_cut` has said why. The backlog must be out.
void stream_finish(struct stream *stream);

// cursor.c

/// Whether `cursor` has frames, a notice or the channel's end before it.
bool cursor_is_behind(const struct cursor *cursor);

/// Whether the journal no longer has what the reader should get next.
bool cursor_is_lagging(const struct cursor *cursor);

/// Leaves all channels.
void cursors_leave(struct stream *stream);

/// Leaves the channels that have closed and are read to their end. Ends the stream with the last.
void cursors_leave_closed(struct stream *stream);

/// Writes the id that names the stream's place in each of its channels, as far as the reader was
/// told of it, to `at`, where there is room for `cursors_id_size`. Returns where it ends.
char *cursors_write_id(const struct stream *stream, char *at);

/// The most that such an id takes.
size_t cursors_id_size(const struct stream *stream);

/// Appends it.
void cursors_put_id(const struct stream *stream, struct buf *out);

// notice.c

/// Frees the notice, which may be NULL.
void notice_free(struct notice *notice);

/// Tells the reader in-band where it is reset or was left behind. False when it is to be
/// disconnected instead; the exchange is then aborted.
bool notices_say(struct stream *stream);

// flush.c

/// Writes what is due. Returns SUBSCRIBER_MORE when it stopped before the kernel did; it will then
/// go on in the next turn.
enum subscriber_progress stream_flush(struct stream *stream);
