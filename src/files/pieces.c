// SPDX-License-Identifier: MIT
#include "files/pieces.h"

#include "base/decimal.h"

#include <errno.h>

enum { TEXTS_BYTES_MAX = 64 * 1024 };

static bool add_part(struct pieces *pieces, struct byte_range range,
                     const struct pieces_source *source);
static bool add_end(struct pieces *pieces, struct bytes boundary);
static bool append_number(struct buf *out, uint64_t number);
static void add(struct pieces *pieces, struct piece piece);

void pieces_init(struct pieces *pieces, uint64_t first, uint64_t size)
{
    *pieces = (struct pieces){.count = 0};
    buf_init(&pieces->texts, TEXTS_BYTES_MAX);
    add(pieces, (struct piece){.first = first, .size = size});
}

int pieces_init_multipart(struct pieces *pieces, const struct byte_ranges *ranges,
                          const struct pieces_source *source)
{
    *pieces = (struct pieces){.count = 0};
    buf_init(&pieces->texts, TEXTS_BYTES_MAX);
    DCHECK(ranges->count > 1 && source->boundary.len > 0 && source->boundary.len <= 70);
    bool has_room = true;
    for (size_t i = 0; i < ranges->count && has_room; i++) {
        has_room = add_part(pieces, ranges->items[i], source);
    }
    if (!has_room || !add_end(pieces, source->boundary)) {
        pieces_deinit(pieces);
        return -ENOMEM;
    }
    return 0;
}

void pieces_move(struct pieces *to, struct pieces *from)
{
    *to = *from;
    DCHECK(from->count > 0);
    buf_init(&to->texts, TEXTS_BYTES_MAX);
    buf_move(&to->texts, &from->texts);
    from->count = 0;
}

void pieces_deinit(struct pieces *pieces)
{
    buf_reset(&pieces->texts);
    pieces->count = 0;
}

static bool add_part(struct pieces *pieces, struct byte_range range,
                     const struct pieces_source *source)
{
    struct buf *texts = &pieces->texts;
    size_t start = buf_len(texts);
    bool has_room =
        buf_append(texts, pieces->count == 0 ? BYTES("--") : BYTES("\r\n--")) &&
        buf_append(texts, source->boundary) && buf_append(texts, BYTES("\r\nContent-Type: ")) &&
        buf_append(texts, source->type) && buf_append(texts, BYTES("\r\nContent-Range: bytes ")) &&
        append_number(texts, range.first) && buf_append(texts, BYTES("-")) &&
        append_number(texts, range.last) && buf_append(texts, BYTES("/")) &&
        append_number(texts, source->size) && buf_append(texts, BYTES("\r\n\r\n"));
    if (has_room) {
        add(pieces, (struct piece){buf_len(texts) - start, range.first, range_size(range)});
    }
    return has_room;
}

static bool add_end(struct pieces *pieces, struct bytes boundary)
{
    struct buf *texts = &pieces->texts;
    size_t start = buf_len(texts);
    DCHECK(pieces->count > 0 && pieces->count < PIECES_MAX);
    bool has_room = buf_append(texts, BYTES("\r\n--")) && buf_append(texts, boundary) &&
                    buf_append(texts, BYTES("--\r\n"));
    if (has_room) {
        add(pieces, (struct piece){.text_len = buf_len(texts) - start});
    }
    return has_room;
}

static bool append_number(struct buf *out, uint64_t number)
{
    char text[DECIMAL_LEN_MAX];
    return buf_append(out, bytes_of(text, decimal_write(number, text)));
}

static void add(struct pieces *pieces, struct piece piece)
{
    CHECK(pieces->count < PIECES_MAX);
    pieces->items[pieces->count++] = piece;
    pieces->length += piece.text_len + piece.size;
}
