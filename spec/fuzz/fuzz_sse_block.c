// SPDX-License-Identifier: MIT
// Event streams as other servers send them. Read in any cut they have the same blocks as when they
// are read at once, and of each event with data the load generator's reader finds the same first
// line. Input: a byte for the size of the pieces, then the stream.
#include "fuzz.h"

#include "bench/event_reader.h"
#include "wire/sse_block.h"

enum { CERTAIN_BYTES = 32 }; // of a line of data that the other reader keeps

static bool next_with_data(struct sse_blocks *blocks, struct bytes *text, struct bytes *data);
static void check_cuts(struct bytes text, size_t size);
static void check_other(struct bytes text);
static struct bytes shortened(struct bytes data);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    if (len > 0) {
        struct bytes text = bytes_of((const char *)at + 1, len - 1);
        check_cuts(text, (size_t)at[0] % 16 + 1);
        check_other(text);
    }
    return 0;
}

/// What is left of one piece is read again with the next behind it, as a buffer has it.
static void check_cuts(struct bytes text, size_t size)
{
    struct sse_blocks whole = {0};
    struct sse_blocks cut = {0};
    struct bytes rest = text;
    struct bytes left = bytes_of(text.at, 0);
    struct bytes expected;
    struct bytes block;
    size_t seen = 0;
    do {
        size_t count = text.len - seen < size ? text.len - seen : size;
        seen += count;
        left.len += count;
        while (sse_blocks_take(&cut, &left, &block)) {
            CHECK(sse_blocks_take(&whole, &rest, &expected));
            CHECK(bytes_equal(block, expected));
        }
    } while (seen < text.len);
    CHECK(!sse_blocks_take(&whole, &rest, &expected));
}

static void check_other(struct bytes text)
{
    struct sse_blocks blocks = {0};
    struct event_reader reader = {0};
    struct bytes rest = text;
    struct bytes other = text;
    struct bytes data;
    struct bytes expected;
    while (event_reader_next(&reader, &other, &expected)) {
        CHECK(next_with_data(&blocks, &rest, &data));
        CHECK(bytes_equal(shortened(data), shortened(expected)));
    }
    CHECK(!next_with_data(&blocks, &rest, &data));
}

static bool next_with_data(struct sse_blocks *blocks, struct bytes *text, struct bytes *data)
{
    struct bytes block;
    struct bytes name;
    while (sse_blocks_take(blocks, text, &block)) {
        while (sse_block_next(&block, &name, data)) {
            CHECK(name.len == 0 || name.at[0] != ':');
            if (bytes_equal(name, BYTES("data"))) {
                return true;
            }
        }
    }
    return false;
}

static struct bytes shortened(struct bytes data)
{
    return bytes_of(data.at, data.len < CERTAIN_BYTES ? data.len : CERTAIN_BYTES);
}
