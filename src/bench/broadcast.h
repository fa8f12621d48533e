// SPDX-License-Identifier: MIT
//
// Events that are posted and have to reach every reader of a crowd: the publishers, the pace, the
// ledger of what arrived, and how long it took. An event's latency is the time from just before its
// POST is written to its arrival at the last reader. A value inside the scenario; `broadcast_close`
// closes the connections, and `broadcast_deinit` frees when the loop has ended.
#pragma once

#include "bench/crowd.h"
#include "bench/histogram.h"
#include "bench/ledger.h"
#include "bench/publisher.h"
#include "net/timer.h"

struct broadcast {
    struct run *run;
    struct crowd *crowd;
    struct ledger ledger;
    struct histogram *latency; // of the events posted since `_measured_from_ns`
    uint64_t posted_count;
    uint64_t arrived_count;     // events that every reader has
    uint64_t delivery_count;    // events that some reader has got, doubles included
    uint64_t foreign_count;     // events that look like ours and are not
    uint64_t last_delivered_ns; // an event's arrival at its last reader
    struct publisher_shared _shared;
    struct publisher *_publishers;
    struct list _free; // publishers that may post
    struct timer _pace;
    uint64_t _measured_from_ns;
    uint64_t _paced_from_ns;
    uint64_t _paced_count;  // posted since then
    uint64_t _posted_limit; // stop posting at this `posted_count`
    uint64_t _tried_count;  // readers that have the trial
    uint64_t _leaver_count; // readers that have gone
    bool _is_posting;
    bool _is_draining;
};

void broadcast_init(struct broadcast *broadcast, struct run *run, struct crowd *crowd);

/// Publishes trials until each reader has got one, which shows that it is subscribed. False when
/// that does not happen, and then the report says so; or when the run was interrupted.
MUST_USE bool broadcast_trial(struct broadcast *broadcast);

/// Begins to post: at --rate, or each event of a publisher when its last one has arrived.
/// Idempotent.
void broadcast_start(struct broadcast *broadcast);

/// What is posted from now on is measured; ends after `event_count` events unless that is 0.
void broadcast_measure(struct broadcast *broadcast, uint64_t event_count);

/// Waits until that many events have reached everybody, or nothing has arrived for a while.
void broadcast_await(struct broadcast *broadcast);

/// Stops posting and waits for what is on its way, as long as anything arrives. What has not come
/// then is lost.
void broadcast_stop(struct broadcast *broadcast);

/// Adds what went wrong to the report: figures and failures.
void broadcast_report_faults(struct broadcast *broadcast);

void broadcast_close(struct broadcast *broadcast);
void broadcast_deinit(struct broadcast *broadcast);

/// The crowd's `on_event`. The crowd's `user` is the broadcast.
void broadcast_take(struct reader *reader, struct bytes data);
