// SPDX-License-Identifier: MIT
#include "http/request.h"

#include "base/mem.h"
#include "wire/accept.h"

static void rebase(struct bytes *slice, struct bytes from, const char *to);

void request_deinit(struct request *request)
{
    if (!request->_is_lent) {
        mem_free(request->_places);
    }
    buf_reset(&request->body);
    *request = (struct request){0};
}

void request_move_block(struct request *request, void *memory)
{
    struct bytes old = bytes_of((const char *)request->_places, request->_block_size);
    memcpy(memory, old.at, old.len);
    rebase(&request->method, old, memory);
    rebase(&request->target_text, old, memory);
    rebase(&request->target.authority, old, memory);
    rebase(&request->target.path, old, memory);
    rebase(&request->target.query, old, memory);
    if (!request->_is_lent) {
        mem_free(request->_places);
    }
    request->_places = memory;
    request->_is_lent = true;
}

struct request_field request_field_at(const struct request *request, size_t index)
{
    DCHECK(index < request->field_count);
    const struct request_place *place = &request->_places[index];
    const char *head = (const char *)(request->_places + request->field_count);
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

bool request_joined_field(const struct request *request, struct bytes name, struct buf *out)
{
    bool is_found = false;
    for (size_t i = 0; i < request->field_count; i++) {
        struct request_field field = request_field_at(request, i);
        if (!bytes_equal_nocase(field.name, name)) {
            continue;
        }
        CHECK(!is_found || buf_append(out, BYTES(", ")));
        CHECK(buf_append(out, field.value));
        is_found = true;
    }
    return is_found;
}

int request_quality(const struct request *request, struct bytes type)
{
    struct buf accept;
    buf_init(&accept, SIZE_MAX); // bounded by the head, which is
    int quality = 1000;
    if (request_joined_field(request, BYTES("accept"), &accept)) {
        quality = accept_quality(buf_bytes(&accept), type);
    }
    buf_reset(&accept);
    return quality;
}

/// Slices of literals ("/" for an empty path) stay where they are.
static void rebase(struct bytes *slice, struct bytes from, const char *to)
{
    if (slice->at >= from.at && slice->at < from.at + from.len) {
        slice->at = to + (slice->at - from.at);
    }
}
