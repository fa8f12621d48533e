// SPDX-License-Identifier: MIT
//
// A store can be put in: here the events of two channels are numbered and kept by a thread of its
// own (keeper.h) before they are shown, in an engine of two workers on threads of their own, and
// the product is as it is. Readers are streams of scripts, and come back with their last id. The
// books: each reader gets every event of its channel once and in order, whenever it comes back; no
// event is shown before it is written; a publisher is told after that; and events that wait are
// answered or dropped when their channel or the whole engine ends.
#include "keeper.h"
#include "rig.h"
#include "unit.h"

#include "base/mem.h"
#include "hub/channel.h"
#include "hub/replica.h"
#include "net/loop.h"

#include <errno.h>
#include <inttypes.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    SITES = 2,
    READERS = 6,
    ROUNDS = 300,
    BATCH = 5,
    SECONDS_MAX = 60,
    FIELDS_BYTES = 128,
    PATH_BYTES = 32,
};

static const char *const names[] = {"one", "two"};

static const char script[] =
    "local lunesse = require 'lunesse'\n"
    "local server = lunesse.server()\n"
    "local options = { history = 1000000, bytes = 100000000, ttl = false }\n"
    "local kept = { lunesse.channel('one', options), lunesse.channel('two', options) }\n"
    "server:get('/events/:name', function(request, response)\n"
    "  response.sse:subscribe(lunesse.channel(request.params.name), { since = 'earliest' })\n"
    "end)\n"
    "server:get('/kept', function(_, response) response:send(#kept) end)\n";

struct reader {
    struct caller caller;
    const char *name;
    uint64_t epoch; // of the last event
    uint64_t last;  // its number
    size_t seen;    // bytes of what came on this connection
};

/// A worker on its thread.
struct site {
    struct proof *proof;
    size_t index;
    struct worker *worker;
    pthread_t thread;
    struct reader readers[READERS];
    struct list publications;
    atomic_size_t answered_count;
    atomic_size_t cancelled_count;
    bool is_away;                 // a reader that left
    struct mailbox_message order; // from the main thread, which waits until it is done
    void (*task)(struct site *site);
    sem_t done;
};

struct proof {
    struct rig rig;
    struct keeper keeper;
    struct site sites[SITES];
    uint64_t serial;                // of the next event
    atomic_uint_fast64_t counts[2]; // of events that were handed over, by channel
    uint64_t comings;
};

struct publishing {
    struct publication base;
    struct site *site;
    uint64_t serial;
};

static void on_order(struct mailbox_message *message)
{
    struct site *site = CONTAINER_OF(message, struct site, order);
    site->task(site);
    sem_post(&site->done);
}

/// Has `task` run on the site's thread, and waits for it.
static void run_on(struct site *site, void (*task)(struct site *site))
{
    site->task = task;
    CHECK(mailbox_post(&site->worker->mailbox, &site->order));
    while (sem_wait(&site->done) != 0) {
    }
}

static void run_on_all(struct proof *proof, void (*task)(struct site *site))
{
    for (size_t i = 0; i < SITES; i++) {
        run_on(&proof->sites[i], task);
    }
}

static void *run_site(void *arg)
{
    struct site *site = arg;
    rig_open_worker(&site->proof->rig, site->index);
    sem_post(&site->done);
    worker_run(site->worker);
    mailbox_close(&site->worker->mailbox);
    publications_abandon(&site->publications);
    rig_close_worker(&site->proof->rig, site->index);
    for (size_t i = 0; i < READERS; i++) {
        caller_deinit(&site->readers[i].caller);
    }
    worker_tidy_thread();
    return NULL;
}

static void connect_reader(struct site *site, struct reader *reader)
{
    char path[PATH_BYTES];
    char fields[FIELDS_BYTES] = "";
    snprintf(path, sizeof(path), "/events/%s", reader->name);
    if (reader->last > 0) {
        snprintf(fields, sizeof(fields), "Last-Event-ID: %" PRIx64 "-%" PRIu64 "\r\n",
                 reader->epoch, reader->last);
    }
    reader->seen = 0;
    caller_ask(&reader->caller, site->worker, path, fields);
}

static void connect_all(struct site *site)
{
    for (size_t i = 0; i < READERS; i++) {
        site->readers[i].name = names[i % 2];
        connect_reader(site, &site->readers[i]);
    }
}

/// One event, or what is none. An event that is shown was written, under the number that it has.
static void read_block(struct site *site, struct reader *reader, const char *block)
{
    uint64_t epoch;
    uint64_t number;
    uint64_t serial;
    const char *id = strstr(block, "id: ");
    CHECK(strstr(block, "event: ") == NULL); // such as a reset
    if (id == NULL) {
        return;
    }
    int count = sscanf(id, "id: %" SCNx64 "-%" SCNu64 "\ndata: %" SCNu64, &epoch, &number, &serial);
    CHECK(reader->last == 0 || reader->epoch == epoch);
    if (count == 2) { // a reader that has no event yet is told where it stands
        CHECK(number == reader->last);
        return;
    }
    CHECK(count == 3 && number == reader->last + 1);
    CHECK(site->proof->keeper.numbers[serial] == number);
    CHECK(strcmp(names[serial % 2], reader->name) == 0);
    reader->epoch = epoch;
    reader->last = number;
}

/// Reads the whole events that have come; a head of HTTP has none of them.
static void read_new(struct site *site, struct reader *reader)
{
    struct bytes taken = buf_bytes(&reader->caller.transport.taken);
    for (;;) {
        struct bytes rest = bytes_skip(taken, reader->seen);
        const char *end = memmem(rest.at, rest.len, "\n\n", 2);
        if (end == NULL) {
            return;
        }
        char *block = mem_string(bytes_of(rest.at, (size_t)(end - rest.at)));
        read_block(site, reader, block);
        mem_free(block);
        reader->seen += (size_t)(end - rest.at) + 2;
    }
}

static void read_all(struct site *site)
{
    for (size_t i = 0; i < READERS; i++) {
        read_new(site, &site->readers[i]);
    }
}

/// A reader goes; it reads what came until then.
static void leave_one(struct site *site)
{
    struct reader *reader = &site->readers[site->proof->comings % READERS];
    read_new(site, reader);
    caller_leave(&reader->caller);
    site->is_away = true;
}

/// Once the connection is gone, a turn or two later, it comes back with its last id.
static void come_back(struct site *site)
{
    struct reader *reader = &site->readers[site->proof->comings % READERS];
    site->is_away = !reader->caller.transport.is_gone;
    if (!site->is_away) {
        caller_deinit(&reader->caller);
        connect_reader(site, reader);
    }
}

static void on_answered(struct publication *publication, int result, struct event_id id)
{
    struct publishing *publishing = CONTAINER_OF(publication, struct publishing, base);
    struct site *site = publishing->site;
    if (result == 0) {
        CHECK(site->proof->keeper.numbers[publishing->serial] == id.sequence);
        CHECK(replica_cursor(publication->replica).sequence >= id.sequence);
        site->answered_count++;
    } else if (result == -ECANCELED) {
        CHECK(site->proof->keeper.numbers[publishing->serial] == 0); // it was never shown
        site->cancelled_count++;
    } else {
        CHECK(result == -ENOTCONN);
    }
    mem_free(publishing);
}

static void publish(struct site *site)
{
    struct proof *proof = site->proof;
    struct local_hub *local = &site->worker->local_hub;
    for (int i = 0; i < BATCH; i++) {
        struct publishing *publishing = mem_new(struct publishing);
        publishing->site = site;
        publishing->serial = proof->serial++;
        const char *name = names[publishing->serial % 2];
        publishing->base.answered = on_answered;
        publishing->base.replica = local_hub_find(local, bytes_from_string(name));
        CHECK(publishing->base.replica != NULL);
        list_init(&publishing->base.node);
        list_append(&site->publications, &publishing->base.node);
        proof->counts[publishing->serial % 2]++;
        keeper_submit(&proof->keeper, local, &publishing->base, publishing->serial);
    }
}

static void set_up(struct proof *proof)
{
    rig_init(&proof->rig, script, SITES);
    keeper_init(&proof->keeper, &proof->rig.engine.hub);
    for (size_t i = 0; i < SITES; i++) {
        struct site *site = &proof->sites[i];
        site->proof = proof;
        site->index = i;
        site->worker = &proof->rig.engine.workers[i];
        site->order.run = on_order;
        list_init(&site->publications);
        CHECK(sem_init(&site->done, 0, 0) == 0);
        CHECK(pthread_create(&site->thread, NULL, run_site, site) == 0);
    }
    for (size_t i = 0; i < SITES; i++) {
        CHECK(sem_wait(&proof->sites[i].done) == 0);
    }
    run_on_all(proof, connect_all);
}

static void stop(struct site *site)
{
    worker_post(site->worker, &site->worker->orders.abort);
}

/// The workers end first, whatever the keeper has yet to write.
static void tear_down(struct proof *proof)
{
    run_on_all(proof, stop);
    for (size_t i = 0; i < SITES; i++) {
        CHECK(pthread_join(proof->sites[i].thread, NULL) == 0);
        sem_destroy(&proof->sites[i].done);
    }
    keeper_deinit(&proof->keeper);
    rig_deinit(&proof->rig);
}

/// Whether all readers have all events and all publishers their answers.
static bool is_complete(const struct proof *proof)
{
    size_t answered_count = 0;
    bool have_all = true;
    for (size_t i = 0; i < SITES; i++) {
        const struct site *site = &proof->sites[i];
        answered_count += site->answered_count + site->cancelled_count;
        for (size_t k = 0; k < READERS; k++) {
            have_all = have_all && site->readers[k].last == proof->counts[k % 2];
        }
    }
    return have_all && answered_count == proof->serial;
}

/// Each look is a turn of the workers.
static void await(struct proof *proof, bool (*is_so)(const struct proof *proof))
{
    time_t start = time(NULL);
    do {
        run_on_all(proof, read_all);
        CHECK(time(NULL) - start < SECONDS_MAX);
    } while (!is_so(proof));
}

TEST(a_store_on_another_thread_keeps_the_promise_of_channels)
{
    static struct proof proof;
    set_up(&proof);
    for (proof.comings = 0; proof.comings < ROUNDS; proof.comings++) {
        struct site *site = &proof.sites[proof.comings % SITES];
        run_on_all(&proof, publish);
        run_on(site, leave_one);
        run_on_all(&proof, publish);
        while (site->is_away) {
            run_on(site, come_back);
        }
        run_on_all(&proof, read_all);
    }
    await(&proof, is_complete);
    EXPECT_INT(proof.serial, ROUNDS * SITES * 2 * BATCH);
    tear_down(&proof);
    EXPECT_INT(proof.keeper.answered_count, proof.serial);
    EXPECT_INT(proof.keeper.dropped_count, 0);
}

static bool is_cancelled(const struct proof *proof)
{
    return proof->sites[0].cancelled_count + proof->sites[1].cancelled_count == BATCH;
}

static bool is_second_read(const struct proof *proof)
{
    bool is_so = proof->sites[0].answered_count + proof->sites[1].answered_count == BATCH;
    for (size_t i = 0; i < SITES; i++) {
        is_so = is_so && proof->sites[i].readers[1].last == BATCH;
    }
    return is_so;
}

static void close_first(struct site *site)
{
    replica_close(local_hub_find(&site->worker->local_hub, bytes_from_string(names[0])));
}

TEST(what_waits_for_a_store_is_not_shown_and_goes_with_its_channel)
{
    static struct proof proof;
    set_up(&proof);
    keeper_pause(&proof.keeper, true);
    run_on_all(&proof, publish);
    for (int i = 0; i < 10; i++) {
        run_on_all(&proof, read_all);
    }
    for (size_t i = 0; i < SITES; i++) {
        EXPECT_INT(proof.sites[i].answered_count, 0);
        EXPECT_INT(proof.sites[i].readers[0].last, 0);
        EXPECT_INT(proof.sites[i].readers[1].last, 0);
    }
    run_on(&proof.sites[1], close_first);
    keeper_pause(&proof.keeper, false);
    await(&proof, is_cancelled);
    await(&proof, is_second_read);
    for (size_t i = 0; i < SITES; i++) {
        EXPECT_INT(proof.sites[i].readers[0].last, 0); // of the channel that was closed
    }
    tear_down(&proof);
    EXPECT_INT(proof.keeper.answered_count, SITES * BATCH);
}

/// Nobody follows the channel, so no worker would look at its age if none were told of the event.
TEST(an_event_that_no_worker_has_published_goes_when_it_is_too_old)
{
    static struct rig rig;
    worker_set woken = 0;
    rig_init(&rig, "kept = require 'lunesse'.channel('one', { ttl = 1 })", 1);
    rig_open_worker(&rig, 0);
    struct local_hub *local = &rig.engine.workers[0].local_hub;
    struct channel *channel = local_hub_find(local, bytes_from_string(names[0]))->channel;
    rig_turn(&rig, 0);
    struct channel_author author = {
        .offered = UINT64_MAX, .now_ms = loop_now_ms(local->loop), .bytes_max = UINT64_MAX};
    hub_lock(&rig.engine.hub);
    EXPECT_INT(channel_append(channel, BYTES("data: x\n\n"), &author, &woken), 0);
    hub_unlock(&rig.engine.hub);
    EXPECT_INT(woken, 1);
    hub_wake(&rig.engine.hub, woken);
    rig_turn(&rig, 0);
    EXPECT(!journal_is_empty(&channel->journal));
    rig_advance(&rig, 3000);
    rig_turn(&rig, 0);
    EXPECT(journal_is_empty(&channel->journal));
    rig_close_worker(&rig, 0);
    rig_deinit(&rig);
}

TEST(an_engine_ends_while_events_wait_for_the_store)
{
    static struct proof proof;
    set_up(&proof);
    keeper_pause(&proof.keeper, true);
    run_on_all(&proof, publish);
    tear_down(&proof);
    EXPECT_INT(proof.keeper.answered_count, 0);
    EXPECT_INT(proof.keeper.dropped_count, SITES * BATCH);
}
