// SPDX-License-Identifier: MIT
//
// Process signals as callbacks on a loop. Owned by the server; `signals_close` is asynchronous, and
// the struct must live until the loop has closed its handles.
#pragma once

#include <signal.h>
#include <uv.h>

struct loop;

struct signals {
    uv_signal_t _interrupt;
    uv_signal_t _terminate;
    uv_signal_t _hang_up;
    void *user;
    void (*on_signal)(void *user, int number);
};

/// Calls `on_signal` for SIGINT, SIGTERM and SIGHUP, and ignores SIGPIPE in the whole process.
void signals_open(struct signals *signals, struct loop *loop,
                  void (*on_signal)(void *user, int number), void *user);

void signals_close(struct signals *signals);
