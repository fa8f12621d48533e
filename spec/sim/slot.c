// SPDX-License-Identifier: MIT
#include "slot.h"

#include "place.h"
#include "world.h"

#include "base/mem.h"
#include "hub/replica.h"
#include "wire/sse.h"

#include <errno.h>
#include <inttypes.h>

static struct journal_bounds choose_bounds(void);
static struct opened begin_life(struct worker *worker, struct slot *slot);
static struct replica *find_replica(struct worker *worker, const char *text);
/// Makes a channel even when the budget of all channels is used up: the simulator judges channels
/// that exist.
static struct replica *make_replica(struct worker *worker, struct bytes name)
{
    struct limits *limits = &worker->world->limits;
    uint64_t bytes_max = limits->channel.total_bytes;
    limits->channel.total_bytes = UINT64_MAX;
    struct replica *replica;
    int failure = local_hub_make(&worker->local_hub, name, NULL, &replica);
    EXPECT(failure == 0, "making %.*s: %d", (int)name.len, name.at, failure);
    limits->channel.total_bytes = bytes_max;
    return replica;
}

static struct replica *make_replica(struct worker *worker, struct bytes name);
static void name_notice(struct replica *replica, enum channel_event which, const char *name);
static void hold(struct worker *worker, struct life *life, struct replica *replica);
static void set_bounds(struct worker *worker, struct opened opened);
static void set_lag(struct opened opened, bool is_skip);
static void note_published(struct worker *worker, struct opened opened, const char *type,
                           struct bytes plain);

struct opened slot_open(struct worker *worker, struct slot *slot)
{
    struct world *world = worker->world;
    for (size_t i = world->life_count; i-- > 0;) {
        struct life *life = world->lives[i];
        bool is_known = life->closed != 0 && life->closed <= worker->seen;
        if (life->name == slot->name && life->held[worker->index] != NULL && !is_known) {
            return (struct opened){life, life->held[worker->index]};
        }
    }
    if (slot->life != NULL) {
        world_look_for(world, slot->life);
    }
    if (slot->life == NULL || slot->life->is_over) {
        return begin_life(worker, slot);
    }
    struct replica *replica = find_replica(worker, slot->name);
    EXPECT(replica != NULL && replica->channel == slot->life->channel,
           "worker %d does not find %s, which another one has", worker->index, slot->name);
    if (chance_one_in(3)) {
        hold(worker, slot->life, replica);
    }
    return (struct opened){slot->life, replica};
}

void slot_publish(struct worker *worker, struct slot *slot)
{
    static const char *const types[] = {"", "", "said", "x"};
    static const uint64_t sizes[] = {1, 1, 1, 1, 1, 1, 1, 20, 20, 200};
    struct world *world = worker->world;
    struct opened opened = slot_open(worker, slot);
    uint64_t most = world->data_bytes_max * sizes[chance_below(10)];
    most = chance_one_in(30) ? most : most / 4;
    struct bytes plain;
    struct sse_event event = {.has_data = true};
    world_data(world, chance_between(1, most > 60000 ? 60000 : most + 1), &event.data, &plain);
    const char *type = types[chance_below(4)];
    event.has_event = type[0] != '\0';
    event.event = bytes_from_string(type);
    event.has_retry = chance_one_in(50);
    event.retry_ms = chance_below(5000);
    struct event_id id;
    int failure = replica_publish(opened.replica, &event, &id);
    if (opened.life->is_over) {
        EXPECT(failure == -ECANCELED, "publishing in a channel that was closed: %d", failure);
    } else if (opened.life->finished != 0) {
        EXPECT(failure == -ESHUTDOWN, "publishing in a channel that was finished: %d", failure);
    } else if (failure == -ENOBUFS) {
        struct life *life = opened.life;
        EXPECT(world->hub.bytes + 8 * event.data.len + 200 > world->limits.channel.total_bytes,
               "%s has no room, with %" PRIu64 " bytes in all", slot->name, world->hub.bytes);
        world_check(world, life);
        life->has_job[worker->index] = true;
    } else if (failure != 0) {
        uint64_t most_bytes = 8 * event.data.len + 200; // if each byte were a line
        bool is_much = most_bytes > opened.life->channel->journal.bounds.bytes;
        EXPECT(failure == -EMSGSIZE && is_much, "publishing %zu bytes in %s: %d", event.data.len,
               slot->name, failure);
    } else {
        struct life *life = opened.life;
        EXPECT(id.epoch == life->epoch && id.sequence == life->count + 1,
               "published in %s as %" PRIu64 " instead of %" PRIu64, life->name, id.sequence,
               life->count + 1);
        note_published(worker, opened, type, plain);
    }
}

/// Finishing a channel a second time does nothing.
void slot_finish(struct worker *worker, struct slot *slot)
{
    struct opened opened = slot_open(worker, slot);
    struct life *life = opened.life;
    if (life->is_over) {
        EXPECT(replica_finish(opened.replica) == -ECANCELED, "a closed channel is finished");
        worker_note_look(worker);
        return;
    }
    place_say("worker %d finishes %s", worker->index, life->name);
    EXPECT(replica_finish(opened.replica) == 0, "%s is not finished", life->name);
    if (life->finished == 0) {
        life->finished = ++worker->world->stamp;
        life->finished_ms = worker_now_ms(worker);
    }
    struct sse_event event = {.has_data = true};
    struct event_id id;
    EXPECT(replica_publish(opened.replica, &event, &id) == -ESHUTDOWN,
           "a finished channel takes events");
    for (size_t i = 0; i < WORKERS_MAX; i++) {
        life->has_job[i] = true; // whether the worker has a replica or not
    }
    worker_note_look(worker);
}

void slot_close(struct worker *worker, struct slot *slot)
{
    struct opened opened = slot_open(worker, slot);
    struct life *life = opened.life;
    if (life->is_over) {
        return; // another worker has closed it
    }
    place_say("worker %d closes %s", worker->index, life->name);
    struct replica *replica = opened.replica;
    replica_hold(replica);
    replica_close(replica);
    struct sse_event event = {.has_data = true};
    struct event_id id;
    EXPECT(replica_publish(replica, &event, &id) == -ECANCELED, "a closed channel takes events");
    EXPECT(local_hub_find(&worker->local_hub, bytes_from_string(life->name)) == NULL,
           "a closed channel is found");
    life->closed = ++worker->world->stamp;
    ledger_end(life);
    worker_note_look(worker);
    replica_release(replica);
    slots_let_go(worker, worker->seen);
}

void slot_release(struct worker *worker, struct slot *slot)
{
    struct life *life = slot->life;
    if (life != NULL && life->held[worker->index] != NULL) {
        place_say("worker %d releases %s", worker->index, life->name);
        struct replica *replica = life->held[worker->index];
        life->held[worker->index] = NULL;
        replica_release(replica);
        world_look_for(worker->world, life);
    }
}

/// New bounds may be narrower, and then drop frames that were not offered to the subscribers yet.
void slot_change(struct worker *worker, struct slot *slot)
{
    struct opened opened = slot_open(worker, slot);
    struct life *life = opened.life;
    if (life->is_over) {
        return;
    }
    set_bounds(worker, opened);
    life->overrun = ++worker->world->stamp;
    if (chance_one_in(4)) {
        set_lag(opened, chance_one_in(2));
    }
}

/// The worker's scripts let go what was closed up to `stamp`, or everything.
void slots_let_go(struct worker *worker, uint64_t stamp)
{
    for (size_t i = 0; i < worker->world->life_count; i++) {
        struct life *life = worker->world->lives[i];
        bool is_closed = life->closed != 0 && life->closed <= stamp;
        struct replica *replica = life->held[worker->index];
        if (replica != NULL && (is_closed || stamp == UINT64_MAX)) {
            life->held[worker->index] = NULL;
            replica_release(replica);
        }
    }
}

static struct journal_bounds choose_bounds(void)
{
    static const uint64_t counts[] = {0, 1, 2, 5, 20, 1000, 1000};
    static const uint64_t sizes[] = {300, 2000, 20000, 100000, 1000000, 1000000};
    static const uint64_t ages[] = {50, 3000, 60000, 60000, UINT64_MAX, UINT64_MAX};
    struct journal_bounds bounds;
    bounds.count = counts[chance_below(7)];
    bounds.bytes = sizes[chance_below(6)];
    bounds.ttl_ms = ages[chance_below(6)];
    return bounds;
}

/// The simulator chooses the epoch, because its length decides how long the ids are.
static struct opened begin_life(struct worker *worker, struct slot *slot)
{
    struct world *world = worker->world;
    struct bytes name = bytes_from_string(slot->name);
    EXPECT(local_hub_find(&worker->local_hub, name) == NULL, "%s is there already", slot->name);
    worker_note_look(worker);
    struct replica *replica = make_replica(worker, name);
    struct life *life = mem_zero(sizeof(struct life));
    do {
        uint64_t shift = 16 + chance_below(3) * 20;
        life->epoch = 1 + (chance_bits() >> shift);
    } while (world_find(world, life->epoch) != NULL);
    world->lives = mem_resize(world->lives, (world->life_count + 1) * sizeof(struct life *));
    life->index = world->life_count;
    world->lives[world->life_count++] = life;
    slot->life = life;
    life->channel = replica->channel;
    life->name = slot->name;
    life->first = 1;
    life->reset_name = chance_one_in(3) ? "back" : "reset";
    life->lagged_name = chance_one_in(3) ? "behind" : "lagged";
    replica->channel->journal.epoch = replica->journal.epoch = life->epoch;
    name_notice(replica, CHANNEL_RESET, life->reset_name);
    name_notice(replica, CHANNEL_LAGGED, life->lagged_name);
    struct opened opened = {life, replica};
    place_say("worker %d begins %s as %" PRIx64, worker->index, life->name, life->epoch);
    set_bounds(worker, opened);
    set_lag(opened, chance_one_in(2));
    if (!chance_one_in(5)) {
        hold(worker, life, replica);
    }
    return opened;
}

static void name_notice(struct replica *replica, enum channel_event which, const char *name)
{
    struct sse_event texts = {.has_event = true, .event = bytes_from_string(name)};
    CHECK(channel_set_notice(replica->channel, which, &texts) == 0);
}

/// Sometimes makes the channel without looking for it, as a worker does that looked just before
/// another one made it.
static struct replica *find_replica(struct worker *worker, const char *text)
{
    struct bytes name = bytes_from_string(text);
    if (map_find(&worker->local_hub.replicas, name) == NULL && chance_one_in(4)) {
        return make_replica(worker, name);
    }
    struct replica *replica = local_hub_find(&worker->local_hub, name);
    worker_note_look(worker);
    return replica;
}

static void hold(struct worker *worker, struct life *life, struct replica *replica)
{
    life->held[worker->index] = replica;
    replica_hold(replica);
}

static void set_bounds(struct worker *worker, struct opened opened)
{
    struct life *life = opened.life;
    struct journal_bounds bounds = choose_bounds();
    replica_set_bounds(opened.replica, &bounds);
    worker_note_look(worker);
    life->has_job[worker->index] = true;
    life->bytes_max = bounds.bytes;
    life->ttl_ms = bounds.ttl_ms;
    place_say("worker %d bounds %s: %" PRIu64 ", %" PRIu64 " bytes, %" PRIu64 " ms", worker->index,
              life->name, bounds.count, bounds.bytes, bounds.ttl_ms);
}

static void set_lag(struct opened opened, bool is_skip)
{
    place_say("who lags in %s %s", opened.life->name, is_skip ? "skips" : "resumes");
    replica_set_lag(opened.replica, is_skip ? CHANNEL_SKIP : CHANNEL_RESUME);
    opened.life->may_skip = opened.life->may_skip || is_skip;
    opened.life->may_resume = opened.life->may_resume || !is_skip;
}

static void note_published(struct worker *worker, struct opened opened, const char *type,
                           struct bytes plain)
{
    struct life *life = opened.life;
    struct record record = {
        .type = type,
        .stamp = ++worker->world->stamp,
        .turn = worker->turn,
        .made_ms = worker_now_ms(worker),
    };
    worker_note_look(worker);
    life->has_job[worker->index] = true;
    ledger_add(life, &record, plain);
    uint64_t first_before = life->first;
    world_check(worker->world, life);
    if (life->first > first_before) {
        life->overrun = record.stamp;
    }
    place_say("worker %d publishes %" PRIx64 "-%" PRIu64 " in %s: %zu bytes", worker->index,
              life->epoch, life->count, life->name, plain.len);
    worker_await_room(worker, opened.replica);
}
