// SPDX-License-Identifier: MIT
//
// A connection to a PostgreSQL server, on a loop. Nothing here waits: libpq is asked when its
// socket is ready, and tells what has come of it by `on_news`, which is called from the loop and
// never from within a function of this header. Owned by whoever made it; used on the loop's thread.
//
//     NEW --link_start--> NAMING --addresses--> CONNECTING --PQconnectPoll--> IDLE
//                            |                      |                       |    ^
//                            |                      |               link_ask|    |no more results
//                            +--failed, too late----+--lost--> ENDED <------ASKING
//
// ENDED is the end: `why` and `code` say why. Only `link_free` is left then.
#pragma once

#include "net/loop.h"
#include "net/timer.h"
#include "postgres/settings.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

struct fd_watch;
struct link;

enum link_state { LINK_NEW, LINK_NAMING, LINK_CONNECTING, LINK_IDLE, LINK_ASKING, LINK_ENDED };

/// What is waited for has come: the link is connected, the answer is there, a notification is, or
/// it has ended. May do anything, including to free the link.
typedef void (*link_fn)(struct link *link);

struct link {
    link_fn on_news; // the owner's
    void *user;
    PGresult *result;  // of the query that was asked last; NULL for none
    char *why;         // why the link has ended
    const char *code;  // the same for programs: an errno's name, or an SQLSTATE
    uint8_t state;     // enum link_state
    bool is_listening; // notifications are news; without it they are dropped
    PGconn *_pq;
    struct loop *_loop;
    struct fd_watch *_watch;
    unsigned _watched;
    PGnotify *_notification; // that is to be taken next; the socket is not watched meanwhile
    struct settings _settings;
    struct timer _timer; // ends the connecting
};

/// A query with its parameters: `formats` has 0 for a text and 1 for bytes.
struct link_query {
    const char *sql;
    int count;
    const Oid *types; // 0: the server infers it
    const char *const *values;
    const int *lens;
    const int *formats;
};

/// The caller sets `on_news` and `user`.
struct link *link_new(struct loop *loop);

/// Connects to the server of `url` (NULL: what the environment says), within `connect_ms`. The
/// mailbox is the loop's. Afterwards `state` may be LINK_ENDED, or even LINK_IDLE; `on_news` is not
/// called then.
void link_start(struct link *link, struct mailbox *mailbox, const char *url, uint64_t connect_ms);

/// Asks, while the link is IDLE. `result` is dropped. Afterwards the state is ASKING, or ENDED.
void link_ask(struct link *link, const struct link_query *query);

/// Takes the oldest notification that has come to the link, which is IDLE and listens. It is the
/// caller's, to be given to PQfreemem. NULL when none is here; then the next one is told by
/// `on_news`.
PGnotify *link_take_notification(struct link *link);

/// Whether the link can be asked: it is IDLE, in no transaction, and its server has not closed it
/// as far as the kernel knows at this moment.
bool link_is_free(struct link *link);

/// What is waited for is not waited for any more. A query that runs is cancelled at the server, on
/// a connection of its own (postgres/cancel.h); this connection is closed.
void link_free(struct link *link);
