// SPDX-License-Identifier: MIT
#include "bench/ledger.h"

#include "base/check.h"
#include "base/mem.h"

#include <assert.h>

enum { WINDOW = 64 };

static_assert(WINDOW == 8 * sizeof(uint64_t), "`missing` has a bit for each event of the window");

void ledger_init(struct ledger *ledger, size_t reader_count, size_t publisher_count)
{
    size_t count = reader_count * publisher_count;
    CHECK(publisher_count > 0);
    CHECK(count / publisher_count == reader_count);
    *ledger = (struct ledger){._publisher_count = publisher_count, ._reader_count = reader_count};
    ledger->_lines = mem_zero(count * sizeof(struct ledger_line));
    for (size_t i = 0; i < count; i++) {
        ledger->_lines[i].next = 1;
    }
}

void ledger_deinit(struct ledger *ledger)
{
    mem_free(ledger->_lines);
    ledger->_lines = NULL;
}

bool ledger_lacks(const struct ledger *ledger, size_t reader, size_t publisher, uint32_t sequence)
{
    const struct ledger_line *line = ledger_line(ledger, reader, publisher);
    DCHECK(sequence > 0);
    if (sequence >= line->next) {
        return true;
    }
    uint32_t age = line->next - 1 - sequence;
    return age < WINDOW && (line->missing >> age & 1) != 0;
}

void ledger_exempt(struct ledger *ledger, size_t reader)
{
    for (size_t i = 0; i < ledger->_publisher_count; i++) {
        ledger_line(ledger, reader, i)->is_left_out = true;
    }
}

void ledger_count_lost(struct ledger *ledger, size_t publisher, uint32_t last)
{
    for (size_t i = 0; i < ledger->_reader_count; i++) {
        struct ledger_line *line = ledger_line(ledger, i, publisher);
        if (!line->is_left_out && line->next <= last) {
            ledger->lost += last - line->next + 1;
            line->next = last + 1;
        }
    }
}

bool ledger_enter_odd(struct ledger *ledger, struct ledger_line *line, uint32_t sequence)
{
    DCHECK(sequence > 0);
    DCHECK(sequence != line->next);
    if (sequence > line->next) {
        uint32_t skipped = sequence - line->next;
        uint64_t gap = skipped >= WINDOW ? UINT64_MAX : (UINT64_C(1) << skipped) - 1;
        uint64_t older = skipped + 1 >= WINDOW ? 0 : line->missing << (skipped + 1);
        line->missing = older | gap << 1;
        line->next = sequence + 1;
        ledger->lost += skipped;
        return true;
    }
    uint32_t age = line->next - 1 - sequence;
    if (age >= WINDOW || (line->missing >> age & 1) == 0) {
        ledger->doubled++;
        return false;
    }
    line->missing &= ~(UINT64_C(1) << age);
    DCHECK(ledger->lost > 0); // it was counted when a later one came
    ledger->lost--;
    ledger->reordered++;
    return true;
}
