// SPDX-License-Identifier: MIT
//
// Growable bytes with a ceiling that the maker must state. A buf is a value inside its owner; it
// holds no memory while it is empty and new. Bytes are added at the end and taken from the front.
// Growing beyond the ceiling, or beyond the memory that there is, is an ordinary refusal: the
// caller decides what it means (413, 431, 503, a slow stream), and the buf is then as it was
// before. One thread; never calls out.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    char *_memory;
    size_t _start;    // first unread byte
    size_t _end;      // one past the last byte
    size_t _capacity; // bytes of _memory
    size_t _max;      // ceiling of _end - _start
};

/// An empty buf that never holds more than `bytes_max` bytes. Allocates nothing.
void buf_init(struct buf *buf, size_t bytes_max);

/// Frees the memory; the buf is empty and usable afterwards, with the same ceiling.
void buf_reset(struct buf *buf);

/// Forgets the bytes, keeps the memory.
void buf_clear(struct buf *buf);

/// Frees the memory of an empty buf if it is more than `capacity` bytes.
void buf_trim(struct buf *buf, size_t capacity);

/// The slow half of `buf_reserve`, for when the memory at hand is too small.
MUST_USE char *buf_reserve_more(struct buf *buf, size_t size);

/// As `buf_append`, for a buf that several threads use under a lock: its memory never comes from
/// the slab of one of them. Such a buf keeps its memory for good.
MUST_USE bool buf_append_shared(struct buf *buf, struct bytes bytes);

/// Drops `size` bytes from the front.
void buf_consume(struct buf *buf, size_t size);

/// Moves everything to `to`, which must be without memory; `from` is then empty and without memory.
void buf_move(struct buf *to, struct buf *from);

static inline size_t buf_len(const struct buf *buf)
{
    return buf->_end - buf->_start;
}

static inline bool buf_is_empty(const struct buf *buf)
{
    return buf->_end == buf->_start;
}

/// Bytes that the ceiling has room for.
static inline size_t buf_room(const struct buf *buf)
{
    DCHECK(buf_len(buf) <= buf->_max);
    return buf->_max - buf_len(buf);
}

/// The bytes held, to be changed in place; the buf must have memory. Valid as `buf_bytes`.
static inline char *buf_start(struct buf *buf)
{
    DCHECK(buf->_memory != NULL);
    return buf->_memory + buf->_start;
}

/// The bytes held, valid until the buf is next changed.
static inline struct bytes buf_bytes(const struct buf *buf)
{
    return (struct bytes){buf->_memory == NULL ? "" : buf->_memory + buf->_start, buf_len(buf)};
}

/// Room for at least `size` bytes at the end, to be written by the caller and then committed with
/// `buf_commit`. NULL when the ceiling would be passed, or there is no memory. Valid until the buf
/// is next changed.
MUST_USE static inline char *buf_reserve(struct buf *buf, size_t size)
{
    bool is_there = buf->_memory != NULL && buf->_capacity - buf->_end >= size;
    bool is_allowed = buf->_max - buf_len(buf) >= size;
    return is_there && is_allowed ? buf->_memory + buf->_end : buf_reserve_more(buf, size);
}

/// Makes `size` bytes written to the last reservation a part of the buf.
static inline void buf_commit(struct buf *buf, size_t size)
{
    buf->_end += size;
    DCHECK(buf->_end <= buf->_capacity && buf_len(buf) <= buf->_max);
}

/// Appends a copy of `bytes`. False, and nothing changed, when the ceiling would be passed or there
/// is no memory.
MUST_USE static inline bool buf_append(struct buf *buf, struct bytes bytes)
{
    char *room = buf_reserve(buf, bytes.len);
    if (room == NULL) {
        return false;
    }
    if (bytes.len > 0) {
        memcpy(room, bytes.at, bytes.len);
    }
    buf_commit(buf, bytes.len);
    return true;
}
