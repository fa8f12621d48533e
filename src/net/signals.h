// SPDX-License-Identifier: MIT
//
// Process signals as callbacks on a loop. Owned by the server; a process has one `struct signals`
// at a time. `signals_close` is asynchronous: the struct must live until the loop has closed its
// handle. Signals that come before a loop runs are noted for the whole process (`signals_note`).
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

/// Notes SIGINT, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 from now on until `signals_open`. SIGINT and
/// SIGTERM are noted once each: a second one ends the program by its default action.
void signals_note(void);

/// Whether signal `number` was noted.
bool signals_have_noted(int number);

/// Whether a signal that ends the program has come: SIGINT or SIGTERM. May be called in a signal
/// handler.
bool signals_want_end(void);

/// Calls `on_signal` for the same signals, and ignores SIGPIPE in the whole process.
/// Returns 0 or a negative UV_ code; then there is nothing to close.
MUST_USE int signals_open(struct signals *signals, struct loop *loop,
                          void (*on_signal)(void *user, int number), void *user);

/// Ends the callbacks. Signals that come later are noted or ignored, and do not end the program.
void signals_close(struct signals *signals);

/// Gives the program half a second to end in order; then SIGTERM's default action ends it, whatever
/// its threads do. A second SIGINT or SIGTERM does this by itself. Others call it when something
/// else has already begun the end. May be called in a signal handler.
void signals_end_soon(void);
