// SPDX-License-Identifier: MIT
//
// A timer ticks. Streams end evenly over `_ending_ms`: each tick computes how many must have ended
// by now (`due_count`), walks over the exchanges, and ends as many as are missing. Each stream is
// told when to come back, by a moment of the window (`retry_ms`); the first to end comes back
// first. After the last tick the drain only looks for streams that have opened meanwhile, and for
// those whose handlers were given time.
#include "sse/drain.h"

#include "base/jitter.h"
#include "http/service.h"
#include "sse/stream.h"

enum {
    TICK_MS = 10,
    LATE_TICK_MS = 50,       // once all have ended: streams may still open
    ENDS_PER_SECOND = 1000,  // at least, of all workers together
    RETURNS_PER_SECOND = 10, // at least
    WINDOW_MS_MIN = 1000,    // to return in, even if the server ends at once
    FIRST_RETURN_SHARE = 50, // nobody returns in the first 1/50 of `window_ms`
    LAST_CALL_MS = 500, // all end so long before the window does; at most a quarter of the window
};

static void on_timer(struct timer *timer);
static uint64_t share(const struct drain *drain);
static uint64_t return_window_ms(uint64_t count, uint64_t most_ms);
static bool count_stream(void *user, struct exchange *exchange);
static struct stream *due_stream(const struct drain *drain, const struct exchange *exchange);
static uint64_t elapsed_ms(const struct drain *drain);
static size_t due_count(const struct drain *drain);
static bool end_stream(void *user, struct exchange *exchange);
static uint64_t retry_ms(const struct drain *drain);

void drain_init(struct drain *drain, struct service *service, unsigned worker_count)
{
    *drain = (struct drain){._service = service, ._worker_count = worker_count};
    timer_init(&drain->_timer, &service->loop->timers, on_timer);
}

void drain_start(struct drain *drain, uint64_t window_ms)
{
    OWNED(&drain->_service->loop->owner);
    DCHECK(!timer_is_armed(&drain->_timer) && drain->_ended_count == 0); // it begins once
    drain->_began_ms = loop_now_ms(drain->_service->loop);
    uint64_t last_call_ms = window_ms / 4 < LAST_CALL_MS ? window_ms / 4 : LAST_CALL_MS;
    drain->_patience_ms = window_ms - last_call_ms;
    drain->_count = 0;
    service_each_exchange(drain->_service, count_stream, drain);
    drain->_window_ms = return_window_ms(share(drain), window_ms);
    uint64_t first_ms =
        (window_ms > WINDOW_MS_MIN ? window_ms : WINDOW_MS_MIN) / FIRST_RETURN_SHARE;
    // A few readers have a short window, and at least half of it must be left for them.
    uint64_t half_ms = drain->_window_ms / 2;
    drain->_first_ms = first_ms < half_ms ? first_ms : half_ms;
    uint64_t needed_ms = share(drain) * 1000 / ENDS_PER_SECOND;
    drain->_ending_ms = needed_ms < window_ms / 2 ? needed_ms : window_ms / 2;
    DCHECK(drain->_first_ms < drain->_window_ms); // some of the window is left to come back in
    DCHECK(drain->_ending_ms <= drain->_patience_ms);
    on_timer(&drain->_timer);
}

void drain_deinit(struct drain *drain)
{
    timer_deinit(&drain->_timer);
}

static void on_timer(struct timer *timer)
{
    struct drain *drain = CONTAINER_OF(timer, struct drain, _timer);
    bool is_late = elapsed_ms(drain) >= drain->_ending_ms;
    timer_arm(timer, is_late ? LATE_TICK_MS : TICK_MS);
    service_each_exchange(drain->_service, end_stream, drain);
}

/// How many streams the server has, guessed from this worker's: other workers have about as many,
/// and all together have no more than there are connections.
static uint64_t share(const struct drain *drain)
{
    uint64_t count = (uint64_t)drain->_count * drain->_worker_count;
    uint64_t total = service_total(drain->_service);
    return count < total ? count : total;
}

/// How long `count` readers take to come back, RETURNS_PER_SECOND of them in a second, but no
/// longer than `most_ms`.
static uint64_t return_window_ms(uint64_t count, uint64_t most_ms)
{
    uint64_t needed_ms = count * 1000 / RETURNS_PER_SECOND;
    uint64_t window_ms = needed_ms < most_ms ? needed_ms : most_ms;
    return window_ms > WINDOW_MS_MIN ? window_ms : WINDOW_MS_MIN;
}

static bool count_stream(void *user, struct exchange *exchange)
{
    struct drain *drain = user;
    drain->_count += due_stream(drain, exchange) != NULL;
    return true;
}

/// The stream of the exchange, if it is open and is not left to its handler.
static struct stream *due_stream(const struct drain *drain, const struct exchange *exchange)
{
    struct stream *stream = stream_of_exchange(exchange);
    uint64_t until_ms = drain->_began_ms + drain->_patience_ms;
    bool is_late = elapsed_ms(drain) >= drain->_patience_ms;
    bool is_due =
        stream != NULL && stream->is_open && (is_late || !stream_may_complete(stream, until_ms));
    return is_due ? stream : NULL;
}

static uint64_t elapsed_ms(const struct drain *drain)
{
    return loop_now_ms(drain->_service->loop) - drain->_began_ms;
}

/// How many are to have ended by the end of this tick; all of them after the last.
static size_t due_count(const struct drain *drain)
{
    uint64_t until_ms = elapsed_ms(drain) + TICK_MS;
    return until_ms < drain->_ending_ms ? drain->_count * until_ms / drain->_ending_ms : SIZE_MAX;
}

/// Ends the stream of the exchange, if it has one, until as many have ended as are due. This
/// may call Lua, but connections close later, so the walk is not disturbed.
static bool end_stream(void *user, struct exchange *exchange)
{
    struct drain *drain = user;
    struct stream *stream = due_stream(drain, exchange);
    if (drain->_ended_count >= due_count(drain)) {
        return false;
    }
    if (stream != NULL) {
        stream_end(stream, END_SHUTDOWN, retry_ms(drain));
        drain->_ended_count++;
    }
    return true;
}

/// How long from now the next stream is to wait before it comes back. A stream that was not there
/// at the beginning has no moment of its own, and comes back at any time within the window.
static uint64_t retry_ms(const struct drain *drain)
{
    uint64_t first_ms = drain->_first_ms;
    uint64_t span_ms = drain->_window_ms - first_ms;
    if (drain->_ended_count >= drain->_count) {
        return jitter_between(first_ms, first_ms + span_ms - 1);
    }
    // Microseconds: with many streams a part of the window is shorter than a millisecond.
    uint64_t part_us = span_ms * 1000 / drain->_count;
    uint64_t moment_us = span_ms * 1000 * drain->_ended_count / drain->_count;
    uint64_t moment_ms = first_ms + (moment_us + jitter_between(0, part_us)) / 1000;
    uint64_t now_ms = elapsed_ms(drain);
    return moment_ms > now_ms + first_ms ? moment_ms - now_ms : first_ms;
}
