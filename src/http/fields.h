// SPDX-License-Identifier: MIT
//
// The header fields of one message: names and values in the order in which they were added, as a
// script gave them and without the syntax of any version of HTTP. They lie packed in one piece of
// memory: for each field the two lengths, the name and the value. `fields_next` walks them. Names
// are blind to case. Whoever declares the struct owns it and calls `fields_reset`. Pure but for
// memory.
#pragma once

#include "base/buf.h"
#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    FIELDS_BYTES_MAX = 64 * 1024, // of all fields together, with FIELD_OVERHEAD for each
    FIELD_OVERHEAD = 4,           // bytes that a field takes beside its name and its value
};

struct fields {
    struct buf _packed;
};

struct field {
    struct bytes name;
    struct bytes value;
};

void fields_init(struct fields *fields);

/// Frees the memory; no field is left.
void fields_reset(struct fields *fields);

/// Adds a field behind the others. False, and nothing changed, when all fields together would pass
/// FIELDS_BYTES_MAX or there is no memory.
MUST_USE bool fields_add(struct fields *fields, struct bytes name, struct bytes value);

/// The value of the first field `name`; false when there is none. Valid until a field changes.
bool fields_find(const struct fields *fields, struct bytes name, struct bytes *value);

/// Removes the fields `name`, if there are any.
void fields_remove(struct fields *fields, struct bytes name);

/// All fields, packed, for `fields_next`. Valid until one changes.
static inline struct bytes fields_packed(const struct fields *fields)
{
    return buf_bytes(&fields->_packed);
}

/// Makes a copy of the first `size` bytes of `fields_packed(from)` the only fields of `to`. `size`
/// ends between two fields.
void fields_copy(struct fields *to, const struct fields *from, size_t size);

/// Moves all fields to `to`, whose own are freed.
void fields_move(struct fields *to, struct fields *from);

/// Takes the next field from the front of `packed`. False when none is left.
bool fields_next(struct bytes *packed, struct field *field);
