// SPDX-License-Identifier: MIT
#include "unit.h"

#include "bench/stream_reader.h"

/// The data of all events, each with a bar behind it, and "END" or "BROKEN".
static void note(struct buf *out, struct bytes text)
{
    EXPECT(buf_append(out, text));
    EXPECT(buf_append(out, BYTES("|")));
}

/// Reads on; false when there is nothing more to read.
static bool read_piece(struct stream_reader *reader, struct bytes input, struct buf *out)
{
    struct bytes data;
    for (;;) {
        switch (stream_reader_next(reader, &input, &data)) {
        case STREAM_EVENT:
            note(out, data);
            break;
        case STREAM_MORE:
            return true;
        case STREAM_END:
            note(out, BYTES("END"));
            return false;
        case STREAM_BROKEN:
            note(out, BYTES("BROKEN"));
            return false;
        }
    }
}

/// What comes of `text` when it is read in pieces of `step` bytes, the first one of `first`.
static void read_cut(struct bytes text, enum stream_framing framing, size_t first, size_t step,
                     struct buf *out)
{
    struct stream_reader reader;
    stream_reader_init(&reader, framing, text.len);
    size_t len = first < text.len ? first : text.len;
    while (read_piece(&reader, bytes_of(text.at, len), out) && text.len > len) {
        text = bytes_skip(text, len);
        len = step < text.len ? step : text.len;
    }
}

/// Cut in two at every byte, and in pieces of every small size, it must come out the same.
static void expect_events(const char *text, enum stream_framing framing, const char *wanted)
{
    struct bytes input = bytes_from_string(text);
    for (size_t cut = 0; cut <= 2 * input.len; cut++) {
        struct buf out;
        size_t first = cut <= input.len ? cut : cut - input.len;
        buf_init(&out, 1 << 16);
        read_cut(input, framing, first, cut <= input.len ? input.len : first, &out);
        EXPECT_BYTES(buf_bytes(&out), bytes_from_string(wanted));
        buf_reset(&out);
    }
}

TEST(the_stream_reader_reads_a_chunk_an_event)
{
    expect_events("f\r\ndata: 0-1-xxx\n\n\r\n"
                  "F\r\ndata: 0-2-xxx\n\n\r\n0\r\n\r\n",
                  STREAM_CHUNKED, "0-1-xxx|0-2-xxx|END|");
}

TEST(the_stream_reader_reads_events_in_many_chunks_and_many_in_one)
{
    expect_events("3\r\ndat\r\n4\r\na: a\r\n1;x=\"y\"\r\n\n\r\n1 \r\n\n\r\n"
                  "00012\r\ndata: b\n\ndata: c\n\n\r\n0\r\nTrailer: 1\r\nAnd: 2\r\n\r\n",
                  STREAM_CHUNKED, "a|b|c|END|");
}

TEST(the_stream_reader_reads_bodies_of_a_length_and_to_the_end)
{
    expect_events("data: a\n\ndata: b\n\n", STREAM_SIZED, "a|b|END|");
    expect_events("data: a\n\ndata: b\n\ndata: unfinished\n", STREAM_TO_END, "a|b|");
}

TEST(the_stream_reader_takes_every_line_end)
{
    expect_events("data: a\r\rdata: b\r\n\r\ndata: c\n\ndata: d\r\n\rdata: e\n\r\n", STREAM_TO_END,
                  "a|b|c|d|e|");
}

TEST(the_stream_reader_reads_fields_as_the_standard_says)
{
    expect_events("\xEF\xBB\xBF"
                  "data:a\n\n:data: no\nid: 1\nevent: data\nretry: 5\n\n"
                  "data\n\ndata:  two\ndata: second line\n\ndatabase: no\n\n\n\ndata: z\nid\n\n",
                  STREAM_TO_END, "a|| two|z|");
}

TEST(the_stream_reader_refuses_broken_chunks)
{
    expect_events("x\r\n", STREAM_CHUNKED, "BROKEN|");
    expect_events("\r\n", STREAM_CHUNKED, "BROKEN|");
    expect_events(";a\r\n", STREAM_CHUNKED, "BROKEN|");
    expect_events("1\n", STREAM_CHUNKED, "BROKEN|");
    expect_events("9\r\ndata: a\n\nx", STREAM_CHUNKED, "a|BROKEN|");
    expect_events("11111111111111111\r\n", STREAM_CHUNKED, "BROKEN|");
}

TEST(the_stream_reader_keeps_the_beginning_of_long_data)
{
    static const char text[] =
        "data: 7-123456-"
        "0123456789012345678901234567890123456789012345678901234567890123\n\n";
    for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
        struct buf out;
        buf_init(&out, 1024);
        read_cut(bytes_of(text, sizeof(text) - 1), STREAM_TO_END, cut, sizeof(text), &out);
        EXPECT(bytes_starts_with(buf_bytes(&out), BYTES("7-123456-01234567890123456789012")));
        buf_reset(&out);
    }
}

TEST(the_stream_reader_leaves_what_is_behind_the_body)
{
    struct stream_reader reader;
    struct bytes input = BYTES("0\r\n\r\nHTTP/1.1");
    struct bytes data;
    stream_reader_init(&reader, STREAM_CHUNKED, 0);
    EXPECT(stream_reader_next(&reader, &input, &data) == STREAM_END);
    EXPECT_BYTES(input, BYTES("HTTP/1.1"));
    stream_reader_init(&reader, STREAM_SIZED, 0);
    EXPECT(stream_reader_next(&reader, &input, &data) == STREAM_END);
}
