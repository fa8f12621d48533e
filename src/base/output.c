// SPDX-License-Identifier: MIT
//
// A thread prints into a stream of its own. When that is flushed, `take` appends the text to
// `pending`, which all threads share under the lock of outlet.c, and as much of it is written as
// standard output accepts. When `pending` is full the text is lost and its bytes are counted; a
// flush logs the count every REPORT_SECONDS.
#include "base/output.h"

#include "base/check.h"
#include "base/environment.h"
#include "base/log.h"
#include "base/outlet.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio_ext.h>
#include <time.h>
#include <unistd.h>

enum {
    PENDING_BYTES_MAX = 1024 * 1024,
    REPORT_SECONDS = 10, // between two records of what was lost
};

// Under the outlet's lock.
static struct buf pending = {._max = PENDING_BYTES_MAX};
static uint64_t lost_bytes;
static time_t reported_at; // 0: never

static atomic_bool has_work; // something is pending or was lost; can be read without the lock
static bool waits;
static _Thread_local FILE *stream;
static _Thread_local FILE *error_stream;

static ssize_t take(void *cookie, const char *at, size_t size);
static ssize_t take_error(void *cookie, const char *at, size_t size);
static void write_pending(void);
static uint64_t take_report(void);

void output_wait_for_reader(void)
{
    waits = true;
}

FILE *output_stream(void)
{
    if (environment_is_still(environment_here)) {
        return output_error_stream();
    }
    if (stream == NULL) {
        stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = take});
        CHECK(stream != NULL);
    }
    return stream;
}

FILE *output_error_stream(void)
{
    if (error_stream == NULL) {
        error_stream = fopencookie(NULL, "w", (cookie_io_functions_t){.write = take_error});
        CHECK(error_stream != NULL);
        setvbuf(error_stream, NULL, _IONBF, 0);
    }
    return error_stream;
}

void output_flush(void)
{
    if (stream != NULL && __fpending(stream) > 0) {
        fflush(stream);
    }
    if (!has_work) {
        return;
    }
    outlet_lock();
    write_pending();
    uint64_t lost = take_report();
    outlet_unlock();
    if (lost > 0) {
        LOG(LOG_WARN, "output lost: standard output is not being read",
            log_int("bytes", (int64_t)lost));
    }
}

void output_finish(void)
{
    output_flush();
    if (stream != NULL) {
        fclose(stream);
    }
    if (error_stream != NULL) {
        fclose(error_stream);
    }
    stream = NULL;
    error_stream = NULL;
}

/// Takes what a thread has printed. The stream is always told that all was taken, because `print`
/// in a script could do nothing about a failure.
static ssize_t take(void *cookie, const char *at, size_t size)
{
    (void)cookie;
    outlet_lock();
    if (!buf_is_empty(&pending)) {
        write_pending();
    }
    if (!buf_append_shared(&pending, bytes_of(at, size))) {
        lost_bytes += size;
    }
    write_pending();
    outlet_unlock();
    return (ssize_t)size;
}

static ssize_t take_error(void *cookie, const char *at, size_t size)
{
    (void)cookie;
    log_raw(bytes_of(at, size));
    return (ssize_t)size;
}

/// Writes what standard output takes. When its reader is gone for good, all that is pending is
/// lost.
static void write_pending(void)
{
    struct pollfd target = {.fd = STDOUT_FILENO, .events = POLLOUT};
    do {
        if (outlet_write(STDOUT_FILENO, &pending, NULL) != 0) {
            lost_bytes += buf_len(&pending);
            buf_clear(&pending);
        }
    } while (waits && !buf_is_empty(&pending) && poll(&target, 1, -1) >= 0);
    has_work = !buf_is_empty(&pending) || lost_bytes > 0;
}

/// How many lost bytes are to be logged now; 0 while the last report is recent.
static uint64_t take_report(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (lost_bytes == 0 || (reported_at != 0 && now.tv_sec - reported_at < REPORT_SECONDS)) {
        return 0;
    }
    uint64_t lost = lost_bytes;
    reported_at = now.tv_sec;
    lost_bytes = 0;
    has_work = !buf_is_empty(&pending);
    return lost;
}
