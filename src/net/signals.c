// SPDX-License-Identifier: MIT
//
// A signal moves from the kernel to our handler, in whichever thread the kernel chose. The handler
// counts it in `due` and wakes the loop. The loop's thread then calls `on_signal`, once for each
// signal that came.
//
// The handlers are our own because libuv's give a signal its default action back when they are
// closed. A second SIGTERM at that moment would end the program in the middle of its clean-up.
#include "net/signals.h"

#include "net/loop.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/time.h>

static const int heard[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
enum {
    HEARD_COUNT = sizeof(heard) / sizeof(heard[0]),
    PATIENCE_MS = 500, // for an orderly end, after the second signal
};

static atomic_bool noted[NSIG];
static atomic_uint due[NSIG]; // signals that came and were not told to the owner yet
static _Atomic(struct signals *) open_signals;
static atomic_uint handling_count; // handlers that run at the moment, in any thread
static atomic_uint ending_count;   // SIGINTs and SIGTERMs that have come

void signals_end_soon(void)
{
    struct itimerval patience = {.it_value.tv_usec = PATIENCE_MS * 1000};
    (void)setitimer(ITIMER_REAL, &patience, NULL); // fails only for an invalid value
}

static void act(int number, void (*handler)(int number), int flags);
static void note(int number);
static void on_alarm(int number);
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
    return noted[number];
}

bool signals_want_end(void)
{
    return noted[SIGINT] || noted[SIGTERM];
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
    act(SIGALRM, on_alarm, 0);
    for (size_t i = 0; i < HEARD_COUNT; i++) {
        act(heard[i], on_signal, SA_RESTART);
    }
    return 0;
}

void signals_close(struct signals *signals)
{
    for (size_t i = 0; i < HEARD_COUNT; i++) {
        bool is_ending = heard[i] == SIGINT || heard[i] == SIGTERM;
        act(heard[i], is_ending ? on_signal : SIG_IGN, SA_RESTART);
    }
    CHECK(atomic_exchange(&open_signals, NULL) == signals);
    while (handling_count > 0) { // another thread's handler may be about to use the handle
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
    bool is_ending = number == SIGINT || number == SIGTERM;
    noted[number] = true;
    if (is_ending && ending_count++ > 0) {
        signals_end_soon();
    }
}

/// Handles SIGALRM, which comes PATIENCE_MS after the second signal. By then a loop may be stuck in
/// a callback, or a worker may not end. The default action of SIGTERM ends the program all the
/// same.
static void on_alarm(int number)
{
    (void)number;
    act(SIGTERM, SIG_DFL, 0);
    (void)raise(SIGTERM); // ends the program, at the latest when this handler returns
}

/// Handles the other signals. It may interrupt any thread, so it only changes atomics.
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
