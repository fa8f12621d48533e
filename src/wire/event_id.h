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

enum event_id_lookup {
    EVENT_ID_FOUND,
    EVENT_ID_ABSENT,    // a list of ids, but none of that epoch
    EVENT_ID_MALFORMED, // not a list of ids
};

/// Looks in `list`, one id or several with commas between them, for the id of `epoch`: the id of an
/// event on a stream that follows several channels names its place in each of them.
MUST_USE enum event_id_lookup event_id_find(struct bytes list, uint64_t epoch, struct event_id *id);

/// Parses exactly what `event_id_format` writes. False for everything else; `id` is then untouched.
MUST_USE bool event_id_parse(struct bytes text, struct event_id *id);
