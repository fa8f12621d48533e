// SPDX-License-Identifier: MIT
//
// Calls of the event-stream encoder, drawn from the input, and what two parsers make of their
// bytes: n events with data are n equal events, whatever they hold. Input: for each call one byte
// of flags, then its texts, each ended by 0xFD; a comment is a call with the highest bit.
#include "fuzz.h"
#include "parsers.h"

#include "base/mem.h"
#include "wire/sse.h"
#include "wire/sse_decode.h"

#include <errno.h>

enum {
    HAS_ID = 0x01,
    HAS_EVENT = 0x02,
    HAS_DATA = 0x04,
    HAS_RETRY = 0x08,
    IS_RETRY = 0x40,
    IS_COMMENT = 0x80,
};

/// What was encoded, and what readers should see of it.
struct story {
    struct buf plain, chunked; // the two streams
    struct buf last_id;
    struct dispatches wanted;
};

static void tell_event(struct story *story, uint8_t flags, struct bytes *input);
static void expect_event(struct story *story, const struct sse_event *event);
static void check_ceiling(const struct sse_event *event, size_t len);
static void check_decoder(const struct sse_event *event, struct bytes text);
static void check_text(struct bytes text, bool has_it, struct bytes seen, bool is_seen);
static bool has_break(struct bytes text);
static void normalise(struct buf *out, struct bytes text);
static size_t sequence_len(struct bytes text, size_t at, bool *is_valid);
static void unchunk(struct bytes chunked, struct buf *plain);
static void compare(const struct dispatches *seen, const struct dispatches *wanted);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes input = bytes_of((const char *)at, len);
    struct story story = {.wanted = {.retry_ms = UINT64_MAX}};
    buf_init(&story.plain, SIZE_MAX);
    buf_init(&story.chunked, SIZE_MAX);
    buf_init(&story.last_id, SIZE_MAX);
    while (input.len > 0) {
        uint8_t flags = fuzz_byte(&input);
        if (flags & IS_COMMENT) {
            struct bytes text = fuzz_text(&input, '\xfd');
            CHECK(sse_encode_comment(&story.plain, text, false) == 0);
            CHECK(sse_encode_comment(&story.chunked, text, true) == 0);
        } else if (flags & IS_RETRY) {
            story.wanted.retry_ms = fuzz_byte(&input) * UINT64_C(0x0101010101010101);
            CHECK(sse_encode_retry(&story.plain, story.wanted.retry_ms, false) == 0);
            CHECK(sse_encode_retry(&story.chunked, story.wanted.retry_ms, true) == 0);
        } else {
            tell_event(&story, flags, &input);
        }
    }
    unchunk(buf_bytes(&story.chunked), &story.plain);
    struct dispatches seen = parse_by_lines(buf_bytes(&story.plain));
    compare(&seen, &story.wanted);
    dispatches_free(&seen);
    seen = parse_by_bytes(buf_bytes(&story.plain));
    compare(&seen, &story.wanted);
    dispatches_free(&seen);
    dispatches_free(&story.wanted);
    buf_reset(&story.plain);
    buf_reset(&story.chunked);
    buf_reset(&story.last_id);
    return 0;
}

static void tell_event(struct story *story, uint8_t flags, struct bytes *input)
{
    struct sse_event event = {.has_id = flags & HAS_ID,
                              .has_event = flags & HAS_EVENT,
                              .has_data = flags & HAS_DATA,
                              .has_retry = flags & HAS_RETRY};
    event.id = event.has_id ? fuzz_text(input, '\xfd') : BYTES("");
    event.event = event.has_event ? fuzz_text(input, '\xfd') : BYTES("");
    event.data = event.has_data ? fuzz_text(input, '\xfd') : BYTES("");
    event.retry_ms = event.has_retry ? fuzz_byte(input) : 0;
    bool is_bad_id = event.has_id && has_break(event.id);
    bool is_bad_event = event.has_event && has_break(event.event);
    int wanted = is_bad_id || is_bad_event ? -EINVAL : 0;
    size_t len = buf_len(&story->chunked);
    size_t plain_len = buf_len(&story->plain);
    CHECK(sse_encode_event(&story->plain, &event, false) == wanted);
    CHECK(sse_encode_event(&story->chunked, &event, true) == wanted);
    if (wanted == 0) {
        check_ceiling(&event, buf_len(&story->chunked) - len);
        check_decoder(&event, bytes_skip(buf_bytes(&story->plain), plain_len));
        expect_event(story, &event);
    }
}

static void expect_event(struct story *story, const struct sse_event *event)
{
    if (event->has_id) {
        buf_clear(&story->last_id);
        normalise(&story->last_id, event->id);
    }
    if (event->has_retry) {
        story->wanted.retry_ms = event->retry_ms;
    }
    if (event->has_data) {
        struct dispatch *item = dispatches_add(&story->wanted);
        bool is_named = event->has_event && event->event.len > 0;
        normalise(&item->type, is_named ? event->event : BYTES("message"));
        normalise(&item->data, event->data);
        parsers_put(&item->last_id, buf_bytes(&story->last_id));
    }
}

/// Checks that the event fits with a ceiling of `len` bytes, and that nothing is written with one
/// byte less.
static void check_ceiling(const struct sse_event *event, size_t len)
{
    struct buf out;
    buf_init(&out, len);
    CHECK(sse_encode_event(&out, event, true) == 0);
    CHECK(buf_len(&out) == len);
    buf_reset(&out);
    buf_init(&out, len - 1);
    CHECK(sse_encode_event(&out, event, true) == -EMSGSIZE);
    CHECK(buf_is_empty(&out));
    buf_reset(&out);
}

/// Our own decoder finds what was encoded, and nothing more.
static void check_decoder(const struct sse_event *event, struct bytes text)
{
    struct sse_event seen;
    CHECK(sse_take_event(&text, &seen));
    CHECK(text.len == 0);
    check_text(event->id, event->has_id, seen.id, seen.has_id);
    check_text(event->event, event->has_event, seen.event, seen.has_event);
    CHECK(seen.has_retry == event->has_retry && seen.retry_ms == event->retry_ms);
    char *joined = mem_alloc(seen.data.len + 1);
    struct bytes data = bytes_of(joined, sse_join_lines(seen.data, joined));
    check_text(event->data, event->has_data, data, seen.has_data);
    mem_free(joined);
}

static void check_text(struct bytes text, bool has_it, struct bytes seen, bool is_seen)
{
    struct buf wanted;
    buf_init(&wanted, SIZE_MAX);
    normalise(&wanted, text);
    CHECK(has_it == is_seen);
    CHECK(bytes_equal(buf_bytes(&wanted), seen));
    buf_reset(&wanted);
}

static bool has_break(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '\r' || text.at[i] == '\n' || text.at[i] == '\0') {
            return true;
        }
    }
    return false;
}

/// What a reader gets of `text`: line breaks as LF, and what is not UTF-8 as U+FFFD.
static void normalise(struct buf *out, struct bytes text)
{
    for (size_t at = 0; at < text.len;) {
        if (text.at[at] == '\r') {
            parsers_put(out, BYTES("\n"));
            at += at + 1 < text.len && text.at[at + 1] == '\n' ? 2 : 1;
            continue;
        }
        bool is_valid;
        size_t len = sequence_len(text, at, &is_valid);
        parsers_put(out, is_valid ? bytes_of(text.at + at, len) : BYTES("\xef\xbf\xbd"));
        at += len;
    }
}

/// The decoder of the Encoding standard, section 8.1.1, for one code point.
static size_t sequence_len(struct bytes text, size_t at, bool *is_valid)
{
    unsigned first = (unsigned char)text.at[at];
    unsigned lower = 0x80;
    unsigned upper = 0xbf;
    size_t needed = 0;
    *is_valid = first <= 0x7f;
    if (first >= 0xc2 && first <= 0xdf) {
        needed = 1;
    } else if (first >= 0xe0 && first <= 0xef) {
        needed = 2;
        lower = first == 0xe0 ? 0xa0 : lower;
        upper = first == 0xed ? 0x9f : upper;
    } else if (first >= 0xf0 && first <= 0xf4) {
        needed = 3;
        lower = first == 0xf0 ? 0x90 : lower;
        upper = first == 0xf4 ? 0x8f : upper;
    }
    for (size_t seen = 1; seen <= needed; seen++) {
        unsigned byte = at + seen < text.len ? (unsigned char)text.at[at + seen] : 0;
        if (byte < lower || byte > upper) {
            return seen;
        }
        lower = 0x80;
        upper = 0xbf;
        *is_valid = seen == needed;
    }
    return needed + 1;
}

/// Takes the chunks apart, strictly; their texts in a row are `plain`.
static void unchunk(struct bytes chunked, struct buf *plain)
{
    struct bytes left = buf_bytes(plain);
    while (chunked.len > 0) {
        size_t size = 0;
        CHECK(chunked.at[0] != '0');
        while (chunked.at[0] != '\r') {
            char digit = chunked.at[0];
            bool is_letter = digit >= 'a' && digit <= 'f';
            CHECK(is_letter || (digit >= '0' && digit <= '9'));
            size = size * 16 + (size_t)(digit - (is_letter ? 'a' - 10 : '0'));
            chunked = bytes_skip(chunked, 1);
            CHECK(chunked.len > 0);
        }
        CHECK(bytes_starts_with(chunked, BYTES("\r\n")));
        chunked = bytes_skip(chunked, 2);
        CHECK(size <= left.len);
        CHECK(bytes_starts_with(chunked, bytes_of(left.at, size)));
        CHECK(bytes_starts_with(bytes_skip(chunked, size), BYTES("\r\n")));
        chunked = bytes_skip(chunked, size + 2);
        left = bytes_skip(left, size);
    }
    CHECK(left.len == 0);
}

static void compare(const struct dispatches *seen, const struct dispatches *wanted)
{
    CHECK(seen->count == wanted->count);
    CHECK(seen->retry_ms == wanted->retry_ms);
    for (size_t i = 0; i < seen->count; i++) {
        const struct dispatch *a = &seen->items[i];
        const struct dispatch *b = &wanted->items[i];
        CHECK(bytes_equal(buf_bytes(&a->type), buf_bytes(&b->type)));
        CHECK(bytes_equal(buf_bytes(&a->data), buf_bytes(&b->data)));
        CHECK(bytes_equal(buf_bytes(&a->last_id), buf_bytes(&b->last_id)));
        CHECK(a->retry_ms == b->retry_ms);
    }
}
