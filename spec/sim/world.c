// SPDX-License-Identifier: MIT
#include "world.h"

#include "client.h"
#include "place.h"

#include "base/mem.h"
#include "base/slab.h"
#include "http/exchange.h"
#include "http/service.h"
#include "hub/channel.h"
#include "hub/replica.h"
#include "sse/stream.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    SETTLE_ROUNDS_MAX = 10000,
    RETRY_MS = 1000,
    START_MS = 1000000,
};

static const char *const names[SLOTS_MAX] = {"room", "a\"b\\c", "n\xc3\xa4he", "x", "room 2"};

static void choose_limits(struct limits *limits);
static void check_hub(struct world *world);
static void check_need(struct world *world, struct life *life);
static uint64_t end_expiry_ms(const struct life *life);
static bool has_due(const struct worker *worker, const struct life *life);
static void take_view(const struct world *world, const struct life *life, struct ledger_view *view);
static void expire(struct world *world, struct life *life);
static bool is_busy(const struct world *world);
static void end_all_streams(struct worker *worker);
static bool end_stream(void *user, struct exchange *exchange);
static void shut_down(struct world *world);

void world_init(struct world *world)
{
    *world = (struct world){.now_ms = START_MS};
    choose_limits(&world->limits);
    hub_init(&world->hub);
    world->worker_count = chance_between(1, WORKERS_MAX);
    for (size_t i = 0; i < world->worker_count; i++) {
        worker_init(&world->workers[i], world, (int)i);
    }
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
    for (size_t i = 0; i < PULLERS; i++) {
        world->pullers[i].world = world;
    }
}

void world_deinit(struct world *world)
{
    shut_down(world);
    for (size_t i = 0; i < world->client_count; i++) {
        client_deinit(&world->clients[i]);
    }
    for (size_t i = 0; i < PULLERS; i++) {
        puller_close(&world->pullers[i]);
    }
    for (size_t i = 0; i < world->worker_count; i++) {
        slots_let_go(&world->workers[i], UINT64_MAX);
        worker_close(&world->workers[i]);
    }
    for (size_t i = 0; i < world->worker_count; i++) {
        worker_deinit(&world->workers[i]);
    }
    hub_deinit(&world->hub);
    slab_tidy();
    for (size_t i = 0; i < world->life_count; i++) {
        ledger_free(world->lives[i]);
    }
    mem_free(world->lives);
    mem_free(world->clients);
    buf_reset(&world->scratch);
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

void world_look_for(struct world *world, struct life *life)
{
    if (life->is_over) {
        return;
    }
    hub_lock(&world->hub);
    const struct channel *found = channel_find(&world->hub, bytes_from_string(life->name));
    hub_unlock(&world->hub);
    bool is_gone = found == NULL || found->journal.epoch != life->epoch;
    if (is_gone && life->finished != 0) {
        expire(world, life);
    } else if (is_gone) {
        bool is_read = clients_read(world, life) || pullers_read(world, life);
        EXPECT(!is_read, "%s is gone under its readers", life->name);
        for (int i = 0; i < WORKERS_MAX; i++) {
            EXPECT(life->held[i] == NULL, "%s is gone though worker %d holds it", life->name, i);
        }
        ledger_end(life);
    }
}

/// A finished channel has closed by itself, which it must not do before its end is too old. Other
/// workers may have it still, until they see that.
static void expire(struct world *world, struct life *life)
{
    bool is_forever = life->ttl_ms == UINT64_MAX;
    EXPECT(!is_forever && life->finished_ms + life->ttl_ms <= world->now_ms,
           "%s is finished and has gone %" PRIu64 " ms later", life->name,
           world->now_ms - life->finished_ms);
    place_say("%s has expired", life->name);
    life->closed = ++world->stamp;
    ledger_end(life);
    for (int i = 0; i < WORKERS_MAX; i++) { // scripts of a worker that has seen it let go
        struct replica *held = life->held[i];
        if (held != NULL && held->state == CHANNEL_CLOSED) {
            life->held[i] = NULL;
            replica_release(held);
        }
    }
}

void world_check(const struct world *world, struct life *life)
{
    struct ledger_view view;
    take_view(world, life, &view);
    ledger_check(life, &view);
}

/// An event that some worker has still to offer stays, however old it is. After a change of the
/// bounds, all events stay until the turn has ended in which the worker sees the change.
bool world_is_stale(const struct worker *worker, const struct life *life)
{
    struct ledger_view view;
    take_view(worker->world, life, &view);
    uint64_t ttl_ms = life->channel->journal.bounds.ttl_ms;
    bool is_changed = life->overrun > worker->offered;
    return view.is_settled && !is_changed && life->first <= life->count && ttl_ms != UINT64_MAX &&
           life->records[life->first - 1].made_ms + ttl_ms <= worker_now_ms(worker);
}

void world_end_books(struct worker *worker)
{
    struct world *world = worker->world;
    uint64_t offered_before = worker->offered;
    worker->offered = worker->due;
    for (size_t i = 0; i < world->life_count; i++) {
        struct life *life = world->lives[i];
        bool is_due = has_due(worker, life);
        bool had_job = life->has_job[worker->index] && !is_due;
        life->has_job[worker->index] = life->has_job[worker->index] && is_due;
        world_look_for(world, life);
        if (life->channel != NULL) {
            struct ledger_view view;
            take_view(world, life, &view);
            ledger_end_turn(life, &view, had_job);
        }
    }
    for (size_t i = 0; i < world->client_count; i++) {
        if (world->clients[i].worker == worker) {
            client_note_lag(&world->clients[i], offered_before);
        }
    }
    pullers_end_turn(worker);
    slots_let_go(worker, worker->seen);
}

/// Checks the invariants of the hub and its parts, and that the hub's sums are those of its
/// channels.
static void check_hub(struct world *world)
{
    uint64_t bytes = 0;
    size_t count = 0;
    hub_lock(&world->hub);
    for (size_t i = 0; i < world->worker_count; i++) {
        LIST_EACH (node, after, &world->workers[i].local_hub.all) {
            const struct replica *replica = LIST_ITEM(node, struct replica, node);
            const struct channel *channel = replica->channel;
            replica_check(replica);
            LIST_EACH (member, following, &replica->subscribers) {
                subscriber_check(LIST_ITEM(member, struct subscriber, node));
            }
            if (channel->replicas.next == &replica->link.node) { // each channel once
                channel_check(channel);
                bytes += channel->counted_bytes;
                count++;
            }
        }
    }
    EXPECT(world->hub.bytes == bytes, "%" PRIu64 " bytes in the hub, %" PRIu64 " in its channels",
           world->hub.bytes, bytes);
    EXPECT(world->hub.channel_count == count, "%zu channels in the hub, and there are %zu",
           world->hub.channel_count, count);
    hub_unlock(&world->hub);
}

/// Checks what timers have made the journals drop.
void world_check_books(struct world *world)
{
    check_hub(world);
    for (size_t i = 0; i < world->life_count; i++) {
        struct life *life = world->lives[i];
        world_look_for(world, life);
        if (life->channel != NULL) {
            world_check(world, life);
        }
    }
}

void world_settle(struct world *world)
{
    for (int rounds = 0; is_busy(world); rounds++) {
        EXPECT(rounds < SETTLE_ROUNDS_MAX, "the loops never rest");
        for (size_t i = 0; i < world->worker_count; i++) {
            worker_wake(&world->workers[i]);
            worker_turn(&world->workers[i]);
        }
    }
    for (size_t i = 0; i < world->worker_count; i++) {
        EXPECT(world->workers[i].awaited == NULL, "a publisher of worker %zu waits on", i);
    }
    for (size_t i = 0; i < world->client_count; i++) {
        client_settled(&world->clients[i]);
    }
    for (size_t i = 0; i < world->life_count; i++) {
        check_need(world, world->lives[i]);
    }
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
    limits->conn.head_timeout_ms = limits->body.timeout_ms = limits->conn.idle_timeout_ms =
        1000000000;
    limits->conn.count = 2 * CLIENTS_MAX;
    limits->stream.max_bytes = maxima[chance_below(3)];
    limits->stream.heartbeat_ms = heartbeats[chance_below(3)];
    limits->conn.peer_timeout_ms = timeouts[chance_below(3)];
    limits->stream.channels = 4;
    limits->channel.total_bytes =
        chance_one_in(3) ? chance_between(1000, TIGHT_BYTES - 1) : limits->channel.total_bytes;
}

/// When a finished channel has to be gone. An event may be newer than the end: the clock of the
/// worker that published it may have been ahead.
static uint64_t end_expiry_ms(const struct life *life)
{
    uint64_t newest_ms = life->finished_ms;
    for (uint64_t sequence = life->first; sequence <= life->count; sequence++) {
        uint64_t made_ms = life->records[sequence - 1].made_ms;
        newest_ms = made_ms > newest_ms ? made_ms : newest_ms;
    }
    return life->ttl_ms == UINT64_MAX ? UINT64_MAX : newest_ms + life->ttl_ms;
}

/// A channel that nothing needs must be gone. A stream needs its channels until it ends. If another
/// worker dropped the last event, the channel may stay until the event would have expired.
static void check_need(struct world *world, struct life *life)
{
    world_look_for(world, life);
    EXPECT(life->is_over || life->finished == 0 || end_expiry_ms(life) > world->now_ms,
           "%s was finished, its end has expired, and it is still there", life->name);
    if (life->is_over || life->first <= life->count || life->finished != 0) {
        return;
    }
    const struct journal_bounds *bounds = &life->channel->journal.bounds;
    bool may_stay = world->worker_count > 1 && (bounds->count > 0 || bounds->ttl_ms != UINT64_MAX);
    bool is_needed = may_stay || pullers_read(world, life);
    for (size_t i = 0; i < world->worker_count; i++) {
        is_needed = is_needed || life->held[i] != NULL;
    }
    for (size_t i = 0; i < world->client_count; i++) {
        struct client *client = &world->clients[i];
        is_needed = is_needed || (client->stream != NULL && client_sub(client, life) != NULL);
    }
    EXPECT(is_needed, "%s is still there, empty, and nobody has it", life->name);
}

/// Whether the worker was told of something in the channel, and has not looked yet. Its job is done
/// at the end of the turn in which it looks.
static bool has_due(const struct worker *worker, const struct life *life)
{
    const struct replica *replica =
        life->channel == NULL ? NULL : worker_replica(worker, life->channel);
    return replica != NULL && list_is_linked(&replica->link.due_node);
}

static void take_view(const struct world *world, const struct life *life, struct ledger_view *view)
{
    *view = (struct ledger_view){
        .now_ms = world->now_ms,
        .late_ms = world->now_ms,
        .offered = clients_offered(world, life),
        .is_tight = world->limits.channel.total_bytes < TIGHT_BYTES,
        .is_settled = true,
    };
    for (size_t i = 0; i < world->worker_count; i++) {
        const struct worker *worker = &world->workers[i];
        uint64_t now_ms = worker_now_ms(worker);
        view->late_ms = now_ms < view->late_ms ? now_ms : view->late_ms;
        bool has_offered = ledger_count_at(life, worker->offered) == life->count;
        bool is_at_it = life->has_job[i] || life->joined[i] == worker->turn;
        view->is_settled = view->is_settled && has_offered && !is_at_it;
    }
}

static bool is_busy(const struct world *world)
{
    bool is_so = false;
    for (size_t i = 0; i < world->worker_count; i++) {
        is_so = is_so || worker_is_busy(&world->workers[i]);
    }
    return is_so;
}

static void end_all_streams(struct worker *worker)
{
    service_each_exchange(&worker->service, end_stream, NULL);
    worker_look(worker);
}

static bool end_stream(void *user, struct exchange *exchange)
{
    (void)user;
    struct stream *stream = stream_of_exchange(exchange);
    if (stream != NULL && stream->is_open) {
        stream_end(stream, END_SHUTDOWN, RETRY_MS);
    }
    return true;
}

/// Ends the streams completely or at once, while clients take everything or nothing.
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
        for (size_t i = 0; i < world->worker_count; i++) {
            end_all_streams(&world->workers[i]);
        }
        world_settle(world);
    }
    for (size_t i = 0; i < world->worker_count; i++) {
        service_close_all(&world->workers[i].service);
    }
    world_settle(world);
}
