// SPDX-License-Identifier: MIT
//
// All limits are rows of one table: name, place in the struct, unit, smallest value. Setting a
// limit, listing the names, the counts of `limit_met` and the table in docs/operations.md come from
// it. A limit that refuses something is counted each time, and logged at most once a minute for all
// workers together, because a refusal is mostly one of thousands.
#include "base/limits.h"

#include "base/counters.h"
#include "base/environment.h"
#include "base/log.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

enum unit { UNIT_BYTES, UNIT_COUNT, UNIT_SECONDS };

struct limit {
    const char *name;
    size_t offset;
    enum unit unit;
    double min; // smallest value that makes sense, in the unit
};

static const char *const unit_names[] = {
    "a whole number of bytes, such as 65536,",
    "a whole number, such as 100,",
    "a plain number of seconds, such as 20,",
};

// The comment of a row is its row in docs/operations.md, which `make docs` writes: of what it is a
// limit, and behind the bar what happens beyond. The default, where the number alone does not say
// it, stands in front.
static const struct limit table[] = {
    // the request line and the headers of a request together; trailers too | 431, and the
    // connection closes
    {"head_bytes", offsetof(struct limits, head.bytes), UNIT_BYTES, 64},
    // the headers of a request | 431, and the connection closes
    {"head_fields", offsetof(struct limits, head.fields), UNIT_COUNT, 1},
    // the target of a request | 414, and the connection closes
    {"target_bytes", offsetof(struct limits, head.target_bytes), UNIT_BYTES, 1},
    // the body of a request; `{ body_bytes = n }` on a route goes before. Routes for `GET`, `HEAD`
    // and `OPTIONS` take a body only with that option, or `body` | 413, and the connection closes
    {"body_bytes", offsetof(struct limits, body.bytes), UNIT_BYTES, 0},
    // reading a head, from its first byte. On a new connection it counts from the accept, which
    // happens when something comes on it, or after about a second | 408, and the connection closes
    {"head_timeout", offsetof(struct limits, conn.head_timeout_ms), UNIT_SECONDS, 0.001},
    // silence inside a body | 408, and the connection closes
    {"body_timeout", offsetof(struct limits, body.timeout_ms), UNIT_SECONDS, 0.001},
    // bytes that a body makes in each second, beyond the `body_timeout` seconds that any body has;
    // 0 for no such floor | 408, and the connection closes
    {"body_rate", offsetof(struct limits, body.rate), UNIT_BYTES, 0},
    // all bodies together that are being read, or whose requests are being answered. One body may
    // be as large as what all of them leave free, so large ones meet it first | 503 for that body,
    // and the connection closes
    {"body_total_bytes", offsetof(struct limits, body.total_bytes), UNIT_BYTES, 0},
    // a connection without a request | the connection closes
    {"idle_timeout", offsetof(struct limits, conn.idle_timeout_ms), UNIT_SECONDS, 0.001},
    // requests that wait behind the one being answered | the server stops reading until it has
    // answered some
    {"pipeline", offsetof(struct limits, conn.pipeline), UNIT_COUNT, 1},
    // (default: 90 % of the descriptors that the program has to spare) open connections. What does
    // not fit into the descriptors (`ulimit -n`) is lowered, and the log says so | 503 with
    // `Retry-After`; for an event stream 200, a `retry:` and the end
    {"connections", offsetof(struct limits, conn.count), UNIT_COUNT, 1},
    // bytes that wait for a slow reader; bytes that one turn publishes to a channel | `send` and
    // `write` wait, `try_send` says `full`; `publish` waits for the end of the turn
    {"stream_high_bytes", offsetof(struct limits, stream.high_bytes), UNIT_BYTES, 1},
    // the same, when senders do not wait; also one event alone | the connection is reset; the event
    // is refused with `EMSGSIZE`
    {"stream_max_bytes", offsetof(struct limits, stream.max_bytes), UNIT_BYTES, 1},
    // silence on an event stream; 0 for none | a comment is sent
    {"heartbeat", offsetof(struct limits, stream.heartbeat_ms), UNIT_SECONDS, 0},
    // a peer that takes nothing of what is sent or, while nothing is sent, does not answer the
    // keepalive of the kernel | the connection is reset; `close` says `timeout`
    {"peer_timeout", offsetof(struct limits, conn.peer_timeout_ms), UNIT_SECONDS, 0.001},
    // channels that one stream follows | `subscribe` fails with `E2BIG`
    {"stream_channels", offsetof(struct limits, stream.channels), UNIT_COUNT, 1},
    // channels of the server | `lunesse.channel` fails with `E2BIG`
    {"channels", offsetof(struct limits, channel.count), UNIT_COUNT, 1},
    // what all channels hold, history and about a kilobyte for each included | the oldest events of
    // a channel make room for its next; then `publish` and `lunesse.channel` fail with `ENOMEM`
    {"channel_total_bytes", offsetof(struct limits, channel.total_bytes), UNIT_BYTES, 0},
    // the name of a channel | `lunesse.channel` raises
    {"channel_name_bytes", offsetof(struct limits, channel.name_bytes), UNIT_BYTES, 1},
    // keys and values of all shared stores, with about 150 bytes for each | `set`, `add`, `replace`
    // and `incr` fail with `ENOMEM`
    {"shared_bytes", offsetof(struct limits, script.shared_bytes), UNIT_BYTES, 0},
    // CPU time of Lua that runs without waiting (JSON in slices waits between them). Loading what
    // the program starts with may take ten times as long | the handler is ended: 500, or the stream
    // is cut; the log has the traceback
    {"run_timeout", offsetof(struct limits, script.run_timeout_ms), UNIT_SECONDS, 0.001},
    // the time in which all scripts have to load, with all that they wait for | the server does not
    // start; or the reload is refused, and the scripts that ran go on
    {"load_timeout", offsetof(struct limits, script.load_timeout_ms), UNIT_SECONDS, 0.001},
    // memory of the Lua state, without the bodies of requests that are being answered | the handler
    // fails with a memory error
    {"lua_bytes", offsetof(struct limits, script.lua_bytes), UNIT_BYTES, 1024 * 1024},
    // tasks of a worker that were spawned and have not ended; those of older code, which go on
    // after a reload, are counted apart | `lunesse.spawn` fails with `E2BIG`, and `lunesse.all`
    // raises
    {"tasks", offsetof(struct limits, script.tasks), UNIT_COUNT, 0},
    // passwords of a worker that are being hashed or verified, or wait for that | `password_hash`
    // and `password_verify` fail with `EAGAIN`
    {"passwords", offsetof(struct limits, script.passwords), UNIT_COUNT, 0},
    // the body of another server's answer; `body_bytes` of the request or its client goes before |
    // the request fails with `EMSGSIZE`
    {"upstream_body_bytes", offsetof(struct limits, upstream.body_bytes), UNIT_BYTES, 0},
    // the time from the signal to the end of accepting | the server drains
    {"drain_delay", offsetof(struct limits, drain.delay_ms), UNIT_SECONDS, 0},
    // the time from there to the end: streams end within half of it, handlers finish | they are cut
    // off
    {"drain_timeout", offsetof(struct limits, drain.timeout_ms), UNIT_SECONDS, 0},
};

enum { LIMIT_COUNT = sizeof(table) / sizeof(table[0]) };

// Far above anything sensible and below where the arithmetic on it could overflow: durations are
// counted in nanoseconds, places in a head in 32 bits.
static const double seconds_max = 1e9;
static const double value_max = 1e15;

/// Limits that `limit_met` counts but nobody sets by a name of the table.
static const char *const others[] = {"descriptors", "channel_bytes", "group_channels",
                                     "group_bytes", "store_bytes",   "metric_series"};
enum { OTHER_COUNT = sizeof(others) / sizeof(others[0]), WARNING_PAUSE_S = 60 };

static_assert(LIMIT_COUNT + OTHER_COUNT <= COUNTERS_LIMITS_MAX, "each limit has a counter");
static_assert(offsetof(struct limits, _holds) == LIMIT_COUNT * sizeof(uint64_t),
              "each limit has a row of the table");
static_assert(LIMITS_HEAD_BYTES_MAX <= UINT32_MAX, "a place in a head has 32 bits");
static_assert(sizeof(unit_names) / sizeof(unit_names[0]) == UNIT_SECONDS + 1,
              "each unit has a name");

static const struct limit *find(const char *name);
static bool is_to_be_said(size_t index);

struct limits limits_default(void)
{
    return (struct limits){
        .head.bytes = 16 * 1024,
        .head.fields = 100,
        .head.target_bytes = 8 * 1024,
        .body.bytes = 1024 * 1024,
        .conn.head_timeout_ms = 10 * 1000,
        .body.timeout_ms = 30 * 1000,
        .body.rate = 240,
        .body.total_bytes = 64 * 1024 * 1024,
        .conn.idle_timeout_ms = 75 * 1000,
        .conn.pipeline = 64,
        .conn.count = 0,
        .stream.high_bytes = 64 * 1024,
        .stream.max_bytes = 1024 * 1024,
        .stream.heartbeat_ms = 15 * 1000,
        .conn.peer_timeout_ms = 60 * 1000,
        .stream.channels = 16,
        .channel.count = 100 * 1000,
        .channel.total_bytes = 256 * 1024 * 1024,
        .channel.name_bytes = 255,
        .script.shared_bytes = 64 * 1024 * 1024,
        .script.run_timeout_ms = 1000,
        .script.load_timeout_ms = 30 * 1000,
        .script.lua_bytes = 256 * 1024 * 1024,
        .script.tasks = 10 * 1000,
        .script.passwords = 64,
        .upstream.body_bytes = 16 * 1024 * 1024,
        .drain.delay_ms = 0,
        .drain.timeout_ms = 10 * 1000,
        ._holds = 1,
    };
}

struct limits *limits_new(void)
{
    struct limits *limits = mem_new(struct limits);
    *limits = limits_default();
    return limits;
}

/// A holder may not change the numbers, so it has a pointer to const; the count of holders is not
/// one of the numbers.
const struct limits *limits_hold(const struct limits *limits)
{
    DCHECK(limits->_holds > 0);
    ((struct limits *)limits)->_holds++;
    return limits;
}

void limits_release(const struct limits *limits)
{
    struct limits *held = (struct limits *)limits;
    DCHECK(held->_holds > 0);
    if (--held->_holds == 0) {
        mem_free(held);
    }
}

int limits_set(struct limits *limits, const char *name, double value)
{
    const struct limit *limit = find(name);
    if (limit == NULL) {
        return -ENOENT;
    }
    bool is_duration = limit->unit == UNIT_SECONDS;
    bool is_head = limit->offset == offsetof(struct limits, head.bytes);
    double max = is_duration ? seconds_max : is_head ? LIMITS_HEAD_BYTES_MAX : value_max;
    if (!(value >= limit->min) || value > max) {
        return -EINVAL;
    }
    double scaled = is_duration ? ceil(value * 1000) : value;
    if (scaled != floor(scaled)) {
        return -EINVAL;
    }
    uint64_t stored = (uint64_t)scaled;
    DCHECK(limit->offset + sizeof(stored) <= offsetof(struct limits, _holds));
    memcpy((char *)limits + limit->offset, &stored, sizeof(stored));
    return 0;
}

const char *limits_unit(const char *name)
{
    const struct limit *limit = find(name);
    return limit == NULL ? NULL : unit_names[limit->unit];
}

const char *limits_name(size_t index)
{
    return index < LIMIT_COUNT ? table[index].name : NULL;
}

void limit_met(const char *name, uint64_t number)
{
    size_t index = 0;
    while (strcmp(limit_met_name(index), name) != 0) {
        index++;
        CHECK(index < LIMIT_COUNT + OTHER_COUNT);
    }
    counters_add(&counters_here->limits[index], 1);
    if (is_to_be_said(index)) {
        const char *unit = limits_unit(name);
        bool is_duration = unit != NULL && strcmp(unit, unit_names[UNIT_SECONDS]) == 0;
        int64_t shown = (int64_t)number;
        LOG(LOG_WARN, "a limit is met", log_string("limit", name),
            is_duration ? log_duration("at", shown) : log_int("at", shown)); // 1500 ms: 1.500
    }
}

const char *limit_met_name(size_t index)
{
    if (index < LIMIT_COUNT) {
        return table[index].name;
    }
    return index < LIMIT_COUNT + OTHER_COUNT ? others[index - LIMIT_COUNT] : NULL;
}

/// Whether it is time to log the limit again. Of several workers that ask at once, one gets true.
static bool is_to_be_said(size_t index)
{
    DCHECK(index < COUNTERS_LIMITS_MAX);
    struct timespec now = environment_time(CLOCK_MONOTONIC_COARSE);
    atomic_int_fast64_t *next_s = &environment_here->limits_said_s[index];
    int_fast64_t due_s = *next_s;
    return now.tv_sec >= due_s &&
           atomic_compare_exchange_strong(next_s, &due_s, now.tv_sec + WARNING_PAUSE_S);
}

static const struct limit *find(const char *name)
{
    for (size_t i = 0; i < LIMIT_COUNT; i++) {
        if (strcmp(table[i].name, name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}
