// SPDX-License-Identifier: MIT
//
// An encoded event as it goes out to every reader: made once, never changed, chunk framing
// included.
//
//     3a CRLF  id: 9f3c01-42 LF  event: said LF data: hello LF LF  CRLF
//     `------chunk-----------------------------------------------------'
//              `-----text-----------------------------------------'
//                                `-----fields---------------------'
//
// Frames stand one after the other in blocks, so that a run of them is one piece of memory and goes
// out as one. A block is counted, atomically, because several workers have its frames in their
// journals, and because a frame that is half with a slow reader's kernel outlives its place there;
// whoever lets the last hold go frees it. The bytes of a frame never change, so any thread may read
// them. What else a block says of itself is for the journal that fills it.
#pragma once

#include "base/bytes.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct block {
    atomic_uint _holds;
    uint32_t capacity;
    uint32_t used;
    char at[];
};

struct frame {
    struct block *block;
    uint32_t at;       // of the chunk in the block
    uint32_t size;     // of the chunk
    uint8_t head_len;  // "3a CRLF"
    uint8_t id_len;    // the line with the id
    uint64_t stamp;    // place among all frames of the hub, across channels
    uint64_t made_ms;  // on the loop's clock
    uint64_t position; // bytes of the journal's frames before it
};

/// A block with room for `capacity` bytes, held once.
struct block *block_new(uint32_t capacity);

/// What it takes, the room included. Any thread may ask.
static inline size_t block_bytes(const struct block *block)
{
    return sizeof(struct block) + block->capacity;
}

void block_hold(struct block *block);

/// Gives one hold back. NULL is fine.
void block_release(struct block *block);

/// The whole frame, for HTTP/1.1.
struct bytes frame_chunk(const struct frame *frame);

/// The event alone, for a reader without chunks.
struct bytes frame_text(const struct frame *frame);

/// The event without its id, for a reader whose ids say more. With `has_end` the CRLF that ends the
/// chunk is included.
struct bytes frame_fields(const struct frame *frame, bool has_end);
