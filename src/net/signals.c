// SPDX-License-Identifier: MIT
#include "net/signals.h"

#include "net/loop.h"

static void on_signal(uv_signal_t *handle, int number);

void signals_open(struct signals *signals, struct loop *loop,
                  void (*on_signal_fn)(void *user, int number), void *user)
{
    signals->user = user;
    signals->on_signal = on_signal_fn;
    signal(SIGPIPE, SIG_IGN);
    uv_signal_init(&loop->uv, &signals->_interrupt);
    uv_signal_init(&loop->uv, &signals->_terminate);
    uv_signal_init(&loop->uv, &signals->_hang_up);
    signals->_interrupt.data = signals;
    signals->_terminate.data = signals;
    signals->_hang_up.data = signals;
    uv_signal_start(&signals->_interrupt, on_signal, SIGINT);
    uv_signal_start(&signals->_terminate, on_signal, SIGTERM);
    uv_signal_start(&signals->_hang_up, on_signal, SIGHUP);
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

static void on_signal(uv_signal_t *handle, int number)
{
    struct signals *signals = handle->data;
    signals->on_signal(signals->user, number);
}
