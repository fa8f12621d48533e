// SPDX-License-Identifier: MIT
//
// A simulated client: it connects, takes bytes at its own pace, leaves in the middle of anything,
// and comes back with the last id that it received completely, or with another one. It lists what
// its stream has still to bring: host.c adds an item when the server promises it, and judge.c takes
// the item off when it has come. Owned by the world.
#pragma once

#include "ledger.h"
#include "net/loopback.h"
#include "wire.h"

#include "sse/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct world;

enum { SUBS_MAX = 12, OLD_IDS = 4, ID_BYTES_MAX = 200 };

/// A subscription of the stream, and how far the client is in it.
struct sub {
    struct life *life;
    uint64_t pos;     // the last event that was received or told of
    uint64_t stamp;   // of the subscribing
    uint64_t start;   // the newest event then
    uint64_t joined;  // turn of its worker
    uint64_t left;    // turn of unsubscribing; UINT64_MAX
    uint64_t end;     // the last event that is due; UINT64_MAX while there is no end
    const char *told; // a reset of this reason is due; NULL for none
    uint64_t from;    // with "expired": where it came from
    bool is_greeting; // a greeting is due: "greet" and the index
    bool is_unplaced; // it began at the newest event without an id, and an event with its id is due
    bool is_gone;     // the stream has left the channel
    bool is_lagging;  // the journal had dropped what it needs when some turn ended
    bool is_named;    // an id that was received has named it
};

enum client_state {
    CLIENT_AWAY,
    CLIENT_IDLE,    // connected, no request is under way
    CLIENT_READING, // a stream
    CLIENT_LEFT,    // by itself
};

struct client {
    struct world *world;
    struct worker *worker; // that it is or was connected to
    int index;
    enum client_state state;
    struct loopback transport;
    struct wire wire;
    bool is_chunked;
    char last_id[ID_BYTES_MAX]; // the last that was completely received
    char old_ids[OLD_IDS][ID_BYTES_MAX];
    char sent_id[ID_BYTES_MAX]; // Last-Event-ID of the request; "" for none
    bool is_faithful;           // which is `last_id`
    struct sub subs[SUBS_MAX];
    size_t sub_count;
    struct sub prior[SUBS_MAX]; // of the stream before
    size_t prior_count;

    // The stream, as the server has it.
    struct stream *stream; // NULL when there is none
    struct stream_holder holder;
    bool is_ending;     // the end of the response is due ...
    bool is_cut;        // ... without its last chunk
    bool is_done;       // the exchange is over ...
    uint8_t reason;     // ... for this reason ...
    uint64_t silent_ms; // ... when it had taken nothing for so long
    bool is_judged;     // the reason was right; it was known a turn before
    bool is_flooded;    // its own events passed the limit of a stream's queue, so it may be reset
    uint64_t heartbeat_ms;
    uint64_t *own_stamps; // of its own events
    size_t own_count;
    size_t own_capacity;
    size_t own_seen;
    size_t own_bytes; // since it had everything
    uint64_t newest;  // stamp of the newest that was received

    // How it takes bytes.
    size_t cut;          // it leaves after so many bytes more; SIZE_MAX for never
    bool was_behind;     // when the last turn ended
    bool is_wide;        // more is due than one turn brings
    bool was_blocked;    // when the turn began to end
    bool has_moved;      // there was room in this turn
    uint64_t blocked_ms; // since when it takes nothing
    uint64_t heard_ms;   // when bytes came last, or the client refused them
};

void client_init(struct client *client, struct world *world, int index);

/// The transport must be gone.
void client_deinit(struct client *client);

/// Connects, if it is away, and requests a stream with `sent_id`.
void client_request(struct client *client, bool is_chunked);

/// Lets the transport take `room` bytes more; SIZE_MAX for everything.
void client_make_room(struct client *client, size_t room);

/// Leaves at once, or half-closes first; the bytes after the next `cut` are never read.
void client_leave(struct client *client, size_t cut);
void client_half_close(struct client *client);

/// Makes the peer vanish: whatever the server writes to it fails.
void client_vanish(struct client *client);

/// Hangs up on an idle connection, or on one that it has given up.
void client_hang_up(struct client *client);

// For the world.

void client_begin_end_of_turn(struct client *client);
void client_end_turn(struct client *client);
void client_note_lag(struct client *client, uint64_t offered_before);
void client_settled(struct client *client);

/// Whether the stream of any client is subscribed to `life`.
bool clients_read(const struct world *world, const struct life *life);

/// The newest event of `life` for which all its subscribers were woken.
uint64_t clients_offered(const struct world *world, const struct life *life);

/// Notes that the worker has seen that `life` was finished or closed: no event follows those that
/// it has.
void clients_see_end_of(const struct worker *worker, const struct life *life);

/// Notes for every client that its stream is about to be ended completely.
void clients_see_end(struct world *world);

void clients_take_all(struct world *world);

/// Notes whether the stream ends by itself, because its last channels have ended.
void client_look_for_end(struct client *client);

/// The subscription of `life`, or NULL.
struct sub *client_sub(struct client *client, const struct life *life);

/// Whether the worker of `sub` took over something for it after `stamp` and up to `until`.
static inline bool sub_has_news(const struct sub *sub, uint64_t stamp, uint64_t until)
{
    uint64_t count = ledger_count_at(sub->life, until);
    return count > sub->start && count > ledger_count_at(sub->life, stamp);
}

/// Whether the server sends to the client, as far as the books say.
static inline bool client_is_live(const struct client *client)
{
    return client->state == CLIENT_READING && client->stream != NULL && !client->is_ending;
}
