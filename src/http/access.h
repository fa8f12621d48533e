// SPDX-License-Identifier: MIT
//
// The access log: one record for each response when it ends, and one for each stream when it opens.
// A record has the target without its query, unless it is asked for: readers of event streams have
// no other place for a token. May be called from any thread.
#pragma once

#include "base/bytes.h"
#include "base/log.h"

#include <stdbool.h>
#include <stdint.h>

/// What a record says. Empty texts are shown as a dash.
struct access_record {
    enum log_level level;
    bool is_stream;
    struct bytes method;
    struct bytes target;
    struct bytes host;    // of the peer
    struct bytes id;      // of the request
    int status;           // 0 when no head was sent; of a record for the end
    uint64_t bytes;       // of content, for the end
    uint64_t duration_us; // since the request began, for the end
    const char *reason;   // why it ended; NULL in the record of a stream that opens
};

/// Whether the query is shown. Set before there are threads; before the first call it is not.
void access_show_query(bool is_shown);

/// Returns what the log shows of a request's target: without its query, unless that is shown.
struct bytes access_target(struct bytes target);

/// Logs the record.
void access_log(const struct access_record *record);
