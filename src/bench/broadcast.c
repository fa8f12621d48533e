// SPDX-License-Identifier: MIT
//
// An event goes from a publisher to the server and comes back at each reader of the crowd.
// `post_due` takes a free publisher and has it post, as soon as the rate allows, or without a rate
// when the publisher's last event has reached every reader. `broadcast_take` gets what a reader has
// received: it reads publisher and number out of the data, ticks them off in the ledger, and counts
// down the readers that the event's flight still misses. The last reader ends the flight, and the
// time that it took goes into the histogram.
#include "bench/broadcast.h"

#include "base/mem.h"
#include "bench/message.h"
#include "bench/run.h"

#include <inttypes.h>

enum { TRIAL_PATIENCE_SECONDS = 10, DRAIN_SECONDS_MAX = 60, STALL_SLICES = 20 };

static const double trial_pause_seconds = 0.05;
static const double drain_quiet_seconds = 1;
static const double slice_seconds = 0.25;

static void on_free(struct publisher_shared *shared, struct list *node);
static void on_pace(struct timer *timer);
static void on_reader_gone(struct crowd *crowd, struct reader *reader);
static void arrive_without(struct broadcast *broadcast, struct publisher *publisher, size_t reader);
static void post_due(struct broadcast *broadcast);
static bool is_due(const struct broadcast *broadcast);
static void post(struct broadcast *broadcast);
static void arrive(struct broadcast *broadcast, struct publisher *publisher, struct flight *flight);
static bool take_number(struct bytes *text, uint32_t *number);
static void take_other(struct broadcast *broadcast, struct reader *reader, struct bytes data);
static struct broadcast *broadcast_of(const struct crowd *crowd);
static void check(const struct broadcast *broadcast);

void broadcast_init(struct broadcast *broadcast, struct run *run, struct crowd *crowd)
{
    const struct options *options = run->options;
    CHECK(options->events.publisher_count > 0 && options->requests.publish_url != NULL);
    CHECK(crowd->on_gone == NULL); // a crowd serves one broadcast
    *broadcast = (struct broadcast){.run = run, .crowd = crowd};
    broadcast->_posted_limit = UINT64_MAX;
    broadcast->_measured_from_ns = UINT64_MAX;
    broadcast->_shared = (struct publisher_shared){.run = run, .user = broadcast};
    broadcast->_shared.on_free = on_free;
    buf_init(&broadcast->_shared.post_head, SIZE_MAX);
    buf_init(&broadcast->_shared.trial_head, SIZE_MAX);
    message_put_post(&broadcast->_shared.post_head, &options->requests.publish, options,
                     options->events.size_bytes);
    message_put_post(&broadcast->_shared.trial_head, &options->requests.publish, options, 1);
    list_init(&broadcast->_free);
    ledger_init(&broadcast->ledger, crowd->count, options->events.publisher_count);
    broadcast->latency = mem_new(struct histogram);
    broadcast->_publishers = mem_zero(options->events.publisher_count * sizeof(struct publisher));
    for (uint32_t i = 0; i < options->events.publisher_count; i++) {
        publisher_init(&broadcast->_publishers[i], &broadcast->_shared, i);
        list_append(&broadcast->_free, &broadcast->_publishers[i].node);
    }
    timer_init(&broadcast->_pace, &run->loop.timers, on_pace);
    crowd->user = broadcast;
    crowd->on_gone = on_reader_gone;
}

bool broadcast_trial(struct broadcast *broadcast)
{
    struct run *run = broadcast->run;
    struct publisher *publisher = &broadcast->_publishers[0];
    uint64_t end_ns = clock_machine_ns() + (uint64_t)TRIAL_PATIENCE_SECONDS * 1000000000;
    progress_begin(&run->progress, "probing", &broadcast->_tried_count, broadcast->crowd->count, 0);
    while (run->report.failure_count == 0 && !run->is_interrupted) {
        bool is_tried = broadcast->_tried_count == broadcast->crowd->count;
        if (is_tried && publisher->is_free) {
            return true;
        }
        if (broadcast->crowd->gone_count > 0) {
            crowd_report_gone(broadcast->crowd);
        } else if (clock_machine_ns() > end_ns) {
            report_fail(&run->report,
                        "%" PRIu64 " of %zu readers got an event posted to %s%s within %d s: does "
                        "it reach %s?",
                        broadcast->_tried_count, broadcast->crowd->count,
                        run->options->requests.publish.authority,
                        run->options->requests.publish.path, TRIAL_PATIENCE_SECONDS,
                        run->options->requests.stream.path);
        } else if (publisher->is_free) {
            publisher_trial(publisher);
        }
        (void)run_wait(run,
                       trial_pause_seconds); // whatever ended the wait, the counts are read again
    }
    return false;
}

void broadcast_start(struct broadcast *broadcast)
{
    if (broadcast->_is_posting) {
        return;
    }
    broadcast->_is_posting = true;
    broadcast->_paced_from_ns = clock_machine_ns();
    on_pace(&broadcast->_pace);
}

void broadcast_measure(struct broadcast *broadcast, uint64_t event_count)
{
    DCHECK(broadcast->_measured_from_ns == UINT64_MAX); // once
    broadcast->_measured_from_ns = clock_machine_ns();
    if (event_count > 0) {
        broadcast->_posted_limit = broadcast->posted_count + event_count;
    }
}

void broadcast_await(struct broadcast *broadcast)
{
    int quiet_slices = 0;
    while (quiet_slices < STALL_SLICES && !broadcast->run->is_interrupted) {
        uint64_t before = broadcast->delivery_count;
        if (run_wait(broadcast->run, slice_seconds)) {
            return;
        }
        quiet_slices = broadcast->delivery_count == before ? quiet_slices + 1 : 0;
        if (quiet_slices > 0 && broadcast->posted_count >= broadcast->_posted_limit) {
            return; // `broadcast_stop` waits for what is missing
        }
    }
}

void broadcast_stop(struct broadcast *broadcast)
{
    struct run *run = broadcast->run;
    uint64_t end_ns = clock_machine_ns() + (uint64_t)DRAIN_SECONDS_MAX * 1000000000;
    uint64_t before = UINT64_MAX;
    DCHECK(!broadcast->_is_draining);
    broadcast->_is_posting = false;
    broadcast->_is_draining = true;
    progress_begin(&run->progress, "draining", &broadcast->delivery_count, 0, 0);
    while (broadcast->arrived_count < broadcast->posted_count && !run->is_interrupted &&
           before != broadcast->delivery_count && clock_machine_ns() < end_ns) {
        before = broadcast->delivery_count;
        (void)run_wait(run, drain_quiet_seconds); // the counts say whether anything came
    }
    for (size_t i = 0; i < run->options->events.publisher_count && !run->is_interrupted; i++) {
        ledger_count_lost(&broadcast->ledger, i, broadcast->_publishers[i].sequence);
    }
}

void broadcast_report_faults(struct broadcast *broadcast)
{
    struct run *run = broadcast->run;
    const struct {
        const char *key;
        const char *text;
        uint64_t count;
    } faults[] = {
        {"lost", "events did not reach a reader", broadcast->ledger.lost},
        {"doubled", "events reached a reader more than once", broadcast->ledger.doubled},
        {"reordered", "events reached a reader after a later one", broadcast->ledger.reordered},
        {"foreign", "events came that nobody had posted", broadcast->foreign_count},
    };
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        report_count(&run->report, faults[i].key, faults[i].count);
        if (faults[i].count > 0) {
            report_fail(&run->report, "%" PRIu64 " %s", faults[i].count, faults[i].text);
        }
    }
    crowd_report_gone(broadcast->crowd);
}

void broadcast_close(struct broadcast *broadcast)
{
    broadcast->_is_posting = false;
    timer_deinit(&broadcast->_pace);
    for (size_t i = 0; i < broadcast->run->options->events.publisher_count; i++) {
        client_close(&broadcast->_publishers[i].client);
    }
}

void broadcast_deinit(struct broadcast *broadcast)
{
    for (size_t i = 0; i < broadcast->run->options->events.publisher_count; i++) {
        publisher_deinit(&broadcast->_publishers[i]);
    }
    mem_free(broadcast->_publishers);
    mem_free(broadcast->latency);
    ledger_deinit(&broadcast->ledger);
    buf_reset(&broadcast->_shared.post_head);
    buf_reset(&broadcast->_shared.trial_head);
}

void broadcast_take(struct reader *reader, struct bytes data)
{
    struct broadcast *broadcast = broadcast_of(reader->crowd);
    struct bytes rest = data;
    uint32_t index;
    uint32_t sequence;
    if (!take_number(&rest, &index) || !take_number(&rest, &sequence) ||
        index >= broadcast->run->options->events.publisher_count || sequence == 0 ||
        sequence > broadcast->_publishers[index].sequence) {
        take_other(broadcast, reader, data);
        return;
    }
    struct publisher *publisher = &broadcast->_publishers[index];
    broadcast->delivery_count++;
    if (!ledger_enter(&broadcast->ledger, reader_index(reader), index, sequence)) {
        return;
    }
    struct flight *flight = publisher_flight(publisher, sequence);
    if (flight != NULL && flight->missing_count > 0 && --flight->missing_count == 0) {
        arrive(broadcast, publisher, flight);
    }
}

static void on_free(struct publisher_shared *shared, struct list *node)
{
    struct broadcast *broadcast = shared->user;
    DCHECK(!list_is_linked(node));
    list_append(&broadcast->_free, node);
    post_due(broadcast);
}

static void on_pace(struct timer *timer)
{
    struct broadcast *broadcast = CONTAINER_OF(timer, struct broadcast, _pace);
    post_due(broadcast);
    if (broadcast->_is_posting && broadcast->run->options->events.rate > 0) {
        timer_arm(timer, 1);
    }
}

/// An event that only this reader still misses has arrived: nobody waits for a reader that has
/// gone.
static void on_reader_gone(struct crowd *crowd, struct reader *reader)
{
    struct broadcast *broadcast = broadcast_of(crowd);
    bool was_posting = broadcast->_is_posting;
    broadcast->_leaver_count++;
    DEBUG_CALL(check(broadcast));
    broadcast->_is_posting = false; // no event is posted while the flights are counted anew
    for (size_t i = 0; i < broadcast->run->options->events.publisher_count; i++) {
        arrive_without(broadcast, &broadcast->_publishers[i], reader_index(reader));
    }
    ledger_exempt(&broadcast->ledger, reader_index(reader));
    broadcast->_is_posting = was_posting && broadcast->_leaver_count < crowd->count;
    post_due(broadcast);
}

static void arrive_without(struct broadcast *broadcast, struct publisher *publisher, size_t reader)
{
    uint32_t last = publisher->sequence;
    for (uint32_t i = publisher->_first; i <= last; i++) {
        struct flight *flight = publisher_flight(publisher, i);
        if (flight != NULL && flight->missing_count > 0 &&
            ledger_lacks(&broadcast->ledger, reader, publisher->index, i) &&
            --flight->missing_count == 0) {
            arrive(broadcast, publisher, flight);
        }
    }
}

static void post_due(struct broadcast *broadcast)
{
    while (!list_is_empty(&broadcast->_free) && is_due(broadcast)) {
        post(broadcast);
    }
}

static bool is_due(const struct broadcast *broadcast)
{
    double rate = broadcast->run->options->events.rate;
    if (!broadcast->_is_posting || broadcast->posted_count >= broadcast->_posted_limit ||
        broadcast->run->report.failure_count > 0) {
        return false;
    }
    double elapsed_ns = (double)(clock_machine_ns() - broadcast->_paced_from_ns);
    return rate == 0 || (double)broadcast->_paced_count < elapsed_ns * rate / 1e9;
}

/// Has the next free publisher post an event. Without a rate, a publisher has one event under way
/// at a time. If its last one has yet to reach a reader, it does not post now and leaves the list.
static void post(struct broadcast *broadcast)
{
    struct list *node = broadcast->_free.next;
    struct publisher *publisher = LIST_ITEM(node, struct publisher, node);
    uint64_t reader_count = broadcast->crowd->count - broadcast->_leaver_count;
    DCHECK(publisher->is_free);
    list_remove(node);
    if (broadcast->run->options->events.rate == 0 && publisher->_first <= publisher->sequence) {
        return;
    }
    broadcast->posted_count++;
    broadcast->_paced_count++;
    DEBUG_CALL(check(broadcast));
    publisher_post(publisher, (uint32_t)reader_count);
}

static void arrive(struct broadcast *broadcast, struct publisher *publisher, struct flight *flight)
{
    uint64_t now_ns = clock_machine_ns();
    DCHECK(flight->missing_count == 0);
    DCHECK(now_ns >= flight->posted_ns);
    broadcast->arrived_count++;
    DEBUG_CALL(check(broadcast));
    broadcast->last_delivered_ns = now_ns;
    if (flight->posted_ns >= broadcast->_measured_from_ns) {
        histogram_add(broadcast->latency, now_ns - flight->posted_ns);
    }
    publisher_trim(publisher);
    bool is_all = broadcast->arrived_count == broadcast->posted_count;
    if (is_all &&
        (broadcast->_is_draining || broadcast->posted_count >= broadcast->_posted_limit)) {
        run_wake(broadcast->run);
    }
    if (publisher->is_free && !list_is_linked(&publisher->node)) {
        list_append(&broadcast->_free, &publisher->node);
        post_due(broadcast);
    }
}

/// Reads digits and the minus behind them from the front of `text`.
static bool take_number(struct bytes *text, uint32_t *number)
{
    uint64_t value = 0;
    size_t i = 0;
    for (; i < text->len && (unsigned char)(text->at[i] - '0') < 10; i++) {
        value = value * 10 + (uint64_t)(text->at[i] - '0');
        if (value > UINT32_MAX) {
            return false;
        }
    }
    if (i == 0 || i == text->len || text->at[i] != '-') {
        return false;
    }
    *number = (uint32_t)value;
    *text = bytes_skip(*text, i + 1);
    return true;
}

/// The event is a trial, or one of the server's own. One that looks like a publisher's and was not
/// posted is a fault; before the first post it is left over from another run.
static void take_other(struct broadcast *broadcast, struct reader *reader, struct bytes data)
{
    uint32_t index;
    uint32_t sequence;
    if (!bytes_equal(data, BYTES("p"))) {
        bool looks_ours = take_number(&data, &index) && take_number(&data, &sequence);
        broadcast->foreign_count += looks_ours && broadcast->posted_count > 0 ? 1 : 0;
        return;
    }
    if (reader->is_tried) {
        return; // it was repeated
    }
    reader->is_tried = true;
    broadcast->_tried_count++;
    DEBUG_CALL(check(broadcast));
    if (broadcast->_tried_count == broadcast->crowd->count) {
        run_wake(broadcast->run);
    }
}

static struct broadcast *broadcast_of(const struct crowd *crowd)
{
    return crowd->user;
}

static void check(const struct broadcast *broadcast)
{
    CHECK(broadcast->arrived_count <= broadcast->posted_count);
    CHECK(broadcast->posted_count <= broadcast->_posted_limit);
    CHECK(broadcast->_paced_count <= broadcast->posted_count);
    CHECK(broadcast->_tried_count <= broadcast->crowd->count);
    CHECK(broadcast->_leaver_count <= broadcast->crowd->count);
}
