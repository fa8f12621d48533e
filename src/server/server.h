// SPDX-License-Identifier: MIT
//
// The running program: it loads the scripts, listens, serves, and ends in order. Owns everything:
// loop, generation, service, listeners, signals.
//
//     LOADING --> SERVING --signal--> DRAINING --> ENDED
//
// DRAINING begins with the first SIGINT or SIGTERM: listeners close, event streams end with a
// `retry:`, idle connections close, handlers of plain responses may run until `drain_timeout`; a
// second signal ends everything at once.
#pragma once

struct config;

/// Runs the program to its end. Returns the exit code: 0, or 1 after a message on standard error.
int server_run(const struct config *config);
