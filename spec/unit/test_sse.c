// SPDX-License-Identifier: MIT
#include "unit.h"

#include "wire/chunk.h"
#include "wire/sse.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void expect_event(struct sse_event event, struct bytes wanted)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    EXPECT_INT(sse_encode_event(&out, &event, false), 0);
    EXPECT_BYTES(buf_bytes(&out), wanted);
    buf_reset(&out);
}

static void expect_data(struct bytes data, struct bytes wanted)
{
    expect_event((struct sse_event){.has_data = true, .data = data}, wanted);
}

static void expect_comment(struct bytes text, struct bytes wanted)
{
    struct buf out;
    buf_init(&out, 1000);
    EXPECT_INT(sse_encode_comment(&out, text, false), 0);
    EXPECT_BYTES(buf_bytes(&out), wanted);
    buf_reset(&out);
}

TEST(an_event_has_its_fields_in_a_fixed_order)
{
    struct sse_event event = {.has_id = true,
                              .has_event = true,
                              .has_data = true,
                              .has_retry = true,
                              .id = BYTES("9f-1"),
                              .event = BYTES("said"),
                              .data = BYTES("hello"),
                              .retry_ms = 2500};
    expect_event(event, BYTES("id: 9f-1\nevent: said\nretry: 2500\ndata: hello\n\n"));
}

TEST(an_absent_field_and_an_empty_one_differ)
{
    struct sse_event empty = {.has_id = true, .has_event = true, .has_data = true};
    expect_event(empty, BYTES("id: \nevent: \ndata: \n\n"));
    expect_event((struct sse_event){.has_data = true}, BYTES("data: \n\n"));
    expect_event((struct sse_event){.has_id = true}, BYTES("id: \n\n"));
    expect_event((struct sse_event){.has_data = false}, BYTES("\n"));
}

TEST(each_line_of_data_is_a_data_line)
{
    expect_data(BYTES("YHOO\n+2\n10"), BYTES("data: YHOO\ndata: +2\ndata: 10\n\n"));
    expect_data(BYTES("a\rb"), BYTES("data: a\ndata: b\n\n"));
    expect_data(BYTES("a\r\nb"), BYTES("data: a\ndata: b\n\n"));
    expect_data(BYTES("a\n\rb"), BYTES("data: a\ndata: \ndata: b\n\n"));
    expect_data(BYTES("a\r\r\nb"), BYTES("data: a\ndata: \ndata: b\n\n"));
    expect_data(BYTES("a\n"), BYTES("data: a\ndata: \n\n"));
    expect_data(BYTES("a\r"), BYTES("data: a\ndata: \n\n"));
    expect_data(BYTES("\r\n"), BYTES("data: \ndata: \n\n"));
    expect_data(BYTES("\n\n"), BYTES("data: \ndata: \ndata: \n\n"));
}

TEST(data_that_looks_like_a_field_stays_data)
{
    expect_data(BYTES(" leading space"), BYTES("data:  leading space\n\n"));
    expect_data(BYTES("id: 7\n\nevent: x"), BYTES("data: id: 7\ndata: \ndata: event: x\n\n"));
    expect_data(BYTES(":"), BYTES("data: :\n\n"));
    expect_data(BYTES("a\0b\tc"), BYTES("data: a\0b\tc\n\n"));
    expect_data(BYTES("\xef\xbb\xbfx"), BYTES("data: \xef\xbb\xbfx\n\n"));
}

TEST(a_line_break_is_found_at_every_place_of_long_data)
{
    char data[40];
    char wanted[60];
    for (size_t at = 0; at < sizeof(data); at++) {
        memset(data, '\t', sizeof(data));
        data[at] = at % 2 == 0 ? '\n' : '\r';
        int len = snprintf(wanted, sizeof(wanted), "data: %.*s\ndata: %.*s\n\n", (int)at, data,
                           (int)(sizeof(data) - at - 1), data + at + 1);
        expect_data(bytes_of(data, sizeof(data)), bytes_of(wanted, (size_t)len));
    }
}

TEST(bytes_that_are_not_utf8_become_replacement_characters)
{
    expect_data(BYTES("a\xff"
                      "b"),
                BYTES("data: a\xef\xbf\xbd"
                      "b\n\n"));
    expect_data(BYTES("\xe2\x82\n\xc3"), BYTES("data: \xef\xbf\xbd\ndata: \xef\xbf\xbd\n\n"));
    expect_data(BYTES("\xe2\x82\xac\xe2\x82\xac"), BYTES("data: \xe2\x82\xac\xe2\x82\xac\n\n"));
    expect_data(BYTES("\xed\xa0\x80"), BYTES("data: \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\n\n"));
    expect_comment(BYTES("\x80"), BYTES(": \xef\xbf\xbd\n\n"));
    struct sse_event event = {
        .has_id = true, .has_event = true, .id = BYTES("\xfe"), .event = BYTES("\xf0\x9f")};
    expect_event(event, BYTES("id: \xef\xbf\xbd\nevent: \xef\xbf\xbd\n\n"));
}

TEST(a_name_with_a_line_break_or_nul_is_refused_before_a_byte_is_written)
{
    static const char breaks[] = {'\r', '\n', '\0'};
    for (size_t i = 0; i < sizeof(breaks); i++) {
        char text[3] = {'a', breaks[i], 'b'};
        struct sse_event event = {.has_id = true, .has_data = true, .id = bytes_of(text, 3)};
        struct buf out;
        buf_init(&out, 1000);
        EXPECT_INT(sse_encode_event(&out, &event, true), -EINVAL);
        event = (struct sse_event){.has_event = true, .event = bytes_of(text, 3)};
        EXPECT_INT(sse_encode_event(&out, &event, true), -EINVAL);
        EXPECT(buf_is_empty(&out));
        EXPECT(out._memory == NULL);
    }
}

TEST(a_chunk_holds_exactly_one_text)
{
    struct buf out;
    buf_init(&out, 1000);
    struct sse_event event = {.has_data = true, .data = BYTES("hello world 123")};
    EXPECT_INT(sse_encode_event(&out, &event, true), 0);
    EXPECT_BYTES(buf_bytes(&out), BYTES("17\r\ndata: hello world 123\n\n\r\n"));
    buf_clear(&out);
    EXPECT_INT(sse_encode_comment(&out, BYTES(""), true), 0);
    EXPECT_INT(sse_encode_retry(&out, 1, true), 0);
    EXPECT_BYTES(buf_bytes(&out), BYTES("3\r\n:\n\n\r\na\r\nretry: 1\n\n\r\n"));
    buf_reset(&out);
}

TEST(a_chunk_size_has_as_many_digits_as_it_needs)
{
    static char data[0x10010];
    memset(data, 'x', sizeof(data));
    static const size_t sizes[] = {8, 9, 0xf, 0x10, 0xff, 0x100, 0xfff, 0x1000, 0xffff, 0x10000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buf out;
        char head[CHUNK_SIZE_LEN_MAX + 10];
        buf_init(&out, 1 << 20);
        struct sse_event event = {.has_data = true, .data = bytes_of(data, sizes[i] - 8)};
        EXPECT_INT(sse_encode_event(&out, &event, true), 0);
        int len = snprintf(head, sizeof(head), "%zx\r\ndata: ", sizes[i]);
        EXPECT_INT(buf_len(&out), (size_t)len - 6 + sizes[i] + 2);
        EXPECT(bytes_starts_with(buf_bytes(&out), bytes_of(head, (size_t)len)));
        buf_reset(&out);
    }
}

TEST(a_comment_ends_with_an_empty_line_and_has_none)
{
    expect_comment(BYTES(""), BYTES(":\n\n"));
    expect_comment(BYTES("hi"), BYTES(": hi\n\n"));
    expect_comment(BYTES("a\nb\r\nc\rd"), BYTES(": a\n: b\n: c\n: d\n\n"));
    expect_comment(BYTES("\n"), BYTES(": \n: \n\n"));
    expect_comment(BYTES("a\n\ndata: x"), BYTES(": a\n: \n: data: x\n\n"));
}

static void expect_retry(uint64_t retry_ms, struct bytes wanted)
{
    struct buf out;
    buf_init(&out, 100);
    EXPECT_INT(sse_encode_retry(&out, retry_ms, false), 0);
    EXPECT_BYTES(buf_bytes(&out), wanted);
    buf_reset(&out);
}

TEST(a_retry_field_is_digits_and_an_empty_line)
{
    expect_retry(0, BYTES("retry: 0\n\n"));
    expect_retry(3000, BYTES("retry: 3000\n\n"));
    expect_retry(UINT64_MAX, BYTES("retry: 18446744073709551615\n\n"));
}

static int encode_under(size_t ceiling, struct bytes data, bool chunked, struct bytes wanted)
{
    struct buf out;
    buf_init(&out, ceiling);
    struct sse_event event = {.has_data = true, .data = data};
    int result = sse_encode_event(&out, &event, chunked);
    EXPECT_BYTES(buf_bytes(&out), result == 0 ? wanted : BYTES(""));
    buf_reset(&out);
    return result;
}

TEST(the_ceiling_of_the_buf_is_met_exactly)
{
    struct bytes plain = BYTES("data: abc\n\n");
    EXPECT_INT(encode_under(plain.len, BYTES("abc"), false, plain), 0);
    EXPECT_INT(encode_under(plain.len - 1, BYTES("abc"), false, plain), -EMSGSIZE);
    struct bytes chunk = BYTES("b\r\ndata: abc\n\n\r\n");
    EXPECT_INT(encode_under(chunk.len, BYTES("abc"), true, chunk), 0);
    EXPECT_INT(encode_under(chunk.len - 1, BYTES("abc"), true, chunk), -EMSGSIZE);
    struct bytes mended = BYTES("13\r\ndata: \xef\xbf\xbd\ndata: b\n\n\r\n");
    EXPECT_INT(encode_under(mended.len, BYTES("\xff\r\nb"), true, mended), 0);
    EXPECT_INT(encode_under(mended.len - 1, BYTES("\xff\r\nb"), true, mended), -EMSGSIZE);
}

TEST(a_comment_and_a_retry_beyond_the_ceiling_change_nothing)
{
    struct buf out;
    buf_init(&out, 6);
    EXPECT_INT(sse_encode_comment(&out, BYTES("abcd"), false), -EMSGSIZE);
    EXPECT_INT(sse_encode_retry(&out, 1, false), -EMSGSIZE);
    EXPECT(buf_is_empty(&out));
    EXPECT_INT(sse_encode_comment(&out, BYTES("ab"), false), 0);
    EXPECT_INT(sse_encode_comment(&out, BYTES(""), false), -EMSGSIZE);
    EXPECT_BYTES(buf_bytes(&out), BYTES(": ab\n\n"));
    buf_reset(&out);
}
