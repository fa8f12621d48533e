// SPDX-License-Identifier: MIT
//
// The readers of a scenario: so many open event streams, connected a few at a time, and those that
// stall, which send their request and never read. A value inside the scenario; `crowd_close` closes
// all connections, and `crowd_deinit` frees when the loop has ended.
#pragma once

#include "bench/event_reader.h"
#include "bench/report.h"
#include "client/client.h"

struct crowd;
struct run;

struct reader {
    struct client client;
    struct crowd *crowd;
    uint64_t event_count;
    bool has_head;
    bool is_tried; // has got an event that was published before the measurement
    struct event_reader _events;
};

struct crowd {
    struct run *run;
    struct reader *readers; // `count` that read, then `stalled_count` that do not
    size_t count;
    size_t stalled_count;
    uint64_t open_count; // readers that have a head
    uint64_t event_count;
    uint64_t gone_count; // readers that had a head and whose stream ended
    void *user;
    /// A stream that was open has ended.
    void (*on_gone)(struct crowd *crowd, struct reader *reader);
    size_t _next;
    size_t _connecting_count;
    char _first_why[REPORT_FAILURE_BYTES]; // why the first stream ended
    struct buf _request;
    void (*_on_event)(struct reader *reader, struct bytes data);
    struct client_events _events;
};

/// Connects nothing yet. `on_event` is told of each event, and has to count it.
void crowd_init(struct crowd *crowd, struct run *run,
                void (*on_event)(struct reader *reader, struct bytes data));

/// Connects, and waits until every reader has the head of an event stream. False when it cannot be,
/// and then the report says why; or when the run was interrupted.
MUST_USE bool crowd_gather(struct crowd *crowd);

/// Adds to the report how many streams have ended, which is a failure if any has.
void crowd_report_gone(struct crowd *crowd);

/// Bytes that all readers have read.
uint64_t crowd_byte_count(const struct crowd *crowd);

void crowd_close(struct crowd *crowd);
void crowd_deinit(struct crowd *crowd);

/// The reader's number.
static inline size_t reader_index(const struct reader *reader)
{
    return (size_t)(reader - reader->crowd->readers);
}
