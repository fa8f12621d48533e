// SPDX-License-Identifier: MIT
#include "sse/start.h"

#include "base/check.h"
#include "hub/journal.h"

static uint64_t newcomers_next(const struct journal *journal, uint64_t first,
                               const struct stream_start *start);
static void resume(struct start_place *place, const struct journal *journal, uint64_t first,
                   struct bytes text);

/// Tries the reader's id, then the script's, then the place of a newcomer. When both ids lead
/// nowhere, the reason speaks of the reader's.
struct start_place start_find(const struct journal *journal, uint64_t first,
                              const struct stream_start *start)
{
    struct start_place place = {.next = newcomers_next(journal, first, start)};
    struct start_place since = place;
    DCHECK(first >= journal->first && first <= journal->next);
    if (start->last.len > 0) {
        resume(&place, journal, first, start->last);
    }
    bool is_placed = start->last.len > 0 && place.reason == NOTICE_NONE;
    if (!is_placed && start->since.len > 0) {
        resume(&since, journal, first, start->since);
        place.next = since.next;
    }
    return place.reason == NOTICE_NONE && !is_placed ? since : place;
}

/// The first frame for a reader without an id, unless `since` names a place.
static uint64_t newcomers_next(const struct journal *journal, uint64_t first,
                               const struct stream_start *start)
{
    bool is_all = start->is_earliest || start->newest_count > journal->next - first;
    return is_all ? first : journal->next - start->newest_count;
}

/// Puts the place behind the event that the id in `text` names, or says why that is not possible.
static void resume(struct start_place *place, const struct journal *journal, uint64_t first,
                   struct bytes text)
{
    struct event_id id;
    switch (event_id_find(text, journal->epoch, &id)) {
    case EVENT_ID_MALFORMED:
        place->reason = NOTICE_MALFORMED;
        return;
    case EVENT_ID_ABSENT:
        place->reason = NOTICE_EPOCH;
        return;
    case EVENT_ID_FOUND:
        break;
    }
    if (id.sequence >= journal->next) {
        place->reason = NOTICE_AHEAD;
    } else if (id.sequence + 1 < first) {
        place->reason = NOTICE_EXPIRED;
        place->from = id.sequence;
    } else {
        place->next = id.sequence + 1;
    }
}
