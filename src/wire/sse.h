// SPDX-License-Identifier: MIT
//
// The event-stream encoder (WHATWG HTML, section 9.2 "Server-sent events"). It turns values into
// the text of one event, one comment or one retry field, and cannot produce anything else: line
// breaks in data become `data:` lines, bytes that are not UTF-8 become U+FFFD, and an id or an
// event name with CR, LF or NUL is refused before a byte is written. Pure: no clock, no I/O; it
// writes into a `buf`.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

/// One event. A field whose `has_` flag is false is absent; an absent field and an empty one
/// differ: an empty id resets the reader's last event id. An event without data is legal on the
/// wire but not dispatched by a reader, so the Lua face always sends data.
struct sse_event {
    bool has_id, has_event, has_data, has_retry;
    struct bytes id, event, data;
    uint64_t retry_ms;
};

/// Whether `text` can be an id or an event name. CR and LF would end its line, and a reader ignores
/// an id with a NUL.
bool sse_is_one_line(struct bytes text);

/// Appends one event: `id:`, `event:`, `retry:` and `data:` lines in that order, then an empty
/// line. One space follows each colon. With `chunked` the text stands in one chunk of its own (RFC
/// 9112, section 7.1): size in lower-case hexadecimal, CRLF, text, CRLF. Returns 0; -EINVAL when
/// the id or the event name is not one line; or -EMSGSIZE when the buf does not take so much.
/// Nothing is appended then.
MUST_USE int sse_encode_event(struct buf *out, const struct sse_event *event, bool chunked);

/// Appends a comment: each line of `text` (CR, LF and CRLF end a line) becomes `: line`, an empty
/// text a lone `:`. An empty line follows, which dispatches nothing because no data stands before
/// it. Returns 0 or -EMSGSIZE.
MUST_USE int sse_encode_comment(struct buf *out, struct bytes text, bool chunked);

/// Appends a `retry:` field (milliseconds, digits only) and an empty line, which dispatches nothing
/// because no data stands before it. Returns 0 or -EMSGSIZE.
MUST_USE int sse_encode_retry(struct buf *out, uint64_t retry_ms, bool chunked);
