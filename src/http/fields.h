// SPDX-License-Identifier: MIT
//
// The header fields of one message: names and values in the order in which they were added, as a
// script gave them and without the syntax of any version of HTTP. They lie packed in one piece of
// memory: for each field the two lengths, the name and the value. `fields_next` walks them. Names
// are tokens, and blind to case. The fields that are there at some moment can be kept and restored
// later, whatever has become of them. Whoever declares the struct owns it and calls
// `fields_deinit`. Pure but for memory.
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
    size_t _kept_size;   // bytes of the kept fields, which stand at the front
    size_t _hidden_size; // bytes of those kept fields that were removed
};

struct field {
    struct bytes name;
    struct bytes value;
};

void fields_init(struct fields *fields);

void fields_deinit(struct fields *fields);

/// Adds a field behind the others. Returns 0; FIELDS_TOO_LARGE when all fields together would pass
/// FIELDS_BYTES_MAX; or -ENOMEM. Nothing has changed then.
MUST_USE int fields_add(struct fields *fields, struct bytes name, struct bytes value);

/// The value of the first field `name`; false when there is none. Valid until a field changes.
bool fields_find(const struct fields *fields, struct bytes name, struct bytes *value);

/// Removes the fields `name`, if there are any. Takes no memory.
void fields_remove(struct fields *fields, struct bytes name);

/// Keeps the fields that are there now, in place of any that were kept before.
void fields_keep(struct fields *fields);

/// Makes the kept fields the only ones, as they were when they were kept. Takes no memory.
void fields_restore(struct fields *fields);

/// All fields, packed, for `fields_next`. Valid until one changes.
static inline struct bytes fields_packed(const struct fields *fields)
{
    return buf_bytes(&fields->_packed);
}

/// The bytes that the fields take, with FIELD_OVERHEAD for each.
static inline size_t fields_size(const struct fields *fields)
{
    return buf_len(&fields->_packed) - fields->_hidden_size;
}

/// Takes the next field from the front of `packed`. False when none is left.
bool fields_next(struct bytes *packed, struct field *field);
