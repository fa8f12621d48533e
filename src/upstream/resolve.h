// SPDX-License-Identifier: MIT
//
// The addresses of a request's host, as curl is to try them: in rounds of one address of IPv6 and
// one of IPv4, between which curl makes a race. The next round follows when both have failed. (This
// curl comes to a stop when it has two addresses of one family and the first refuses late.) A
// member of its request; used on the thread of the loop.
#pragma once

#include "base/buf.h"
#include "base/check.h"
#include "net/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct resolve {
    struct name_query query;
    /// The host is known, or `failure` says why not.
    void (*on_found)(struct resolve *resolve, int failure);
    bool is_public;                    // other addresses than public ones count as none
    struct socket_address *_addresses; // those that were tried have no family any more
    size_t _count;
};

/// Begins to look `host` up; see `name_query_start`. `resolve` is zero but for `on_found`
/// and `is_public`.
MUST_USE int resolve_start(struct resolve *resolve, struct mailbox *mailbox, const char *host);

/// Looks no more up, and frees the addresses. Idempotent.
void resolve_stop(struct resolve *resolve);

/// Whether there are addresses that were not tried.
bool resolve_has_more(const struct resolve *resolve);

/// Appends to `entry` the next round, as CURLOPT_RESOLVE takes it, with a NUL at the end. Returns 0
/// or -ENOMEM.
MUST_USE int resolve_take_round(struct resolve *resolve, const char *host, uint16_t port,
                                struct buf *entry);
