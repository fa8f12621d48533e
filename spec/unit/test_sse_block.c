// SPDX-License-Identifier: MIT
#include "unit.h"

#include "wire/sse_block.h"

/// The fields of all blocks of `text`: "name=value;" for each, and a bar behind each block.
static void expect_blocks(const char *text, const char *wanted)
{
    struct sse_blocks blocks = {0};
    struct bytes rest = bytes_from_string(text);
    struct bytes block;
    struct bytes name;
    struct bytes value;
    struct buf out;
    buf_init(&out, 1000);
    while (sse_blocks_take(&blocks, &rest, &block)) {
        while (sse_block_next(&block, &name, &value)) {
            EXPECT(buf_append(&out, name) && buf_append(&out, BYTES("=")));
            EXPECT(buf_append(&out, value) && buf_append(&out, BYTES(";")));
        }
        EXPECT(buf_append(&out, BYTES("|")));
    }
    EXPECT_BYTES(buf_bytes(&out), bytes_from_string(wanted));
    buf_reset(&out);
}

TEST(the_streams_of_the_standard_are_read_as_the_standard_says)
{
    expect_blocks("data: YHOO\ndata: +2\ndata: 10\n\n", "data=YHOO;data=+2;data=10;|");
    expect_blocks(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\n"
                  "data:  third event\n",
                  "|data=first event;id=1;|data=second event;id=;|");
    expect_blocks("data\n\ndata\ndata\n\ndata:", "data=;|data=;data=;|");
    expect_blocks("data:test\n\ndata: test\n\n", "data=test;|data=test;|");
}

TEST(lines_of_a_stream_end_with_cr_lf_or_both_and_a_mark_may_stand_before_them)
{
    expect_blocks("\xEF\xBB\xBF"
                  "a:1\r\rb:2\r\n\r\nc:3\n\rd:4\n\n",
                  "a=1;|b=2;|c=3;|d=4;|");
    expect_blocks("a:1\n\n\n\xEF\xBB\xBFhi: x\n\n", "a=1;||\xEF\xBB\xBFhi=x;|");
    expect_blocks("a:1\r", "");
    expect_blocks("", "");
}

TEST(a_line_feed_that_comes_late_belongs_to_the_line_before_it)
{
    struct sse_blocks blocks = {0};
    const char *text = "a:1\r\n\r\nb:2\n\n";
    struct bytes rest = bytes_of(text, 6);
    struct bytes block;
    EXPECT(sse_blocks_take(&blocks, &rest, &block));
    EXPECT(rest.len == 0);
    rest.len = strlen(text) - 6;
    EXPECT(sse_blocks_take(&blocks, &rest, &block));
    EXPECT_BYTES(block, BYTES("b:2\n"));
    EXPECT(!sse_blocks_take(&blocks, &rest, &block));
}
