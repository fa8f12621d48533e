// SPDX-License-Identifier: MIT
//
// The answer to a scrape: everything that is counted, as Prometheus text. It is put together on
// another thread, because there may be a hundred thousand lines of it, and sent in pieces. A worker
// answers a few at a time; the others are told to come back.
#pragma once

struct exchange;
struct loop;

struct metrics_scrapes {
    struct loop *loop;
    unsigned count; // that are under way
};

/// Answers GET and HEAD with the numbers, and anything else with 405. The exchange is fresh.
void metrics_answer(struct metrics_scrapes *scrapes, struct exchange *exchange);

/// Gives base/snapshot.h the texts that it has not. Once, before there are threads.
void metrics_set_names(void);
