// SPDX-License-Identifier: MIT
//
// From a request to who answers it: the route's handler, the scripts' fallback, or a plain answer
// for what no route takes (404, 405 with Allow, OPTIONS with Allow, 501, and connections over the
// limit). Whether the server is ready, and what it has counted, is answered here too, without the
// scripts, however busy it is. Owned by its worker. Keeps what it found for the last head until
// the body has come too.
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
    VERDICT_TAKEN,        // the scripts answer: the route, or what they have for no route
    VERDICT_READY,        // asks whether the server is ready
    VERDICT_METRICS,      // asks for the metrics
    VERDICT_OVER_LIMIT,   // on a connection beyond the limit
    VERDICT_FOREIGN_HOST, // for a host that the scripts do not answer for
    VERDICT_BAD_PATH,     // with dot segments, or an encoded slash in the wrong place
};

struct dispatch {
    const struct generations *generations; // new requests go to the current one
    struct bytes ready_path;               // asks whether the server is ready; empty for none
    struct bytes metrics_path;             // asks for the metrics; empty for none
    bool has_admin;                        // asked for the metrics somewhere else
    struct metrics_scrapes scrapes;
    struct requests requests;
    bool is_stopping; // it is not
    struct route_match match;
    enum dispatch_verdict verdict;
    uint64_t judged_number; // of the exchange that `match` and `verdict` belong to; 0 for none
};

/// Other scripts answer from now on, so what was found out by a head is found out again.
void dispatch_judge_anew(struct dispatch *dispatch);

/// Answers a request to the operator's address: the metrics, or whether the server is ready.
void dispatch_answer_admin(struct dispatch *dispatch, struct exchange *exchange);

/// What the service calls; its `user` is the dispatch.
extern const struct service_events dispatch_events;
