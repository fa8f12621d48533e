// SPDX-License-Identifier: MIT
//
// Three things wait here, and they leave in this order: the rest of a frame that the kernel took a
// part of; then events of the stream's own, each at its mark among the frames; then the stream's
// end. The rest is the only piece of a frame that is kept. It holds its block, because the journal
// may let go of the frame before the reader takes it.
#include "sse/backlog.h"

#include "base/check.h"
#include "base/counters.h"
#include "base/slab.h"
#include "hub/frame.h"

enum { CHECKED_MARKS_MAX = 64 };

static size_t mark_count(const struct backlog *backlog);

struct backlog *backlog_of(struct stream *stream)
{
    if (stream->_backlog == NULL) {
        stream->_backlog = slab_new(struct backlog);
        buf_init(&stream->_backlog->own, SIZE_MAX); // bounded by `stream_max_bytes`, see stream.c
        buf_init(&stream->_backlog->marks, SIZE_MAX);
    }
    return stream->_backlog;
}

bool backlog_mark(struct backlog *backlog, uint64_t stamp, size_t size)
{
    struct backlog_mark mark = {.stamp = stamp, .size = size};
    DCHECK(size > 0 && size <= buf_len(&backlog->own));
    return buf_append(&backlog->marks, bytes_of((const char *)&mark, sizeof(mark)));
}

const struct backlog_mark *backlog_mark_at(const struct backlog *backlog, size_t index)
{
    if (backlog == NULL || index >= mark_count(backlog)) {
        return NULL;
    }
    struct bytes marks = buf_bytes(&backlog->marks);
    return &((const struct backlog_mark *)(const void *)marks.at)[index];
}

void backlog_consume_own(struct backlog *backlog, size_t size)
{
    struct backlog_mark *mark = (struct backlog_mark *)(void *)buf_start(&backlog->marks);
    DCHECK(mark_count(backlog) > 0);
    DCHECK(size <= mark->size);
    mark->size -= size;
    if (mark->size == 0) {
        buf_consume(&backlog->marks, sizeof(*mark));
    }
    buf_consume(&backlog->own, size);
}

void backlog_keep_rest(struct backlog *backlog, struct block *block, struct bytes rest)
{
    DCHECK((block == NULL) == (rest.len == 0));
    if (block != NULL) {
        block_hold(block);
    }
    block_release(backlog->rest_block);
    backlog->rest_block = block;
    backlog->rest = rest;
}

void backlog_count(struct backlog *backlog)
{
    size_t bytes = backlog->rest.len + buf_len(&backlog->own);
    count_up(COUNT_PENDING_BYTES, bytes - backlog->counted_bytes);
    backlog->counted_bytes = bytes;
}

void backlog_free_empty(struct stream *stream)
{
    const struct backlog *backlog = stream->_backlog;
    if (backlog == NULL) {
        return;
    }
    backlog_count(stream->_backlog);
    if (backlog->rest.len == 0 && buf_is_empty(&backlog->own) && !backlog->is_ending) {
        backlog_drop(stream);
    }
}

void backlog_drop(struct stream *stream)
{
    struct backlog *backlog = stream->_backlog;
    if (backlog == NULL) {
        return;
    }
    backlog->rest = BYTES("");
    buf_reset(&backlog->own);
    buf_reset(&backlog->marks);
    backlog_count(backlog);
    DCHECK(backlog->counted_bytes == 0);
    block_release(backlog->rest_block);
    slab_free(backlog);
    stream->_backlog = NULL;
}

/// CHECKs above all that the marks cover every byte of `own`, and that their stamps never fall.
void backlog_check(const struct backlog *backlog)
{
    size_t marked = 0;
    uint64_t stamp = 0;
    CHECK(backlog->rest.len == 0 || backlog->rest_block != NULL);
    CHECK(buf_len(&backlog->marks) % sizeof(struct backlog_mark) == 0);
    CHECK(buf_is_empty(&backlog->own) == buf_is_empty(&backlog->marks));
    for (size_t i = 0; i < mark_count(backlog) && i < CHECKED_MARKS_MAX; i++) {
        const struct backlog_mark *mark = backlog_mark_at(backlog, i);
        CHECK(mark->size > 0);
        CHECK(mark->stamp == 0 ||
              mark->stamp >= stamp); // 0: marked while the stream followed no channel
        stamp = mark->stamp == 0 ? stamp : mark->stamp;
        marked += mark->size;
    }
    CHECK(marked <= buf_len(&backlog->own));
    CHECK(marked == buf_len(&backlog->own) || mark_count(backlog) > CHECKED_MARKS_MAX);
}

static size_t mark_count(const struct backlog *backlog)
{
    return buf_len(&backlog->marks) / sizeof(struct backlog_mark);
}
