// SPDX-License-Identifier: MIT
//
// From a request to who answers it: the route's handler, the scripts' fallback, or a plain answer
// for what no route takes (404, 405 with Allow, OPTIONS with Allow, 501, and connections over the
// limit). Whether the server is ready, and what it has counted, is answered here too, without the
// scripts, however busy it is. Owned by its worker. Holds the last match between the head and the
// end of the body.
#pragma once

#include "http/service.h"
#include "server/metrics.h"
#include "server/requests.h"
#include "wire/route.h"

#include <stdbool.h>
#include <stdint.h>

struct generations;

struct dispatch {
    const struct generations *generations; // new requests go to the current one
    struct bytes ready_path;               // asks whether the server is ready; empty for none
    struct bytes metrics_path;             // asks for the metrics; empty for none
    bool has_admin;                        // asked for the metrics somewhere else
    struct metrics_scrapes scrapes;
    struct requests requests;
    bool is_stopping; // it is not
    struct route_match match;
    uint64_t match_number; // of the exchange that `match` belongs to
};

/// Answers a request to the operator's address: the metrics, or whether the server is ready.
void dispatch_answer_admin(struct dispatch *dispatch, struct exchange *exchange);

/// What the service calls; its `user` is the dispatch.
extern const struct service_events dispatch_events;
