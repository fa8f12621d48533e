// SPDX-License-Identifier: MIT
//
// Dispatch decides who answers a request: the route's handler, the scripts' fallback, or a plain
// answer for what no route takes (404, 405 with Allow, OPTIONS with Allow, 501, and connections
// over the limit). It also answers whether the server is ready and what it has counted, without the
// scripts, however busy they are. Owned by its worker. It keeps what it found for the last head
// until the body has come too.
#pragma once

#include "http/service.h"
#include "server/metrics.h"
#include "server/requests.h"
#include "wire/route.h"

#include <stdbool.h>
#include <stdint.h>

struct generations;

/// What becomes of a request. It is known when the head is complete.
enum dispatch_verdict {
    VERDICT_TAKEN,        // the scripts answer, by the route or by their fallback
    VERDICT_READY,        // asks whether the server is ready
    VERDICT_METRICS,      // asks for the metrics
    VERDICT_OVER_LIMIT,   // on a connection beyond the limit
    VERDICT_FOREIGN_HOST, // for a host that the scripts do not answer for
    VERDICT_BAD_PATH,     // with dot segments, or an encoded slash in the wrong place
};

struct dispatch {
    const struct generations *generations; // the current one gets new requests
    struct bytes ready_path;               // asks whether the server is ready; empty for none
    struct bytes metrics_path;             // asks for the metrics; empty for none
    bool has_admin;                        // the metrics are on the operator's address instead
    struct metrics_scrapes scrapes;
    struct requests requests;
    bool is_stopping; // the server is not ready any more
    struct route_match match;
    enum dispatch_verdict verdict;
    uint64_t judged_number; // of the exchange that `match` and `verdict` belong to; 0 for none
};

/// Other scripts answer from now on: requests whose head was judged are judged again.
void dispatch_judge_anew(struct dispatch *dispatch);

/// Answers a request to the operator's address: the metrics, or whether the server is ready.
void dispatch_answer_admin(struct dispatch *dispatch, struct exchange *exchange);

/// What the service calls; its `user` is the dispatch.
extern const struct service_events dispatch_events;
