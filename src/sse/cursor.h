// SPDX-License-Identifier: MIT
//
// The places of a stream in its channels. A cursor is a subscriber of a worker's replica
// (hub/subscriber.h): it says which frame of the journal the reader gets next, and what the reader
// must be told before. A stream owns its cursors, in the order of subscribing. One thread.
#pragma once

#include "sse/start.h"
#include "sse/stream_parts.h"

struct replica;

/// The cursor of `stream` for `replica`, or NULL. `*count` gets how many cursors stand before it,
/// or all of them.
struct cursor *cursor_find(const struct stream *stream, const struct replica *replica,
                           uint64_t *count);

/// Subscribes the stream, which has no cursor for `replica`, at `start`. The replica wakes the new
/// cursor by `ops`.
struct cursor *cursor_add(struct stream *stream, struct replica *replica,
                          const struct subscriber_ops *ops, const struct stream_start *start);

/// Takes the cursor out of its stream and frees it. The stream remembers the channel: if the stream
/// subscribes to it again, it begins behind the newest event or where `since` says, and no longer
/// at the id that the reader sent with its request.
void cursor_part(struct cursor *cursor);

/// Whether `cursor` has frames, a notice or the channel's end before it.
bool cursor_is_behind(const struct cursor *cursor);

/// Whether the journal no longer has what the reader should get next.
bool cursor_is_lagging(const struct cursor *cursor);

/// Frees the notice, if there is one.
void cursor_drop_notice(struct cursor *cursor);

/// Leaves all channels, and forgets those that were left before.
void cursors_leave(struct stream *stream);

/// Whether the stream follows channels, and each of them has ended and is read to its end.
bool cursors_have_ended(const struct stream *stream);

/// Leaves the channels that have ended, finished or closed, and are read to their end. Returns true
/// if it left one and the stream now follows no channel, so that no frame can come any more.
bool cursors_leave_ended(struct stream *stream);

/// Writes the id that names the stream's place in each of its channels, as far as the reader was
/// told of it, to `at`, where there is room for `cursors_id_size`. Returns where it ends.
char *cursors_write_id(const struct stream *stream, char *at);

/// Returns the most bytes that the id of `cursors_write_id` may have.
size_t cursors_id_size(const struct stream *stream);

/// Appends the same id to `out`.
MUST_USE bool cursors_put_id(const struct stream *stream, struct buf *out);

/// CHECKs what must hold between any two calls.
void cursor_check(const struct cursor *cursor);
