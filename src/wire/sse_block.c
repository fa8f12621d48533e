// SPDX-License-Identifier: MIT
#include "wire/sse_block.h"

static bool find_line_end(struct bytes text, size_t from, size_t *end);
static size_t skip_line_end(struct bytes text, size_t end);

/// A line that ends with a CR at the end of the text is whole: if an LF follows, it is skipped when
/// it comes.
bool sse_blocks_take(struct sse_blocks *blocks, struct bytes *text, struct bytes *block)
{
    if (blocks->_is_after_cr && text->len > 0) {
        DCHECK(blocks->_seen == 0);
        *text = bytes_skip(*text, text->at[0] == '\n' ? 1 : 0);
        blocks->_is_after_cr = false;
    }
    if (!blocks->_is_begun && text->len >= 3) {
        *text = bytes_skip(*text, bytes_starts_with(*text, BYTES("\xEF\xBB\xBF")) ? 3 : 0);
        blocks->_is_begun = true;
    }
    size_t end;
    DCHECK(blocks->_seen <= text->len);
    while (blocks->_is_begun && find_line_end(*text, blocks->_seen, &end)) {
        bool is_empty = end == blocks->_seen;
        size_t next = skip_line_end(*text, end);
        bool is_open = text->at[end] == '\r' && end + 1 == text->len; // an LF may follow
        if (is_empty) {
            *block = bytes_of(text->at, end);
            *text = bytes_skip(*text, next);
            blocks->_seen = 0;
            blocks->_is_after_cr = is_open;
            return true;
        }
        if (is_open) {
            return false; // the line is looked at again when more has come
        }
        blocks->_seen = next;
    }
    return false;
}

bool sse_block_next(struct bytes *block, struct bytes *name, struct bytes *value)
{
    while (block->len > 0) {
        size_t end;
        struct bytes line = *block;
        if (find_line_end(*block, 0, &end)) {
            line.len = end;
            *block = bytes_skip(*block, skip_line_end(*block, end));
        } else {
            block->len = 0;
        }
        if (line.len == 0 || line.at[0] == ':') {
            continue;
        }
        const char *colon = memchr(line.at, ':', line.len);
        *name = bytes_of(line.at, colon == NULL ? line.len : (size_t)(colon - line.at));
        *value = bytes_skip(line, name->len + (colon == NULL ? 0 : 1));
        if (value->len > 0 && value->at[0] == ' ') {
            *value = bytes_skip(*value, 1);
        }
        return true;
    }
    return false;
}

static bool find_line_end(struct bytes text, size_t from, size_t *end)
{
    for (size_t i = from; i < text.len; i++) {
        if (text.at[i] == '\n' || text.at[i] == '\r') {
            *end = i;
            return true;
        }
    }
    return false;
}

static size_t skip_line_end(struct bytes text, size_t end)
{
    bool is_pair = text.at[end] == '\r' && end + 1 < text.len && text.at[end + 1] == '\n';
    DCHECK(end < text.len);
    return end + (is_pair ? 2 : 1);
}
