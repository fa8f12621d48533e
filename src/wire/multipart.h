// SPDX-License-Identifier: MIT
//
// Reads a body of the type multipart/form-data (RFC 7578; RFC 2046, section 5.1), one part after
// the other, in any cut. Nothing is copied: a part's head and the runs of its content are pieces of
// the input, which the caller keeps until they are used up. What the grammar does not allow is
// refused and never guessed at. Pure; a value inside its owner, without memory of its own.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MULTIPART_BOUNDARY_LEN_MAX = 70 }; // RFC 2046, section 5.1.1

enum multipart_news {
    MULTIPART_MORE,     // what is left of the input has to come again, with more behind it
    MULTIPART_HEAD,     // a part begins: `piece` is its header fields, each with its CRLF
    MULTIPART_DATA,     // a run of the part's content, at least one byte
    MULTIPART_PART_END, // its content has ended
    MULTIPART_END,      // there are no more parts; whatever follows does not count
    MULTIPART_BROKEN,   // `why` of the reader says why, for good
};

struct multipart {
    const char *why;   // after MULTIPART_BROKEN: a sentence that lives as long as the program
    bool is_too_large; // it breaks a bound, and no rule
    size_t _head_bytes_max;
    size_t _delimiter_len;
    uint8_t _state;
    char _delimiter[4 + MULTIPART_BOUNDARY_LEN_MAX]; // CRLF "--" boundary
};

/// Finds the boundary in the value of a Content-Type. False when that is not multipart/form-data,
/// or has no boundary that RFC 2046 allows. A quoted boundary has no escapes: none of the bytes
/// that it may have needs one.
MUST_USE bool multipart_boundary(struct bytes content_type, struct bytes *boundary);

/// `boundary` is one of `multipart_boundary`. A head of more than `head_bytes_max` is refused.
void multipart_init(struct multipart *reader, struct bytes boundary, size_t head_bytes_max);

/// Takes bytes from the front of `input` until there is something to tell. What MULTIPART_MORE
/// leaves is less than a head and a delimiter can be.
MUST_USE enum multipart_news multipart_next(struct multipart *reader, struct bytes *input,
                                            struct bytes *piece);

/// Takes the next field from the front of a part's head, whose grammar `multipart_next` has
/// checked. False when there is none left.
MUST_USE bool multipart_field(struct bytes *head, struct bytes *name, struct bytes *value);

/// A parameter of the field Content-Disposition, as it came, without its quotes.
struct multipart_name {
    struct bytes text;
    bool is_given;
    bool is_quoted;
};

/// Reads a value of Content-Disposition. False unless it is form-data with parameters. `filename*`
/// does not count (RFC 7578, section 4.2).
MUST_USE bool multipart_disposition(struct bytes value, struct multipart_name *name,
                                    struct multipart_name *filename);

/// Writes what a name stands for to `out`, which has as many bytes as its text; returns how many it
/// used. Browsers write a quote, CR and LF as %22, %0D and %0A (WHATWG HTML, 4.10.21.8), others
/// with a backslash before a quote or a backslash.
size_t multipart_decode_name(const struct multipart_name *name, char *out);
