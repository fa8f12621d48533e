// SPDX-License-Identifier: MIT
//
// The response message of one exchange before and while it is sent. It knows which fields a script
// may set and which are the engine's, and lists the fields of the head for the codec, which writes
// it.
//
//     FRESH --send--> ENDED          a whole response in one go
//       |                ^
//       +--begin--> OPEN-+           head first, then content in pieces, then the end
//
// Owned by its exchange. Pure but for memory.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

enum response_state { RESPONSE_FRESH, RESPONSE_OPEN, RESPONSE_ENDED };

/// How the end of the content is told to the peer (RFC 9112, section 6.3).
enum response_framing {
    FRAMING_NONE,    // no content: HEAD, 204, 304
    FRAMING_LENGTH,  // Content-Length
    FRAMING_CHUNKED, // Transfer-Encoding: chunked
    FRAMING_CLOSE,   // the end of the connection (HTTP/1.0)
    FRAMING_OWN,     // the codec frames bare content by itself (not HTTP/1)
};

struct response {
    uint16_t status;        // 200 until said otherwise
    uint8_t state;          // enum response_state
    uint8_t framing;        // enum response_framing
    bool is_stream;         // an event stream
    bool is_text;           // plain text in UTF-8, where no field says another type
    bool is_marked;         // `response_keep_fields` was called
    uint64_t content_bytes; // sent so far, without framing
    struct fields *_fields; // NULL while there are none
};

void response_init(struct response *response);
void response_deinit(struct response *response);

/// Sets the field `name`, in place of all of that name. Returns 0; RESPONSE_HEAD_SENT when it is
/// too late; RESPONSE_BAD_NAME when the name is no token; RESPONSE_BAD_VALUE for control
/// characters, or white space at an end; RESPONSE_RESERVED for Connection, Content-Length, Date,
/// Keep-Alive, Trailer, Transfer-Encoding and Upgrade; FIELDS_TOO_LARGE; or -ENOMEM.
MUST_USE int response_set_field(struct response *response, struct bytes name, struct bytes value);

/// Adds a field `name` beside those that are there (Set-Cookie). Returns what
/// `response_set_field` does.
MUST_USE int response_add_field(struct response *response, struct bytes name, struct bytes value);

/// The value of the first field `name`; false when there is none. Valid until a field changes.
bool response_field(const struct response *response, struct bytes name, struct bytes *value);

/// Removes the fields `name`, if there are any. Takes no memory.
void response_remove_field(struct response *response, struct bytes name);

/// Keeps the fields that are set now for any answer that the request gets, even one that takes the
/// place of the handler's. Called when the middlewares have set their fields and the handler
/// begins.
void response_keep_fields(struct response *response);

/// Drops the prepared answer and begins another one, with status 500. It has the fields that
/// `response_keep_fields` has kept; all fields, when that was not called. The head must not be out.
void response_start_over(struct response *response);

/// Removes the fields that describe some other content than what is now sent: its type, its
/// encoding, how long it may be kept.
void response_forget_content(struct response *response);

/// Finds the first field that was set and that an event stream sets by itself. A Content-Type that
/// says text/event-stream in UTF-8 is no conflict. Returns false when there is none. The memory of
/// `name` is static.
bool response_stream_conflict(const struct response *response, struct bytes *name);

/// Whether every answer of a server may have the field `name`: Content-Type and Content-Encoding
/// belong to one.
bool response_may_be_common(struct bytes name);

/// All fields, packed, for `fields_next`. Valid until one changes.
struct bytes response_fields(const struct response *response);

/// Where the fields of a head come from, beside the response.
struct response_surroundings {
    struct bytes common;     // packed fields of every answer, where this one does not set them
    struct bytes date;       // the value of Date
    struct bytes connection; // the value of Connection, which HTTP/1 alone has; empty: not sent
};

/// Receives one field of a head. `user` is what was given to `response_put_fields`.
typedef void (*response_put_fn)(void *user, struct bytes name, struct bytes value);

/// Calls `put` for each field of the head, in the order in which they are to be sent: all but those
/// that say how the content is framed, which each codec says in its own way.
void response_put_fields(const struct response *response,
                         const struct response_surroundings *surroundings, response_put_fn put,
                         void *user);

/// Returns the most bytes that those fields take, with FIELD_OVERHEAD for each.
size_t response_fields_size(const struct response *response,
                            const struct response_surroundings *surroundings);
