// SPDX-License-Identifier: MIT
//
// The access log: one record for each response.
#pragma once

#include "http/exchange.h"

/// Logs the exchange, which ends now for `reason`, at level info. `now_ns` is the loop's clock.
void access_log(const struct exchange *exchange, enum exchange_reason reason, uint64_t now_ns);
