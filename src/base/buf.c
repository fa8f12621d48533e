// SPDX-License-Identifier: MIT
//
// The bytes lie between `_start` and `_end` of one piece of memory. Taking from the front moves
// `_start` only; adding at the end slides the bytes down when enough of the front is free, and
// takes memory of twice the size otherwise. Small memory comes from the slab, larger memory from
// libc.
#include "base/buf.h"

#include "base/slab.h"

#include <string.h>

enum { BUF_FIRST_CAPACITY = 512 };

static bool make_room(struct buf *buf, size_t size);
static void check_shape(const struct buf *buf);

void buf_init(struct buf *buf, size_t bytes_max)
{
    *buf = (struct buf){._max = bytes_max};
}

void buf_reset(struct buf *buf)
{
    check_shape(buf);
    slab_free_text(buf->_memory, buf->_capacity);
    buf_init(buf, buf->_max);
}

void buf_clear(struct buf *buf)
{
    buf->_start = 0;
    buf->_end = 0;
}

void buf_trim(struct buf *buf, size_t capacity)
{
    if (buf_is_empty(buf) && buf->_capacity > capacity) {
        buf_reset(buf);
    }
}

char *buf_reserve_more(struct buf *buf, size_t size)
{
    check_shape(buf);
    if (size > buf->_max - buf_len(buf) || !make_room(buf, size)) {
        return NULL;
    }
    return buf->_memory + buf->_end;
}

/// Memory that is too large for the slab only ever grows.
bool buf_append_shared(struct buf *buf, struct bytes bytes)
{
    bool is_ready = buf->_memory != NULL || buf_reserve(buf, SLAB_BYTES_MAX + 1) != NULL;
    DCHECK(buf->_memory == NULL || buf->_capacity > SLAB_BYTES_MAX);
    return is_ready && buf_append(buf, bytes);
}

void buf_consume(struct buf *buf, size_t size)
{
    DCHECK(size <= buf_len(buf));
    buf->_start += size;
    if (buf->_start == buf->_end) {
        buf_clear(buf);
    }
}

void buf_move(struct buf *to, struct buf *from)
{
    DCHECK(to != from);
    DCHECK(to->_memory == NULL);
    *to = *from;
    check_shape(from);
    buf_init(from, from->_max);
}

/// Makes room for `size` bytes behind the last one. The bytes slide down only when at least as many
/// were consumed as would have to be moved; otherwise the memory doubles. Either way the cost of an
/// append is constant on average. False when there is no memory.
static bool make_room(struct buf *buf, size_t size)
{
    size_t len = buf_len(buf);
    size_t needed = len + size;
    if (buf->_start >= len && needed <= buf->_capacity && buf->_memory != NULL) {
        memmove(buf->_memory, buf->_memory + buf->_start, len);
        buf->_end = len;
        buf->_start = 0;
        return true;
    }
    if (needed > SIZE_MAX / 4) {
        return false;
    }
    size_t capacity = buf->_capacity == 0 ? BUF_FIRST_CAPACITY : buf->_capacity;
    while (capacity - buf->_start < needed) {
        capacity *= 2;
    }
    char *memory = slab_try_resize(buf->_memory, buf->_capacity, capacity);
    if (memory == NULL) {
        return false;
    }
    buf->_memory = memory;
    buf->_capacity = capacity;
    check_shape(buf);
    return true;
}

static void check_shape(const struct buf *buf)
{
    DCHECK(buf->_start <= buf->_end);
    DCHECK(buf->_end <= buf->_capacity);
    DCHECK(buf->_end - buf->_start <= buf->_max);
    (void)buf;
}
