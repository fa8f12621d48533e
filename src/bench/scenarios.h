// SPDX-License-Identifier: MIT
//
// What can be measured. Each function runs its scenario to the end, leaves figures and failures in
// the report, and everything that it opened closed. They are called by `bench_run` only.
#pragma once

struct run;

/// Each event has to reach every reader, once and in order.
void fanout_run(struct run *run);

/// How many events a stream delivers that never pauses.
void firehose_run(struct run *run);

/// How fast many streams open, and what they cost while nothing happens.
void idle_run(struct run *run);

/// Streams that open, get their first event and close, again and again.
void churn_run(struct run *run);
