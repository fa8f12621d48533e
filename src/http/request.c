// SPDX-License-Identifier: MIT
//
// A request keeps its head in one block: first an index with the places of the fields, then a copy
// of the head's text. All slices point into the copy, so a move of the block (`request_move`) has
// to move only the few slices that the struct itself holds.
#include "http/request.h"

#include "base/slab.h"
#include "wire/accept.h"

static struct request_place place_of(const struct request_field *field, struct bytes text);
static const char *head_of(const struct request *request);
static int count_fields(const struct request *request, struct bytes name, struct bytes *last);
static void rebase(struct bytes *slice, struct bytes from, const char *to);

void request_keep(struct request *request, struct bytes text, const struct request_field *fields,
                  size_t count)
{
    DCHECK(request->_places == NULL && text.len <= UINT32_MAX);
    size_t index_size = count * sizeof(struct request_place);
    char *block = slab_text(index_size + text.len);
    char *copy = block + index_size;
    memcpy(copy, text.at, text.len);
    request->_places = (struct request_place *)(void *)block;
    request->_block_size = index_size + text.len;
    request->field_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        request->_places[i] = place_of(&fields[i], text);
    }
    rebase(&request->method, text, copy);
    rebase(&request->target_text, text, copy);
}

void request_replace_value(struct request *request, size_t index, struct bytes value)
{
    const char *head = head_of(request);
    DCHECK(index < request->field_count);
    DCHECK(value.at >= head &&
           value.at + value.len <= (const char *)request->_places + request->_block_size);
    request->_places[index].value_at = (uint32_t)(value.at - head);
    request->_places[index].value_len = (uint32_t)value.len;
}

void request_deinit(struct request *request)
{
    slab_free_text((char *)request->_places, request->_block_size);
    buf_reset(&request->body.content);
}

struct request *request_move(struct request *request, void *memory)
{
    struct bytes old = bytes_of((const char *)request->_places, request->_block_size);
    struct request *moved = memory;
    *moved = *request;
    if (old.len > 0) {
        memcpy(moved + 1, old.at, old.len);
    }
    moved->_places = (struct request_place *)(void *)(moved + 1);
    const char *to = (const char *)moved->_places;
    rebase(&moved->method, old, to);
    rebase(&moved->target_text, old, to);
    rebase(&moved->target.authority, old, to);
    rebase(&moved->target.path, old, to);
    rebase(&moved->target.query, old, to);
    slab_free_text((char *)request->_places, request->_block_size);
    return moved;
}

struct request_field request_field_at(const struct request *request, size_t index)
{
    DCHECK(index < request->field_count);
    const struct request_place *place = &request->_places[index];
    const char *head = head_of(request);
    return (struct request_field){
        .name = bytes_of(head + place->name_at, place->name_len),
        .value = bytes_of(head + place->value_at, place->value_len),
    };
}

bool request_field(const struct request *request, struct bytes name, struct bytes *value)
{
    for (size_t i = 0; i < request->field_count; i++) {
        struct request_field field = request_field_at(request, i);
        if (bytes_equal_nocase(field.name, name)) {
            *value = field.value;
            return true;
        }
    }
    return false;
}

struct bytes request_separator(struct bytes name)
{
    return bytes_equal_nocase(name, BYTES("cookie")) ? BYTES("; ") : BYTES(", ");
}

bool request_joined_field(const struct request *request, struct bytes name, struct buf *out)
{
    bool is_found = false;
    for (size_t i = 0; i < request->field_count; i++) {
        struct request_field field = request_field_at(request, i);
        if (!bytes_equal_nocase(field.name, name)) {
            continue;
        }
        if ((is_found && !buf_append(out, request_separator(name))) ||
            !buf_append(out, field.value)) {
            return false;
        }
        is_found = true;
    }
    return is_found;
}

int request_quality(const struct request *request, struct bytes type)
{
    struct bytes only;
    if (count_fields(request, BYTES("accept"), &only) == 1) {
        return bytes_equal_nocase(only, type) ? 1000 : accept_quality(only, type);
    }
    struct buf accept;
    buf_init(&accept, request->_block_size); // the values are a part of it
    int quality = 1000;
    if (request_joined_field(request, BYTES("accept"), &accept)) {
        quality = accept_quality(buf_bytes(&accept), type);
    }
    buf_reset(&accept);
    return quality;
}

static struct request_place place_of(const struct request_field *field, struct bytes text);
static const char *head_of(const struct request *request);
static struct request_place place_of(const struct request_field *field, struct bytes text)
{
    struct bytes value = field->value.at == NULL ? bytes_of(text.at, 0) : bytes_trim(field->value);
    DCHECK(field->name.at >= text.at && field->name.at + field->name.len <= text.at + text.len);
    DCHECK(value.at >= text.at && value.at + value.len <= text.at + text.len);
    return (struct request_place){
        .name_at = (uint32_t)(field->name.at - text.at),
        .name_len = (uint32_t)field->name.len,
        .value_at = (uint32_t)(value.at - text.at),
        .value_len = (uint32_t)value.len,
    };
}

/// The copy of the head, which stands behind the index.
static const char *head_of(const struct request *request)
{
    return (const char *)(request->_places + request->field_count);
}

static int count_fields(const struct request *request, struct bytes name, struct bytes *last)
{
    int count = 0;
    for (size_t i = 0; i < request->field_count; i++) {
        struct request_field field = request_field_at(request, i);
        if (bytes_equal_nocase(field.name, name)) {
            *last = field.value;
            count++;
        }
    }
    return count;
}

/// Points `slice` to the same bytes of the copy at `to`. A slice that is not in `from`, such as the
/// literal "/" of an empty path, stays as it is.
static void rebase(struct bytes *slice, struct bytes from, const char *to)
{
    if (slice->at >= from.at && slice->at < from.at + from.len) {
        slice->at = to + (slice->at - from.at);
    }
}
