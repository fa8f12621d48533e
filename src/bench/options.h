// SPDX-License-Identifier: MIT
//
// The command line of `lunesse bench`: one struct with the defaults of its scenario, filled in by
// `options_parse`. Points into argv.
#pragma once

#include "client/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum scenario_kind { SCENARIO_FANOUT, SCENARIO_FIREHOSE, SCENARIO_IDLE, SCENARIO_CHURN };
enum { SCENARIO_COUNT = SCENARIO_CHURN + 1, OPTIONS_HEADERS_MAX = 16, OPTIONS_HEADER_BYTES = 4096 };

/// What is asked, and of whom.
struct options_requests {
    const char *url;                          // the event stream
    const char *publish_url;                  // NULL: nothing is published
    const char *headers[OPTIONS_HEADERS_MAX]; // "Name: value"
    size_t header_count;
    struct client_target stream;  // `url`, parsed
    struct client_target publish; // `publish_url`, parsed
};

/// Who reads.
struct options_readers {
    uint64_t count;
    uint64_t stalled_count;
    uint64_t concurrency;  // connections being made at a time
    bool want_first_bytes; // they leave at the first bytes of the body, not at the first event
};

/// What is published.
struct options_events {
    uint64_t publisher_count;
    uint64_t size_bytes; // of an event's data
    uint64_t count;      // 0: until the time is over
    double rate;         // a second; 0: each when the last one has arrived
};

struct options_times {
    double seconds; // of the measurement
    double warmup_seconds;
    double settle_seconds;
};

struct options {
    enum scenario_kind scenario;
    bool is_json;
    struct options_requests requests;
    struct options_readers readers;
    struct options_events events;
    struct options_times times;
    uint64_t pid; // of the server; 0: not known
};

enum options_outcome {
    OPTIONS_RUN,   // go on
    OPTIONS_DONE,  // --help has been printed: exit 0
    OPTIONS_USAGE, // a mistake has been printed: exit 2
};

/// Reads the command line, whose first word is the program's name.
MUST_USE enum options_outcome options_parse(struct options *options, int argument_count,
                                            char **arguments);

/// The scenario's name.
const char *options_scenario_name(enum scenario_kind scenario);
