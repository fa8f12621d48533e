// SPDX-License-Identifier: MIT
//
// What can be measured. Each function runs its scenario to the end, leaves figures and failures in
// the report, and everything that it opened closed. They are called by `bench_run` only.
#pragma once

struct run;

/// Measures how long an event takes to all readers, each of which has to get it once and in order.
void fanout_run(struct run *run);

/// Measures how many events a second one stream delivers whose handler never pauses.
void firehose_run(struct run *run);

/// Measures how fast many streams open, and what they cost while nothing happens.
void idle_run(struct run *run);

/// Measures streams that open, get their first event and close, again and again.
void churn_run(struct run *run);
