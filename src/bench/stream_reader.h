// SPDX-License-Identifier: MIT
//
// Reads the body of a response as an event stream, in one pass over the bytes as they came from the
// socket: the framing of HTTP/1.1 (RFC 9112, section 7.1) and the lines of the stream (WHATWG HTML,
// section 9.2.6) together. Nothing is copied but what a read has cut in two, and of that only the
// beginning, since whoever measures wants to know which event it was and not what it said. Pure; a
// value inside its owner, without memory of its own.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

enum stream_framing {
    STREAM_CHUNKED, // transfer coding "chunked"
    STREAM_SIZED,   // as many bytes as Content-Length says
    STREAM_TO_END,  // until the connection ends
};

enum stream_news {
    STREAM_MORE,   // the input is used up
    STREAM_EVENT,  // an event with data is complete
    STREAM_END,    // the body has ended; what is left of the input is not of it
    STREAM_BROKEN, // that is no chunked body
};

/// How much of a line that was cut is kept, and so the most that is certain of an event's data.
enum { STREAM_KEPT_BYTES = 48 };

struct stream_reader {
    uint64_t _left; // bytes left of the chunk or the body; in PART_SIZE the size so far
    uint8_t _part;
    bool _is_chunked;
    bool _has_digit; // of the chunk's size
    bool _is_begun;  // the first line has gone by, which may begin with a byte order mark
    bool _is_after_cr;
    bool _has_data; // of the event that is being read
    uint8_t _line_len;
    uint8_t _data_len;
    char _line[STREAM_KEPT_BYTES]; // the beginning of a line whose end has not come
    char _data[STREAM_KEPT_BYTES]; // the beginning of the first data of an event, likewise
};

/// `len` counts with STREAM_SIZED only.
void stream_reader_init(struct stream_reader *reader, enum stream_framing framing, uint64_t len);

/// Takes bytes from the front of `input` until there is something to tell. With STREAM_EVENT,
/// `data` is the event's first `data` line without the name, whole or at least its first 32 bytes;
/// it is valid until the next call, and as long as the input. Events without data are not told, as
/// no browser would dispatch them.
enum stream_news stream_reader_next(struct stream_reader *reader, struct bytes *input,
                                    struct bytes *data);
