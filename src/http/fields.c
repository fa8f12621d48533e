// SPDX-License-Identifier: MIT
//
// Packed fields. `fields_add` appends a field's two lengths, its name and its value; `fields_next`
// reads them back. Looking for a name and removing one walk all fields: there are few, and a walk
// over one piece of memory is quicker than an index that somebody would have to keep.
//
// Fields that are kept stand at the front. One of them that is removed stays where it is and is
// only hidden, so that `fields_restore` can show it again. Nothing but `fields_add` takes memory,
// because an answer is replaced by another one also when there is none. A name is a token (RFC
// 9110, section 5.1) and so has bytes below 128 alone: the first byte of a hidden name has the
// highest bit, too.
#include "http/fields.h"

#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>

enum { HIDDEN = 0x80 }; // in the first byte of a name

/// What stands before the name and the value of a packed field, at any address.
struct field_lengths {
    uint16_t name;
    uint16_t value;
};

static_assert(sizeof(struct field_lengths) == FIELD_OVERHEAD, "the overhead is the two lengths");
static_assert(FIELDS_BYTES_MAX - FIELD_OVERHEAD <= UINT16_MAX, "a length must fit");

static bool take(struct bytes *packed, struct field *field);
static void drop_hidden(struct fields *fields, size_t from);
static bool is_hidden(const struct field *field);
static size_t size_of(const struct field *field);

/// There may be as many bytes of hidden fields beside those of the others.
void fields_init(struct fields *fields)
{
    *fields = (struct fields){._kept_size = 0};
    buf_init(&fields->_packed, (size_t)2 * FIELDS_BYTES_MAX);
}

void fields_deinit(struct fields *fields)
{
    buf_reset(&fields->_packed);
}

int fields_add(struct fields *fields, struct bytes name, struct bytes value)
{
    size_t size = FIELD_OVERHEAD + name.len + value.len;
    DCHECK(name.len > 0 && (name.at[0] & HIDDEN) == 0);
    if (size > FIELDS_BYTES_MAX - fields_size(fields)) {
        return FIELDS_TOO_LARGE;
    }
    char *at = buf_reserve(&fields->_packed, size);
    if (at == NULL) {
        return -ENOMEM;
    }
    struct field_lengths lengths = {(uint16_t)name.len, (uint16_t)value.len};
    memcpy(at, &lengths, sizeof(lengths));
    memcpy(at + sizeof(lengths), name.at, name.len);
    if (value.len > 0) {
        memcpy(at + sizeof(lengths) + name.len, value.at, value.len);
    }
    buf_commit(&fields->_packed, size);
    return 0;
}

bool fields_find(const struct fields *fields, struct bytes name, struct bytes *value)
{
    struct bytes rest = fields_packed(fields);
    struct field field;
    while (take(&rest, &field)) {
        if (bytes_equal_nocase(field.name, name) && !is_hidden(&field)) {
            *value = field.value;
            return true;
        }
    }
    return false;
}

void fields_remove(struct fields *fields, struct bytes name)
{
    struct bytes rest = fields_packed(fields);
    const char *packed = rest.at;
    size_t hidden_before = fields->_hidden_size;
    struct field field;
    while (take(&rest, &field)) {
        if (bytes_equal_nocase(field.name, name) && !is_hidden(&field)) {
            buf_start(&fields->_packed)[field.name.at - packed] |= (char)HIDDEN;
            fields->_hidden_size += size_of(&field);
        }
    }
    if (fields->_hidden_size > hidden_before) {
        drop_hidden(fields, fields->_kept_size);
    }
    DCHECK(fields->_hidden_size <= fields->_kept_size);
}

void fields_keep(struct fields *fields)
{
    drop_hidden(fields, 0);
    DCHECK(fields->_hidden_size == 0);
    fields->_kept_size = buf_len(&fields->_packed);
}

void fields_restore(struct fields *fields)
{
    struct bytes rest = bytes_of(buf_bytes(&fields->_packed).at, fields->_kept_size);
    const char *packed = rest.at;
    struct field field;
    while (take(&rest, &field)) {
        buf_start(&fields->_packed)[field.name.at - packed] &= (char)~HIDDEN;
    }
    fields->_hidden_size = 0;
    buf_clear(&fields->_packed);
    buf_commit(&fields->_packed, fields->_kept_size);
}

bool fields_next(struct bytes *packed, struct field *field)
{
    while (take(packed, field)) {
        if (!is_hidden(field)) {
            return true;
        }
    }
    return false;
}

/// Takes the next field from the front of `packed`, whether it is hidden or not. False when none is
/// left.
static bool take(struct bytes *packed, struct field *field)
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

/// Removes the hidden fields behind the first `from` bytes. Those that stay slide down where they
/// are.
static void drop_hidden(struct fields *fields, size_t from)
{
    struct bytes rest = bytes_skip(fields_packed(fields), from);
    struct field field;
    size_t size = from;
    while (take(&rest, &field)) {
        if (is_hidden(&field)) {
            fields->_hidden_size -= size_of(&field);
        } else {
            memmove(buf_start(&fields->_packed) + size, field.name.at - FIELD_OVERHEAD,
                    size_of(&field));
            size += size_of(&field);
        }
    }
    buf_clear(&fields->_packed);
    buf_commit(&fields->_packed, size);
}

static bool is_hidden(const struct field *field)
{
    return (field->name.at[0] & HIDDEN) != 0;
}

static size_t size_of(const struct field *field)
{
    return FIELD_OVERHEAD + field->name.len + field->value.len;
}
