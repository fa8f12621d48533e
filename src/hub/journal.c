// SPDX-License-Identifier: MIT
//
// Two things move through a journal: slots of the ring, and bytes of blocks. A slot says where the
// frame of one number is; the number's low bits are its place in the ring, so no frame is searched
// for. The bytes of consecutive frames stand one after the other in blocks, so all that a
// subscriber has yet to take is one piece of memory, or one a block. Frames leave at the old end
// only. A block goes back with its last frame; the journal holds each block once, whatever the
// number of frames.
#include "hub/journal.h"

#include "base/environment.h"
#include "base/mem.h"
#include "wire/chunk.h"
#include "wire/sse.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

enum {
    RING_MIN = 8,
    BLOCK_MIN = 512, // small, so that a quiet channel takes little memory
    BLOCK_MAX = 16 * 1024,
    ID_LINE_MAX = EVENT_ID_LEN_MAX + 5, // "id: " before the id, LF behind it
};

static_assert((RING_MIN & (RING_MIN - 1)) == 0, "a number's low bits are its place in the ring");
static_assert(ID_LINE_MAX <= UINT8_MAX && CHUNK_SIZE_LEN_MAX <= UINT8_MAX,
              "a frame keeps both lengths in a byte each");
static_assert(BLOCK_MIN <= BLOCK_MAX, "blocks grow");

static uint64_t make_epoch(void);
static struct frame *slot_of(const struct journal *journal, uint64_t sequence);
static uint64_t last_of_block(const struct journal *journal, uint64_t sequence);
static void make_head(struct frame *frame, char *out, struct event_id id, size_t fields_len);
static int make_room(struct journal *journal);
static int open_block(struct journal *journal, size_t size);
static bool is_over_bounds(const struct journal *journal, uint64_t now_ms);
static uint64_t held_bytes(const struct journal *journal);
static void drop_over_twice_bytes(struct journal *journal, uint64_t until);
static void drop_first(struct journal *journal);
static void give_back(struct journal *journal, struct block *block);
static void drop_memory(struct journal *journal);

void journal_init(struct journal *journal, const struct journal_bounds *bounds)
{
    *journal = (struct journal){
        .bounds = *bounds, .epoch = make_epoch(), .begun = 1, .first = 1, .next = 1};
    DEBUG_CALL(journal_check(journal));
}

void journal_deinit(struct journal *journal)
{
    journal_drop(journal, journal->next);
    drop_memory(journal);
    CHECK(journal->memory == 0);
}

void journal_reset(struct journal *journal)
{
    journal_drop(journal, journal->next);
    journal->epoch = make_epoch();
    journal->begun = journal->first = ++journal->next;
    DEBUG_CALL(journal_check(journal));
}

int journal_append(struct journal *journal, struct bytes fields, struct journal_moment moment)
{
    char head[CHUNK_SIZE_LEN_MAX + ID_LINE_MAX];
    struct frame frame = {
        .stamp = moment.stamp, .made_ms = moment.now_ms, .position = journal->end};
    DCHECK(journal_is_empty(journal) || slot_of(journal, journal->next - 1)->stamp < moment.stamp);
    make_head(&frame, head, journal_id(journal, journal->next), fields.len);
    size_t head_len = (size_t)frame.head_len + frame.id_len;
    size_t size = head_len + fields.len + CHUNK_END_LEN;
    if (size > journal->bounds.bytes || size > UINT32_MAX / 2) {
        return -EMSGSIZE;
    }
    int failure = make_room(journal);
    failure = failure == 0 ? open_block(journal, size) : failure;
    if (failure != 0) {
        return failure;
    }
    struct block *block = journal->_open;
    DCHECK(block->capacity - block->used >= size);
    frame.block = block;
    frame.at = block->used;
    frame.size = (uint32_t)size;
    char *at = block->at + block->used;
    memcpy(at, head, head_len);
    memcpy(at + head_len, fields.at, fields.len);
    memcpy(at + head_len + fields.len, CHUNK_END, CHUNK_END_LEN);
    block->used += frame.size;
    *slot_of(journal, journal->next++) = frame;
    journal->end += size;
    drop_over_twice_bytes(journal, journal->next);
    DEBUG_CALL(journal_check(journal));
    return 0;
}

void journal_init_copy(struct journal *copy, const struct journal *journal)
{
    *copy = (struct journal){
        .bounds = journal->bounds,
        .epoch = journal->epoch,
        .begun = journal->begun,
        .first = journal->first,
        .next = journal->first,
        .end = journal->end,
    };
}

/// Each block is held once for the copy, however many of its frames the copy has.
bool journal_follow(struct journal *copy, const struct journal *journal, uint64_t count_max)
{
    DCHECK(copy->next <= journal->next && copy->_open == NULL);
    DCHECK(copy->epoch == journal->epoch || copy->next < journal->first);
    copy->bounds = journal->bounds;
    if (copy->next < journal->first) { // the frames between the two have left the journal already
        journal_drop(copy, copy->next);
        copy->epoch = journal->epoch;
        copy->begun = journal->begun;
        copy->first = journal->first;
        copy->next = journal->first;
    }
    for (; copy->next < journal->next && count_max > 0; count_max--) {
        const struct frame *frame = slot_of(journal, copy->next);
        if (make_room(copy) != 0) {
            drop_first(copy);
        }
        if (journal_is_empty(copy) || slot_of(copy, copy->next - 1)->block != frame->block) {
            block_hold(frame->block);
            copy->memory += block_bytes(frame->block);
        }
        *slot_of(copy, copy->next++) = *frame;
        copy->end = frame->position + frame->size;
    }
    drop_over_twice_bytes(copy, journal->first);
    DEBUG_CALL(journal_check(copy));
    return copy->next == journal->next;
}

void journal_drop(struct journal *journal, uint64_t first)
{
    while (!journal_is_empty(journal) && journal->first < first) {
        drop_first(journal);
    }
    if (journal_is_empty(journal)) {
        drop_memory(journal);
    }
    DEBUG_CALL(journal_check(journal));
}

bool journal_drop_oldest(struct journal *journal, uint64_t keep_from)
{
    if (journal_is_empty(journal) || journal->first >= keep_from) {
        return false;
    }
    journal_drop(journal, journal->first + 1);
    return true;
}

void journal_trim(struct journal *journal, uint64_t now_ms, uint64_t keep_from)
{
    while (!journal_is_empty(journal) && journal->first < keep_from &&
           is_over_bounds(journal, now_ms)) {
        drop_first(journal);
    }
    if (journal_is_empty(journal)) {
        drop_memory(journal);
    }
    DEBUG_CALL(journal_check(journal));
}

uint64_t journal_expiry_ms(const struct journal *journal)
{
    if (journal_is_empty(journal) || journal->bounds.ttl_ms == UINT64_MAX) {
        return UINT64_MAX;
    }
    return slot_of(journal, journal->first)->made_ms + journal->bounds.ttl_ms;
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
    DCHECK(sequence >= journal->first && count_max > 0);
    while (sequence < journal->next && count < count_max) {
        const struct frame *frame = journal_frame(journal, sequence);
        uint64_t last = last_of_block(journal, sequence);
        const struct frame *end = journal_frame(journal, last);
        pieces[count++] = bytes_of(frame->block->at + frame->at, end->at + end->size - frame->at);
        sequence = last + 1;
    }
    *until = sequence;
    return count;
}

uint64_t journal_copy_text(const struct journal *journal, uint64_t sequence, uint64_t count_max,
                           uint64_t bytes_max, struct buf *out)
{
    uint64_t until = sequence;
    size_t start = buf_len(out);
    DCHECK(sequence >= journal->first && count_max > 0);
    while (until < journal->next && until - sequence < count_max) {
        struct bytes text = frame_text(journal_frame(journal, until));
        bool is_too_much = until > sequence && buf_len(out) - start + text.len > bytes_max;
        if (is_too_much || !buf_append(out, text)) {
            break;
        }
        until++;
    }
    return until;
}

struct event_id journal_id(const struct journal *journal, uint64_t sequence)
{
    return (struct event_id){.epoch = journal->epoch, .sequence = sequence};
}

uint64_t journal_bytes_from(const struct journal *journal, uint64_t sequence)
{
    sequence = sequence < journal->first ? journal->first : sequence;
    if (sequence >= journal->next) {
        return 0; // an empty journal may have no ring
    }
    return journal->end - slot_of(journal, sequence)->position;
}

void journal_check(const struct journal *journal)
{
    size_t capacity = journal->_capacity;
    CHECK(journal->epoch != 0);
    CHECK(journal->begun >= 1 && journal->begun <= journal->first);
    CHECK(journal->first <= journal->next);
    CHECK(journal->next - journal->first <= capacity);
    CHECK((capacity & (capacity - 1)) == 0 && (capacity == 0) == (journal->_ring == NULL));
    CHECK(journal->memory >= capacity * sizeof(struct frame));
    CHECK(journal->_open == NULL || journal->_open->used <= journal->_open->capacity);
    if (!journal_is_empty(journal)) {
        const struct frame *first = slot_of(journal, journal->first);
        const struct frame *last = slot_of(journal, journal->next - 1);
        CHECK(last->position + last->size == journal->end);
        CHECK(first == last || first->position + first->size <= last->position);
        CHECK(first == last || first->stamp < last->stamp);
    }
}

static uint64_t make_epoch(void)
{
    uint64_t epoch = 0;
    while (epoch == 0) {
        environment_fill(&epoch, sizeof(epoch));
        epoch >>= 16; // 48 bits keep ids short, and two equal epochs unlikely
    }
    return epoch;
}

static struct frame *slot_of(const struct journal *journal, uint64_t sequence)
{
    return &journal->_ring[sequence & (journal->_capacity - 1)];
}

/// The newest frame in the block of frame number `sequence`. Nearly always that is the newest frame
/// of all. The block's own `used` is not read, because another thread may be filling the block.
static uint64_t last_of_block(const struct journal *journal, uint64_t sequence)
{
    const struct block *block = slot_of(journal, sequence)->block;
    uint64_t last = journal->next - 1;
    if (slot_of(journal, last)->block == block) {
        return last;
    }
    while (last - sequence > 1) { // frame `sequence` lies in the block, frame `last` does not
        uint64_t middle = sequence + (last - sequence) / 2;
        if (slot_of(journal, middle)->block == block) {
            sequence = middle;
        } else {
            last = middle;
        }
    }
    return sequence;
}

/// Writes what stands before the fields to `out`: the chunk's size and the line with the id.
static void make_head(struct frame *frame, char *out, struct event_id id, size_t fields_len)
{
    char text[EVENT_ID_LEN_MAX];
    size_t id_len = event_id_format(id, text);
    const struct bytes id_start = BYTES("id: ");
    frame->id_len = (uint8_t)(id_start.len + id_len + 1);
    char *line = chunk_put_size(out, frame->id_len + fields_len);
    frame->head_len = (uint8_t)(line - out);
    memcpy(line, id_start.at, id_start.len);
    memcpy(line + id_start.len, text, id_len);
    line[id_start.len + id_len] = '\n';
}

/// Doubles the ring when it is full, so that one more frame has a slot. Returns 0, or -ENOMEM when
/// a ring that has frames cannot grow; then the ring is as it was. The first ring is small. If
/// there is no memory for it, the process aborts.
static int make_room(struct journal *journal)
{
    size_t count = journal->next - journal->first;
    if (count < journal->_capacity) {
        return 0;
    }
    struct journal old = *journal;
    size_t capacity = old._capacity == 0 ? RING_MIN : old._capacity * 2;
    size_t bytes = capacity * sizeof(struct frame);
    struct frame *ring = old._capacity == 0 ? mem_alloc(bytes) : mem_try_resize(NULL, bytes);
    if (ring == NULL) {
        return -ENOMEM;
    }
    journal->_capacity = capacity;
    journal->_ring = ring;
    for (uint64_t sequence = old.first; sequence < old.next; sequence++) {
        *slot_of(journal, sequence) = *slot_of(&old, sequence);
    }
    mem_free(old._ring);
    journal->memory += (journal->_capacity - old._capacity) * sizeof(struct frame);
    return 0;
}

/// Makes sure that the open block has room for `size` more bytes. Each new block is twice as large
/// as the one before, up to a bound, so that a busy channel's frames are few pieces of memory.
/// Returns 0, or -ENOMEM.
static int open_block(struct journal *journal, size_t size)
{
    struct block *open = journal->_open;
    if (open != NULL && open->capacity - open->used >= size) {
        return 0;
    }
    size_t capacity = open == NULL ? BLOCK_MIN : (size_t)open->capacity * 2;
    capacity = capacity > BLOCK_MAX ? BLOCK_MAX : capacity;
    capacity = capacity < size ? size : capacity;
    struct block *fresh;
    int failure = block_new((uint32_t)capacity, &fresh);
    if (failure != 0) {
        return failure;
    }
    bool is_used = !journal_is_empty(journal) && slot_of(journal, journal->next - 1)->block == open;
    if (!is_used) {
        give_back(journal, open); // a block with frames is given back with its last frame
    }
    journal->_open = fresh;
    journal->memory += block_bytes(fresh);
    return 0;
}

static bool is_over_bounds(const struct journal *journal, uint64_t now_ms)
{
    return journal->next - journal->first > journal->bounds.count ||
           held_bytes(journal) > journal->bounds.bytes || journal_expiry_ms(journal) <= now_ms;
}

static uint64_t held_bytes(const struct journal *journal)
{
    return journal_bytes_from(journal, journal->first);
}

/// Lets go of the oldest frames while the journal holds more than twice its bytes, even if some
/// worker has yet to offer them, so that memory stays bounded. The channel's lag policy decides
/// what happens to a subscriber that had yet to take one.
static void drop_over_twice_bytes(struct journal *journal, uint64_t until)
{
    while (journal->first < until && held_bytes(journal) / 2 > journal->bounds.bytes) {
        drop_first(journal);
    }
}

static void drop_first(struct journal *journal)
{
    DCHECK(!journal_is_empty(journal));
    struct block *block = slot_of(journal, journal->first++)->block;
    bool is_last = journal_is_empty(journal) || slot_of(journal, journal->first)->block != block;
    if (is_last && block != journal->_open) {
        give_back(journal, block);
    }
}

/// Releases the journal's hold on `block`, which may be NULL.
static void give_back(struct journal *journal, struct block *block)
{
    if (block != NULL) {
        DCHECK(journal->memory >= block_bytes(block));
        journal->memory -= block_bytes(block);
        block_release(block);
    }
}

/// Frees the ring and the open block, so that an empty channel takes no memory for frames.
static void drop_memory(struct journal *journal)
{
    give_back(journal, journal->_open);
    journal->_open = NULL;
    mem_free(journal->_ring);
    journal->memory -= journal->_capacity * sizeof(struct frame);
    journal->_ring = NULL;
    journal->_capacity = 0;
    DCHECK(journal->memory == 0);
}
