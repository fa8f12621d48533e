// SPDX-License-Identifier: MIT
//
// What is sent of a file: pieces of it in order, each behind a text of ours. One piece is the whole
// or one range, without a text; several ranges are the parts of a multipart/byteranges (RFC 9110,
// section 14.6). A value inside its owner; it owns its texts.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/check.h"
#include "wire/range.h"

#include <stddef.h>
#include <stdint.h>

enum { PIECES_MAX = RANGES_MAX + 1 }; // and the end of a multipart

struct piece {
    size_t text_len; // of the text in front of it
    uint64_t first;  // where it begins in the file
    uint64_t size;   // 0: there is only the text
};

struct pieces {
    struct piece items[PIECES_MAX];
    size_t count;
    struct buf texts; // one behind the other
    uint64_t length;  // of all pieces and texts together
};

/// What the parts of a multipart say of the file.
struct pieces_source {
    struct bytes type;     // Content-Type
    struct bytes boundary; // must not be in the file; up to 70 bytes
    uint64_t size;
};

/// One piece without a text: the whole, or one range of it.
void pieces_init(struct pieces *pieces, uint64_t first, uint64_t size);

/// All `ranges`, with the texts that divide them. -ENOMEM.
MUST_USE int pieces_init_multipart(struct pieces *pieces, const struct byte_ranges *ranges,
                                   const struct pieces_source *source);

/// Moves everything to `to`; `from` is then empty.
void pieces_move(struct pieces *to, struct pieces *from);

/// Frees the texts.
void pieces_deinit(struct pieces *pieces);
