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

/// The body: what the head says of it, and what has come.
struct request_body {
    struct buf content;
    uint64_t length;    // 0 for a chunked body
    uint64_t bytes_max; // 413 beyond; dispatch may change it in `on_head`
    size_t counted;     // bytes of the content in the service's count
    bool is_chunked;
    bool is_unwanted;      // dispatch knows that whatever answers does not read the body
    bool is_streamed;      // what answers reads it while it comes: `exchange_read_body`
    bool expects_continue; // Expect: 100-continue (RFC 9110, section 10.1.1)
};

struct request {
    struct request_place *_places; // the block; the head's bytes follow the array
    uint32_t field_count;
    uint8_t minor_version; // 0 or 1, of HTTP/1
    bool wants_close;      // the connection must not be kept after the answer
    bool is_over_limit;    // it came over a connection beyond the limit `connections`
    struct bytes method;
    struct bytes target_text; // as it was sent
    struct target target;
    struct request_body body;
    uint64_t number;     // of this server's requests
    uint64_t started_ns; // clock_ns at the first byte of the head
    void *route;         // what dispatch found, opaque here
    void *counts;        // where dispatch counts the answer, opaque here
    size_t _block_size;
};

/// Makes the request's block: a copy of `text`, and where each of the `count` fields stands in it.
/// `method`, `target_text` and all fields are slices of `text`, and are moved to the copy. A field
/// whose value has no address has an empty one. For the codec; once.
void request_keep(struct request *request, struct bytes text, const struct request_field *fields,
                  size_t count);

/// Gives field number `index` another value: a slice of the block. For the codec.
void request_replace_value(struct request *request, size_t index, struct bytes value);

/// Frees the block and the body. All that can be done with the request then is to free it, too. Not
/// for one that was moved: the owner of its memory frees that, and the body must be reset before.
void request_deinit(struct request *request);

/// Bytes of the block: more than all its fields together have.
static inline size_t request_block_size(const struct request *request)
{
    return request->_block_size;
}

/// Bytes of a request with its block, for `request_move`.
static inline size_t request_size(const struct request *request)
{
    return sizeof(struct request) + request->_block_size;
}

/// Moves the request and its block to `memory` (aligned for a pointer, `request_size` bytes), which
/// belongs to the caller and must outlive it. Returns the request there; all that can be done with
/// the one here is to free it. Slices taken before are no longer valid.
struct request *request_move(struct request *request, void *memory);

/// Field number `index`, in the order in which they came.
struct request_field request_field_at(const struct request *request, size_t index);

/// The value of the first field `name` (blind to case). False when there is none.
bool request_field(const struct request *request, struct bytes name, struct bytes *value);

/// What stands between the values of two fields `name` when they are joined: ", " (RFC 9110,
/// section 5.2), and "; " for Cookie, whose value is no list of that kind (RFC 9113,
/// section 8.2.3).
struct bytes request_separator(struct bytes name);

/// Appends the values of all fields `name`, joined, to `out`; false when there is none, or no room
/// for them. `request_block_size` bytes are always enough.
bool request_joined_field(const struct request *request, struct bytes name, struct buf *out);

/// The quality (0 to 1000) that the request's Accept fields give to the media type `type`; 1000
/// when there is no Accept.
int request_quality(const struct request *request, struct bytes type);

/// Whether content may follow the head.
static inline bool request_has_body(const struct request *request)
{
    return request->body.is_chunked || request->body.length > 0;
}
