// SPDX-License-Identifier: MIT
//
// The answer to a scrape: everything that is counted, as Prometheus text. The text is put together
// on another thread, because it may have a hundred thousand lines, and it is sent in pieces. A
// worker answers a few scrapes at a time; further ones get 503.
#pragma once

struct exchange;
struct loop;

struct metrics_scrapes {
    struct loop *loop;
    unsigned count; // that are under way
};

/// Answers GET and HEAD with the numbers, and anything else with 405. The exchange is fresh.
void metrics_answer(struct metrics_scrapes *scrapes, struct exchange *exchange);

/// Gives base/snapshot.h the texts that belong to higher floors. Called once, before there are
/// threads.
void metrics_set_names(void);
