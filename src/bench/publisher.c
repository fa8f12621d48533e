// SPDX-License-Identifier: MIT
//
// A POST goes out whole. When its answer has come, the publisher is free again, and `on_free` tells
// the broadcast. Beside that, each event stays in `_flights` until the last reader has it: a ring
// by number, which doubles when it is full. A server may close the connection after an answer; the
// next POST then connects anew.
#include "bench/publisher.h"

#include "base/check.h"
#include "base/decimal.h"
#include "base/mem.h"
#include "bench/run.h"

#include <assert.h>

enum { CAPACITY_FIRST = 16 };

static_assert((CAPACITY_FIRST & (CAPACITY_FIRST - 1)) == 0, "an event's place is a bit mask away");

static void add_flight(struct publisher *publisher, uint32_t reader_count);
static void grow(struct publisher *publisher);
static void write_body(struct publisher *publisher);
static void send_out(struct publisher *publisher, struct bytes head, struct bytes body);
static void on_head(struct client *client, const struct reply_head *head);
static void on_end(struct client *client);
static void on_gone(struct client *client);
static void on_closed(struct client *client);
static void become_free(struct publisher *publisher);
static void tell(struct publisher *publisher);
static struct publisher *publisher_of(struct client *client);
static void check(const struct publisher *publisher);

static const struct client_events client_events = {
    .on_head = on_head,
    .on_end = on_end,
    .on_gone = on_gone,
    .on_closed = on_closed,
};

void publisher_init(struct publisher *publisher, struct publisher_shared *shared, uint32_t index)
{
    uint64_t size = shared->run->options->events.size_bytes;
    *publisher = (struct publisher){
        .shared = shared, .index = index, .is_free = true, ._is_answered = true, ._first = 1};
    list_init(&publisher->node);
    publisher->_body = mem_alloc(size);
    memset(publisher->_body, 'x', size);
}

void publisher_deinit(struct publisher *publisher)
{
    CHECK(publisher->client.state == CLIENT_CLOSED);
    mem_free(publisher->_flights);
    mem_free(publisher->_body);
}

void publisher_post(struct publisher *publisher, uint32_t reader_count)
{
    struct publisher_shared *shared = publisher->shared;
    CHECK(publisher->sequence < UINT32_MAX);
    publisher->sequence++;
    write_body(publisher);
    add_flight(publisher, reader_count);
    send_out(publisher, buf_bytes(&shared->post_head),
             bytes_of(publisher->_body, shared->run->options->events.size_bytes));
}

void publisher_trial(struct publisher *publisher)
{
    send_out(publisher, buf_bytes(&publisher->shared->trial_head), BYTES("p"));
}

void publisher_trim(struct publisher *publisher)
{
    while (publisher->_first <= publisher->sequence &&
           publisher_flight(publisher, publisher->_first)->missing_count == 0) {
        publisher->_first++;
    }
}

static void add_flight(struct publisher *publisher, uint32_t reader_count)
{
    if (publisher->sequence - publisher->_first >= publisher->_capacity) {
        grow(publisher);
    }
    struct flight *flight = publisher_flight(publisher, publisher->sequence);
    *flight = (struct flight){.posted_ns = clock_machine_ns(), .missing_count = reader_count};
    DEBUG_CALL(check(publisher));
}

/// Doubles the room for flights. The last event has no flight yet.
static void grow(struct publisher *publisher)
{
    uint32_t capacity = publisher->_capacity == 0 ? CAPACITY_FIRST : publisher->_capacity * 2;
    CHECK(capacity > publisher->_capacity);
    struct flight *flights = mem_alloc(capacity * sizeof(struct flight));
    for (uint32_t i = publisher->_first; i < publisher->sequence; i++) {
        flights[i & (capacity - 1)] = *publisher_flight(publisher, i);
    }
    mem_free(publisher->_flights);
    publisher->_flights = flights;
    publisher->_capacity = capacity;
}

/// Overwrites the numbers only: they never get shorter, so the padding behind them stays as it is.
static void write_body(struct publisher *publisher)
{
    char text[2 * DECIMAL_LEN_MAX + 2];
    size_t len = decimal_write(publisher->index, text);
    text[len++] = '-';
    len += decimal_write(publisher->sequence, text + len);
    text[len++] = '-';
    DCHECK(len <= publisher->shared->run->options->events.size_bytes);
    memcpy(publisher->_body, text, len);
}

static void send_out(struct publisher *publisher, struct bytes head, struct bytes body)
{
    struct run *run = publisher->shared->run;
    DCHECK(publisher->is_free);
    list_remove(&publisher->node);
    publisher->is_free = false;
    publisher->_is_answered = false;
    if (publisher->client.state == CLIENT_CLOSED &&
        client_open(&publisher->client, &run->loop, &run->options->requests.publish,
                    &client_events) != 0) {
        tell(publisher);
        return;
    }
    client_send(&publisher->client, head, body);
}

static void on_head(struct client *client, const struct reply_head *head)
{
    struct publisher *publisher = publisher_of(client);
    struct run *run = publisher->shared->run;
    if (head->status < 200 || head->status > 299) {
        report_fail(&run->report, "POST to %s%s was answered %d",
                    run->options->requests.publish.authority, run->options->requests.publish.path,
                    head->status);
        client_close(client);
        run_wake(run);
    }
}

static void on_end(struct client *client)
{
    struct publisher *publisher = publisher_of(client);
    DCHECK(!publisher->_is_answered);
    publisher->_is_answered = true;
    if (client->is_last) {
        client_close(client);
    } else {
        become_free(publisher);
    }
}

/// A server may close a connection between two requests; then `on_closed` makes the publisher free.
static void on_gone(struct client *client)
{
    struct publisher *publisher = publisher_of(client);
    if (!publisher->_is_answered) {
        tell(publisher);
        return;
    }
    publisher->is_free = false;
    list_remove(&publisher->node);
}

static void on_closed(struct client *client)
{
    struct publisher *publisher = publisher_of(client);
    if (publisher->_is_answered && !publisher->is_free) { // `on_gone` took it out of the list
        become_free(publisher);
    }
}

static void become_free(struct publisher *publisher)
{
    DCHECK(publisher->_is_answered);
    DCHECK(!publisher->is_free);
    publisher->is_free = true;
    publisher->shared->on_free(publisher->shared, &publisher->node);
}

static void tell(struct publisher *publisher)
{
    struct run *run = publisher->shared->run;
    char why[REPORT_FAILURE_BYTES];
    client_describe(&publisher->client, &run->options->requests.publish, why, sizeof(why));
    report_fail(&run->report, "%s", why);
    run_wake(run);
}

static struct publisher *publisher_of(struct client *client)
{
    return CONTAINER_OF(client, struct publisher, client);
}

static void check(const struct publisher *publisher)
{
    CHECK(publisher->_first >= 1);
    CHECK(publisher->_first <= publisher->sequence + 1);
    CHECK(publisher->sequence - publisher->_first < publisher->_capacity); // one is in flight
}
