// SPDX-License-Identifier: MIT
//
// What each reader has received of each publisher: the sequence number that comes next, and which
// of the last 64 are missing. From that follow the counts of events that were lost, came twice, or
// came out of order. An event that comes more than 64 late counts as a double. Pure; a value inside
// its owner.
#pragma once

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What one reader has got of one publisher. Sequences begin with 1.
struct ledger_line {
    uint64_t missing; // bit i: next - 1 - i has not come
    uint32_t next;
    bool is_left_out;
};

struct ledger {
    struct ledger_line *_lines;
    size_t _publisher_count;
    size_t _reader_count;
    uint64_t lost;
    uint64_t doubled;
    uint64_t reordered;
};

void ledger_init(struct ledger *ledger, size_t reader_count, size_t publisher_count);
void ledger_deinit(struct ledger *ledger);

/// Whether reader number `reader` lacks the event; one that has not come yet included.
bool ledger_lacks(const struct ledger *ledger, size_t reader, size_t publisher, uint32_t sequence);

/// The reader's connection is gone: what it does not get is not lost.
void ledger_exempt(struct ledger *ledger, size_t reader);

/// Counts as lost what has not come of the events 1 to `last` of a publisher.
void ledger_count_lost(struct ledger *ledger, size_t publisher, uint32_t last);

static inline struct ledger_line *ledger_line(const struct ledger *ledger, size_t reader,
                                              size_t publisher)
{
    DCHECK(reader < ledger->_reader_count);
    DCHECK(publisher < ledger->_publisher_count);
    return &ledger->_lines[reader * ledger->_publisher_count + publisher];
}

/// Enters an event that is not the next one. Returns whether it has come for the first time.
bool ledger_enter_odd(struct ledger *ledger, struct ledger_line *line, uint32_t sequence);

/// Enters an event that has come. Returns whether it has come for the first time.
static inline bool ledger_enter(struct ledger *ledger, size_t reader, size_t publisher,
                                uint32_t sequence)
{
    struct ledger_line *line = ledger_line(ledger, reader, publisher);
    if (sequence != line->next) {
        return ledger_enter_odd(ledger, line, sequence);
    }
    line->next++;
    line->missing <<= 1;
    return true;
}
