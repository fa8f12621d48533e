// SPDX-License-Identifier: MIT
//
// Finds the events in the body of an event stream (WHATWG HTML, section 9.2.6), in one pass over
// the pieces of it as they came from the socket. Only a line that the end of a piece cuts in two is
// copied, and of that only the beginning: a measurement needs to know which event it was, not what
// it said. Pure; a value inside its owner, without memory of its own. All zero: nothing was
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

/// Takes lines from the front of `text`. At the end of an event it returns true, and `data` is the
/// event's first `data` line without the name: the whole, or at least the first 32 bytes. `data` is
/// valid until the next call, and as long as the text. Returns false when `text` has been read to
/// its end. Events without data are skipped, as browsers do not dispatch them.
MUST_USE bool event_reader_next(struct event_reader *reader, struct bytes *text,
                                struct bytes *data);
