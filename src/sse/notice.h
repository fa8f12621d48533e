// SPDX-License-Identifier: MIT
//
// What a reader is told in-band about its places in channels: that it was reset to another place,
// that it was left behind, or where it stands. One thread; the notices belong to the cursors.
#pragma once

#include "base/check.h"
#include "sse/stream_parts.h"

/// Writes the notices that are due into the connection's output. Not while a frame is begun: they
/// would stand in the middle of it. False when the reader is to be disconnected instead; the
/// exchange is then aborted.
MUST_USE bool notices_say(struct stream *stream);

/// What may become of an id that a reader comes back with: "resumed", or why not, by number; empty
/// for a number that stands for nothing, NULL after the last.
const char *notice_outcome_text(int index);
