// SPDX-License-Identifier: MIT
//
// Two readers of event streams, written from the standard (WHATWG HTML, section 9.2.6) and from
// nothing else, in two manners that share no code with each other or with src/wire. What one
// misreads the other should not.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"

#include <stddef.h>
#include <stdint.h>

/// What a reader dispatches, and what it knows at that moment.
struct dispatch {
    struct buf type, data, last_id;
    uint64_t retry_ms; // UINT64_MAX before the first retry field
};

struct dispatches {
    struct dispatch *items;
    size_t count;
    uint64_t retry_ms; // after the last byte
};

/// Reads the stream line by line.
struct dispatches parse_by_lines(struct bytes stream);

/// Reads the stream byte by byte with a state machine.
struct dispatches parse_by_bytes(struct bytes stream);

/// Adds an empty dispatch to the end of `list`.
struct dispatch *dispatches_add(struct dispatches *list);
void dispatches_free(struct dispatches *list);

/// Appends, or aborts.
void parsers_put(struct buf *buf, struct bytes bytes);
