// SPDX-License-Identifier: MIT
//
// What a reader is told in-band about its places in channels: that it was reset to another place,
// that it was left behind, or where it stands. One thread; the notices belong to the cursors.
#pragma once

#include "base/check.h"
#include "sse/stream_parts.h"

/// Writes the notices that are due into the connection's output. Must not be called while a part of
/// a frame is out, because they would stand in the middle of it. Returns false when the reader is
/// to be disconnected instead; the exchange is then aborted.
MUST_USE bool notices_say(struct stream *stream);

/// Returns the name of an outcome for a reader that comes back with an id: "resumed", or why its
/// place was lost. Empty for a number that stands for no outcome, NULL after the last.
const char *notice_outcome_text(int index);
