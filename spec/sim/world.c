// SPDX-License-Identifier: MIT
#include "world.h"

#include "client.h"
#include "host.h"
#include "place.h"

#include "base/mem.h"
#include "base/small.h"
#include "http/conn.h"
#include "net/timer.h"
#include "sse/stream.h"

#include <inttypes.h>
#include <stdlib.h>

enum { SETTLE_TURNS_MAX = 10000, RETRY_MS = 1000, PATIENCE_MS = 1000 };

static const char *const names[SLOTS_MAX] = {"room", "a\"b\\c", "n\xc3\xa4he", "x", "room 2"};

static void choose_limits(struct limits *limits);
static struct journal_bounds choose_bounds(void);
static struct life *begin_life(struct world *world, struct slot *slot);
static void look_for(struct world *world, struct life *life);
static void end_life(struct life *life);
static void check_books(struct world *world);
static void begin_end_of_turn(struct world *world);
static void end_books(struct world *world);
static bool is_busy(const struct world *world);
static void dismiss_all(struct world *world);
static void shut_down(struct world *world);

void world_init(struct world *world)
{
    *world = (struct world){.turn = 1};
    srandom((unsigned)chance_bits()); // `streams_end` chooses with it
    choose_limits(&world->limits);
    CHECK(loop_init(&world->loop) == 0);
    mailbox_open(&world->mailbox, &world->loop);
    hub_init(&world->hub);
    branch_init(&world->branch, &world->hub, &world->loop, &world->mailbox, &world->limits);
    heartbeats_init(&world->heartbeats, &world->loop, stream_beat);
    service_init(&world->service, &world->loop, &world->limits, &world->conn_total);
    world->service.events = &host_events;
    world->service.user = world;
    buf_init(&world->scratch, SIZE_MAX);
    world->slot_count = chance_between(1, SLOTS_MAX);
    for (size_t i = 0; i < world->slot_count; i++) {
        world->slots[i].name = names[i];
    }
    static const uint64_t sizes[] = {20, 100, 100, 1000, 5000, 40000};
    world->data_bytes_max = sizes[chance_below(6)];
    world->hurry = chance_between(1, 6);
    world->client_count = chance_between(1, CLIENTS_MAX);
    world->clients = mem_zero(world->client_count * sizeof(struct client));
    for (size_t i = 0; i < world->client_count; i++) {
        client_init(&world->clients[i], world, (int)i);
    }
}

void world_deinit(struct world *world)
{
    shut_down(world);
    for (size_t i = 0; i < world->client_count; i++) {
        client_deinit(&world->clients[i]);
    }
    for (size_t i = 0; i < world->life_count; i++) {
        if (world->lives[i]->is_held) {
            channel_release(world->lives[i]->channel);
        }
    }
    service_deinit(&world->service);
    heartbeats_deinit(&world->heartbeats);
    branch_deinit(&world->branch);
    hub_deinit(&world->hub);
    mailbox_close(&world->mailbox);
    EXPECT(loop_close(&world->loop, PATIENCE_MS) == 0, "a handle is still open");
    loop_deinit(&world->loop);
    mailbox_deinit(&world->mailbox);
    small_tidy();
    for (size_t i = 0; i < world->life_count; i++) {
        ledger_free(world->lives[i]);
    }
    mem_free(world->lives);
    mem_free(world->clients);
    buf_reset(&world->scratch);
}

void world_publish(struct world *world, struct life *life)
{
    static const char *const types[] = {"", "", "said", "x"};
    static const uint64_t sizes[] = {1, 1, 1, 1, 1, 1, 1, 20, 20, 200};
    uint64_t most = world->data_bytes_max * sizes[chance_below(10)];
    most = chance_one_in(30) ? most : most / 4;
    struct bytes data;
    struct bytes plain;
    world_data(world, chance_between(1, most > 60000 ? 60000 : most + 1), &data, &plain);
    const char *type = types[chance_below(4)];
    struct sse_event event = {
        .has_data = true,
        .data = data,
        .has_event = type[0] != '\0',
        .event = bytes_from_string(type),
    };
    event.has_retry = chance_one_in(50);
    event.retry_ms = chance_below(5000);
    struct event_id id;
    int failure = channel_publish(life->channel, &event, &id);
    if (failure != 0) {
        uint64_t most_bytes = 8 * data.len + 200; // were each byte a line
        EXPECT(failure == -EMSGSIZE && most_bytes > life->channel->topic->journal.bounds.bytes,
               "publishing %zu bytes in %s: %d", data.len, life->name, failure);
        return;
    }
    EXPECT(id.epoch == life->epoch && id.sequence == life->count + 1,
           "published in %s as %" PRIu64 " instead of %" PRIu64, life->name, id.sequence,
           life->count + 1);
    struct record record = {
        .type = type,
        .stamp = ++world->stamp,
        .turn = world->turn,
        .made_ms = world_now_ms(world),
    };
    life->has_job = true;
    ledger_add(life, &record, plain);
    uint64_t first_before = life->first;
    ledger_check(life, world_now_ms(world));
    life->is_overrun = life->is_overrun || life->first > first_before;
    place_say("publish %" PRIx64 "-%" PRIu64 " in %s: %zu bytes", life->epoch, life->count,
              life->name, data.len);
}

struct life *world_life(struct world *world, struct slot *slot)
{
    if (slot->life != NULL) {
        look_for(world, slot->life);
    }
    return slot->life == NULL || slot->life->is_over ? begin_life(world, slot) : slot->life;
}

struct life *world_find(const struct world *world, uint64_t epoch)
{
    for (size_t i = world->life_count; i-- > 0;) {
        if (world->lives[i]->epoch == epoch) {
            return world->lives[i];
        }
    }
    return NULL;
}

void world_close_channel(struct world *world, struct life *life)
{
    place_say("close %s", life->name);
    struct channel *channel = life->channel;
    channel_hold(channel);
    channel_close(channel);
    struct sse_event event = {.has_data = true};
    struct event_id id;
    EXPECT(channel_publish(channel, &event, &id) == -ECANCELED, "a closed channel takes events");
    EXPECT(branch_find(&world->branch, bytes_from_string(life->name)) == NULL,
           "a closed channel is found");
    bool was_held = life->is_held;
    end_life(life);
    clients_see_close(world, life);
    channel_release(channel);
    if (was_held) {
        channel_release(channel);
    }
}

void world_release_channel(struct world *world, struct life *life)
{
    if (life->is_held) {
        place_say("release %s", life->name);
        life->is_held = false;
        channel_release(life->channel);
        look_for(world, life);
    }
}

void world_set_bounds(struct life *life)
{
    struct journal_bounds bounds = choose_bounds();
    channel_set_bounds(life->channel, &bounds);
    life->has_job = true;
    life->is_overrun = true; // they may be smaller now, and nobody was offered what goes
    place_say("bounds of %s: %" PRIu64 ", %" PRIu64 " bytes, %" PRIu64 " ms", life->name,
              bounds.count, bounds.bytes, bounds.age_ms);
}

/// The real end of a turn is what the loop does when libuv is about to wait.
void world_turn(struct world *world, uint64_t advance_ms)
{
    begin_end_of_turn(world);
    world->loop._prepare.prepare_cb(&world->loop._prepare);
    for (size_t i = 0; i < world->client_count; i++) {
        client_end_turn(&world->clients[i]);
    }
    end_books(world);
    world->turn++;
    place_say("turn %" PRIu64 ", and %" PRIu64 " ms", world->turn, advance_ms);
    loop_advance(&world->loop, advance_ms);
    timers_fire(&world->loop);
    check_books(world);
}

void world_settle(struct world *world)
{
    for (int turns = 0; is_busy(world); turns++) {
        EXPECT(turns < SETTLE_TURNS_MAX, "the loop never rests");
        world_turn(world, 0);
    }
    for (size_t i = 0; i < world->client_count; i++) {
        client_settled(&world->clients[i]);
    }
}

uint64_t world_now_ms(const struct world *world)
{
    return loop_now_ms(&world->loop);
}

void world_data(struct world *world, size_t size, struct bytes *out, struct bytes *plain)
{
    buf_clear(&world->scratch);
    char *at = buf_reserve(&world->scratch, 2 * size);
    char *see = at + size;
    size_t seen = 0;
    uint64_t bits = chance_bits();
    bool has_lines = chance_one_in(3);
    for (size_t i = 0; i < size; i++) {
        char byte = (char)('a' + (bits + i * i) % 26);
        if (has_lines && (bits + i) % 11 == 0) {
            byte = (bits + i) % 3 == 0 ? '\r' : '\n';
        }
        bool is_crlf = byte == '\n' && i > 0 && at[i - 1] == '\r';
        at[i] = byte;
        if (!is_crlf) {
            see[seen++] = byte == '\r' ? '\n' : byte;
        }
    }
    *out = bytes_of(at, size);
    *plain = bytes_of(see, seen);
}

static void choose_limits(struct limits *limits)
{
    static const uint64_t maxima[] = {3000, 64 * 1024, 1024 * 1024};
    static const uint64_t heartbeats[] = {0, 200, 15000};
    static const uint64_t timeouts[] = {500, 60000, 1000000000};
    *limits = limits_default();
    limits->head_timeout_ms = limits->body_timeout_ms = limits->idle_timeout_ms = 1000000000;
    limits->connections = 2 * CLIENTS_MAX;
    limits->stream_max_bytes = maxima[chance_below(3)];
    limits->heartbeat_ms = heartbeats[chance_below(3)];
    limits->peer_timeout_ms = timeouts[chance_below(3)];
    limits->stream_channels = 4;
}

static struct journal_bounds choose_bounds(void)
{
    static const uint64_t counts[] = {0, 1, 2, 5, 20, 1000, 1000};
    static const uint64_t sizes[] = {300, 2000, 20000, 100000, 1000000, 1000000};
    static const uint64_t ages[] = {50, 3000, 60000, 60000, UINT64_MAX, UINT64_MAX};
    struct journal_bounds bounds;
    bounds.count = counts[chance_below(7)];
    bounds.bytes = sizes[chance_below(6)];
    bounds.age_ms = ages[chance_below(6)];
    return bounds;
}

/// The epoch is chosen by chance of ours: how long it is decides how long ids are.
static struct life *begin_life(struct world *world, struct slot *slot)
{
    struct channel *channel = branch_make(&world->branch, bytes_from_string(slot->name));
    CHECK(channel != NULL);
    struct life *life = mem_new(struct life);
    do {
        uint64_t shift = 16 + chance_below(3) * 20;
        life->epoch = 1 + (chance_bits() >> shift);
    } while (world_find(world, life->epoch) != NULL);
    world->lives = mem_resize(world->lives, (world->life_count + 1) * sizeof(struct life *));
    life->index = world->life_count;
    world->lives[world->life_count++] = life;
    slot->life = life;
    life->channel = channel;
    life->name = slot->name;
    life->first = 1;
    life->is_skip = chance_one_in(2);
    life->is_held = !chance_one_in(5);
    life->reset_name = chance_one_in(3) ? "back" : "reset";
    life->lagged_name = chance_one_in(3) ? "behind" : "lagged";
    struct journal_bounds bounds = choose_bounds();
    channel_set_bounds(channel, &bounds);
    life->has_job = true;
    channel->topic->journal.epoch = life->epoch;
    channel_set_lag(channel, life->is_skip ? CHANNEL_SKIP : CHANNEL_RESUME);
    channel_set_reset_event(channel, bytes_from_string(life->reset_name));
    channel_set_lagged_event(channel, bytes_from_string(life->lagged_name));
    if (life->is_held) {
        channel_hold(channel);
    }
    place_say("begin %s as %" PRIx64 ", %s: %" PRIu64 ", %" PRIu64 " bytes, %" PRIu64 " ms",
              life->name, life->epoch, life->is_skip ? "skip" : "resume", bounds.count,
              bounds.bytes, bounds.age_ms);
    return life;
}

/// A channel that nobody holds may be gone; but not while somebody reads it.
static void look_for(struct world *world, struct life *life)
{
    if (life->is_over || life->is_held) {
        return;
    }
    struct channel *found = branch_find(&world->branch, bytes_from_string(life->name));
    if (found == NULL || found->topic->journal.epoch != life->epoch) {
        EXPECT(!clients_read(world, life), "%s is gone under its readers", life->name);
        end_life(life);
    }
}

static void end_life(struct life *life)
{
    life->is_over = true;
    life->is_held = false;
    life->channel = NULL;
    life->first = life->count + 1;
}

/// What the timers have let go.
static void check_books(struct world *world)
{
    for (size_t i = 0; i < world->life_count; i++) {
        struct life *life = world->lives[i];
        look_for(world, life);
        if (life->channel != NULL) {
            ledger_check(life, world_now_ms(world));
        }
    }
}

static void begin_end_of_turn(struct world *world)
{
    for (size_t i = 0; i < world->client_count; i++) {
        client_begin_end_of_turn(&world->clients[i]);
    }
}

static void end_books(struct world *world)
{
    for (size_t i = 0; i < world->life_count; i++) {
        struct life *life = world->lives[i];
        look_for(world, life);
        if (life->channel != NULL) {
            ledger_end_turn(life, world_now_ms(world));
        }
    }
    for (size_t i = 0; i < world->client_count; i++) {
        client_note_lag(&world->clients[i]);
    }
}

static bool is_busy(const struct world *world)
{
    return !list_is_empty(&world->loop._jobs[LOOP_RUN]) ||
           !list_is_empty(&world->loop._jobs[LOOP_WRITE]);
}

static void dismiss_all(struct world *world)
{
    LIST_EACH (node, after, &world->service.conns) {
        struct exchange *exchange = conn_exchange(conn_of_node(node));
        struct stream *stream = exchange == NULL ? NULL : stream_of_exchange(exchange);
        if (stream != NULL && stream->is_open) {
            stream_dismiss(stream, RETRY_MS);
        }
    }
}

/// Streams end with everything, or at once; with readers that take everything, or nothing.
static void shut_down(struct world *world)
{
    place_say("the end");
    if (chance_one_in(2)) {
        clients_take_all(world);
    }
    if (chance_one_in(2)) {
        world_settle(world);
    }
    if (!chance_one_in(3)) {
        clients_see_end(world);
        dismiss_all(world);
        world_settle(world);
    }
    service_close_all(&world->service);
    world_settle(world);
}
