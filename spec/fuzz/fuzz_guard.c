// SPDX-License-Identifier: MIT
// The guards of message heads and chunked bodies. The verdict is the same however the input is cut,
// and where no limit is met it is that of a slower reader of the same grammar. Input: three bytes
// of limits, a byte for the size of pieces, then the head or, behind an odd fourth byte, the
// chunks.
#include "fuzz.h"
#include "messages.h"

#include "base/mem.h"
#include "wire/guard.h"

/// The verdict of a guard.
struct verdict {
    enum guard_result result;
    size_t taken;
    const char *why;
    struct buf bytes; // the head as the guard left it, or the data of the chunks
};

static struct verdict judge_head(struct bytes head, const struct head_limits *limits, size_t step);
static struct verdict judge_chunks(struct bytes text, const struct head_limits *limits,
                                   size_t step);
static struct verdict judge(struct bytes text, const struct head_limits *limits, size_t step,
                            bool is_chunked);
static void check_same(struct bytes text, const struct head_limits *limits, size_t step,
                       bool is_chunked);
static void check_with_room(struct bytes text, bool is_chunked);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct bytes input = bytes_of((const char *)at, len);
    struct head_limits limits;
    limits.bytes = fuzz_byte(&input);
    limits.fields = fuzz_byte(&input);
    limits.target_bytes = fuzz_byte(&input);
    uint8_t choice = fuzz_byte(&input);
    check_same(input, &limits, 1 + choice / 2, choice % 2 == 1);
    check_with_room(input, choice % 2 == 1);
    return 0;
}

static struct verdict judge_head(struct bytes head, const struct head_limits *limits, size_t step)
{
    struct verdict verdict = {.result = GUARD_MORE};
    struct head_guard guard;
    char *copy = mem_alloc(head.len + 1);
    head_guard_init(&guard);
    if (head.len > 0) {
        memcpy(copy, head.at, head.len);
    }
    while (verdict.taken < head.len && verdict.result == GUARD_MORE) {
        size_t left = head.len - verdict.taken;
        size_t taken;
        verdict.result = head_guard_take(&guard, copy + verdict.taken, step < left ? step : left,
                                         limits, &taken);
        verdict.taken += taken;
    }
    verdict.why = guard.why;
    buf_init(&verdict.bytes, SIZE_MAX);
    messages_put(&verdict.bytes, bytes_of(copy, head.len));
    mem_free(copy);
    return verdict;
}

static struct verdict judge_chunks(struct bytes text, const struct head_limits *limits, size_t step)
{
    struct verdict verdict = {.result = GUARD_MORE};
    struct chunk_guard guard;
    chunk_guard_init(&guard);
    buf_init(&verdict.bytes, SIZE_MAX);
    size_t piece_end = 0;
    while (verdict.taken < text.len && verdict.result == GUARD_MORE) {
        if (piece_end == verdict.taken) {
            piece_end = text.len - piece_end < step ? text.len : piece_end + step;
        }
        struct bytes piece = bytes_of(text.at + verdict.taken, piece_end - verdict.taken);
        struct chunk_part part;
        verdict.result = chunk_guard_take(&guard, piece, limits, &part);
        CHECK(part.taken > 0 || verdict.result != GUARD_MORE);
        CHECK(part.data.len <= part.taken);
        verdict.taken += part.taken;
        messages_put(&verdict.bytes, part.data);
    }
    verdict.why = guard.why;
    return verdict;
}

static struct verdict judge(struct bytes text, const struct head_limits *limits, size_t step,
                            bool is_chunked)
{
    return is_chunked ? judge_chunks(text, limits, step) : judge_head(text, limits, step);
}

/// Feeds the input at once, byte by byte and in steps; the verdict must be the same.
static void check_same(struct bytes text, const struct head_limits *limits, size_t step,
                       bool is_chunked)
{
    struct verdict whole = judge(text, limits, text.len, is_chunked);
    const size_t steps[] = {1, step};
    CHECK((whole.result == GUARD_BAD) == (whole.why != NULL));
    for (size_t i = 0; i < 2; i++) {
        struct verdict pieces = judge(text, limits, steps[i], is_chunked);
        CHECK(pieces.result == whole.result);
        CHECK(pieces.taken == whole.taken);
        CHECK(pieces.why == whole.why);
        CHECK(bytes_equal(buf_bytes(&pieces.bytes), buf_bytes(&whole.bytes)));
        buf_reset(&pieces.bytes);
    }
    buf_reset(&whole.bytes);
}

static void check_with_room(struct bytes text, bool is_chunked)
{
    const struct head_limits limits = {
        .bytes = SIZE_MAX / 2, .fields = SIZE_MAX, .target_bytes = SIZE_MAX};
    struct verdict verdict = judge(text, &limits, text.len, is_chunked);
    struct buf wanted;
    buf_init(&wanted, SIZE_MAX);
    size_t len = is_chunked ? messages_chunks_len(text, &wanted) : messages_head_len(text);
    CHECK((verdict.result == GUARD_DONE) == (len > 0));
    CHECK(len == 0 || verdict.taken == len);
    if (len > 0 && is_chunked) {
        CHECK(bytes_equal(buf_bytes(&verdict.bytes), buf_bytes(&wanted)));
    }
    buf_reset(&wanted);
    buf_reset(&verdict.bytes);
}
