// SPDX-License-Identifier: MIT
//
// A strict reader of one response that is an event stream, fed as the bytes come: the head and the
// chunks of RFC 9112, and the stream of WHATWG HTML, section 9.2.6. Written from those, and shares
// nothing with src/wire. It is stricter than they are where our server never needs what they allow:
// no CR within the text, no unknown field, no comment within an event, no event without data but an
// id alone. Whatever is not so ends the simulation. Owned by its connection.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire;

/// An event that is complete.
struct wire_event {
    bool has_id;
    bool has_data; // else it is an id alone, which dispatches nothing
    struct bytes id, type, data;
    uint64_t begun; // the turn in which its first byte came, that of the framing included
};

typedef void (*wire_fn)(struct wire *wire, const struct wire_event *event);

enum wire_state {
    WIRE_HEAD,
    WIRE_SIZE,  // in the line before a chunk
    WIRE_TEXT,  // in a chunk, or in the text that is bounded by the connection's end
    WIRE_AFTER, // in the CRLF behind a chunk
    WIRE_LAST,  // in the CRLF behind the last chunk
    WIRE_DONE,
};

struct wire {
    wire_fn on_event;
    enum wire_state state;
    bool is_chunked;
    bool has_id, has_type, has_data, has_retry, has_comment; // of the lines since an empty one
    struct buf line;                                         // what has come of the line
    struct buf id, type, data;
    size_t left;    // of the chunk
    uint64_t begun; // of the event or the chunk that is read
    uint64_t comments;
};

/// A reader of a response that is chunked or not, as its version of HTTP has it.
void wire_init(struct wire *wire, bool is_chunked, wire_fn on_event);
void wire_deinit(struct wire *wire);

/// Takes bytes that came in turn `turn`.
void wire_take(struct wire *wire, struct bytes bytes, uint64_t turn);

/// Whether nothing is begun: behind the head, between chunks and between events.
bool wire_is_between(const struct wire *wire);
