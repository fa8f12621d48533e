// SPDX-License-Identifier: MIT
#include "unit.h"

#include "base/mem.h"
#include "hub/journal.h"
#include "wire/sse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct bench {
    struct journal journal;
    struct buf scratch;
    uint64_t stamp;
    uint64_t now_ms;
};

static void open_with(struct bench *bench, uint64_t count, uint64_t bytes, uint64_t ttl_ms)
{
    struct journal_bounds bounds = {count, bytes, ttl_ms};
    *bench = (struct bench){.now_ms = 1000};
    journal_init(&bench->journal, &bounds);
    buf_init(&bench->scratch, UINT32_MAX / 2);
}

static void close_down(struct bench *bench)
{
    journal_deinit(&bench->journal);
    buf_reset(&bench->scratch);
}

static int append(struct bench *bench, struct bytes data)
{
    struct sse_event event = {.has_data = true, .data = data};
    struct journal_moment moment = {.stamp = ++bench->stamp, .now_ms = bench->now_ms};
    buf_clear(&bench->scratch);
    EXPECT_INT(sse_encode_event(&bench->scratch, &event, false), 0);
    return journal_append(&bench->journal, buf_bytes(&bench->scratch), moment);
}

/// Appends an event whose data is `size` times a letter that its number decides.
static void append_sized(struct bench *bench, size_t size)
{
    char *data = mem_alloc(size + 1);
    memset(data, 'a' + (int)(bench->journal.next % 26), size);
    EXPECT_INT(append(bench, bytes_of(data, size)), 0);
    mem_free(data);
}

static void append_many(struct bench *bench, int count)
{
    for (int i = 0; i < count; i++) {
        EXPECT_INT(append(bench, BYTES("x")), 0);
    }
}

static void trim(struct bench *bench)
{
    journal_trim(&bench->journal, bench->now_ms, bench->journal.next);
}

/// All pieces from `sequence` on, one behind the other, taken `count_max` at a time.
static void collect(const struct journal *journal, uint64_t sequence, int count_max,
                    struct buf *out)
{
    struct bytes pieces[16];
    while (sequence < journal->next) {
        uint64_t until;
        int count = journal_pieces(journal, sequence, pieces, count_max, &until);
        EXPECT(count > 0 && count <= count_max);
        EXPECT(until > sequence && until <= journal->next);
        for (int i = 0; i < count; i++) {
            EXPECT(buf_append(out, pieces[i]));
        }
        sequence = until;
    }
}

/// The pieces from each frame on are the frames' chunks, whatever the number of pieces at a time.
static void expect_pieces_to_be_frames(const struct journal *journal)
{
    for (uint64_t from = journal->first; from < journal->next; from++) {
        struct buf wanted;
        struct buf seen;
        buf_init(&wanted, SIZE_MAX);
        buf_init(&seen, SIZE_MAX);
        for (uint64_t sequence = from; sequence < journal->next; sequence++) {
            EXPECT(buf_append(&wanted, frame_chunk(journal_frame(journal, sequence))));
        }
        collect(journal, from, 1 + (int)(from % 5), &seen);
        EXPECT_BYTES(buf_bytes(&seen), buf_bytes(&wanted));
        EXPECT_INT(journal_bytes_from(journal, from), buf_len(&wanted));
        buf_reset(&wanted);
        buf_reset(&seen);
    }
}

TEST(a_journal_begins_empty_before_its_first_event)
{
    struct bench bench;
    struct bytes piece;
    uint64_t until;
    open_with(&bench, 10, 1000, UINT64_MAX);
    EXPECT(journal_is_empty(&bench.journal));
    EXPECT(bench.journal.epoch > 0 && bench.journal.epoch >> 48 == 0);
    EXPECT_INT(bench.journal.next, 1);
    EXPECT_INT(journal_pieces(&bench.journal, 1, &piece, 1, &until), 0);
    EXPECT_INT(until, 1);
    EXPECT_INT(journal_bytes_from(&bench.journal, 0), 0);
    EXPECT_INT(journal_bytes_from(&bench.journal, 1), 0);
    EXPECT_INT(journal_bytes_from(&bench.journal, UINT64_MAX), 0);
    EXPECT(journal_expiry_ms(&bench.journal) == UINT64_MAX);
    trim(&bench);
    close_down(&bench);
}

TEST(journals_have_epochs_of_their_own)
{
    struct bench one;
    struct bench two;
    open_with(&one, 1, 100, 1);
    open_with(&two, 1, 100, 1);
    EXPECT(one.journal.epoch != two.journal.epoch);
    close_down(&one);
    close_down(&two);
}

TEST(a_frame_is_a_chunk_a_text_and_its_fields)
{
    struct bench bench;
    char wanted[128];
    char id[EVENT_ID_LEN_MAX];
    open_with(&bench, 10, 1000, UINT64_MAX);
    struct journal_moment moment = {.stamp = 77, .now_ms = 5};
    struct bytes fields = BYTES("event: said\ndata: hello\n\n");
    EXPECT_INT(journal_append(&bench.journal, fields, moment), 0);
    int id_len = (int)event_id_format(journal_id(&bench.journal, 1), id);
    const struct frame *frame = journal_frame(&bench.journal, 1);
    int text_len =
        snprintf(wanted, sizeof(wanted), "id: %.*s\nevent: said\ndata: hello\n\n", id_len, id);
    EXPECT_BYTES(frame_text(frame), bytes_of(wanted, (size_t)text_len));
    EXPECT_BYTES(frame_fields(frame, false), BYTES("event: said\ndata: hello\n\n"));
    EXPECT_BYTES(frame_fields(frame, true), BYTES("event: said\ndata: hello\n\n\r\n"));
    int len = snprintf(wanted, sizeof(wanted), "%x\r\nid: %.*s\nevent: said\ndata: hello\n\n\r\n",
                       (unsigned)text_len, id_len, id);
    EXPECT_BYTES(frame_chunk(frame), bytes_of(wanted, (size_t)len));
    EXPECT_INT(frame->stamp, 77);
    EXPECT_INT(frame->made_ms, 5);
    close_down(&bench);
}

TEST(an_id_may_grow_by_a_digit_and_frames_still_end_where_they_should)
{
    struct bench bench;
    open_with(&bench, 2000, 1000000, UINT64_MAX);
    append_many(&bench, 1001);
    for (uint64_t sequence = 1; sequence <= 1001; sequence++) {
        char wanted[64];
        char id[EVENT_ID_LEN_MAX];
        size_t id_len = event_id_format(journal_id(&bench.journal, sequence), id);
        int len = snprintf(wanted, sizeof(wanted), "id: %.*s\ndata: x\n\n", (int)id_len, id);
        const struct frame *frame = journal_frame(&bench.journal, sequence);
        EXPECT_BYTES(frame_text(frame), bytes_of(wanted, (size_t)len));
        EXPECT_BYTES(frame_fields(frame, false), BYTES("data: x\n\n"));
        EXPECT_INT(frame->stamp, sequence);
    }
    close_down(&bench);
}

TEST(an_event_that_is_too_large_changes_nothing)
{
    struct bench bench;
    char large[200];
    memset(large, 'x', sizeof(large));
    open_with(&bench, 10, 200, UINT64_MAX);
    append_many(&bench, 1);
    EXPECT_INT(append(&bench, bytes_of(large, sizeof(large))), -EMSGSIZE);
    EXPECT_INT(bench.journal.next, 2);
    uint64_t end = bench.journal.end;
    EXPECT_INT(append(&bench, bytes_of(large, 150)), 0);
    EXPECT(bench.journal.end > end);
    bench.journal.bounds.bytes = 0;
    EXPECT_INT(append(&bench, BYTES("")), -EMSGSIZE);
    close_down(&bench);
}

TEST(a_journal_is_bounded_by_count)
{
    static const uint64_t counts[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 100};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct bench bench;
        open_with(&bench, counts[i], 1000000, UINT64_MAX);
        for (int round = 1; round <= 50; round++) {
            append_many(&bench, round % 7);
            trim(&bench);
            EXPECT(bench.journal.next - bench.journal.first <= counts[i]);
        }
        EXPECT_INT(bench.journal.next - bench.journal.first, counts[i]);
        expect_pieces_to_be_frames(&bench.journal);
        close_down(&bench);
    }
}

TEST(a_journal_is_bounded_by_bytes_and_holds_whole_events)
{
    struct bench bench;
    open_with(&bench, UINT64_MAX, 1000, UINT64_MAX);
    for (int i = 0; i < 200; i++) {
        append_sized(&bench, (size_t)(i * 37 % 300));
        trim(&bench);
        uint64_t held = journal_bytes_from(&bench.journal, bench.journal.first);
        EXPECT(held > 0 && held <= 1000);
        expect_pieces_to_be_frames(&bench.journal);
    }
    close_down(&bench);
}

TEST(a_journal_is_bounded_by_age)
{
    struct bench bench;
    open_with(&bench, 100, 10000, 50);
    for (int i = 0; i < 10; i++) {
        append_many(&bench, 1);
        bench.now_ms += 10;
    }
    EXPECT_INT(journal_expiry_ms(&bench.journal), 1050);
    trim(&bench); // made at 1000, 1010 ... 1090; now it is 1100
    EXPECT_INT(bench.journal.first, 7);
    EXPECT_INT(journal_expiry_ms(&bench.journal), 1110);
    bench.now_ms = 1109;
    trim(&bench);
    EXPECT_INT(bench.journal.first, 7);
    bench.now_ms = 1110;
    trim(&bench);
    EXPECT_INT(bench.journal.first, 8);
    bench.journal.bounds.ttl_ms = UINT64_MAX;
    bench.now_ms = UINT64_MAX - 1;
    trim(&bench);
    EXPECT_INT(bench.journal.first, 8);
    EXPECT(journal_expiry_ms(&bench.journal) == UINT64_MAX);
    close_down(&bench);
}

TEST(what_is_protected_stays_over_the_bounds_until_it_is_not)
{
    struct bench bench;
    open_with(&bench, 3, 100000, 10);
    append_many(&bench, 20);
    bench.now_ms += 100;
    journal_trim(&bench.journal, bench.now_ms, 5);
    EXPECT_INT(bench.journal.first, 5);
    journal_trim(&bench.journal, bench.now_ms, 1);
    EXPECT_INT(bench.journal.first, 5);
    bench.journal.bounds.ttl_ms = UINT64_MAX;
    journal_trim(&bench.journal, bench.now_ms, 19);
    EXPECT_INT(bench.journal.first, 18);
    expect_pieces_to_be_frames(&bench.journal);
    close_down(&bench);
}

TEST(protected_or_not_a_journal_never_holds_twice_its_bytes)
{
    struct bench bench;
    open_with(&bench, UINT64_MAX, 1000, UINT64_MAX);
    for (int i = 0; i < 500; i++) {
        append_sized(&bench, (size_t)(i * 53 % 900));
        EXPECT(journal_bytes_from(&bench.journal, bench.journal.first) <= 2001);
        journal_trim(&bench.journal, bench.now_ms, 1);
    }
    expect_pieces_to_be_frames(&bench.journal);
    close_down(&bench);
}

TEST(a_journal_that_was_emptied_goes_on_counting)
{
    struct bench bench;
    open_with(&bench, 0, 10000, UINT64_MAX);
    uint64_t epoch = bench.journal.epoch;
    for (int round = 1; round <= 20; round++) {
        append_many(&bench, 5);
        EXPECT_INT(bench.journal.next, 5 * round + 1);
        expect_pieces_to_be_frames(&bench.journal);
        trim(&bench);
        EXPECT(journal_is_empty(&bench.journal));
        EXPECT_INT(bench.journal.first, 5 * round + 1);
        EXPECT_INT(journal_bytes_from(&bench.journal, bench.journal.first), 0);
        EXPECT_INT(journal_bytes_from(&bench.journal, 1), 0); // a reader that lags behind nothing
        EXPECT(bench.journal._ring == NULL && bench.journal._open == NULL);
    }
    EXPECT(bench.journal.epoch == epoch);
    EXPECT_INT(journal_id(&bench.journal, 3).sequence, 3);
    close_down(&bench);
}

TEST(a_journal_that_begins_another_life_leaves_a_number_out)
{
    struct bench bench;
    struct journal copy;
    open_with(&bench, 10, 1000000, UINT64_MAX);
    journal_init_copy(&copy, &bench.journal);
    append_many(&bench, 3);
    EXPECT(!journal_follow(&copy, &bench.journal, 2));
    for (uint64_t life = 1; life <= 2; life++) { // the second time without a frame
        uint64_t epoch = bench.journal.epoch;
        journal_reset(&bench.journal);
        EXPECT(bench.journal.epoch != epoch);
        EXPECT(journal_is_empty(&bench.journal));
        EXPECT_INT(bench.journal.memory, 0);
        EXPECT_INT(bench.journal.next, 4 + life);
        EXPECT_INT(bench.journal.begun, 4 + life);
        EXPECT_INT(journal_bytes_from(&bench.journal, 1), 0);
    }
    append_many(&bench, 1);
    EXPECT(journal_follow(&copy, &bench.journal, UINT64_MAX));
    EXPECT_INT(copy.epoch, bench.journal.epoch);
    EXPECT_INT(copy.begun, 6);
    EXPECT_INT(copy.first, 6);
    EXPECT_INT(copy.next, 7);
    journal_deinit(&copy);
    close_down(&bench);
}

TEST(the_bytes_from_a_place_that_has_left_are_those_that_are_here)
{
    struct bench bench;
    open_with(&bench, 3, 10000, UINT64_MAX);
    append_many(&bench, 10);
    trim(&bench);
    uint64_t all = journal_bytes_from(&bench.journal, bench.journal.first);
    EXPECT_INT(journal_bytes_from(&bench.journal, 0), all);
    EXPECT_INT(journal_bytes_from(&bench.journal, 1), all);
    EXPECT_INT(journal_bytes_from(&bench.journal, bench.journal.next), 0);
    EXPECT_INT(journal_bytes_from(&bench.journal, bench.journal.next + 5), 0);
    close_down(&bench);
}

TEST(a_run_of_small_frames_is_few_pieces_of_memory)
{
    struct bench bench;
    struct bytes pieces[16];
    uint64_t until;
    open_with(&bench, 100000, 10000000, UINT64_MAX);
    append_many(&bench, 5000); // 5000 * some 35 bytes
    int count = journal_pieces(&bench.journal, 1, pieces, 16, &until);
    EXPECT_INT(until, 5001);
    EXPECT(count >= 2 && count <= 16);
    count = journal_pieces(&bench.journal, 1, pieces, 1, &until);
    EXPECT_INT(count, 1);
    EXPECT(until > 2 && until < 5001);
    uint64_t second = until;
    count = journal_pieces(&bench.journal, second, pieces, 16, &until);
    EXPECT(count >= 1);
    EXPECT(pieces[0].at == frame_chunk(journal_frame(&bench.journal, second)).at);
    close_down(&bench);
}

TEST(frames_larger_than_a_block_have_one_of_their_own)
{
    struct bench bench;
    open_with(&bench, 1000, 10000000, UINT64_MAX);
    static const size_t sizes[] = {1, 100000, 1, 16 * 1024, 16 * 1024 - 40, 5, 300000, 2, 3, 600};
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            append_sized(&bench, sizes[i]);
        }
    }
    expect_pieces_to_be_frames(&bench.journal);
    bench.journal.bounds.count = 4;
    trim(&bench);
    expect_pieces_to_be_frames(&bench.journal);
    close_down(&bench);
}

TEST(a_part_of_the_journal_is_copied_as_text)
{
    struct bench bench;
    struct buf out;
    open_with(&bench, 100, 1 << 20, UINT64_MAX);
    buf_init(&out, 1 << 20);
    EXPECT_INT(journal_copy_text(&bench.journal, 1, 10, 1000, &out), 1);
    EXPECT_INT(buf_len(&out), 0);
    append_many(&bench, 50);
    size_t len = frame_text(journal_frame(&bench.journal, 1)).len;
    EXPECT_INT(journal_copy_text(&bench.journal, 1, 3, 1000, &out), 4);
    EXPECT_INT(buf_len(&out), 3 * len);
    EXPECT(bytes_starts_with(buf_bytes(&out), frame_text(journal_frame(&bench.journal, 1))));
    EXPECT_INT(journal_copy_text(&bench.journal, 4, 10, 2 * len, &out), 6); // behind the first
    EXPECT_INT(buf_len(&out), 5 * len);
    EXPECT_INT(journal_copy_text(&bench.journal, 6, 10, 0, &out), 7); // one in any case
    buf_clear(&out);
    EXPECT_INT(journal_copy_text(&bench.journal, 49, 10, 1000, &out), 51);
    EXPECT_INT(journal_copy_text(&bench.journal, 51, 10, 1000, &out), 51);
    buf_reset(&out);
    buf_init(&out, len);
    EXPECT_INT(journal_copy_text(&bench.journal, 1, 10, 1000, &out), 2);
    EXPECT_INT(journal_copy_text(&bench.journal, 2, 10, 1000, &out), 2); // there is no memory
    buf_reset(&out);
    close_down(&bench);
}

TEST(a_block_that_somebody_holds_outlives_its_frames_and_the_journal)
{
    struct bench bench;
    open_with(&bench, 1, 100000, UINT64_MAX);
    append_sized(&bench, 1000);
    struct block *block = journal_frame(&bench.journal, 1)->block;
    struct bytes text = frame_text(journal_frame(&bench.journal, 1));
    char *copy = mem_alloc(text.len);
    memcpy(copy, text.at, text.len);
    block_hold(block);
    for (int i = 0; i < 50; i++) {
        append_sized(&bench, 3000);
        trim(&bench);
    }
    close_down(&bench);
    EXPECT_BYTES(text, bytes_of(copy, text.len));
    block_release(block);
    block_release(NULL);
    mem_free(copy);
}

/// Compares the journal with a plain list through some thousand random steps.
TEST(a_journal_is_what_a_plain_list_would_be)
{
    enum { STEPS = 4000 };
    struct bench bench;
    static uint64_t sizes[STEPS + 1];
    uint64_t first = 1;
    uint64_t next = 1;
    srandom(1);
    open_with(&bench, 40, 8000, UINT64_MAX);
    for (int step = 0; step < STEPS; step++) {
        if (random() % 4 != 0) {
            append_sized(&bench, (size_t)(random() % 600));
            sizes[next] = frame_chunk(journal_frame(&bench.journal, next)).len;
            next++;
            continue;
        }
        uint64_t keep_from = first + (uint64_t)random() % (next - first + 1);
        uint64_t held = 0;
        for (uint64_t i = bench.journal.first; i < next; i++) {
            held += sizes[i];
        }
        first = bench.journal.first; // appending may have let go what is over twice the bytes
        while (first < keep_from && (next - first > 40 || held > 8000)) {
            held -= sizes[first++];
        }
        journal_trim(&bench.journal, bench.now_ms, keep_from);
        EXPECT_INT(bench.journal.first, first);
        EXPECT_INT(bench.journal.next, next);
        EXPECT_INT(journal_bytes_from(&bench.journal, first), held);
        if (step % 50 == 0) {
            expect_pieces_to_be_frames(&bench.journal);
        }
    }
    close_down(&bench);
}

/// Every frame has the event and the id that its number promises.
static void expect_numbered_frames(const struct journal *journal)
{
    for (uint64_t sequence = journal->first; sequence < journal->next; sequence++) {
        char id[EVENT_ID_LEN_MAX];
        struct bytes text = frame_text(journal_frame(journal, sequence));
        size_t id_len = event_id_format(journal_id(journal, sequence), id);
        EXPECT_BYTES(bytes_of(text.at + sizeof("id: ") - 1, id_len), bytes_of(id, id_len));
        EXPECT_BYTES(frame_fields(journal_frame(journal, sequence), false), BYTES("data: x\n\n"));
    }
}

TEST(a_journal_without_memory_refuses_an_event_and_keeps_its_frames)
{
    struct bench bench;
    struct journal copy;
    open_with(&bench, UINT64_MAX, UINT64_MAX, UINT64_MAX);
    append_many(&bench, 1);
    if (!unit_limit_memory((size_t)1024 * 1024)) {
        close_down(&bench);
        return;
    }
    int result = 0;
    uint64_t next = bench.journal.next;
    for (; result == 0; next++) {
        EXPECT_INT(bench.journal.next, next);
        result = append(&bench, BYTES("x"));
    }
    EXPECT_INT(result, -ENOMEM);
    EXPECT_INT(append(&bench, BYTES("x")), -ENOMEM);
    EXPECT_INT(bench.journal.next, next - 1);
    journal_init_copy(&copy, &bench.journal);
    EXPECT(journal_follow(&copy, &bench.journal, UINT64_MAX));
    EXPECT_INT(copy.next, bench.journal.next);
    EXPECT(copy.first > bench.journal.first); // there was memory for fewer frames than that
    EXPECT_INT(copy.next - copy.first, copy._capacity);
    unit_free_memory();
    EXPECT_INT(append(&bench, BYTES("x")), 0);
    EXPECT(journal_follow(&copy, &bench.journal, UINT64_MAX));
    EXPECT_INT(copy.next, next);
    expect_numbered_frames(&copy);
    expect_numbered_frames(&bench.journal);
    journal_deinit(&copy);
    close_down(&bench);
}
