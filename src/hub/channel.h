// SPDX-License-Identifier: MIT
//
// A named journal and who reads it. Publishing appends a frame and queues the channel for the end
// of the turn; there its readers are woken, one after the other, and what is over the journal's
// bounds goes. So publishing itself writes to no socket, closes nothing and calls nobody.
//
// Owned by its hub. It lives while somebody holds it (a script), reads it, or while its journal has
// frames; then it goes by itself. `channel_close` takes its name away at once: its readers get what
// was published before and are told to leave.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "hub/journal.h"
#include "hub/reader.h"
#include "net/loop.h"
#include "net/timer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hub;

/// The bounds of a channel that says nothing else.
enum { CHANNEL_HISTORY = 1000, CHANNEL_BYTES = 1024 * 1024, CHANNEL_TTL_MS = 300 * 1000 };

static inline struct journal_bounds channel_bounds(void)
{
    return (struct journal_bounds){CHANNEL_HISTORY, CHANNEL_BYTES, CHANNEL_TTL_MS};
}

/// What a reader meets that is too slow for the journal's bounds.
enum channel_lag {
    CHANNEL_RESUME, // it is disconnected; it comes back with its id and is told what it missed
    CHANNEL_SKIP,   // it is told how many it missed and goes on at the newest
};

struct channel {
    struct hub *hub;
    struct map_entry entry; // in the hub; the key is the name
    struct journal journal;
    struct list readers;
    size_t reader_count;
    size_t holds;
    struct loop_job job;
    struct timer age;
    uint64_t offered;   // the first frame that the readers were not woken for
    char *_reset_event; // NULL for the usual name
    char *_lagged_event;
    uint8_t lag; // enum channel_lag
    bool is_closed;
    char name[];
};

/// Publishes `event`, which has no id. The id that it got comes through `id`. Returns 0,
/// SSE_BAD_EVENT, -EMSGSIZE when it is larger than the channel's bytes, or -ECANCELED when the
/// channel is closed.
MUST_USE int channel_publish(struct channel *channel, const struct sse_event *event,
                             struct event_id *id);

/// Whether so much was published in this turn that the publisher should wait for its end.
bool channel_is_over(const struct channel *channel);

/// Lets go what is too old by now, be its timer due or not.
void channel_age(struct channel *channel);

void channel_set_bounds(struct channel *channel, const struct journal_bounds *bounds);

/// Names an in-band event, without CR, LF or NUL. Copies the name.
void channel_set_reset_event(struct channel *channel, struct bytes name);
void channel_set_lagged_event(struct channel *channel, struct bytes name);

/// The name of the in-band event that puts a reader to another place: "reset" if not set.
const char *channel_reset_event(const struct channel *channel);

/// The name of the in-band event that tells a reader what it missed: "lagged" if not set.
const char *channel_lagged_event(const struct channel *channel);

/// The id of the newest event, or of the place before the first.
struct event_id channel_cursor(const struct channel *channel);

/// Adds `reader`, whose `ops` and `next` are set. It is not woken for what is there already.
void channel_join(struct channel *channel, struct reader *reader);

/// Takes `reader` out. May free the channel.
void channel_leave(struct reader *reader);

/// Ends the channel: no publishing, no joining, and a later `hub_make` of its name makes another.
/// Idempotent.
void channel_close(struct channel *channel);

void channel_hold(struct channel *channel);

/// May free the channel.
void channel_release(struct channel *channel);

// For the hub only.

struct channel *channel_new(struct hub *hub, struct bytes name);

/// Frees the channel, whatever its journal holds. CHECKs that nobody reads or holds it.
void channel_free(struct channel *channel);
