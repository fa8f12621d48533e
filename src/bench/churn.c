// SPDX-License-Identifier: MIT
//
// Each seat opens a stream, waits for its first event, closes the connection and begins anew.
// `sit_down` opens, `succeed` notes the time from connect to event, and `on_closed` sits down
// again. A few failures are counted and reported at the end; many in a row end the measurement.
#include "bench/scenarios.h"

#include "base/check.h"
#include "base/mem.h"
#include "bench/event_reader.h"
#include "bench/histogram.h"
#include "bench/message.h"
#include "bench/run.h"
#include "client/client.h"

#include <inttypes.h>
#include <stdio.h>

enum { PATIENCE_SECONDS = 5, FAILURES_IN_A_ROW_MAX = 100, SOURCES = 250 };

/// Opens one connection after the other.
struct seat {
    struct client client;
    struct event_reader events;
    struct churn *churn;
    uint64_t begun_ns;
};

struct churn {
    struct run *run;
    struct seat *seats;
    struct buf request;
    struct histogram *latency; // from connect to the first event
    uint32_t begun_count;
    uint64_t count; // connections that got it
    uint64_t failure_count;
    uint64_t failures_in_a_row;
    char first_why[REPORT_FAILURE_BYTES];
    bool is_over;
};

static void measure(struct churn *churn);
static void wait_watchfully(struct churn *churn, double seconds);
static void report(struct churn *churn, const struct proc_moment *begin,
                   const struct proc_moment *end);
static void sit_down(struct seat *seat);
static void on_head(struct client *client, const struct reply_head *head);
static void on_body(struct client *client, struct bytes piece);
static void on_end(struct client *client);
static void on_gone(struct client *client);
static void on_closed(struct client *client);
static void succeed(struct seat *seat);
static void count_failure(struct churn *churn, const char *why);
static struct seat *seat_of(struct client *client);

static const struct client_events client_events = {
    .on_head = on_head,
    .on_body = on_body,
    .on_end = on_end,
    .on_gone = on_gone,
    .on_closed = on_closed,
};

void churn_run(struct run *run)
{
    const struct options *options = run->options;
    CHECK(options->readers.concurrency > 0);
    struct churn churn = {.run = run, .latency = mem_new(struct histogram)};
    buf_init(&churn.request, SIZE_MAX);
    message_put_get(&churn.request, &options->requests.stream, options);
    churn.seats = mem_zero(options->readers.concurrency * sizeof(struct seat));
    if (run_allow(run, options->readers.concurrency)) {
        measure(&churn);
    }
    churn.is_over = true;
    for (size_t i = 0; i < options->readers.concurrency; i++) {
        client_close(&churn.seats[i].client);
    }
    run_close(run);
    buf_reset(&churn.request);
    mem_free(churn.seats);
    mem_free(churn.latency);
}

static void measure(struct churn *churn)
{
    struct run *run = churn->run;
    const struct options *options = run->options;
    progress_begin(&run->progress, "warming up", &churn->count, 0, options->times.warmup_seconds);
    for (size_t i = 0; i < options->readers.concurrency && run->report.failure_count == 0; i++) {
        churn->seats[i].churn = churn;
        sit_down(&churn->seats[i]);
    }
    wait_watchfully(churn, options->times.warmup_seconds);
    churn->count = 0;
    *churn->latency = (struct histogram){.count = 0};
    struct proc_moment begin = proc_now(options->pid);
    progress_begin(&run->progress, "measuring", &churn->count, 0, options->times.seconds);
    wait_watchfully(churn, options->times.seconds);
    struct proc_moment end = proc_now(options->pid);
    progress_end(&run->progress);
    report(churn, &begin, &end);
}

/// Waits in slices: a server that answers no connection is reported after one slice, not at the
/// end.
static void wait_watchfully(struct churn *churn, double seconds)
{
    struct run *run = churn->run;
    while (seconds > 0 && run->report.failure_count == 0 && !run->is_interrupted) {
        double slice = seconds < PATIENCE_SECONDS ? seconds : PATIENCE_SECONDS;
        uint64_t before = churn->count;
        (void)run_wait(run, slice); // the count says whether anything came
        seconds -= slice;
        if (slice >= PATIENCE_SECONDS && churn->count == before && !run->is_interrupted &&
            run->report.failure_count == 0) {
            report_fail(&run->report, "no connection got its first %s within %d s%s",
                        run->options->readers.want_first_bytes ? "bytes" : "event",
                        PATIENCE_SECONDS,
                        run->options->readers.want_first_bytes
                            ? ""
                            : ": a stream that begins with no event wants --first-bytes");
        }
    }
}

static void report(struct churn *churn, const struct proc_moment *begin,
                   const struct proc_moment *end)
{
    struct run *run = churn->run;
    double seconds = run_seconds(begin, end);
    report_count(&run->report, "concurrency", run->options->readers.concurrency);
    report_add(&run->report, "seconds", seconds, 3);
    report_count(&run->report, "connections", churn->count);
    report_add(&run->report, "connections_per_second", (double)churn->count / seconds, 0);
    run_report_latency(run, churn->latency);
    report_count(&run->report, "failed_connections", churn->failure_count);
    run_report_cost(run, begin, end, "cpu_us_per_connection", churn->count);
    if (churn->failure_count > 0) {
        report_fail(&run->report, "%" PRIu64 " connections failed; the first: %s",
                    churn->failure_count, churn->first_why);
    } else if (churn->count == 0 && run->report.failure_count == 0 && !run->is_interrupted) {
        report_fail(&run->report, "no connection got what it waited for");
    }
}

static void sit_down(struct seat *seat)
{
    struct churn *churn = seat->churn;
    struct run *run = churn->run;
    DCHECK(!churn->is_over);
    DCHECK(seat->client.state == CLIENT_CLOSED);
    seat->client.source = 1 + churn->begun_count++ % SOURCES;
    seat->events = (struct event_reader){0};
    seat->begun_ns = clock_machine_ns();
    if (client_open(&seat->client, &run->loop, &run->options->requests.stream, &client_events) !=
        0) {
        churn->failures_in_a_row = FAILURES_IN_A_ROW_MAX; // the next one would fail as well
        on_gone(&seat->client);
        return;
    }
    client_send(&seat->client, buf_bytes(&churn->request), BYTES(""));
}

static void on_head(struct client *client, const struct reply_head *head)
{
    struct churn *churn = seat_of(client)->churn;
    char why[REPORT_FAILURE_BYTES];
    if (head->status == 200 &&
        (head->is_event_stream || churn->run->options->readers.want_first_bytes)) {
        return;
    }
    snprintf(why, sizeof(why), "answered %d%s", head->status,
             head->status == 200 ? " with what is no event stream" : "");
    count_failure(churn, why);
    client_close(client);
}

static void on_body(struct client *client, struct bytes piece)
{
    struct seat *seat = seat_of(client);
    struct bytes data;
    if (seat->churn->run->options->readers.want_first_bytes ||
        event_reader_next(&seat->events, &piece, &data)) {
        succeed(seat);
    }
}

static void on_end(struct client *client)
{
    count_failure(seat_of(client)->churn, "the stream ended without an event");
    client_close(client);
}

static void on_gone(struct client *client)
{
    struct churn *churn = seat_of(client)->churn;
    char why[REPORT_FAILURE_BYTES];
    client_describe(client, &churn->run->options->requests.stream, why, sizeof(why));
    count_failure(churn, why);
}

static void on_closed(struct client *client)
{
    struct seat *seat = seat_of(client);
    if (!seat->churn->is_over && seat->churn->run->report.failure_count == 0) {
        sit_down(seat);
    }
}

static void succeed(struct seat *seat)
{
    struct churn *churn = seat->churn;
    DCHECK(seat->client.state == CLIENT_BODY);
    churn->count++;
    churn->failures_in_a_row = 0;
    histogram_add(churn->latency, clock_machine_ns() - seat->begun_ns);
    client_close(&seat->client);
}

static void count_failure(struct churn *churn, const char *why)
{
    if (churn->failure_count++ == 0) {
        snprintf(churn->first_why, sizeof(churn->first_why), "%s", why);
    }
    if (churn->failures_in_a_row++ == FAILURES_IN_A_ROW_MAX) {
        report_fail(&churn->run->report, "too many connections failed one after the other");
        run_wake(churn->run);
    }
}

static struct seat *seat_of(struct client *client)
{
    return CONTAINER_OF(client, struct seat, client);
}
