// SPDX-License-Identifier: MIT
//
// What a client reads of a server: the head of a response and then its body, and in that the events
// that the load generator finds. Wherever the body is cut, the same events must come out. Input: a
// byte for the framing, a byte for the size of pieces, then the body, which is read as a head as
// well.
#include "fuzz.h"
#include "messages.h"

#include "bench/event_reader.h"
#include "wire/reply_head.h"

/// The part of an event's data that the reader gives however the input was cut.
enum { CERTAIN_BYTES = 32 };

struct readers {
    struct body_reader body;
    struct event_reader events;
};

static void read_in_pieces(struct bytes body, enum body_framing framing, size_t step,
                           struct buf *out);
static bool read_input(struct readers *readers, struct bytes input, struct buf *out);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes input = bytes_of((const char *)at, len);
    enum body_framing framing = (enum body_framing)(fuzz_byte(&input) % (BODY_TO_END + 1));
    size_t step = (size_t)fuzz_byte(&input) + 1;
    struct reply_head head;
    struct buf whole;
    struct buf cut;
    buf_init(&whole, SIZE_MAX);
    buf_init(&cut, SIZE_MAX);
    read_in_pieces(input, framing, input.len + 1, &whole);
    read_in_pieces(input, framing, step, &cut);
    CHECK(bytes_equal(buf_bytes(&whole), buf_bytes(&cut)));
    buf_reset(&whole);
    buf_reset(&cut);
    ssize_t head_len = reply_head_parse(input, &head);
    CHECK(head_len <= (ssize_t)input.len);
    return 0;
}

/// Each piece is a copy of exactly its size, so that a sanitizer sees every overrun.
static void read_in_pieces(struct bytes body, enum body_framing framing, size_t step,
                           struct buf *out)
{
    struct readers readers = {.events = {0}};
    bool goes_on = true;
    body_reader_init(&readers.body, framing, body.len / 2);
    while (goes_on && body.len > 0) {
        size_t len = step < body.len ? step : body.len;
        struct buf piece;
        buf_init(&piece, SIZE_MAX);
        messages_put(&piece, bytes_of(body.at, len));
        goes_on = read_input(&readers, buf_bytes(&piece), out);
        buf_reset(&piece);
        body = bytes_skip(body, len);
    }
}

static bool read_input(struct readers *readers, struct bytes input, struct buf *out)
{
    struct bytes piece;
    struct bytes data;
    for (;;) {
        switch (body_reader_next(&readers->body, &input, &piece)) {
        case BODY_PIECE:
            while (event_reader_next(&readers->events, &piece, &data)) {
                size_t len = data.len < CERTAIN_BYTES ? data.len : CERTAIN_BYTES;
                messages_put(out, bytes_of(data.at, len));
                messages_put(out, BYTES("\n"));
            }
            break;
        case BODY_MORE:
            return true;
        case BODY_END:
            messages_put(out, BYTES("END"));
            return false;
        case BODY_BROKEN:
            messages_put(out, BYTES("BROKEN"));
            return false;
        }
    }
}
