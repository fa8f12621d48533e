// SPDX-License-Identifier: MIT
#include "unit.h"

#include "wire/sse_decode.h"

static void expect_lines(struct bytes data, struct bytes wanted)
{
    char out[64];
    EXPECT_BYTES(bytes_of(out, sse_join_lines(data, out)), wanted);
}

TEST(an_event_is_taken_apart_into_its_fields)
{
    struct sse_event event;
    struct bytes text = BYTES("id: 9f-1\nevent: said\nretry: 2500\ndata: hello\n\n");
    EXPECT(sse_take_event(&text, &event));
    EXPECT(event.has_id && event.has_event && event.has_retry && event.has_data);
    EXPECT_BYTES(event.id, BYTES("9f-1"));
    EXPECT_BYTES(event.event, BYTES("said"));
    EXPECT_BYTES(event.data, BYTES("hello"));
    EXPECT_INT(event.retry_ms, 2500);
    EXPECT_INT(text.len, 0);
    EXPECT(!sse_take_event(&text, &event));
}

TEST(events_are_taken_one_after_the_other_and_absent_fields_are_not_empty_ones)
{
    struct sse_event event;
    struct bytes text = BYTES("id: 1-1\ndata: \n\nid: 1-2\nevent: \n\nid: 1-3\ndata: data: x\n\n");
    EXPECT(sse_take_event(&text, &event));
    EXPECT(event.has_data && event.data.len == 0 && !event.has_event);
    EXPECT(sse_take_event(&text, &event));
    EXPECT(event.has_event && event.event.len == 0 && !event.has_data);
    EXPECT(sse_take_event(&text, &event));
    EXPECT_BYTES(event.id, BYTES("1-3"));
    EXPECT_BYTES(event.data, BYTES("data: x"));
    EXPECT(!sse_take_event(&text, &event));
}

TEST(lines_of_data_are_joined_by_lf)
{
    struct sse_event event;
    struct bytes text = BYTES("id: 1-1\ndata: a\ndata: \ndata: b\ndata: \n\n");
    EXPECT(sse_take_event(&text, &event));
    expect_lines(event.data, BYTES("a\n\nb\n"));
    expect_lines(BYTES(""), BYTES(""));
    expect_lines(BYTES("one"), BYTES("one"));
    expect_lines(BYTES("\ndata: "), BYTES("\n"));
}
