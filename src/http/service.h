// SPDX-License-Identifier: MIT
//
// What the connections of one worker have in common: loop, limits, who answers, and the list of the
// connections themselves, which it owns. It decides how many there may be. Lives as long as its
// worker; `service_deinit` CHECKs that every connection is gone. One thread.
#pragma once

#include "base/bytes.h"
#include "base/limits.h"
#include "base/list.h"
#include "net/loop.h"
#include "net/timer.h"
#include "wire/date.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exchange;
struct http1;
struct socket_address;
struct transport;

/// Who answers. `user` is the service's.
struct service_events {
    /// A head is complete; the body is not. May set `body_bytes_max` and `is_body_unwanted`.
    void (*on_head)(void *user, struct exchange *exchange);
    /// The message is complete and waits for its answer. *May call Lua.*
    void (*on_request)(void *user, struct exchange *exchange);
    /// A response that is no event stream has ended after `ns`. For counting; may be NULL.
    void (*on_answered)(void *user, const struct exchange *exchange, uint64_t ns);
};

struct service {
    struct loop *loop;
    const struct limits *limits; // that are current; the owner sets them anew after a reload
    const struct service_events *events; // set by the owner, with `user`
    void *user;
    struct bytes common_fields; // of every answer, as `response_fields`; set as the limits are
    struct list conns;
    atomic_size_t conn_count;  // may be read by any thread
    size_t conns_max;          // of all workers together
    atomic_size_t *total;      // how many there are
    size_t health_check_count; // connections that only ask whether the server is ready
    size_t body_bytes;         // of all bodies that are being read, or whose request is answered
    uint64_t next_number;      // of exchanges
    uint32_t seed;             // first part of every request id
    bool is_draining;          // no new request is taken
    void *owner;
    void (*on_empty)(void *owner); // while draining: none but health checks are left; may be NULL
    struct http1 *spare_parser;    // the last one given back; NULL while it is in use
    struct timer _tidy_timer;      // after connections have closed
    int64_t _date_second;
    char _date_line[HTTP_DATE_LEN + 8]; // "Date: ...\r\n"
};

/// Makes a service without connections. `events` with their `user` must outlive it, as must
/// `limits`, as long as it has them, and `total`, the count of connections that all services of the
/// program share.
void service_init(struct service *service, struct loop *loop, const struct limits *limits,
                  atomic_size_t *total);

/// CHECKs that no connection is left.
void service_deinit(struct service *service);

/// How many connections beyond `conns_max` are told that they are too many.
size_t service_over_limit_max(size_t conns_max);

/// Takes over an accepted transport from `peer`. Beyond `conns_max` the connection is marked as
/// over the limit, so that it is told to come back; beyond that many more it is reset at once.
void service_accept(struct service *service, struct transport *transport,
                    const struct socket_address *peer);

/// Stops taking requests: idle connections close, the others after their answer. When all are gone,
/// or only health checks are left, `on_empty` is called: at once where there are none. Health
/// checks are answered until they close, or the owner closes everything.
void service_drain(struct service *service);

/// Closes every connection now; exchanges end as END_SHUTDOWN. *May call Lua.*
void service_close_all(struct service *service);

/// Sees one exchange of a walk. Returns whether the walk goes on.
typedef bool (*service_visit_fn)(void *user, struct exchange *exchange);

/// Calls `visit` for each exchange that is under way, until it returns false. It may do to the
/// exchange what a holder may.
void service_each_exchange(const struct service *service, service_visit_fn visit, void *user);

/// A connection has left the list and its memory is free. May end the draining: the last statement.
void service_forget(struct service *service);

/// The field that says the HTTP date of now, as `response_fields`. Valid until the next call.
struct bytes service_date_line(struct service *service);
