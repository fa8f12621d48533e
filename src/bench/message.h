// SPDX-License-Identifier: MIT
//
// The HTTP/1.1 that a load generator speaks: requests as browsers write them, and as much of a
// response's head as it takes to read the body. Pure.
#pragma once

#include "base/buf.h"
#include "bench/stream_reader.h"

struct bench_target;
struct options;

/// What a response's head says.
struct response_head {
    int status;
    enum stream_framing framing;
    uint64_t length; // of the body, with STREAM_SIZED
    bool is_event_stream;
    bool is_last; // the connection ends with this response
};

/// Most bytes of a head; also the ceiling of a request's.
enum { MESSAGE_HEAD_MAX = 16 * 1024 };

/// Appends the request for the event stream of `target`, with the fields of --header.
void message_put_get(struct buf *out, const struct bench_target *target,
                     const struct options *options);

/// Appends the head of a POST with `size` bytes of plain text.
void message_put_post(struct buf *out, const struct bench_target *target,
                      const struct options *options, uint64_t size);

/// Reads the head at the front of `text`. Returns its length, 0 when its end has not come, or -1
/// when it is none. Interim responses (1xx) are part of the head.
MUST_USE ssize_t message_parse_head(struct bytes text, struct response_head *head);
