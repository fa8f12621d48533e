// SPDX-License-Identifier: MIT
//
// The writing half of the HTTP/1 codec: from a response to the text of its head, and the chunks
// around its content (RFC 9112). It writes into the output of the connection, which the caller
// owns. Pure but for memory.
#pragma once

#include "base/buf.h"
#include "base/check.h"
#include "http/response.h"

#include <stdbool.h>
#include <stdint.h>

/// What a head says of the message around the response's fields.
struct http1_head {
    struct response_surroundings surroundings;
    uint64_t content_length; // for FRAMING_LENGTH
};

/// Appends status line, fields and the empty line to `out`. False, and nothing appended, where
/// there is no room for them.
MUST_USE bool http1_write_head(const struct response *response, const struct http1_head *head,
                               struct buf *out);

/// Appends `content`, which is not empty, in a chunk of its own. False, and nothing appended, where
/// there is no room for it.
MUST_USE bool http1_write_chunk(struct bytes content, struct buf *out);

/// Appends the last chunk. False where there is no room for it.
MUST_USE bool http1_write_last_chunk(struct buf *out);
