// SPDX-License-Identifier: MIT
//
// The running program: it starts the workers, listens, serves, and ends in order. It owns
// everything: the hub, the workers, the signals, the reload. It runs on the main thread, which is
// also the first worker's.
//
// The first SIGINT or SIGTERM tells all workers to drain, a second one to abort (worker.h); the
// program ends when all have finished.
#pragma once

struct config;

/// Runs the program to its end. Returns the exit code: 0, or 1 after a message on standard error.
int server_run(const struct config *config);
