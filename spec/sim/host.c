// SPDX-License-Identifier: MIT
#include "host.h"

#include "judge.h"
#include "place.h"
#include "world.h"

#include "base/mem.h"
#include "http/exchange.h"
#include "hub/replica.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { PLACE_BYTES = 64, GREET_BYTES = 32 };

static void on_head(void *user, struct exchange *exchange);
static void on_request(void *user, struct exchange *exchange);
static struct client *client_of(struct world *world, const struct exchange *exchange);
static size_t count_live(const struct client *client, size_t *leaving);
static void subscribe_some(struct client *client);
static struct stream_start choose_start(const struct client *client, const char *since,
                                        char *greet);
static const char *choose_since(struct world *world, const struct life *life, char *memory);
static uint64_t newest_count(const char *since);
static void expect_place(struct client *client, struct sub *sub, const char *since);
static const char *find_place(const struct sub *sub, const char *id, uint64_t *sequence);
static void check_prior(const struct client *client, const struct sub *sub, uint64_t sequence);
static void note_own(struct client *client);
static void on_room(struct stream_holder *holder);
static void on_peer_ended(struct stream_holder *holder);
static bool is_at_work(const struct stream_holder *holder, uint64_t until_ms);
static void on_ended(struct stream_holder *holder);
static void on_done(struct stream_holder *holder, enum end_reason reason);

const struct service_events host_events = {.on_head = on_head, .on_request = on_request};

static const struct stream_events stream_events = {
    .on_room = on_room,
    .on_peer_ended = on_peer_ended,
    .is_at_work = is_at_work,
    .on_ended = on_ended,
    .on_done = on_done,
};

static const char malformed[] = "malformed";
static const char foreign[] = "epoch";
static const char ahead[] = "ahead";
static const char expired[] = "expired";

void host_subscribe(struct client *client, struct opened opened, const char *since)
{
    struct life *life = opened.life;
    char greet[GREET_BYTES] = "";
    struct stream_start start = choose_start(client, since, greet);
    size_t leaving = 0; // the stream leaves a channel that has ended when it has read all of it
    size_t live = count_live(client, &leaving);
    const struct sub *old = client_sub(client, life);
    bool has_left = old != NULL && (old->is_gone || old->end != UINT64_MAX);
    if (client->sub_count == SUBS_MAX || has_left) {
        return; // a channel is subscribed to once in a stream, so that an event names its
                // subscription; one that has ended may have been left already
    }
    place_say("%d subscribes to %s (%" PRIx64 "), last \"%s\", since \"%s\", \"%s\"", client->index,
              life->name, life->epoch, client->sent_id, since, greet);
    int failure = stream_subscribe(client->stream, opened.replica, &start);
    if (failure == 0) {
        worker_note_look(client->worker);
    }
    if (client->stream->exchange->is_aborted || !client->stream->is_open) {
        EXPECT(failure == -ECANCELED, "subscribing a dead stream: %d", failure);
        return;
    }
    bool is_full = live >= client->world->limits.stream.channels;
    if (old != NULL || (is_full && (leaving == 0 || failure != 0))) {
        EXPECT(failure == (old != NULL ? -EALREADY : -E2BIG), "subscribing again: %d", failure);
        return;
    }
    EXPECT(failure == 0, "subscribing: %d", failure);
    if (life->is_over) {
        life->first = opened.replica->channel->journal.first; // it is there while it is held
    } else {
        world_check(client->world, life);
        EXPECT(!world_is_stale(client->worker, life), "%s gives what is too old", life->name);
    }
    life->joined[client->worker->index] = client->worker->turn;
    struct sub *sub = &client->subs[client->sub_count++];
    *sub = (struct sub){
        .life = life,
        .stamp = ++client->world->stamp,
        .start = life->count,
        .joined = client->worker->turn,
        .left = UINT64_MAX,
        .end = UINT64_MAX,
    };
    expect_place(client, sub, since);
    sub->is_greeting = greet[0] != '\0';
    bool is_newest = sub->told == NULL && sub->pos == life->count;
    sub->is_unplaced = is_newest && client->sent_id[0] == '\0';
    if (life->is_over) {
        ledger_end(life);
    }
    if (life->is_over || life->finished != 0) {
        sub->end = life->count;
    }
    client->is_ending = false; // unless this one has closed as well
    client_look_for_end(client);
}

void host_unsubscribe(struct client *client, struct sub *sub)
{
    place_say("%d unsubscribes from %s (%" PRIx64 ")", client->index, sub->life->name,
              sub->life->epoch);
    struct replica *replica = worker_replica(client->worker, sub->life->channel);
    EXPECT(replica != NULL, "its worker has no such channel");
    replica_hold(replica);
    EXPECT(stream_unsubscribe(client->stream, replica), "it is not subscribed");
    EXPECT(!stream_unsubscribe(client->stream, replica), "it is subscribed twice");
    replica_release(replica);
    sub->is_gone = true;
    sub->left = client->worker->turn;
    client_look_for_end(client);
}

void host_send(struct client *client, size_t size)
{
    struct bytes data;
    struct bytes plain;
    char type[32];
    int len = snprintf(type, sizeof(type), "own %zu", client->own_count);
    world_data(client->world, size, &data, &plain);
    struct sse_event event = {
        .has_data = true,
        .data = data,
        .has_event = true,
        .event = bytes_of(type, (size_t)len),
    };
    size_t pending = stream_pending_bytes(client->stream);
    bool is_dead = client->stream->exchange->is_aborted || !client->stream->is_open;
    int failure = stream_send(client->stream, &event);
    worker_look(client->worker);
    uint64_t bytes_max = client->world->limits.stream.max_bytes;
    size_t bytes = size + (size_t)len;
    place_say("%d is sent %s, %zu bytes: %d", client->index, type, size, failure);
    if (is_dead) {
        EXPECT(failure == -ECANCELED, "sending over a dead stream: %d", failure);
    } else if (bytes > bytes_max) {
        EXPECT(failure == -EMSGSIZE, "sending %zu bytes: %d", size, failure);
    } else if (failure == -ENOBUFS) {
        EXPECT(pending + bytes > bytes_max, "a queue of %zu bytes takes no more", pending);
        client->is_flooded = true;
    } else {
        EXPECT(failure == 0, "sending %zu bytes: %d", size, failure);
        client->own_bytes += 2 * bytes + 100; // every line is a field of its own
        note_own(client);
    }
}

void host_mutter(struct client *client)
{
    int failure = chance_one_in(2) ? stream_comment(client->stream, BYTES("a\nb"))
                                   : stream_retry(client->stream, chance_below(100000));
    worker_look(client->worker);
    client->is_flooded = client->is_flooded || failure == -ENOBUFS;
}

void host_end(struct client *client)
{
    place_say("%d is ended", client->index);
    host_note_end(client);
    stream_end(client->stream, END_FINISHED, STREAM_NO_RETRY);
    stream_end(client->stream, END_FINISHED, STREAM_NO_RETRY); // idempotent
    worker_look(client->worker);
}

void host_cut(struct client *client)
{
    place_say("%d is cut", client->index);
    host_note_end(client);
    client->is_cut = true;
    stream_end(client->stream, END_FAILED, STREAM_NO_RETRY);
    stream_end(client->stream, END_FINISHED,
               STREAM_NO_RETRY); // it does not become complete by that
    worker_look(client->worker);
}

void host_note_end(struct client *client)
{
    client->is_ending = true;
    for (size_t i = 0; i < client->sub_count; i++) {
        struct sub *sub = &client->subs[i];
        sub->end = sub->end < sub->life->count ? sub->end : sub->life->count;
    }
}

static void on_head(void *user, struct exchange *exchange)
{
    (void)user;
    EXPECT(!exchange_is_over_limit(exchange), "a connection too many");
}

static void on_request(void *user, struct exchange *exchange)
{
    struct worker *worker = user;
    struct client *client = client_of(worker->world, exchange);
    EXPECT(client->worker == worker, "it is another worker's");
    struct bytes last = BYTES("");
    EXPECT(request_quality(exchange->request, BYTES("text/event-stream")) > 0, "not accepted");
    bool has_last = request_field(exchange->request, BYTES("Last-Event-ID"), &last);
    EXPECT(bytes_equal(last, bytes_from_string(client->sent_id)), "Last-Event-ID: %.*s",
           (int)last.len, last.at);
    EXPECT(has_last == (client->sent_id[0] != '\0'), "no Last-Event-ID");
    client->heartbeat_ms = worker->world->limits.stream.heartbeat_ms;
    struct stream_options options = {
        .heartbeats = &worker->heartbeats,
        .heartbeat_ms = client->heartbeat_ms,
    };
    options.has_retry = chance_one_in(3);
    options.retry_ms = chance_below(10000);
    int failure;
    client->stream = stream_open(exchange, &options, &failure);
    EXPECT(client->stream != NULL, "opening a stream: %d", failure);
    client->holder.events = &stream_events;
    client->stream->holder = &client->holder;
    if (chance_one_in(4)) {
        host_send(client, 10);
    }
    subscribe_some(client);
    if (chance_one_in(2)) {
        exchange_let_go(exchange);
    }
}

static struct client *client_of(struct world *world, const struct exchange *exchange)
{
    struct bytes target = exchange->request->target_text;
    size_t index = (size_t)(target.at[1] - '0');
    EXPECT(target.len == 2 && index < world->client_count, "target %.*s", (int)target.len,
           target.at);
    return &world->clients[index];
}

/// How many channels the stream follows, and how many of those have ended.
static size_t count_live(const struct client *client, size_t *leaving)
{
    size_t live = 0;
    for (size_t i = 0; i < client->sub_count; i++) {
        const struct life *life = client->subs[i].life;
        bool has_ended = life->is_over || life->finished != 0;
        live += client->subs[i].is_gone ? 0 : 1;
        *leaving += !client->subs[i].is_gone && has_ended ? 1 : 0;
    }
    return live;
}

/// The client comes back to the same channels, most of the time.
static void subscribe_some(struct client *client)
{
    struct world *world = client->world;
    bool is_same = client->prior_count > 0 && !chance_one_in(4);
    for (size_t i = 0; i < world->slot_count; i++) {
        struct slot *slot = &world->slots[i];
        bool is_wanted = chance_one_in(3);
        for (size_t k = 0; is_same && k < client->prior_count; k++) {
            is_wanted = is_wanted || strcmp(client->prior[k].life->name, slot->name) == 0;
        }
        if (is_wanted) {
            struct opened opened = slot_open(client->worker, slot);
            char memory[PLACE_BYTES];
            host_subscribe(client, opened, choose_since(world, opened.life, memory));
        }
    }
}

/// Where the client begins, and whether it is greeted: by a name in `greet`, or "".
static struct stream_start choose_start(const struct client *client, const char *since, char *greet)
{
    struct stream_start start = {.last = bytes_from_string(client->sent_id)};
    start.is_earliest = strcmp(since, "earliest") == 0;
    start.newest_count = newest_count(since);
    bool is_id = !start.is_earliest && start.newest_count == 0;
    start.since = is_id ? bytes_from_string(since) : BYTES("");
    if (chance_one_in(3)) {
        snprintf(greet, GREET_BYTES, "greet %zu", client->sub_count);
    }
    start.greet = bytes_from_string(greet);
    return start;
}

static const char *choose_since(struct world *world, const struct life *life, char *memory)
{
    uint64_t sequence = chance_below(life->count + 2);
    switch (chance_below(12)) {
    case 0:
        return "earliest";
    case 1: {
        const struct life *other = world->lives[chance_below(world->life_count)];
        snprintf(memory, PLACE_BYTES, "%" PRIx64 "-%" PRIu64, other->epoch, sequence);
        return memory;
    }
    case 2:
        snprintf(memory, PLACE_BYTES, "%" PRIx64 "-%" PRIu64, life->epoch, sequence);
        return memory;
    case 3:
        return chance_one_in(4) ? "0x-1" : "";
    case 4:
    case 5:
        snprintf(memory, PLACE_BYTES, "-%" PRIu64, 1 + chance_below(life->count + 2));
        return memory;
    default:
        return "";
    }
}

/// The n of a place "-n"; 0 for every other place.
static uint64_t newest_count(const char *since)
{
    return since[0] == '-' ? strtoull(since + 1, NULL, 10) : 0;
}

/// The client's id is tried first, then the script's. If the stream cannot continue from either, it
/// begins where one without an id does.
static void expect_place(struct client *client, struct sub *sub, const char *since)
{
    const struct life *life = sub->life;
    uint64_t newest = newest_count(since);
    bool is_all = strcmp(since, "earliest") == 0 || newest > life->count - (life->first - 1);
    sub->pos = is_all ? life->first - 1 : life->count - newest;
    if (client->sent_id[0] != '\0') {
        uint64_t sequence = 0;
        sub->told = find_place(sub, client->sent_id, &sequence);
        sub->from = sequence;
        if (sub->told == NULL || sub->told == expired) {
            check_prior(client, sub, sequence);
        }
        if (sub->told == NULL) {
            sub->pos = sequence;
            return;
        }
    }
    if (since[0] != '\0' && !is_all && newest == 0) {
        uint64_t sequence = 0;
        const char *reason = find_place(sub, since, &sequence);
        sub->pos = reason == NULL ? sequence : sub->pos;
        if (sub->told == NULL) {
            sub->told = reason;
            sub->from = sequence;
        }
    }
}

/// Returns NULL and the sequence to continue from, or why the stream cannot continue from `id`.
static const char *find_place(const struct sub *sub, const char *id, uint64_t *sequence)
{
    struct id_part parts[ID_PARTS_MAX];
    int count = judge_read_id(bytes_from_string(id), parts);
    if (count < 0) {
        return malformed;
    }
    for (int i = 0; i < count; i++) {
        if (parts[i].epoch == sub->life->epoch) {
            *sequence = parts[i].sequence;
            bool is_made = *sequence <= sub->life->count;
            return !is_made ? ahead : *sequence + 1 < sub->life->first ? expired : NULL;
        }
    }
    return foreign;
}

/// A client that comes back with the last id that it received continues where it stood: no event is
/// skipped, and a reset that it was not told of is told now.
static void check_prior(const struct client *client, const struct sub *sub, uint64_t sequence)
{
    for (size_t i = 0; client->is_faithful && i < client->prior_count; i++) {
        const struct sub *prior = &client->prior[i];
        if (prior->life != sub->life || prior->is_gone) {
            continue;
        }
        if (prior->told == NULL) {
            EXPECT(sequence == prior->pos, "%s: its id says %" PRIu64 ", but it stood at %" PRIu64,
                   sub->life->name, sequence, prior->pos);
        } else {
            bool is_same = sequence == prior->from; // "ahead" may have become true since
            EXPECT(is_same && (sub->told == expired || prior->told == ahead),
                   "%s: it was to be reset (%s), and now never hears of it", sub->life->name,
                   prior->told);
        }
    }
}

static void note_own(struct client *client)
{
    if (client->own_count == client->own_capacity) {
        client->own_capacity = client->own_capacity == 0 ? 16 : client->own_capacity * 2;
        client->own_stamps =
            mem_resize(client->own_stamps, client->own_capacity * sizeof(uint64_t));
    }
    client->own_stamps[client->own_count++] = ++client->world->stamp;
}

static void on_room(struct stream_holder *holder)
{
    (void)holder;
}

static void on_peer_ended(struct stream_holder *holder)
{
    (void)holder; // the stream probes the peer by itself
}

static bool is_at_work(const struct stream_holder *holder, uint64_t until_ms)
{
    (void)holder;
    (void)until_ms;
    return false; // nothing works on it
}

static void on_ended(struct stream_holder *holder)
{
    (void)holder; // nothing works on it
}

static void on_done(struct stream_holder *holder, enum end_reason reason)
{
    struct client *client = CONTAINER_OF(holder, struct client, holder);
    place_say("%d: its stream is done (%s)", client->index, end_reason_text(reason));
    client->stream = NULL;
    client->is_done = true;
    client->reason = (uint8_t)reason;
    bool is_blocked = client->transport.awaits_room;
    client->silent_ms = is_blocked ? worker_now_ms(client->worker) - client->blocked_ms : 0;
}
