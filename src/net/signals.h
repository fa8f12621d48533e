// SPDX-License-Identifier: MIT
//
// Process signals as callbacks on a loop. Owned by the server; a process has one at a time.
// `signals_close` is asynchronous, and the struct must live until the loop has closed its handle.
// Before there is a loop that runs they can be noted, by the whole process and without an owner.
#pragma once

#include "base/check.h"

#include <signal.h>
#include <stdbool.h>
#include <uv.h>

struct loop;

struct signals {
    uv_async_t _wake;
    void *user;
    void (*on_signal)(void *user, int number);
};

/// Notes SIGINT, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 from now on until `signals_open`. Only once
/// each of the first two: a second one ends the program as it would any other.
void signals_note(void);

/// Whether signal `number` has come meanwhile.
bool signals_have_noted(int number);

/// Calls `on_signal` for the same signals, and ignores SIGPIPE in the whole process.
/// Returns 0 or a negative UV_ code; then there is nothing to close.
MUST_USE int signals_open(struct signals *signals, struct loop *loop,
                          void (*on_signal)(void *user, int number), void *user);

/// Nobody is told of signals from here on.
void signals_close(struct signals *signals);

/// A second SIGINT or SIGTERM ends the program at once, whatever its threads do: what has not ended
/// in order half a second later is ended by SIGTERM's default action. This does the same where
/// something else was the first signal. May be called in a signal handler.
void signals_end_soon(void);
