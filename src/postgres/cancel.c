// SPDX-License-Identifier: MIT
#include "postgres/cancel.h"

#include "base/check.h"
#include "base/log.h"
#include "postgres/pq_late.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <time.h>

enum {
    THREADS_MAX = 32, // of the process
    STACK_BYTES = 256 * 1024,
    WHY_BYTES = 256, // as PQcancel wants it
    EXIT_MS = 250,   // for which the process's end waits until the requests are out
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_ended = PTHREAD_COND_INITIALIZER;
static unsigned thread_count;
static bool is_awaited_at_exit;

static bool take_place(void);
static void leave_place(void);
static bool start_thread(PGcancel *cancel);
static void *run(void *cancel);
static void await_requests(void);

void cancel_send(PGconn *pq)
{
    PGcancel *cancel = libpq.PQgetCancel(pq);
    if (cancel == NULL) {
        return; // the connection is gone, and its query with it
    }
    bool has_place = take_place();
    if (has_place && start_thread(cancel)) {
        return;
    }
    LOG(LOG_WARN, "a query of PostgreSQL runs on, though nobody waits for it",
        log_string("why", has_place ? "the system starts no thread to cancel it on"
                                    : "too many requests to cancel wait for their server"));
    libpq.PQfreeCancel(cancel);
    if (has_place) {
        leave_place();
    }
}

static bool take_place(void)
{
    CHECK(pthread_mutex_lock(&lock) == 0);
    bool has_place = thread_count < THREADS_MAX;
    thread_count += has_place ? 1 : 0;
    if (!is_awaited_at_exit) {
        is_awaited_at_exit = atexit(await_requests) == 0;
    }
    CHECK(pthread_mutex_unlock(&lock) == 0);
    return has_place;
}

static void leave_place(void)
{
    CHECK(pthread_mutex_lock(&lock) == 0);
    DCHECK(thread_count > 0);
    thread_count--;
    CHECK(pthread_cond_signal(&has_ended) == 0);
    CHECK(pthread_mutex_unlock(&lock) == 0);
}

/// The thread gets no signals: those are for the threads that have loops.
static bool start_thread(PGcancel *cancel)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
    CHECK(pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool is_started = pthread_create(&thread, &attributes, run, cancel) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return is_started;
}

static void *run(void *cancel)
{
    char why[WHY_BYTES] = "";
    if (libpq.PQcancel(cancel, why, sizeof(why)) == 0) {
        LOG(LOG_WARN, "a query of PostgreSQL runs on, though nobody waits for it",
            log_string("why", why));
    }
    libpq.PQfreeCancel(cancel);
    leave_place();
    return NULL;
}

/// The handlers that end with the server ask for cancels too, and a process that has ended sends
/// nothing.
static void await_requests(void)
{
    struct timespec until;
    int result = 0;
    CHECK(clock_gettime(CLOCK_REALTIME, &until) == 0);
    until.tv_nsec += EXIT_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    CHECK(pthread_mutex_lock(&lock) == 0);
    while (thread_count > 0 && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&has_ended, &lock, &until);
    }
    CHECK(pthread_mutex_unlock(&lock) == 0);
}
