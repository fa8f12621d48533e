// SPDX-License-Identifier: MIT
#include "unit.h"

#include "bench/event_reader.h"
#include "wire/body_reader.h"

/// A body reader and, behind it, an event reader.
struct readers {
    struct body_reader body;
    struct event_reader events;
};

/// The data of all events, each with a bar behind it, and "END" or "BROKEN".
static void note(struct buf *out, struct bytes text)
{
    EXPECT(buf_append(out, text));
    EXPECT(buf_append(out, BYTES("|")));
}

/// Reads on; false when there is nothing more to read.
static bool read_input(struct readers *readers, struct bytes input, struct buf *out)
{
    struct bytes piece;
    struct bytes data;
    for (;;) {
        switch (body_reader_next(&readers->body, &input, &piece)) {
        case BODY_PIECE:
            while (event_reader_next(&readers->events, &piece, &data)) {
                note(out, data);
            }
            break;
        case BODY_MORE:
            return true;
        case BODY_END:
            note(out, BYTES("END"));
            return false;
        case BODY_BROKEN:
            note(out, BYTES("BROKEN"));
            return false;
        }
    }
}

/// What comes of `text` when it is read in pieces of `step` bytes, the first one of `first`.
static void read_cut(struct bytes text, enum body_framing framing, size_t first, size_t step,
                     struct buf *out)
{
    struct readers readers = {.events = {0}};
    body_reader_init(&readers.body, framing, text.len);
    size_t len = first < text.len ? first : text.len;
    while (read_input(&readers, bytes_of(text.at, len), out) && text.len > len) {
        text = bytes_skip(text, len);
        len = step < text.len ? step : text.len;
    }
}

/// Expects the same result for every cut in two, and for pieces of every small size.
static void expect_events(const char *text, enum body_framing framing, const char *wanted)
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

TEST(the_event_reader_reads_a_chunk_an_event)
{
    expect_events("f\r\ndata: 0-1-xxx\n\n\r\n"
                  "F\r\ndata: 0-2-xxx\n\n\r\n0\r\n\r\n",
                  BODY_CHUNKED, "0-1-xxx|0-2-xxx|END|");
}

TEST(the_event_reader_reads_events_in_many_chunks_and_many_in_one)
{
    expect_events("3\r\ndat\r\n4\r\na: a\r\n1;x=\"y\"\r\n\n\r\n1 \r\n\n\r\n"
                  "00012\r\ndata: b\n\ndata: c\n\n\r\n0\r\nTrailer: 1\r\nAnd: 2\r\n\r\n",
                  BODY_CHUNKED, "a|b|c|END|");
}

TEST(the_body_reader_reads_bodies_of_a_length_and_to_the_end)
{
    expect_events("data: a\n\ndata: b\n\n", BODY_SIZED, "a|b|END|");
    expect_events("data: a\n\ndata: b\n\ndata: unfinished\n", BODY_TO_END, "a|b|");
}

TEST(the_event_reader_takes_every_line_end)
{
    expect_events("data: a\r\rdata: b\r\n\r\ndata: c\n\ndata: d\r\n\rdata: e\n\r\n", BODY_TO_END,
                  "a|b|c|d|e|");
}

TEST(the_event_reader_reads_fields_as_the_standard_says)
{
    expect_events("\xEF\xBB\xBF"
                  "data:a\n\n:data: no\nid: 1\nevent: data\nretry: 5\n\n"
                  "data\n\ndata:  two\ndata: second line\n\ndatabase: no\n\n\n\ndata: z\nid\n\n",
                  BODY_TO_END, "a|| two|z|");
}

TEST(the_body_reader_refuses_broken_chunks)
{
    expect_events("x\r\n", BODY_CHUNKED, "BROKEN|");
    expect_events("\r\n", BODY_CHUNKED, "BROKEN|");
    expect_events(";a\r\n", BODY_CHUNKED, "BROKEN|");
    expect_events("1\n", BODY_CHUNKED, "BROKEN|");
    expect_events("9\r\ndata: a\n\nx", BODY_CHUNKED, "a|BROKEN|");
    expect_events("11111111111111111\r\n", BODY_CHUNKED, "BROKEN|");
}

TEST(the_event_reader_keeps_the_beginning_of_long_data)
{
    static const char text[] =
        "data: 7-123456-"
        "0123456789012345678901234567890123456789012345678901234567890123\n\n";
    for (size_t cut = 1; cut < sizeof(text) - 1; cut++) {
        struct buf out;
        buf_init(&out, 1024);
        read_cut(bytes_of(text, sizeof(text) - 1), BODY_TO_END, cut, sizeof(text), &out);
        EXPECT(bytes_starts_with(buf_bytes(&out), BYTES("7-123456-01234567890123456789012")));
        buf_reset(&out);
    }
}

TEST(the_body_reader_leaves_what_is_behind_the_body)
{
    struct body_reader reader;
    struct bytes input = BYTES("0\r\n\r\nHTTP/1.1");
    struct bytes piece;
    body_reader_init(&reader, BODY_CHUNKED, 0);
    EXPECT(body_reader_next(&reader, &input, &piece) == BODY_END);
    EXPECT_BYTES(input, BYTES("HTTP/1.1"));
    body_reader_init(&reader, BODY_SIZED, 0);
    EXPECT(body_reader_next(&reader, &input, &piece) == BODY_END);
    EXPECT_BYTES(input, BYTES("HTTP/1.1"));
}

TEST(the_body_reader_tells_runs_of_data_where_they_stand)
{
    struct body_reader reader;
    struct bytes input = BYTES("2\r\nab\r\n3\r\ncd");
    const char *begin = input.at;
    struct bytes piece;
    body_reader_init(&reader, BODY_CHUNKED, 0);
    EXPECT(body_reader_next(&reader, &input, &piece) == BODY_PIECE);
    EXPECT(piece.at == begin + 3 && piece.len == 2);
    EXPECT(body_reader_next(&reader, &input, &piece) == BODY_PIECE);
    EXPECT(piece.at == begin + 10 && piece.len == 2);
    EXPECT(body_reader_next(&reader, &input, &piece) == BODY_MORE);
    input = BYTES("e\r\n0\r\n\r\n");
    EXPECT(body_reader_next(&reader, &input, &piece) == BODY_PIECE);
    EXPECT_BYTES(piece, BYTES("e"));
    EXPECT(body_reader_next(&reader, &input, &piece) == BODY_END);
}

TEST(the_event_reader_reads_on_where_a_piece_ended_with_a_cr)
{
    struct event_reader reader = {0};
    struct bytes piece = BYTES("data: a\r\r");
    struct bytes data;
    EXPECT(event_reader_next(&reader, &piece, &data));
    EXPECT_BYTES(data, BYTES("a"));
    EXPECT(!event_reader_next(&reader, &piece, &data));
    piece = BYTES("\ndata: b\n\n");
    EXPECT(event_reader_next(&reader, &piece, &data));
    EXPECT_BYTES(data, BYTES("b"));
}
