// SPDX-License-Identifier: MIT
#include "hub/journal.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    RING_MIN = 8,
    BLOCK_MIN = 512, // a quiet channel costs what it holds
    BLOCK_MAX = 16 * 1024,
};

static struct frame *slot_of(const struct journal *journal, uint64_t sequence);
static void make_room(struct journal *journal);
static struct block *open_block(struct journal *journal, size_t size);
static bool is_over(const struct journal *journal, uint64_t now_ms);
static uint64_t held_bytes(const struct journal *journal);
static void drop_first(struct journal *journal);
static void drop_memory(struct journal *journal);

void journal_init(struct journal *journal, const struct journal_bounds *bounds)
{
    *journal = (struct journal){.bounds = *bounds, .first = 1, .next = 1};
    while (journal->epoch == 0) {
        CHECK(getentropy(&journal->epoch, sizeof(journal->epoch)) == 0);
        journal->epoch >>= 16; // 48 bits: no two lives share one, and ids stay short
    }
}

void journal_deinit(struct journal *journal)
{
    while (!journal_is_empty(journal)) {
        drop_first(journal);
    }
    drop_memory(journal);
}

int journal_append(struct journal *journal, struct sse_event event, struct journal_moment moment,
                   struct buf *scratch)
{
    char id[EVENT_ID_LEN_MAX];
    event.has_id = true;
    event.id = bytes_of(id, event_id_format(journal_id(journal, journal->next), id));
    buf_clear(scratch);
    int refusal = sse_encode_event(scratch, &event, true);
    if (refusal != 0) {
        return refusal == SSE_TOO_LONG ? -EMSGSIZE : refusal;
    }
    struct bytes chunk = buf_bytes(scratch);
    if (chunk.len > journal->bounds.bytes || chunk.len > UINT32_MAX / 2) {
        return -EMSGSIZE;
    }
    make_room(journal);
    struct block *block = open_block(journal, chunk.len);
    const char *line_end = memchr(chunk.at, '\n', chunk.len);
    *slot_of(journal, journal->next) = (struct frame){
        .block = block,
        .at = block->used,
        .size = (uint32_t)chunk.len,
        .head_len = (uint8_t)(line_end + 1 - chunk.at),
        .id_len = (uint8_t)(event.id.len + 5), // "id: " and the line's end
        .stamp = moment.stamp,
        .made_ms = moment.now_ms,
        .position = journal->end,
    };
    memcpy(block->at + block->used, chunk.at, chunk.len);
    block->used += (uint32_t)chunk.len;
    block->last = journal->next++;
    journal->end += chunk.len;
    while (held_bytes(journal) / 2 > journal->bounds.bytes) {
        drop_first(journal); // whoever was not offered it has a lag policy
    }
    return 0;
}

void journal_trim(struct journal *journal, uint64_t now_ms, uint64_t keep_from)
{
    while (!journal_is_empty(journal) && journal->first < keep_from && is_over(journal, now_ms)) {
        drop_first(journal);
    }
    if (journal_is_empty(journal)) {
        drop_memory(journal);
    }
}

uint64_t journal_expiry_ms(const struct journal *journal)
{
    if (journal_is_empty(journal) || journal->bounds.age_ms == UINT64_MAX) {
        return UINT64_MAX;
    }
    return slot_of(journal, journal->first)->made_ms + journal->bounds.age_ms;
}

const struct frame *journal_frame(const struct journal *journal, uint64_t sequence)
{
    DCHECK(sequence >= journal->first && sequence < journal->next);
    return slot_of(journal, sequence);
}

int journal_pieces(const struct journal *journal, uint64_t sequence, struct bytes *pieces,
                   int count_max, uint64_t *until)
{
    int count = 0;
    while (sequence < journal->next && count < count_max) {
        const struct frame *frame = journal_frame(journal, sequence);
        const struct block *block = frame->block;
        pieces[count++] = bytes_of(block->at + frame->at, block->used - frame->at);
        sequence = block->last + 1;
    }
    *until = sequence;
    return count;
}

struct event_id journal_id(const struct journal *journal, uint64_t sequence)
{
    return (struct event_id){.epoch = journal->epoch, .sequence = sequence};
}

uint64_t journal_bytes_from(const struct journal *journal, uint64_t sequence)
{
    sequence = sequence < journal->first ? journal->first : sequence;
    if (sequence >= journal->next) {
        return 0; // that may be the first: an empty journal has no frames to look at
    }
    return journal->end - slot_of(journal, sequence)->position;
}

static struct frame *slot_of(const struct journal *journal, uint64_t sequence)
{
    return &journal->_ring[sequence & (journal->_capacity - 1)];
}

static void make_room(struct journal *journal)
{
    size_t count = journal->next - journal->first;
    if (count < journal->_capacity) {
        return;
    }
    struct journal old = *journal;
    journal->_capacity = old._capacity == 0 ? RING_MIN : old._capacity * 2;
    journal->_ring = mem_alloc(journal->_capacity * sizeof(struct frame));
    for (uint64_t sequence = old.first; sequence < old.next; sequence++) {
        *slot_of(journal, sequence) = *slot_of(&old, sequence);
    }
    mem_free(old._ring);
}

/// The block that takes `size` more bytes. Each new one is larger, up to a bound, so that a busy
/// channel's frames lie together.
static struct block *open_block(struct journal *journal, size_t size)
{
    struct block *open = journal->_open;
    if (open != NULL && open->capacity - open->used >= size) {
        return open;
    }
    size_t capacity = open == NULL ? BLOCK_MIN : (size_t)open->capacity * 2;
    capacity = capacity > BLOCK_MAX ? BLOCK_MAX : capacity;
    capacity = capacity < size ? size : capacity;
    bool is_used = open != NULL && !journal_is_empty(journal) && open->last >= journal->first;
    if (!is_used) {
        block_release(open); // else the last of its frames does that
    }
    journal->_open = block_new((uint32_t)capacity);
    return journal->_open;
}

static bool is_over(const struct journal *journal, uint64_t now_ms)
{
    return journal->next - journal->first > journal->bounds.count ||
           held_bytes(journal) > journal->bounds.bytes || journal_expiry_ms(journal) <= now_ms;
}

static uint64_t held_bytes(const struct journal *journal)
{
    return journal_bytes_from(journal, journal->first);
}

static void drop_first(struct journal *journal)
{
    struct block *block = slot_of(journal, journal->first)->block;
    bool is_last = block->last == journal->first;
    journal->first++;
    if (is_last && block != journal->_open) {
        block_release(block);
    }
}

/// An empty channel holds nothing.
static void drop_memory(struct journal *journal)
{
    block_release(journal->_open);
    journal->_open = NULL;
    mem_free(journal->_ring);
    journal->_ring = NULL;
    journal->_capacity = 0;
}
