// SPDX-License-Identifier: MIT
#include "ledger.h"

#include "place.h"

#include "base/mem.h"
#include "hub/journal.h"

#include <inttypes.h>

enum {
    BLOCK_BYTES = 16 * 1024,
    AGE_STEPS = 8, // an aged frame may stay so much longer: a part of the age, and not more than
    AGE_STEP_MS_MAX = 1000,
};

static void check_reason(const struct life *life, uint64_t sequence,
                         const struct ledger_view *view);

void ledger_add(struct life *life, const struct record *record, struct bytes data)
{
    if (life->count == life->capacity) {
        life->capacity = life->capacity == 0 ? 16 : life->capacity * 2;
        life->records = mem_resize(life->records, life->capacity * sizeof(struct record));
    }
    char *copy = mem_alloc(data.len + 1);
    memcpy(copy, data.at, data.len);
    uint64_t start = ledger_bytes_after(life, 0);
    struct record *added = &life->records[life->count++];
    *added = *record;
    added->data = bytes_of(copy, data.len);
    uint64_t late_ms = life->count > 1 ? added[-1].late_ms : 0;
    added->late_ms = added->made_ms > late_ms ? added->made_ms : late_ms;
    const struct journal *journal = &life->channel->journal;
    uint64_t size = journal_frame(journal, life->count)->size;
    EXPECT(size > data.len, "a frame of %" PRIu64 " bytes for %zu of data", size, data.len);
    added->end = start + size;
    uint64_t held = journal_bytes_from(journal, journal->first);
    EXPECT(held <= 2 * journal->bounds.bytes + BLOCK_BYTES,
           "%s holds %" PRIu64 " bytes, twice its %" PRIu64, life->name, held,
           journal->bounds.bytes);
}

void ledger_check(struct life *life, const struct ledger_view *view)
{
    const struct journal *journal = &life->channel->journal;
    EXPECT(journal->next == life->count + 1, "the journal's next number is %" PRIu64,
           journal->next);
    EXPECT(journal->first >= life->first, "the journal's first number has fallen");
    for (uint64_t sequence = life->first; sequence < journal->first; sequence++) {
        check_reason(life, sequence, view);
    }
    life->first = journal->first;
    uint64_t held = journal_bytes_from(journal, journal->first);
    EXPECT(held == ledger_bytes_after(life, life->first - 1),
           "the journal counts %" PRIu64 " bytes", held);
}

void ledger_end_turn(struct life *life, const struct ledger_view *view, bool had_job)
{
    const struct journal *journal = &life->channel->journal;
    ledger_check(life, view);
    life->is_kept = life->is_wide || (life->is_kept && !had_job);
    life->is_wide = false;
    if (life->is_kept || !view->is_settled) {
        return;
    }
    uint64_t held = ledger_bytes_after(life, life->first - 1);
    EXPECT(held <= journal->bounds.bytes, "%s holds %" PRIu64 " bytes of %" PRIu64, life->name,
           held, journal->bounds.bytes);
    EXPECT(journal->next - journal->first <= journal->bounds.count, "%s holds too many events",
           life->name);
    if (!journal_is_empty(journal) && journal->bounds.ttl_ms != UINT64_MAX) {
        uint64_t step_ms = journal->bounds.ttl_ms / AGE_STEPS;
        step_ms = step_ms < AGE_STEP_MS_MAX ? step_ms : AGE_STEP_MS_MAX;
        uint64_t late_ms = life->records[life->first - 1].late_ms;
        EXPECT(late_ms + journal->bounds.ttl_ms + step_ms >= view->late_ms,
               "%s holds what is too old", life->name);
    }
}

uint64_t ledger_count_at(const struct life *life, uint64_t stamp)
{
    uint64_t low = 0;
    uint64_t high = life->count;
    if (high == 0 || life->records[high - 1].stamp <= stamp) {
        return high;
    }
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (life->records[middle].stamp <= stamp) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint64_t ledger_bytes_after(const struct life *life, uint64_t sequence)
{
    uint64_t start = sequence == 0 ? 0 : life->records[sequence - 1].end;
    return life->count == 0 ? 0 : life->records[life->count - 1].end - start;
}

void ledger_end(struct life *life)
{
    life->is_over = true;
    life->channel = NULL;
    life->first = life->count + 1;
}

void ledger_free(struct life *life)
{
    for (uint64_t i = 0; i < life->count; i++) {
        mem_free((char *)(uintptr_t)life->records[i].data.at);
    }
    mem_free(life->records);
    mem_free(life);
}

/// A frame that has not been offered to all subscribers may be dropped only when the journal has
/// twice the bytes that it may keep.
static void check_reason(const struct life *life, uint64_t sequence, const struct ledger_view *view)
{
    const struct journal_bounds *bounds = &life->channel->journal.bounds;
    uint64_t bytes = ledger_bytes_after(life, sequence - 1);
    bool is_aged = bounds->ttl_ms != UINT64_MAX &&
                   life->records[sequence - 1].made_ms + bounds->ttl_ms <= view->now_ms;
    bool is_over = life->count - sequence + 1 > bounds->count || bytes > bounds->bytes;
    EXPECT(is_aged || is_over || view->is_tight, "%s let go of %" PRIu64 " without a reason",
           life->name, sequence);
    EXPECT(sequence <= view->offered || bytes / 2 > bounds->bytes,
           "%s let go of %" PRIu64 " before it was offered", life->name, sequence);
}
