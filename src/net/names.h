// SPDX-License-Identifier: MIT
//
// Looks up the addresses of host names, as getaddrinfo(3) does, without holding up a loop. The
// lookups of all loops share some threads of their own, which are started when they are needed and
// end when they are not. libuv's pool is not used: a name server that does not answer would hold up
// everything else that waits for the pool, and the process could not end before it has given up.
//
// A query is a member of the struct that asks, which calls `name_query_cancel` before it is freed.
// The threads never touch a query: each works on a copy of its own, which it frees when nobody
// waits for it any more. A query is used on the thread of its loop.
#pragma once

#include "base/check.h"
#include "net/socket_address.h"

#include <stddef.h>

struct lookup;
struct mailbox;
struct name_query;

enum { NAME_ADDRESSES_MAX = 16 };

/// The addresses of a name are known, or `failure` says why not: UPSTREAM_NO_NAME,
/// UPSTREAM_NAME_AGAIN or a negative errno. The addresses have no port, and live until this
/// returns. May free the query.
typedef void (*name_query_fn)(struct name_query *query, int failure,
                              const struct socket_address *addresses, size_t count);

struct name_query {
    name_query_fn on_answer;
    struct lookup *_lookup; // NULL: it does not wait
};

/// Begins to look up `host`. `on_answer` is called from `mailbox`, which belongs to the caller's
/// loop. Returns 0, or a negative errno, and then `on_answer` is not called.
MUST_USE int name_query_start(struct name_query *query, struct mailbox *mailbox, const char *host);

/// Has `on_answer` not called any more. Does nothing when the query does not wait.
void name_query_cancel(struct name_query *query);
