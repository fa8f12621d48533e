// SPDX-License-Identifier: MIT
//
// `crowd_gather` connects the readers a few at a time: each head that arrives makes room for the
// next connection (`connect_some`). Then all that readers receive goes through the event reader,
// and each event's data to the scenario. A reader that cannot connect ends the gathering; one that
// is disconnected later is counted, and the broadcast is told that its events wait for one reader
// less.
#include "bench/crowd.h"

#include "base/check.h"
#include "base/error.h"
#include "base/mem.h"
#include "bench/message.h"
#include "bench/run.h"

#include <inttypes.h>
#include <stdio.h>

enum { PATIENCE_SECONDS = 10, READERS_A_SOURCE = 16384 };

static void connect_some(struct crowd *crowd);
static void connect_one(struct crowd *crowd, struct reader *reader);
static bool is_stalled(const struct reader *reader);
static void on_head(struct client *client, const struct reply_head *head);
static void on_body(struct client *client, struct bytes piece);
static void on_end(struct client *client);
static void on_gone(struct client *client);
static void on_closed(struct client *client);
static void leave(struct reader *reader);
static void abort_gathering(struct crowd *crowd, const char *why);
static struct reader *reader_of(struct client *client);
static void check(const struct crowd *crowd);
static void check_closed(const struct crowd *crowd);

void crowd_init(struct crowd *crowd, struct run *run,
                void (*on_event)(struct reader *reader, struct bytes data))
{
    const struct options *options = run->options;
    CHECK(on_event != NULL);
    CHECK(options->readers.count > 0);
    *crowd = (struct crowd){
        .run = run,
        .count = options->readers.count,
        .stalled_count = options->readers.stalled_count,
        ._on_event = on_event,
        ._events = {.on_head = on_head,
                    .on_body = on_body,
                    .on_end = on_end,
                    .on_gone = on_gone,
                    .on_closed = on_closed},
    };
    crowd->readers = mem_zero((crowd->count + crowd->stalled_count) * sizeof(struct reader));
    buf_init(&crowd->_request, SIZE_MAX);
    message_put_get(&crowd->_request, &options->requests.stream, options);
}

/// Stalled readers come last and are not waited for: they never read, so their heads do not arrive.
bool crowd_gather(struct crowd *crowd)
{
    struct run *run = crowd->run;
    uint64_t before = 0;
    DCHECK(crowd->_next == 0);
    if (!run_allow(run,
                   crowd->count + crowd->stalled_count + run->options->events.publisher_count)) {
        return false;
    }
    progress_begin(&run->progress, "connecting", &crowd->open_count, crowd->count, 0);
    connect_some(crowd);
    while (crowd->open_count < crowd->count && run->report.failure_count == 0) {
        if (run_wait(run, PATIENCE_SECONDS)) {
            break;
        }
        if (run->is_interrupted) {
            return false;
        }
        if (crowd->open_count == before) {
            report_fail(&run->report,
                        "%" PRIu64 " of %zu readers got an answer from %s%s within %d s",
                        crowd->open_count, crowd->count, run->options->requests.stream.authority,
                        run->options->requests.stream.path, PATIENCE_SECONDS);
        }
        before = crowd->open_count;
    }
    return run->report.failure_count == 0;
}

void crowd_report_gone(struct crowd *crowd)
{
    report_count(&crowd->run->report, "disconnects", crowd->gone_count);
    if (crowd->gone_count > 0) {
        report_fail(&crowd->run->report,
                    "%" PRIu64 " streams ended before the measurement did; the first: %s",
                    crowd->gone_count, crowd->_first_why);
    }
}

uint64_t crowd_byte_count(const struct crowd *crowd)
{
    uint64_t count = 0;
    for (size_t i = 0; i < crowd->count; i++) {
        count += crowd->readers[i].client.byte_count;
    }
    return count;
}

void crowd_close(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count + crowd->stalled_count; i++) {
        client_close(&crowd->readers[i].client);
    }
}

void crowd_deinit(struct crowd *crowd)
{
    DEBUG_CALL(check_closed(crowd));
    buf_reset(&crowd->_request);
    mem_free(crowd->readers);
}

static void connect_some(struct crowd *crowd)
{
    struct run *run = crowd->run;
    while (crowd->_next < crowd->count + crowd->stalled_count &&
           crowd->_connecting_count < run->options->readers.concurrency &&
           run->report.failure_count == 0) {
        connect_one(crowd, &crowd->readers[crowd->_next++]);
        DEBUG_CALL(check(crowd));
    }
}

static void connect_one(struct crowd *crowd, struct reader *reader)
{
    const struct options *options = crowd->run->options;
    reader->crowd = crowd;
    reader->client.is_deaf = is_stalled(reader);
    reader->client.source = (uint32_t)(reader_index(reader) / READERS_A_SOURCE);
    if (client_open(&reader->client, &crowd->run->loop, &options->requests.stream,
                    &crowd->_events) != 0) {
        leave(reader);
        return;
    }
    crowd->_connecting_count += is_stalled(reader) ? 0 : 1;
    client_send(&reader->client, buf_bytes(&crowd->_request), BYTES(""));
}

static bool is_stalled(const struct reader *reader)
{
    return reader_index(reader) >= reader->crowd->count;
}

static void on_head(struct client *client, const struct reply_head *head)
{
    struct reader *reader = reader_of(client);
    struct crowd *crowd = reader->crowd;
    const struct client_target *target = &crowd->run->options->requests.stream;
    if (head->status != 200 || !head->is_event_stream) {
        char why[REPORT_FAILURE_BYTES * 2];
        snprintf(why, sizeof(why), "%s%.128s answered %d%s: 200 and text/event-stream expected",
                 target->authority, target->path, head->status,
                 head->status == 200 ? " with another content type" : "");
        abort_gathering(crowd, why);
        client_close(client);
        return;
    }
    DCHECK(!reader->has_head);
    DCHECK(!is_stalled(reader)); // it never reads
    DCHECK(crowd->_connecting_count > 0);
    reader->has_head = true;
    crowd->open_count++;
    crowd->_connecting_count--;
    connect_some(crowd);
    if (crowd->open_count == crowd->count) {
        run_wake(crowd->run);
    }
}

static void on_body(struct client *client, struct bytes piece)
{
    struct reader *reader = reader_of(client);
    struct bytes data;
    DCHECK(reader->has_head);
    while (piece.len > 0 && event_reader_next(&reader->_events, &piece, &data)) {
        reader->crowd->_on_event(reader, data);
        if (client->state != CLIENT_BODY) {
            return;
        }
    }
}

static void on_end(struct client *client)
{
    struct reader *reader = reader_of(client);
    client->failure = CLIENT_ENDED;
    client->failed_in = CLIENT_BODY;
    client_close(client);
    leave(reader);
}

static void on_gone(struct client *client)
{
    leave(reader_of(client));
}

static void on_closed(struct client *client)
{
    (void)client;
}

/// A stalled reader that the server disconnects is no failure: the server may do so.
static void leave(struct reader *reader)
{
    struct crowd *crowd = reader->crowd;
    char why[REPORT_FAILURE_BYTES];
    if (is_stalled(reader) && reader->client.failed_in != CLIENT_CONNECTING) {
        return;
    }
    client_describe(&reader->client, &crowd->run->options->requests.stream, why, sizeof(why));
    if (!reader->has_head) {
        abort_gathering(crowd, why);
        return;
    }
    if (crowd->gone_count++ == 0) {
        memcpy(crowd->_first_why, why, sizeof(why));
    }
    DEBUG_CALL(check(crowd));
    if (crowd->gone_count == crowd->count) {
        run_wake(crowd->run);
    }
    if (crowd->on_gone != NULL) {
        crowd->on_gone(crowd, reader);
    }
}

/// Reports the first failure only: the other readers would fail for the same reason.
static void abort_gathering(struct crowd *crowd, const char *why)
{
    if (crowd->run->report.failure_count == 0) {
        report_fail(&crowd->run->report, "%s", why);
    }
    run_wake(crowd->run);
}

static struct reader *reader_of(struct client *client)
{
    return CONTAINER_OF(client, struct reader, client);
}

static void check(const struct crowd *crowd)
{
    CHECK(crowd->open_count <= crowd->count);
    CHECK(crowd->gone_count <= crowd->open_count);
    CHECK(crowd->_next <= crowd->count + crowd->stalled_count);
    CHECK(crowd->_connecting_count <= crowd->run->options->readers.concurrency);
}

static void check_closed(const struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count + crowd->stalled_count; i++) {
        CHECK(crowd->readers[i].client.state == CLIENT_CLOSED);
    }
}
