// SPDX-License-Identifier: MIT
//
// What the connections of one worker have in common: the codec, the loop, the limits, who answers,
// and the list of the connections themselves, which it owns. It decides how many there may be. It
// knows them only by the operations of their codec (codec.h). Lives as long as its worker;
// `service_deinit` CHECKs that every connection is gone. One thread.
#pragma once

#include "base/bytes.h"
#include "base/limits.h"
#include "base/list.h"
#include "http/codec.h"
#include "net/loop.h"
#include "net/timer.h"
#include "wire/date.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What a codec calls to have its requests answered. `user` is the service's.
struct service_events {
    /// A head is complete; the body is not. May set `bytes_max`, `is_unwanted` and
    /// `is_streamed` of the body.
    void (*on_head)(void *user, struct exchange *exchange);
    /// The message is complete and waits for its answer; of a streamed body, the first bytes may be
    /// there. *May call Lua.*
    void (*on_request)(void *user, struct exchange *exchange);
    /// A response that is no event stream has ended after `ns`. For counting; may be NULL.
    void (*on_answered)(void *user, const struct exchange *exchange, uint64_t ns);
};

/// What the scripts and the command line say of all requests.
struct service_terms {
    struct bytes common_fields; // of every answer, as `response_fields`
    const struct trust *trust;  // the proxies that are believed; NULL for none
};

struct service {
    struct loop *loop;
    const struct limits *limits; // that are current; the owner sets them anew after a reload
    const struct service_events *events; // set by the owner, with `user`
    void *user;
    struct codec *codec;        // what is spoken; set by one of codecs.h, and owned
    struct service_terms terms; // set by the owner, as the limits are
    atomic_size_t conn_count;   // may be read by any thread
    size_t conns_max;           // of all workers together
    uint32_t seed;              // first part of every request id
    bool is_draining;           // no new request is taken
    void *owner;
    void (*on_empty)(void *owner); // while draining: none but health checks are left; may be NULL
    struct list _connections;
    atomic_size_t *_total;      // how many connections all services together have
    size_t _body_bytes;         // of all bodies that are being read, or whose request is answered
    uint64_t _next_number;      // of exchanges
    size_t _health_check_count; // connections that only ask whether the server is ready
    struct timer _tidy_timer; // fires a while after connections have closed: their memory goes back
    struct codec *_proxied_codec; // what reads PROXY headers; owned
    int64_t _date_second;
    char _date[HTTP_DATE_LEN];
};

/// Makes a service without connections. `events` with their `user` must outlive it, as must
/// `limits`, as long as it has them, and `total`, the count of connections that all services of the
/// program share.
void service_init(struct service *service, struct loop *loop, const struct limits *limits,
                  atomic_size_t *total);

/// CHECKs that no connection is left, and frees the codecs.
void service_deinit(struct service *service);

/// How many connections beyond `conns_max` are accepted and get an answer that says so.
size_t service_over_limit_max(size_t conns_max);

/// Takes over an accepted transport from `peer`, which begins with a PROXY header if it
/// `is_proxied`. Beyond `conns_max` the connection is marked as over the limit, so that it is told
/// to come back; beyond that many more it is reset at once.
void service_accept(struct service *service, struct transport *transport,
                    const struct socket_address *peer, bool is_proxied);

/// Stops taking requests: idle connections close, the others after their answer. When all are gone,
/// or only health checks are left, `on_empty` is called: at once where there are none. Health
/// checks are answered until they close, or the owner closes everything.
void service_drain(struct service *service);

/// Closes every connection now; exchanges end as END_SHUTDOWN. *May call Lua.*
void service_close_all(struct service *service);

/// Calls `visit` for each exchange that is under way, until it returns false. It may do to the
/// exchange what a holder may.
void service_each_exchange(const struct service *service, codec_visit_fn visit, void *user);

/// How many connections all services of the program have.
size_t service_total(const struct service *service);

// For the codecs and their exchanges.

/// Gives the service, which owns it from now on, the codec that reads PROXY headers.
void service_set_proxied_codec(struct service *service, struct codec *codec);

/// The number of the next exchange.
uint64_t service_next_number(struct service *service);

/// Lists and counts a connection, which is open.
void service_add(struct service *service, struct connection *connection);

/// Takes a connection, which is closed, out of the list and the counts. May end the draining.
void service_forget(struct service *service, struct connection *connection);

/// Adds `change`, 1 or -1, to the count of connections that are health checks.
void service_count_health_checks(struct service *service, int change);

/// Adds `change` to the bytes of bodies that are kept. To subtract, it wraps around.
void service_count_body(struct service *service, size_t change);

/// Whether the bodies of all requests together may be as large as they are, when one of them has
/// `size` bytes. A body may be as large as what all together leave free of `body_total_bytes`: so
/// the total is never passed, and when it comes near, large bodies are refused while small ones go
/// on.
bool service_has_room(const struct service *service, size_t size);

/// The HTTP date of now. Valid until the next call.
struct bytes service_date(struct service *service);
