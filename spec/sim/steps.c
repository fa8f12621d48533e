// SPDX-License-Identifier: MIT
#include "steps.h"

#include "client.h"
#include "host.h"
#include "place.h"
#include "world.h"

#include <inttypes.h>
#include <stdio.h>

enum { BURST_MAX = 4, CUT_BYTES_MAX = 3000 };

static void publish_some(struct world *world);
static void turn(struct world *world);
static void wake(struct world *world);
static void settle(struct world *world);
static void request(struct world *world);
static void choose_id(struct client *client);
static void damage(char *id);
static void drop_part(char *id);
static void compose(const struct world *world, char *id);
static void move_on(struct world *world);
static void leave(struct world *world);
static void say_own(struct world *world);
static void mutter(struct world *world);
static void subscribe(struct world *world);
static void unsubscribe(struct world *world);
static bool may_have_left(const struct client *client);
static void end(struct world *world);
static void cut(struct world *world);
static void touch_sockets(struct world *world);
static void pull(struct world *world);
static void end_polls(struct world *world);
static void finish_channel(struct world *world);
static void close_channel(struct world *world);
static void release_channel(struct world *world);
static void change(struct world *world);
static struct client *any_live(struct world *world);
static struct slot *any_slot(struct world *world);
static struct worker *any_worker(struct world *world);

/// How often each step is taken, by weight.
static const struct choice {
    unsigned weight;
    void (*take)(struct world *world);
} choices[] = {
    {300, publish_some}, {300, turn},          {120, move_on},     {90, request},
    {90, say_own},       {30, leave},          {20, subscribe},    {20, mutter},
    {10, end},           {8, unsubscribe},     {4, close_channel}, {4, change},
    {3, settle},         {2, release_channel}, {40, wake},         {6, cut},
    {60, touch_sockets}, {5, finish_channel},  {80, pull},         {5, end_polls},
};

void steps_take(struct world *world)
{
    enum { WEIGHT_SUM = 1197 };
    uint64_t at = chance_below(WEIGHT_SUM);
    const struct choice *choice = choices;
    while (at >= choice->weight) {
        at -= choice->weight;
        choice++;
    }
    choice->take(world);
}

/// Has one worker or several publish, in one channel or several.
static void publish_some(struct world *world)
{
    struct worker *worker = any_worker(world);
    struct slot *slot = any_slot(world);
    for (uint64_t left = chance_between(1, BURST_MAX); left > 0; left--) {
        slot = chance_one_in(3) ? any_slot(world) : slot;
        worker = chance_one_in(3) ? any_worker(world) : worker;
        slot_publish(worker, slot);
    }
}

/// Mostly has one worker run a turn. A worker that was woken may see that at once, or some turns
/// later.
static void turn(struct world *world)
{
    static const uint64_t pauses_ms[] = {0, 0, 0, 0, 0, 0, 1, 10, 60, 300};
    uint64_t pause_ms = pauses_ms[chance_below(10)];
    world->now_ms += chance_one_in(60) ? chance_below(100000) : pause_ms;
    struct worker *worker = any_worker(world);
    for (uint64_t left = chance_one_in(3) ? world->worker_count : 1; left > 0; left--) {
        if (!chance_one_in(3)) {
            worker_wake(worker);
        }
        worker_turn(worker);
        worker = any_worker(world);
    }
}

static void wake(struct world *world)
{
    worker_wake(any_worker(world));
}

static void settle(struct world *world)
{
    world_settle(world);
}

static void request(struct world *world)
{
    struct client *client = &world->clients[chance_below(world->client_count)];
    bool can_use = client->state == CLIENT_IDLE && client->transport.is_reading &&
                   !client->transport.has_ended;
    if (client->state == CLIENT_LEFT || (client->state == CLIENT_IDLE && chance_one_in(2))) {
        client_hang_up(client);
    } else if (client->state == CLIENT_AWAY || can_use) {
        choose_id(client);
        client_request(client, !chance_one_in(4));
    }
}

/// Chooses the id that the client comes back with: mostly the last one that it received.
static void choose_id(struct client *client)
{
    char id[ID_BYTES_MAX];
    memcpy(id, client->last_id, sizeof(id));
    client->is_faithful = !chance_one_in(4);
    if (!client->is_faithful) {
        switch (chance_below(6)) {
        case 0:
            id[0] = '\0';
            break;
        case 1:
            memcpy(id, client->old_ids[chance_below(OLD_IDS)], sizeof(id));
            break;
        case 2:
            damage(id);
            break;
        case 3:
            drop_part(id);
            break;
        default:
            compose(client->world, id);
        }
    }
    memcpy(client->sent_id, id, sizeof(id));
    memcpy(client->last_id, id, sizeof(id));
}

static void damage(char *id)
{
    static const char bytes[] = "0123456789abcdefABx-,,.";
    size_t len = strlen(id);
    if (len == 0 || chance_one_in(3)) {
        static const char *const junk[] = {"x",
                                           "-",
                                           ",",
                                           "1-",
                                           "0-0",
                                           "00-1",
                                           "1-01",
                                           "-1",
                                           "ffffffffffffffffff-1",
                                           "1-18446744073709551616"};
        snprintf(id, ID_BYTES_MAX, "%s", junk[chance_below(10)]);
    } else {
        size_t at = chance_below(len);
        id[at] = bytes[chance_below(sizeof(bytes) - 1)];
    }
}

/// Appends one part of a list of ids, with commas around it.
static void drop_part(char *id)
{
    char *comma = strchr(id, ',');
    if (comma == NULL) {
        return;
    }
    if (chance_one_in(2)) {
        memmove(id, comma + 1, strlen(comma + 1) + 1);
    } else {
        *comma = '\0';
    }
}

/// An id of a life that exists or existed, with a number around its newest.
static void compose(const struct world *world, char *id)
{
    size_t len = 0;
    id[0] = '\0';
    for (uint64_t left = chance_between(1, 4); left > 0 && world->life_count > 0; left--) {
        const struct life *life =
            world->lives[world->life_count - 1 -
                         chance_below(world->life_count < 6 ? world->life_count : 6)];
        uint64_t back = chance_below(chance_one_in(2) ? 4 : life->count + 4);
        uint64_t sequence = life->count + 2 > back ? life->count + 2 - back : 0;
        sequence = chance_one_in(20) ? UINT64_MAX : sequence;
        uint64_t epoch = chance_one_in(10) ? chance_bits() : life->epoch;
        len += (size_t)snprintf(id + len, ID_BYTES_MAX - len, "%s%" PRIx64 "-%" PRIu64,
                                len == 0 ? "" : ",", epoch, sequence);
    }
}

/// Makes a client stall, or read on: everything or a few bytes.
static void move_on(struct world *world)
{
    struct client *client = &world->clients[chance_below(world->client_count)];
    if (client->state != CLIENT_READING) {
        return;
    }
    switch (chance_below(8)) {
    case 0:
        client_make_room(client, 0);
        break;
    case 1:
        client_make_room(client, chance_between(1, 3));
        break;
    case 2:
        client_make_room(client, chance_between(1, 200));
        break;
    case 3:
        client_make_room(client, chance_between(1, 50000));
        break;
    default:
        client_make_room(client, SIZE_MAX);
    }
}

static void leave(struct world *world)
{
    struct client *client = &world->clients[chance_below(world->client_count)];
    if (client->state != CLIENT_READING || client->transport.is_closing) {
        return;
    }
    uint64_t kind = chance_below(8);
    if (kind == 0) {
        client_half_close(client);
    } else if (kind == 1) {
        client_vanish(client);
    } else {
        client_leave(client, chance_below(chance_one_in(2) ? 100 : CUT_BYTES_MAX));
    }
}

static void say_own(struct world *world)
{
    struct client *client = any_live(world);
    if (client != NULL) {
        host_send(client, 1 + chance_below(chance_one_in(10) ? world->data_bytes_max : 30));
    }
}

static void mutter(struct world *world)
{
    struct client *client = any_live(world);
    if (client != NULL) {
        host_mutter(client);
    }
}

static void subscribe(struct world *world)
{
    static const char *const places[] = {"", "", "", "", "earliest", "1-1", "-1", "-9"};
    struct client *client = any_live(world);
    if (client != NULL) {
        struct opened opened = slot_open(client->worker, any_slot(world));
        host_subscribe(client, opened, places[chance_below(8)]);
    }
}

static void unsubscribe(struct world *world)
{
    struct client *client = any_live(world);
    if (client == NULL || client->sub_count == 0 || may_have_left(client)) {
        return;
    }
    struct sub *sub = &client->subs[chance_below(client->sub_count)];
    if (!sub->is_gone && sub->life->channel != NULL) {
        host_unsubscribe(client, sub);
    }
}

/// Whether the stream may have left a closed channel already, in this turn or since it fell behind.
/// The books do not know whether that was the last channel of the stream, which ends it.
static bool may_have_left(const struct client *client)
{
    bool has_closed = false;
    for (size_t i = 0; i < client->sub_count; i++) {
        const struct sub *sub = &client->subs[i];
        has_closed = has_closed || (!sub->is_gone && sub->end != UINT64_MAX);
    }
    return client->is_wide || (client->was_behind && has_closed);
}

static void end(struct world *world)
{
    struct client *client = any_live(world);
    if (client != NULL) {
        host_end(client);
    }
}

static void cut(struct world *world)
{
    struct client *client = any_live(world);
    if (client != NULL) {
        host_cut(client);
    }
}

/// Opens, uses and closes sockets of one worker that belong to no client.
static void touch_sockets(struct world *world)
{
    struct worker *worker = any_worker(world);
    for (uint64_t left = chance_between(1, 4); left > 0; left--) {
        sockets_step(&worker->sockets);
    }
}

static void pull(struct world *world)
{
    puller_step(&world->pullers[chance_below(PULLERS)]);
}

static void end_polls(struct world *world)
{
    pullers_end_polls(any_worker(world));
}

static void finish_channel(struct world *world)
{
    slot_finish(any_worker(world), any_slot(world));
}

static void close_channel(struct world *world)
{
    slot_close(any_worker(world), any_slot(world));
}

static void release_channel(struct world *world)
{
    slot_release(any_worker(world), any_slot(world));
}

static void change(struct world *world)
{
    slot_change(any_worker(world), any_slot(world));
}

/// A client whose stream goes on, or NULL.
static struct client *any_live(struct world *world)
{
    struct client *client = &world->clients[chance_below(world->client_count)];
    return client_is_live(client) ? client : NULL;
}

static struct slot *any_slot(struct world *world)
{
    return &world->slots[chance_below(world->slot_count)];
}

static struct worker *any_worker(struct world *world)
{
    return &world->workers[chance_below(world->worker_count)];
}
