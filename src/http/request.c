// SPDX-License-Identifier: MIT
#include "http/request.h"

#include "base/mem.h"
#include "wire/accept.h"

static void rebase(struct bytes *slice, struct bytes from, const char *to);

void request_deinit(struct request *request)
{
    if (!request->_is_lent) {
        mem_free(request->_fields);
    }
    buf_reset(&request->body);
    *request = (struct request){0};
}

void request_move_block(struct request *request, void *memory)
{
    struct bytes old = bytes_of((const char *)request->_fields, request->_block_size);
    memcpy(memory, old.at, old.len);
    struct request_field *fields = memory;
    for (size_t i = 0; i < request->field_count; i++) {
        rebase(&fields[i].name, old, memory);
        rebase(&fields[i].value, old, memory);
    }
    rebase(&request->method, old, memory);
    rebase(&request->target_text, old, memory);
    rebase(&request->target.authority, old, memory);
    rebase(&request->target.path, old, memory);
    rebase(&request->target.query, old, memory);
    if (!request->_is_lent) {
        mem_free(request->_fields);
    }
    request->_fields = fields;
    request->_is_lent = true;
}

bool request_field(const struct request *request, struct bytes name, struct bytes *value)
{
    for (size_t i = 0; i < request->field_count; i++) {
        if (bytes_equal_nocase(request->_fields[i].name, name)) {
            *value = request->_fields[i].value;
            return true;
        }
    }
    return false;
}

bool request_joined_field(const struct request *request, struct bytes name, struct buf *out)
{
    bool is_found = false;
    for (size_t i = 0; i < request->field_count; i++) {
        if (!bytes_equal_nocase(request->_fields[i].name, name)) {
            continue;
        }
        CHECK(!is_found || buf_append(out, BYTES(", ")));
        CHECK(buf_append(out, request->_fields[i].value));
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
