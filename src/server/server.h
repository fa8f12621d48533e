// SPDX-License-Identifier: MIT
//
// The running program: it loads the scripts, listens, serves, and ends in order. Owns everything:
// loop, generation, service, listeners, signals.
//
//     LOADING --> SERVING --signal--> LEAVING --drain_delay--> DRAINING --> ENDED
//
// The first SIGINT or SIGTERM begins it. LEAVING, which is nothing by default: everything goes on,
// but --ready-path says 503, so that balancers send new work elsewhere. DRAINING: listeners close,
// event streams end one after the other, each with a `retry:`, idle connections close, handlers of
// plain responses may run until `drain_timeout`. ENDED when the last connection is gone. A second
// signal ends everything at once.
#pragma once

struct config;

/// Runs the program to its end. Returns the exit code: 0, or 1 after a message on standard error.
int server_run(const struct config *config);
