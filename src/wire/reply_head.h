// SPDX-License-Identifier: MIT
//
// The head of a response as a client reads it (RFC 9112, sections 4 to 6): the status, how the body
// behind it is framed, and whether another request may follow. Pure.
#pragma once

#include "wire/body_reader.h"

#include <sys/types.h>

struct reply_head {
    int status;
    enum body_framing framing;
    uint64_t length; // of the body, with BODY_SIZED
    bool is_event_stream;
    bool is_last; // the connection ends with this response
};

/// Most bytes of a head. The caller keeps to it: a head that has no end by then is refused.
enum { REPLY_HEAD_MAX = 16 * 1024 };

/// Reads the head at the front of `text`. Returns its length, 0 when its end has not come, or
/// CLIENT_BAD_HEAD when it is none. Interim responses (1xx) are part of the head.
MUST_USE ssize_t reply_head_parse(struct bytes text, struct reply_head *head);
