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

/// What is wrong with an event.
enum sse_refusal {
    SSE_BAD_ID = -1,    // CR, LF or NUL in the id (NUL makes a reader ignore it)
    SSE_BAD_EVENT = -2, // CR, LF or NUL in the event name
    SSE_TOO_LONG = -3,  // the buf's ceiling would be passed
};

/// Whether the event can be encoded: 0, SSE_BAD_ID or SSE_BAD_EVENT.
MUST_USE int sse_check_event(const struct sse_event *event);

/// Appends one event: `id:`, `event:`, `retry:` and `data:` lines in that order, then an empty
/// line. One space follows each colon. With `chunked` the text stands in one chunk of its own (RFC
/// 9112, section 7.1): size in lower-case hexadecimal, CRLF, text, CRLF. Returns 0 or an
/// `sse_refusal`; then nothing was appended.
MUST_USE int sse_encode_event(struct buf *out, const struct sse_event *event, bool chunked);

/// Appends a comment: each line of `text` (CR, LF and CRLF end a line) becomes `: line`, an empty
/// text a lone `:`. An empty line follows, which dispatches nothing because no data stands before
/// it. Returns 0 or SSE_TOO_LONG.
MUST_USE int sse_encode_comment(struct buf *out, struct bytes text, bool chunked);

/// Appends a `retry:` field (milliseconds, digits only) and an empty line, which dispatches nothing
/// because no data stands before it. Returns 0 or SSE_TOO_LONG.
MUST_USE int sse_encode_retry(struct buf *out, uint64_t retry_ms, bool chunked);
