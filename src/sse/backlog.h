// SPDX-License-Identifier: MIT
//
// What a stream has to say and cannot say yet: the rest of a frame, events of its own behind
// frames, and its end. A stream owns its backlog; it has one only while something is in it. One
// thread.
#pragma once

#include "sse/stream_parts.h"

/// The backlog of `stream`, made when there is none.
struct backlog *backlog_of(struct stream *stream);

/// Notes that the last `size` bytes of `backlog->own`, the stream's own events, are to be sent
/// behind every frame up to `stamp` and before those that follow. False when there is no memory.
MUST_USE bool backlog_mark(struct backlog *backlog, uint64_t stamp, size_t size);

/// The mark at `index`, or NULL behind the last. `backlog` may be NULL.
const struct backlog_mark *backlog_mark_at(const struct backlog *backlog, size_t index);

/// Removes the first `size` bytes of `own`, all of the first mark: they are out, or kept as a rest.
void backlog_consume_own(struct backlog *backlog, size_t size);

/// Keeps `rest`, a part of `block`, which is held, in the place of the rest before. `block` is NULL
/// for no rest.
void backlog_keep_rest(struct backlog *backlog, struct block *block, struct bytes rest);

/// Whether the kernel took a part of a frame, so that the rest must go out before anything else.
/// `backlog` may be NULL.
static inline bool backlog_has_rest(const struct backlog *backlog)
{
    return backlog != NULL && backlog->rest.len > 0;
}

/// Whether the stream ends as soon as its backlog is out. `backlog` may be NULL.
static inline bool backlog_is_ending(const struct backlog *backlog)
{
    return backlog != NULL && backlog->is_ending;
}

/// Notes in the counts how much the backlog holds.
void backlog_count(struct backlog *backlog);

/// Frees the backlog of `stream`, if it has one and nothing is in it.
void backlog_free_empty(struct stream *stream);

/// Frees the backlog of `stream`, whatever is in it.
void backlog_drop(struct stream *stream);

/// CHECKs what must hold between any two calls.
void backlog_check(const struct backlog *backlog);
