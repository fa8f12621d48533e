// SPDX-License-Identifier: MIT
//
// The id of an event in a channel: `epoch-sequence`. The epoch names one life of a log (a random
// number), the sequence grows by one. Written as lower-case hexadecimal epoch, a hyphen, decimal
// sequence, without leading zeros: `9f3c01-42`. It comes back from peers in Last-Event-ID, so it is
// hostile: the parser is exact, pure and fuzzed, and takes nothing that the formatter does not
// write.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <stdbool.h>
#include <stdint.h>

struct event_id {
    uint64_t epoch;
    uint64_t sequence;
};

/// Most bytes that `event_id_format` writes: 16 + 1 + 20.
enum { EVENT_ID_LEN_MAX = 37 };

/// Writes `id` to `out`, which has EVENT_ID_LEN_MAX bytes; returns how many. No NUL is written.
size_t event_id_format(struct event_id id, char *out);

/// Parses exactly what `event_id_format` writes. False for everything else; `id` is then untouched.
MUST_USE bool event_id_parse(struct bytes text, struct event_id *id);
