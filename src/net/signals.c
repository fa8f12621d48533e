// SPDX-License-Identifier: MIT
#include "net/signals.h"

#include "net/loop.h"

static volatile sig_atomic_t noted[NSIG];

static void note(int number);
static void on_signal(uv_signal_t *handle, int number);

void signals_note(void)
{
    struct sigaction once = {.sa_handler = note, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
    struct sigaction each = {.sa_handler = note, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGINT, &once, NULL) == 0);
    CHECK(sigaction(SIGTERM, &once, NULL) == 0);
    CHECK(sigaction(SIGHUP, &each, NULL) == 0);
}

bool signals_have_noted(int number)
{
    return noted[number] != 0;
}

/// Only the first handle on a loop needs anything of the system.
int signals_open(struct signals *signals, struct loop *loop,
                 void (*on_signal_fn)(void *user, int number), void *user)
{
    int failure = uv_signal_init(&loop->uv, &signals->_interrupt);
    if (failure != 0) {
        return failure;
    }
    CHECK(uv_signal_init(&loop->uv, &signals->_terminate) == 0);
    CHECK(uv_signal_init(&loop->uv, &signals->_hang_up) == 0);
    signals->user = user;
    signals->on_signal = on_signal_fn;
    signal(SIGPIPE, SIG_IGN);
    signals->_interrupt.data = signals;
    signals->_terminate.data = signals;
    signals->_hang_up.data = signals;
    uv_signal_start(&signals->_interrupt, on_signal, SIGINT);
    uv_signal_start(&signals->_terminate, on_signal, SIGTERM);
    uv_signal_start(&signals->_hang_up, on_signal, SIGHUP);
    return 0;
}

void signals_close(struct signals *signals)
{
    uv_close((uv_handle_t *)&signals->_interrupt, NULL);
    uv_close((uv_handle_t *)&signals->_terminate, NULL);
    uv_close((uv_handle_t *)&signals->_hang_up, NULL);
    // Closing brings the default action back; a late signal must not cut the clean-up short.
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

static void note(int number)
{
    noted[number] = 1;
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct signals *signals = handle->data;
    signals->on_signal(signals->user, number);
}
