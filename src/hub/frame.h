// SPDX-License-Identifier: MIT
//
// A frame is an encoded event as it goes out to every reader, chunk framing included. It is made
// once and never changed.
//
//     3a CRLF  id: 9f3c01-42 LF  event: said LF data: hello LF LF  CRLF
//     `------chunk-----------------------------------------------------'
//              `-----text-----------------------------------------'
//                                `-----fields---------------------'
//
// Frames stand one after the other in blocks, so that a run of frames is one piece of memory and is
// written as one. The holds of a block are counted, atomically: several workers have its frames in
// their journals, and a frame of which a slow reader's kernel has taken a part outlives its place
// in the journal. Whoever gives the last hold back frees the block. Any thread may read the bytes
// of a frame, since they never change. The other members of a block are for the journal that fills
// it.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

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
    uint8_t id_len;    // of the line with the id
    uint64_t stamp;    // place among all frames of the hub, across channels
    uint64_t made_ms;  // on the loop's clock
    uint64_t position; // bytes of the journal's frames before it
};

/// Makes a block with room for `capacity` bytes, held once. Returns 0, or -ENOMEM; then `*made` is
/// as it was.
MUST_USE int block_new(uint32_t capacity, struct block **made);

/// The memory that a block takes, free room included. Any thread may ask.
static inline size_t block_bytes(const struct block *block)
{
    return sizeof(struct block) + block->capacity;
}

void block_hold(struct block *block);

/// Gives one hold back. NULL is fine.
void block_release(struct block *block);

/// The whole frame, for HTTP/1.1.
struct bytes frame_chunk(const struct frame *frame);

/// The event without chunk framing, for a reader that speaks HTTP/1.0.
struct bytes frame_text(const struct frame *frame);

/// The event without its id, for a stream of several channels, whose ids name a place in each. With
/// `has_end` the CRLF that ends the chunk is included.
struct bytes frame_fields(const struct frame *frame, bool has_end);
