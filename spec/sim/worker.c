// SPDX-License-Identifier: MIT
#include "worker.h"

#include "client.h"
#include "host.h"
#include "place.h"
#include "world.h"

#include "http/codecs.h"
#include "hub/replica.h"
#include "net/timer.h"
#include "sse/stream.h"

#include <inttypes.h>

enum { PATIENCE_MS = 1000 };

static uint64_t choose(void *chooser, uint64_t count);
static void end_loop_turn(struct worker *worker);
static void on_told(struct loop_job *job);
static void begin_end_of_turn(struct worker *worker);
static void begin_turn(struct worker *worker);

void worker_init(struct worker *worker, struct world *world, int index)
{
    *worker = (struct worker){.world = world, .index = index, .turn = 1};
    CHECK(loop_init(&worker->loop) == 0);
    worker->loop.uv.time = world->now_ms;
    mailbox_open(&worker->mailbox, &worker->loop);
    local_hub_init(&worker->local_hub, &world->hub, &worker->loop, &worker->mailbox,
                   &world->limits);
    heartbeats_init(&worker->heartbeats, &worker->loop, stream_beat);
    service_init(&worker->service, &worker->loop, &world->limits, &world->conn_total);
    codecs_use_http1(&worker->service);
    worker->service.events = &host_events;
    worker->service.user = worker;
    sockets_init(&worker->sockets, &worker->loop.poller, choose, NULL);
    list_init(&worker->waiter.node);
    worker->waiter.job = &worker->told;
    loop_job_init(&worker->told, on_told);
}

/// The handles of libuv close in turns of the real loop, so the loop gets the machine's time again.
void worker_close(struct worker *worker)
{
    sockets_close(&worker->sockets);
    sockets_begin_end(&worker->sockets);
    mailbox_close(&worker->mailbox);
    service_deinit(&worker->service);
    heartbeats_deinit(&worker->heartbeats);
    local_hub_deinit(&worker->local_hub);
    uv_update_time(&worker->loop.uv);
    EXPECT(loop_close(&worker->loop, PATIENCE_MS) == 0, "a handle is still open");
    sockets_end(&worker->sockets);
    sockets_deinit(&worker->sockets);
    loop_deinit(&worker->loop);
}

void worker_deinit(struct worker *worker)
{
    mailbox_deinit(&worker->mailbox);
}

void worker_note_look(struct worker *worker)
{
    uint64_t before = worker->seen;
    worker->seen = worker->world->stamp;
    for (size_t i = 0; before < worker->seen && i < worker->world->life_count; i++) {
        const struct life *life = worker->world->lives[i];
        if (life->closed > before || life->finished > before) {
            clients_see_end_of(worker, life);
        }
    }
}

void worker_look(struct worker *worker)
{
    local_hub_sync(&worker->local_hub);
    worker_note_look(worker);
}

void worker_await_room(struct worker *worker, struct replica *replica)
{
    if (worker->awaited == NULL && replica_is_over(replica)) {
        place_say("a publisher of worker %d waits", worker->index);
        replica_hold(replica);
        worker->awaited = replica;
        loop_at_turn_end(&worker->loop, LOOP_WRITE, &worker->told);
    }
}

/// Calls the mailbox's callback, as libuv does when the loop polls.
void worker_wake(struct worker *worker)
{
    if (worker->mailbox._first != NULL) {
        place_say("worker %d is woken", worker->index);
        worker->mailbox._async.async_cb(&worker->mailbox._async);
        worker_note_look(worker);
    }
}

/// Runs the real end of the turn; timers and wake-ups are called by hand.
void worker_turn(struct worker *worker)
{
    struct world *world = worker->world;
    IGNORE(chance_one_in(8) ? sockets_tell_exactly(&worker->sockets)
                            : sockets_tell(&worker->sockets));
    begin_end_of_turn(worker);
    end_loop_turn(worker);
    for (size_t i = 0; i < world->client_count; i++) {
        if (world->clients[i].worker == worker) {
            client_end_turn(&world->clients[i]);
        }
    }
    world_end_books(worker);
    worker->turn++;
    place_say("worker %d, turn %" PRIu64 ", at %" PRIu64 " ms", worker->index, worker->turn,
              world->now_ms);
    begin_turn(worker);
    world_check_books(world);
}

bool worker_is_busy(const struct worker *worker)
{
    return !list_is_empty(&worker->loop._jobs[LOOP_RUN]) ||
           !list_is_empty(&worker->loop._jobs[LOOP_WRITE]) || worker->mailbox._first != NULL ||
           timer_heap_next_ms(&worker->loop.timers) <= worker->world->now_ms;
}

struct replica *worker_replica(const struct worker *worker, const struct channel *channel)
{
    LIST_EACH (node, after, &worker->local_hub.all) {
        struct replica *replica = LIST_ITEM(node, struct replica, node);
        if (replica->channel == channel) {
            return replica;
        }
    }
    return NULL;
}

static uint64_t choose(void *chooser, uint64_t count)
{
    (void)chooser;
    return chance_below(count);
}

static void end_loop_turn(struct worker *worker)
{
    sockets_begin_end(&worker->sockets);
    loop_end_turn(&worker->loop);
    sockets_end(&worker->sockets);
}

static void on_told(struct loop_job *job)
{
    struct worker *worker = CONTAINER_OF(job, struct worker, told);
    if (!replica_await_room(worker->awaited, &worker->waiter)) {
        place_say("a publisher of worker %d goes on", worker->index);
        replica_release(worker->awaited);
        worker->awaited = NULL;
    }
}

/// A worker with an empty mailbox has been told of nothing, so it knows all that was published.
static void begin_end_of_turn(struct worker *worker)
{
    struct world *world = worker->world;
    pullers_run(worker);
    if (worker->mailbox._first == NULL) {
        worker_note_look(worker);
    }
    worker->due = worker->seen;
    for (size_t i = 0; i < world->client_count; i++) {
        if (world->clients[i].worker == worker) {
            client_begin_end_of_turn(&world->clients[i]);
        }
    }
    pullers_begin_end_of_turn(worker);
}

/// A timer that fires may make the worker look at the hub: a heartbeat writes to its stream, and
/// events that were published before must come first.
static void begin_turn(struct worker *worker)
{
    worker->loop.uv.time = worker->world->now_ms;
    bool is_due = timer_heap_next_ms(&worker->loop.timers) <= worker_now_ms(worker);
    timer_heap_check(&worker->loop.timers);
    poller_check(&worker->loop.poller);
    timer_heap_fire(&worker->loop.timers);
    if (is_due) {
        worker_look(worker);
    }
}
