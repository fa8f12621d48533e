// SPDX-License-Identifier: MIT
//
// The handlers are our own. libuv's give each signal its default action back when they are closed,
// and a second SIGTERM that came in between would end the program by the signal, in the middle of
// its clean-up.
#include "net/signals.h"

#include "net/loop.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>

static const int heard[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
enum { HEARD_COUNT = sizeof(heard) / sizeof(heard[0]) };

static volatile sig_atomic_t noted[NSIG];
static atomic_uint due[NSIG]; // that came and were not told yet
static _Atomic(struct signals *) open_signals;
static atomic_uint handling_count; // handlers that run, in any thread

static void act(int number, void (*handler)(int number), int flags);
static void note(int number);
static void on_signal(int number);
static void on_wake(uv_async_t *handle);

void signals_note(void)
{
    act(SIGINT, note, SA_RESTART | (int)SA_RESETHAND);
    act(SIGTERM, note, SA_RESTART | (int)SA_RESETHAND);
    act(SIGHUP, note, SA_RESTART);
    act(SIGUSR1, note, SA_RESTART);
    act(SIGUSR2, note, SA_RESTART);
}

bool signals_have_noted(int number)
{
    return noted[number] != 0;
}

int signals_open(struct signals *signals, struct loop *loop,
                 void (*on_signal_fn)(void *user, int number), void *user)
{
    int failure = uv_async_init(&loop->uv, &signals->_wake, on_wake);
    if (failure != 0) {
        return failure;
    }
    signals->user = user;
    signals->on_signal = on_signal_fn;
    signals->_wake.data = signals;
    CHECK(atomic_exchange(&open_signals, signals) == NULL);
    act(SIGPIPE, SIG_IGN, 0);
    for (size_t i = 0; i < HEARD_COUNT; i++) {
        act(heard[i], on_signal, SA_RESTART);
    }
    return 0;
}

void signals_close(struct signals *signals)
{
    for (size_t i = 0; i < HEARD_COUNT; i++) {
        act(heard[i], SIG_IGN, 0);
    }
    CHECK(atomic_exchange(&open_signals, NULL) == signals);
    while (handling_count > 0) { // another thread may be about to wake this loop
        sched_yield();
    }
    uv_close((uv_handle_t *)&signals->_wake, NULL);
}

static void act(int number, void (*handler)(int number), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    CHECK(sigaction(number, &action, NULL) == 0);
}

static void note(int number)
{
    noted[number] = 1;
}

/// Runs in whichever thread the kernel chose.
static void on_signal(int number)
{
    int saved = errno;
    note(number);
    handling_count++;
    struct signals *signals = open_signals;
    if (signals != NULL) {
        due[number]++;
        uv_async_send(&signals->_wake);
    }
    handling_count--;
    errno = saved;
}

static void on_wake(uv_async_t *handle)
{
    struct signals *signals = handle->data;
    for (size_t i = 0; i < HEARD_COUNT; i++) {
        for (unsigned count = atomic_exchange(&due[heard[i]], 0); count > 0; count--) {
            signals->on_signal(signals->user, heard[i]);
        }
    }
}
