// SPDX-License-Identifier: MIT
//
// A request message as the upper floors see it: method, target, fields, body. The head is one block
// of memory that holds the field index and a copy of the head's bytes; every slice here points into
// it and lives as long as the request. Owned by its exchange; filled by the codec; read-only
// afterwards, but for the body, which grows until the message is complete.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "wire/url.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request_field {
    struct bytes name;
    struct bytes value; // trimmed
};

/// Where a field stands in the head: half the size of two slices, for as many as a browser sends.
struct request_place {
    uint32_t name_at;
    uint32_t name_len;
    uint32_t value_at;
    uint32_t value_len;
};

struct request {
    struct request_place *_places; // the block; the head's bytes follow the array
    size_t field_count;
    struct bytes method;
    struct bytes target_text; // as it was sent
    struct target target;
    uint64_t content_length; // 0 for a chunked body
    struct buf body;
    size_t _block_size;
    uint8_t minor_version; // 0 or 1, of HTTP/1
    bool _is_lent;         // the block belongs to somebody else: see `request_move_block`
    bool is_chunked;
    bool wants_close;      // the connection must not be kept after the answer
    bool expects_continue; // Expect: 100-continue (RFC 9110, section 10.1.1)
};

/// Frees the block and the body. The request is then zero.
void request_deinit(struct request *request);

/// Bytes of the block, for `request_move_block`.
static inline size_t request_block_size(const struct request *request)
{
    return request->_block_size;
}

/// Moves the block to `memory` (aligned for a pointer, `request_block_size` bytes), which belongs
/// to the caller and must outlive the request. Slices taken before are no longer valid.
void request_move_block(struct request *request, void *memory);

/// Field number `index`, in the order in which they came.
struct request_field request_field_at(const struct request *request, size_t index);

/// The value of the first field `name` (blind to case). False when there is none.
bool request_field(const struct request *request, struct bytes name, struct bytes *value);

/// Appends the values of all fields `name`, joined with ", " (RFC 9110, section 5.2), to `out`;
/// false when there is none.
bool request_joined_field(const struct request *request, struct bytes name, struct buf *out);

/// The quality (0 to 1000) that the request's Accept fields give to the media type `type`; 1000
/// when there is no Accept.
int request_quality(const struct request *request, struct bytes type);

/// Whether content may follow the head.
static inline bool request_has_body(const struct request *request)
{
    return request->is_chunked || request->content_length > 0;
}
