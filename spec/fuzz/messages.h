// SPDX-License-Identifier: MIT
//
// A slow, plain reader of HTTP/1 message heads and chunked bodies, written from RFC 9112 and from
// nothing else: an oracle for the guards. It sees the whole message at once and knows no limits.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"

#include <stddef.h>

/// Length of the legal message head at the front of `text`; 0 when there is none.
size_t messages_head_len(struct bytes text);

/// Length of the legal chunked body at the front of `text`, whose data goes to `data`; 0 when there
/// is none.
size_t messages_chunks_len(struct bytes text, struct buf *data);

/// Appends, or aborts.
void messages_put(struct buf *buf, struct bytes bytes);
