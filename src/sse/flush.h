// SPDX-License-Identifier: MIT
//
// Writes what a stream has to say: the frames between its cursors and the newest, and its own
// events among them. Calls nobody: what follows from the result is stream.c's to do.
#pragma once

#include "sse/stream_parts.h"

enum flush_result {
    FLUSH_OUT,     // everything is with the kernel
    FLUSH_BLOCKED, // the kernel takes no more, or the exchange was aborted
    FLUSH_MORE,    // the stream has had its share of the turn, and goes on in the next
};

enum flush_result flush_write(struct stream *stream);
