// SPDX-License-Identifier: MIT
//
// Finds the events in the body of an event stream (WHATWG HTML, section 9.2.6), in one pass over
// the pieces of it as they came from the socket. Nothing is copied but what the end of a piece has
// cut in two, and of that only the beginning, since a measurement asks which event it was and not
// what it said. Pure; a value inside its owner, without memory of its own. All zero: nothing was
// read.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

/// How much of a line that was cut is kept, and so the most that is certain of an event's data.
enum { EVENT_KEPT_BYTES = 48 };

struct event_reader {
    bool _is_begun; // the first line has gone by, which may begin with a byte order mark
    bool _is_after_cr;
    bool _has_data; // of the event that is being read
    uint8_t _line_len;
    uint8_t _data_len;
    char _line[EVENT_KEPT_BYTES]; // the beginning of a line whose end has not come
    char _data[EVENT_KEPT_BYTES]; // the beginning of the first data of an event, likewise
};

/// Takes lines from the front of `text` to its end: then false; or to the end of an event: then
/// true, and `data` is the event's first `data` line without the name,
/// whole or at least its first 32 bytes. It is valid until the next call, and as long as the text.
/// Events without data are not told, as no browser would dispatch them.
MUST_USE bool event_reader_next(struct event_reader *reader, struct bytes *text,
                                struct bytes *data);
