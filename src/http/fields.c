// SPDX-License-Identifier: MIT
//
// Packed fields. `fields_add` appends a field's two lengths, its name and its value; `fields_next`
// reads them back. Looking for a name and removing one walk all fields: there are few, and a walk
// over one piece of memory is quicker than an index that somebody would have to keep.
#include "http/fields.h"

#include <assert.h>
#include <stdint.h>

/// What stands before the name and the value of a packed field, at any address.
struct field_lengths {
    uint16_t name;
    uint16_t value;
};

static_assert(sizeof(struct field_lengths) == FIELD_OVERHEAD, "the overhead is the two lengths");
static_assert(FIELDS_BYTES_MAX - FIELD_OVERHEAD <= UINT16_MAX, "a length must fit");

void fields_init(struct fields *fields)
{
    buf_init(&fields->_packed, FIELDS_BYTES_MAX);
}

void fields_reset(struct fields *fields)
{
    buf_reset(&fields->_packed);
}

bool fields_add(struct fields *fields, struct bytes name, struct bytes value)
{
    char *at = buf_reserve(&fields->_packed, FIELD_OVERHEAD + name.len + value.len);
    if (at == NULL) {
        return false;
    }
    struct field_lengths lengths = {(uint16_t)name.len, (uint16_t)value.len};
    memcpy(at, &lengths, sizeof(lengths));
    memcpy(at + sizeof(lengths), name.at, name.len);
    if (value.len > 0) {
        memcpy(at + sizeof(lengths) + name.len, value.at, value.len);
    }
    buf_commit(&fields->_packed, sizeof(lengths) + name.len + value.len);
    return true;
}

bool fields_find(const struct fields *fields, struct bytes name, struct bytes *value)
{
    struct bytes rest = fields_packed(fields);
    struct field field;
    while (fields_next(&rest, &field)) {
        if (bytes_equal_nocase(field.name, name)) {
            *value = field.value;
            return true;
        }
    }
    return false;
}

/// Those that stay slide down where they are, so that a field can be replaced also when there is no
/// memory.
void fields_remove(struct fields *fields, struct bytes name)
{
    if (buf_is_empty(&fields->_packed)) {
        return;
    }
    struct bytes rest = fields_packed(fields);
    struct field field;
    char *at = buf_start(&fields->_packed);
    size_t size = 0;
    while (fields_next(&rest, &field)) {
        size_t field_size = FIELD_OVERHEAD + field.name.len + field.value.len;
        if (!bytes_equal_nocase(field.name, name)) {
            memmove(at + size, field.name.at - FIELD_OVERHEAD, field_size);
            size += field_size;
        }
    }
    buf_clear(&fields->_packed);
    buf_commit(&fields->_packed, size);
}

void fields_copy(struct fields *to, const struct fields *from, size_t size)
{
    struct bytes packed = fields_packed(from);
    DCHECK(size <= packed.len);
    buf_clear(&to->_packed);
    CHECK(buf_append(&to->_packed, bytes_of(packed.at, size)));
}

void fields_move(struct fields *to, struct fields *from)
{
    buf_reset(&to->_packed);
    buf_move(&to->_packed, &from->_packed);
}

bool fields_next(struct bytes *packed, struct field *field)
{
    struct field_lengths lengths;
    if (packed->len == 0) {
        return false;
    }
    DCHECK(packed->len >= sizeof(lengths));
    memcpy(&lengths, packed->at, sizeof(lengths));
    const char *name = packed->at + sizeof(lengths);
    field->name = bytes_of(name, lengths.name);
    field->value = bytes_of(name + lengths.name, lengths.value);
    DCHECK(packed->len >= sizeof(lengths) + lengths.name + lengths.value);
    *packed = bytes_skip(*packed, sizeof(lengths) + lengths.name + lengths.value);
    return true;
}
