// SPDX-License-Identifier: MIT
//
// Every limit that the server holds a peer or a script to, in one struct with defaults. The names
// are the ones that scripts (`lunesse.server{ limits = ... }`) and the command line (`--limit
// name=value`) use; durations are given there in seconds and kept here in milliseconds.
//
// A struct of limits is a snapshot. It is filled in while a generation of scripts loads, and does
// not change after that: a reload makes another one. Snapshots are counted, because several are in
// use at a time. A generation holds its own, a worker holds the current one, and the parser of a
// message holds the one that was current when the message began, so one message is judged by one
// set of numbers. What is derived from a limit is derived again when the worker takes another
// snapshot. A snapshot belongs to one worker, and so does its count.
#pragma once

#include "base/check.h"

#include <stddef.h>
#include <stdint.h>

/// The head of a message; trailers too.
struct head_limits {
    uint64_t bytes;        // the request line and the header section
    uint64_t fields;       // header fields
    uint64_t target_bytes; // the request target
};

/// The body of a request.
struct body_limits {
    uint64_t bytes;       // unless the route says otherwise
    uint64_t total_bytes; // all bodies of a worker that are being read or answered
    uint64_t timeout_ms;  // between two pieces; also the grace of `rate`
    uint64_t rate;        // bytes a second that a body must make after that; 0 for none
};

/// Connections, as http/ and the listening sockets see them.
struct conn_limits {
    uint64_t count;           // open connections; 0 stands for nine tenths of the descriptors
    uint64_t pipeline;        // requests that may wait behind the one that is being answered
    uint64_t head_timeout_ms; // from the first byte of a head to its last
    uint64_t idle_timeout_ms; // a connection that is kept open without a request
    uint64_t peer_timeout_ms; // a peer that takes nothing and answers nothing for so long is gone
};

/// Event streams and other answers that are written in pieces.
struct stream_limits {
    uint64_t high_bytes;   // above this, `send` and `write` wait
    uint64_t max_bytes;    // above this, a stream is reset
    uint64_t heartbeat_ms; // silence after which a stream sends a comment; 0 for never
    uint64_t channels;     // that one stream may subscribe to
};

/// Channels.
struct channel_limits {
    uint64_t count;       // of the server
    uint64_t total_bytes; // that all of them together may hold
    uint64_t name_bytes;
};

/// Scripts.
struct script_limits {
    uint64_t shared_bytes;    // of all shared stores together
    uint64_t run_timeout_ms;  // CPU time of one uninterrupted run of Lua
    uint64_t load_timeout_ms; // in which the scripts have to load
    uint64_t lua_bytes;       // memory of one worker's Lua state
    uint64_t tasks;           // that scripts have spawned in one worker and that have not ended
    uint64_t passwords;       // that are being hashed or verified, or wait for that, in one worker
};

/// Requests of scripts to other servers.
struct upstream_limits {
    uint64_t body_bytes; // of an answer that is collected, unless the request says otherwise
};

/// The end of the server.
struct drain_limits {
    uint64_t delay_ms;   // from the signal to the end of accepting: a balancer's time to notice
    uint64_t timeout_ms; // from there to the end: readers come back, handlers finish
};

/// All limits, grouped by the part of the server that reads them.
struct limits {
    struct head_limits head;
    struct body_limits body;
    struct conn_limits conn;
    struct stream_limits stream;
    struct channel_limits channel;
    struct script_limits script;
    struct upstream_limits upstream;
    struct drain_limits drain;
    size_t _holds; // how many owners hold it; see `limits_hold`
};

/// Most bytes that the limit `head_bytes` can be set to.
enum { LIMITS_HEAD_BYTES_MAX = 1000 * 1000 * 1000 };

/// The defaults, held once, by the caller.
struct limits limits_default(void);

/// The default limits on the heap, held once. The last `limits_release` frees it.
struct limits *limits_new(void);

/// Returns `limits`, which stay until the caller has called `limits_release`, once for each call of
/// this.
const struct limits *limits_hold(const struct limits *limits);

/// Ends a hold; the last one frees the snapshot.
void limits_release(const struct limits *limits);

/// Sets the limit `name` to `value`: seconds (fractions allowed) for a duration, a whole number for
/// the rest. Returns 0; -ENOENT when there is no such limit; or -EINVAL when the value is negative,
/// not a number, zero where that makes no sense, or too large. Nothing changes then.
MUST_USE int limits_set(struct limits *limits, const char *name, double value);

/// What `name` is given as, for messages that end with "expected" ("a plain number of seconds, such
/// as 20,"), or NULL for an unknown name.
const char *limits_unit(const char *name);

/// A limit has refused something: a peer, or a script. It is counted, and said in a warning at most
/// once a minute, with `number`, what the limit is set to. `name` is one of the names here, or
/// "descriptors", of which the system has no more, "channel_bytes", "group_channels", "group_bytes"
/// or "store_bytes", which scripts set for one channel, group or store, or "metric_series". A
/// duration is in milliseconds here, and in seconds in the log.
void limit_met(const char *name, uint64_t number);

/// The name of what `limit_met` counts as number `index`, NULL after the last.
const char *limit_met_name(size_t index);

/// The name of limit number `index`, NULL after the last: for lists in messages.
const char *limits_name(size_t index);
