// SPDX-License-Identifier: MIT
//
// Reads the body of a response out of the bytes of a connection, in one pass and in any cut, by the
// framing that the head told (RFC 9112, section 6.3 and, for chunks, 7.1). Nothing is copied: each
// run of the body's data is a piece of the input. Trailer fields are skipped. The reader forgives
// mistakes that the guard of requests (`wire/guard.h`) refuses, because a client cannot answer 400.
// Pure; a value inside its owner, without memory of its own.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

enum body_framing {
    BODY_CHUNKED, // transfer coding "chunked"
    BODY_SIZED,   // as many bytes as Content-Length says
    BODY_TO_END,  // until the connection ends
};

enum body_news {
    BODY_MORE,   // the input is used up
    BODY_PIECE,  // a run of the body's data
    BODY_END,    // the body has ended; the rest of the input does not belong to it
    BODY_BROKEN, // the input is not a chunked body
};

struct body_reader {
    uint64_t _left; // bytes left of the chunk or the body; while a size is read, the size so far
    uint8_t _part;
    bool _is_chunked;
    bool _has_digit; // of the chunk's size
};

/// `len` counts with BODY_SIZED only.
void body_reader_init(struct body_reader *reader, enum body_framing framing, uint64_t len);

/// Takes bytes from the front of `input` until there is something to tell. With BODY_PIECE, `piece`
/// is the run of data, at least one byte, and lives as long as the input.
MUST_USE enum body_news body_reader_next(struct body_reader *reader, struct bytes *input,
                                         struct bytes *piece);
