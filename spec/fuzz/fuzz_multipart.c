// SPDX-License-Identifier: MIT
//
// A body of the type multipart/form-data with the boundary "b". Read in any cut it has the same
// parts as when it is read at once; what is left for the next piece is bounded; and written again,
// part by part, it is read as the same parts. Input: a byte for the size of the pieces, then the
// body; what stands before its first line end is also read as a Content-Type and as a
// Content-Disposition.
#include "fuzz.h"

#include "base/buf.h"
#include "wire/multipart.h"

#include <string.h>

enum { HEAD_BYTES_MAX = 200, LEFT_BYTES_MAX = HEAD_BYTES_MAX + 20 };

static void check_values(struct bytes value);
static enum multipart_news read_parts(struct bytes text, size_t step, struct buf *out);
static void put_head(struct buf *out, struct bytes head);
static void put(struct buf *out, struct bytes bytes);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes input = bytes_of((const char *)at, len);
    size_t step = (size_t)fuzz_byte(&input) % 16 + 1;
    struct buf whole;
    struct buf cut;
    struct buf again;
    const char *end = input.len == 0 ? NULL : memchr(input.at, '\r', input.len);
    check_values(bytes_of(input.at, end == NULL ? input.len : (size_t)(end - input.at)));
    buf_init(&whole, SIZE_MAX);
    buf_init(&cut, SIZE_MAX);
    buf_init(&again, SIZE_MAX);
    enum multipart_news news = read_parts(input, SIZE_MAX, &whole);
    CHECK(read_parts(input, step, &cut) == news);
    if (news == MULTIPART_END) {
        CHECK(bytes_equal(buf_bytes(&whole), buf_bytes(&cut)));
        CHECK(read_parts(buf_bytes(&whole), step, &again) == MULTIPART_END);
        CHECK(bytes_equal(buf_bytes(&whole), buf_bytes(&again)));
    }
    buf_reset(&whole);
    buf_reset(&cut);
    buf_reset(&again);
    return 0;
}

static void check_values(struct bytes value)
{
    struct bytes boundary;
    struct multipart_name names[2];
    struct multipart reader;
    char text[4096];
    if (multipart_boundary(value, &boundary)) {
        multipart_init(&reader, boundary, HEAD_BYTES_MAX);
    }
    if (value.len <= sizeof(text) && multipart_disposition(value, &names[0], &names[1])) {
        for (int i = 0; i < 2; i++) {
            CHECK(multipart_decode_name(&names[i], text) <= names[i].text.len);
        }
    }
}

/// Reads the parts, and writes them to `out` as a body with the same boundary.
static enum multipart_news read_parts(struct bytes text, size_t step, struct buf *out)
{
    struct multipart reader;
    struct bytes input = bytes_of(text.at, 0);
    struct bytes piece;
    size_t seen = 0;
    multipart_init(&reader, BYTES("b"), HEAD_BYTES_MAX);
    for (;;) {
        enum multipart_news news = multipart_next(&reader, &input, &piece);
        switch (news) {
        case MULTIPART_MORE:
            CHECK(input.len <= LEFT_BYTES_MAX);
            if (seen == text.len) {
                return news;
            }
            size_t count = text.len - seen < step ? text.len - seen : step;
            input.len += count;
            seen += count;
            break;
        case MULTIPART_HEAD:
            put_head(out, piece);
            break;
        case MULTIPART_DATA:
            CHECK(piece.len > 0);
            put(out, piece);
            break;
        case MULTIPART_PART_END:
            put(out, BYTES("\r\n"));
            break;
        case MULTIPART_END:
            put(out, BYTES("--b--"));
            return news;
        case MULTIPART_BROKEN:
            CHECK(reader.why != NULL);
            return news;
        }
    }
}

static void put_head(struct buf *out, struct bytes head)
{
    struct bytes name;
    struct bytes value;
    put(out, BYTES("--b\r\n"));
    put(out, head);
    put(out, BYTES("\r\n"));
    while (multipart_field(&head, &name, &value)) {
        CHECK(name.len > 0);
    }
}

static void put(struct buf *out, struct bytes bytes)
{
    CHECK(buf_append(out, bytes));
}
