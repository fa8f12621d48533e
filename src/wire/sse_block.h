// SPDX-License-Identifier: MIT
//
// Reads an event stream that a peer sends (WHATWG HTML, section 9.2.6), out of bytes that come in
// any cut. It finds blocks: the lines up to an empty one. Whoever has a block walks its fields.
// Pure; a value inside its owner, without memory of its own. All zero: nothing was read.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

struct sse_blocks {
    size_t _seen;      // bytes at the front of the text that hold no end of a block
    bool _is_begun;    // a byte order mark can come no more
    bool _is_after_cr; // an LF at the front belongs to the CR before it
};

/// Takes the first whole block off `text`, and returns true. What is left of `text` begins the text
/// of the next call, with more bytes behind it. `block` lies in `text`. False when no block is
/// whole.
MUST_USE bool sse_blocks_take(struct sse_blocks *blocks, struct bytes *text, struct bytes *block);

/// Takes the next field off `block`. Comments are passed over. False at the end.
MUST_USE bool sse_block_next(struct bytes *block, struct bytes *name, struct bytes *value);
