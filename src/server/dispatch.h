// SPDX-License-Identifier: MIT
//
// From a request to who answers it: the route's handler, the scripts' fallback, or a plain answer
// for what no route takes (404, 405 with Allow, OPTIONS with Allow, 501, and connections over the
// limit). Owned by its worker. Holds the last match between the head and the end of the body.
#pragma once

#include "http/service.h"
#include "wire/route.h"

#include <stdint.h>

struct generation;

struct dispatch {
    struct generation *generation; // that new requests go to
    struct route_match match;
    uint64_t match_number; // of the exchange that `match` belongs to
};

/// What the service calls; its `user` is the dispatch.
extern const struct service_events dispatch_events;
