// SPDX-License-Identifier: MIT
#include "hub/frame.h"

#include "base/check.h"
#include "base/mem.h"
#include "wire/chunk.h"

#include <errno.h>

int block_new(uint32_t capacity, struct block **made)
{
    DCHECK(capacity > 0);
    struct block *block = mem_try_resize(NULL, sizeof(struct block) + capacity);
    if (block == NULL) {
        return -ENOMEM;
    }
    atomic_init(&block->_holds, 1);
    block->capacity = capacity;
    block->used = 0;
    *made = block;
    return 0;
}

void block_hold(struct block *block)
{
    unsigned before = atomic_fetch_add_explicit(&block->_holds, 1, memory_order_relaxed);
    DCHECK(before > 0); // nobody can hold what was freed
}

void block_release(struct block *block)
{
    if (block == NULL) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&block->_holds, 1, memory_order_acq_rel);
    DCHECK(before > 0);
    if (before == 1) {
        mem_free(block);
    }
}

struct bytes frame_chunk(const struct frame *frame)
{
    DCHECK((size_t)frame->at + frame->size <= frame->block->capacity);
    return bytes_of(frame->block->at + frame->at, frame->size);
}

struct bytes frame_text(const struct frame *frame)
{
    struct bytes chunk = frame_chunk(frame);
    DCHECK(chunk.len >= (size_t)frame->head_len + frame->id_len + CHUNK_END_LEN);
    return bytes_of(chunk.at + frame->head_len, chunk.len - frame->head_len - CHUNK_END_LEN);
}

struct bytes frame_fields(const struct frame *frame, bool has_end)
{
    struct bytes fields = bytes_skip(frame_text(frame), frame->id_len);
    fields.len += has_end ? CHUNK_END_LEN : 0;
    return fields;
}
