// SPDX-License-Identifier: MIT
#include "keeper.h"

#include "base/buf.h"
#include "base/environment.h"
#include "base/mem.h"
#include "hub/channel.h"
#include "hub/replica.h"
#include "net/clock.h"
#include "wire/sse.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>

enum { DATA_BYTES = 32, WRITE_STEPS = 16, NS_PER_MS = 1000000 };

/// An event on its way, as the keeper knows it. The keeper's until it is answered: then the answer
/// frees it, or the keeper does where nobody hears the answer.
struct ticket {
    struct list node;
    struct keeper *keeper;
    struct mailbox *home;
    struct mailbox_message answer;
    struct publication *publication; // touched by the answer only, on the worker's thread
    struct kept_channel *channel;
    uint64_t epoch;
    uint64_t serial;
    uint64_t number;
    uint64_t steps; // of the keeper, until the write is finished
    int result;
    size_t len;
    char fields[]; // encoded; in memory of its own, since a buf belongs to its thread
};

static void *run(void *arg);
static bool take_tickets(struct keeper *keeper);
static struct kept_channel *channel_of(struct keeper *keeper, struct replica *replica);
static void number(struct ticket *ticket);
static void write_on(struct keeper *keeper);
static bool is_next(const struct ticket *ticket);
static void show(struct keeper *keeper, struct ticket *ticket);
static void answer(struct ticket *ticket);
static void on_answer(struct mailbox_message *message);
static void free_ticket(struct ticket *ticket, bool is_heard);
static uint64_t throw_dice(struct keeper *keeper, uint64_t count);

void keeper_init(struct keeper *keeper, struct hub *hub)
{
    *keeper = (struct keeper){.hub = hub, .dice = 1};
    CHECK(pthread_mutex_init(&keeper->lock, NULL) == 0);
    CHECK(pthread_cond_init(&keeper->has_work, NULL) == 0);
    list_init(&keeper->tickets);
    list_init(&keeper->writes);
    keeper->environment = environment_here;
    CHECK(pthread_create(&keeper->thread, NULL, run, keeper) == 0);
}

void keeper_deinit(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    keeper->is_ending = true;
    keeper->is_paused = false;
    pthread_cond_signal(&keeper->has_work);
    pthread_mutex_unlock(&keeper->lock);
    CHECK(pthread_join(keeper->thread, NULL) == 0);
    CHECK(list_is_empty(&keeper->tickets) && list_is_empty(&keeper->writes));
    for (size_t i = 0; i < keeper->channel_count; i++) {
        mem_free(keeper->channels[i].name);
    }
    pthread_mutex_destroy(&keeper->lock);
    pthread_cond_destroy(&keeper->has_work);
}

void keeper_submit(struct keeper *keeper, struct local_hub *local, struct publication *publication,
                   uint64_t serial)
{
    char data[DATA_BYTES];
    int len = snprintf(data, sizeof(data), "%llu", (unsigned long long)serial);
    struct sse_event event = {.has_data = true, .data = bytes_of(data, (size_t)len)};
    buf_clear(&local->scratch);
    CHECK(sse_encode_event(&local->scratch, &event, false) == 0);
    struct bytes fields = buf_bytes(&local->scratch);
    struct ticket *ticket = mem_zero(sizeof(struct ticket) + fields.len);
    ticket->len = fields.len;
    memcpy(ticket->fields, fields.at, fields.len);
    replica_hold(publication->replica);
    ticket->keeper = keeper;
    ticket->home = local->mailbox;
    ticket->answer.run = on_answer;
    ticket->publication = publication;
    ticket->epoch = replica_cursor(publication->replica).epoch;
    ticket->serial = serial;
    list_init(&ticket->node);
    pthread_mutex_lock(&keeper->lock);
    ticket->channel = channel_of(keeper, publication->replica);
    list_append(&keeper->tickets, &ticket->node);
    pthread_cond_signal(&keeper->has_work);
    pthread_mutex_unlock(&keeper->lock);
}

void publications_abandon(struct list *publications)
{
    while (!list_is_empty(publications)) {
        struct publication *publication = LIST_ITEM(publications->next, struct publication, node);
        struct replica *replica = publication->replica;
        list_remove(&publication->node);
        publication->answered(publication, -ENOTCONN, (struct event_id){0});
        replica_release(replica);
    }
}

void keeper_pause(struct keeper *keeper, bool is_paused)
{
    pthread_mutex_lock(&keeper->lock);
    keeper->is_paused = is_paused;
    pthread_cond_signal(&keeper->has_work);
    pthread_mutex_unlock(&keeper->lock);
}

static void *run(void *arg)
{
    struct keeper *keeper = arg;
    environment_enter(keeper->environment);
    while (take_tickets(keeper)) {
        write_on(keeper);
        sched_yield();
    }
    return NULL;
}

/// Numbers what has come, and waits while there is nothing to do. False at the end.
static bool take_tickets(struct keeper *keeper)
{
    pthread_mutex_lock(&keeper->lock);
    for (;;) {
        while (!list_is_empty(&keeper->tickets)) {
            struct ticket *ticket = LIST_ITEM(keeper->tickets.next, struct ticket, node);
            list_remove(&ticket->node);
            number(ticket);
            list_append(&keeper->writes, &ticket->node);
        }
        bool has_writes = !list_is_empty(&keeper->writes);
        if (keeper->is_ending || (has_writes && !keeper->is_paused)) {
            bool goes_on = has_writes;
            pthread_mutex_unlock(&keeper->lock);
            return goes_on;
        }
        pthread_cond_wait(&keeper->has_work, &keeper->lock);
    }
}

/// Under the lock.
static struct kept_channel *channel_of(struct keeper *keeper, struct replica *replica)
{
    for (size_t i = 0; i < keeper->channel_count; i++) {
        if (strcmp(keeper->channels[i].name, replica_name(replica)) == 0) {
            return &keeper->channels[i];
        }
    }
    CHECK(keeper->channel_count < KEEPER_CHANNELS);
    struct kept_channel *channel = &keeper->channels[keeper->channel_count++];
    channel->name = mem_string(bytes_from_string(replica_name(replica)));
    return channel;
}

/// The number is given here, long before the event is shown. A channel that was closed and made
/// anew begins with 1 again, under another epoch.
static void number(struct ticket *ticket)
{
    struct kept_channel *channel = ticket->channel;
    if (channel->epoch != ticket->epoch) {
        channel->epoch = ticket->epoch;
        channel->next = 1;
        channel->shown = 0;
    }
    ticket->number = channel->next++;
    ticket->steps = 1 + throw_dice(ticket->keeper, WRITE_STEPS);
}

/// One step of all writes. An event whose write is finished waits for those before it.
static void write_on(struct keeper *keeper)
{
    LIST_EACH (node, after, &keeper->writes) {
        struct ticket *ticket = LIST_ITEM(node, struct ticket, node);
        ticket->steps -= ticket->steps > 0;
        if (ticket->steps == 0 && is_next(ticket)) {
            list_remove(&ticket->node);
            show(keeper, ticket);
            answer(ticket);
        }
    }
}

/// Nothing comes after an event of an old life, so those need no order.
static bool is_next(const struct ticket *ticket)
{
    const struct kept_channel *channel = ticket->channel;
    return ticket->epoch != channel->epoch || ticket->number == channel->shown + 1;
}

/// The channel is found by name, because it may have gone. Another one of that name may be there.
static void show(struct keeper *keeper, struct ticket *ticket)
{
    worker_set woken = 0;
    struct channel_author author = {
        .offered = UINT64_MAX,
        .now_ms = clock_ns() / NS_PER_MS,
        .bytes_max = UINT64_MAX,
    };
    hub_lock(keeper->hub);
    struct channel *channel = channel_find(keeper->hub, bytes_from_string(ticket->channel->name));
    ticket->result = -ECANCELED;
    if (channel != NULL && channel->journal.epoch == ticket->epoch) {
        CHECK(channel->journal.next == ticket->number);
        keeper->numbers[ticket->serial] = ticket->number;
        ticket->result =
            channel_append(channel, bytes_of(ticket->fields, ticket->len), &author, &woken);
    }
    hub_unlock(keeper->hub);
    hub_wake(keeper->hub, woken);
    if (ticket->epoch == ticket->channel->epoch) {
        ticket->channel->shown = ticket->number;
    }
}

static void answer(struct ticket *ticket)
{
    if (!mailbox_post(ticket->home, &ticket->answer)) {
        free_ticket(ticket, false); // the worker has ended
    }
}

static void on_answer(struct mailbox_message *message)
{
    struct ticket *ticket = CONTAINER_OF(message, struct ticket, answer);
    struct publication *publication = ticket->publication;
    struct replica *replica = publication->replica;
    struct event_id id = {.epoch = ticket->epoch, .sequence = ticket->number};
    int result = ticket->result;
    list_remove(&publication->node);
    free_ticket(ticket, true);
    publication->answered(publication, result, id);
    replica_release(replica);
}

static void free_ticket(struct ticket *ticket, bool is_heard)
{
    struct keeper *keeper = ticket->keeper;
    pthread_mutex_lock(&keeper->lock);
    keeper->answered_count += is_heard;
    keeper->dropped_count += !is_heard;
    pthread_mutex_unlock(&keeper->lock);
    mem_free(ticket);
}

/// Marsaglia's xorshift: the same delays every time.
static uint64_t throw_dice(struct keeper *keeper, uint64_t count)
{
    keeper->dice ^= keeper->dice << 13;
    keeper->dice ^= keeper->dice >> 7;
    keeper->dice ^= keeper->dice << 17;
    return keeper->dice % count;
}
