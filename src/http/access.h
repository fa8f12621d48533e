// SPDX-License-Identifier: MIT
//
// The access log: one record for each response when it ends, and one for each stream when it opens.
// A record has the target without its query, unless it is asked for: readers of event streams have
// no other place for a token.
#pragma once

#include "http/exchange.h"

/// Whether the query is shown. Set before there are threads; before the first call it is not.
void access_show_query(bool is_shown);

/// What is shown of a request's target.
struct bytes access_target(struct bytes target);

/// Logs the stream, whose head is written, at level debug.
void access_log_opened(const struct exchange *exchange);

/// Logs the exchange, which ends now for `reason`, at level info. `now_ns` is the loop's clock.
void access_log(const struct exchange *exchange, enum end_reason reason, uint64_t now_ns);
