// SPDX-License-Identifier: MIT
//
// A worker: a thread with a loop, a Lua state and connections of its own. Workers share the hub,
// the stores and the count of connections, and nothing else; whatever one has to say to another
// goes through a mailbox. The first worker runs on the main thread, whose mailbox is `home`. Owned
// by the server, whose memory it is in; everything but the messages is used on its own thread only,
// from `worker_init` to `worker_close`.
//
//     LOADED --begin--> SERVING --drain--> LEAVING --drain_delay--> DRAINING --> FINISHED
//        |                 |                  |                        |            | abort
//        +-----------------+------------------+------------------------+------------+---> ended
#pragma once

#include "base/check.h"
#include "base/limits.h"
#include "http/service.h"
#include "hub/local_hub.h"
#include "net/acceptor.h"
#include "net/mailbox.h"
#include "net/timer.h"
#include "server/dispatch.h"
#include "server/generations.h"
#include "sse/drain.h"
#include "sse/heartbeat.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct admin;
struct config;
struct reload;
struct server;

/// What all workers are given.
struct worker_options {
    const struct config *config;
    struct hub *hub;
    struct shared *shared;
    atomic_size_t *conn_total; // of all workers
    size_t worker_count;
    int inherited_count;  // sockets that a service manager has passed
    uint64_t descriptors; // that the program may have
    struct mailbox *home; // where messages to the server go
};

/// What is to be done with new scripts; see reload.h.
enum worker_step { STEP_BUILD, STEP_SWAP, STEP_DISCARD };

/// A step of a reload and what came of it.
struct worker_reload {
    struct reload *coordinator;
    struct mailbox_message order;  // to the worker
    struct mailbox_message report; // and back: the step is done
    enum worker_step step;
    const char *refusal; // STEP_DISCARD: why there is no new code
    char *why; // STEP_BUILD: why it failed, for the receiver to free; NULL when it did not
    size_t script_count;
    struct change change; // STEP_SWAP
};

/// How far a worker has come, as far as the server has heard.
enum worker_stage { WORKER_LOADING, WORKER_LOADED, WORKER_SERVING, WORKER_FINISHED };

struct worker {
    struct server *server; // for its messages
    struct worker_options options;
    unsigned number;             // from 1
    const struct limits *limits; // held: those of the generation that answers
    uint64_t conns_fitting;      // connections that there are descriptors for
    struct loop loop;
    struct mailbox mailbox;
    struct local_hub local_hub;
    struct heartbeats heartbeats;
    struct generations generations;
    struct dispatch dispatch;
    struct service service;
    struct admin *admin;                         // of the first worker, once it is open
    struct listen_socket sockets[ADDRESSES_MAX]; // for it to serve, from `begin` on
    size_t socket_count;
    struct acceptor acceptors[ADDRESSES_MAX];
    struct drain drain;
    struct timer delay; // between `drain_all` and the draining
    struct timer deadline;
    bool is_open;            // from `worker_init` to `worker_deinit`
    bool has_failed;         // to start, to load or to accept
    enum worker_stage stage; // the server's
    atomic_size_t expected;  // connections that are handed over and on the way
    pthread_t thread;
    // To the worker:
    struct mailbox_message begin;     // accept
    struct mailbox_message drain_all; // end in order
    struct mailbox_message abort;     // end at once
    struct mailbox_message look;      // the clock was moved
    struct worker_reload reload;
    // From the worker; what they do is the server's to set:
    struct mailbox_message loaded;   // or not: `has_failed`
    struct mailbox_message begun;    // it accepts
    struct mailbox_message finished; // it has no connection any more but health checks
    struct mailbox_message wants_reload;
    struct mailbox_message moved_clock;
};

/// Makes everything that needs no script. `options` and `number` are set. Returns 0, or 1 when it
/// has printed why not; then the worker has only sockets, if any.
MUST_USE int worker_init(struct worker *worker);

/// Loads the scripts, and makes what depends on the limits that they set. Returns 0, or 1 when it
/// has printed why not. *Calls Lua.*
MUST_USE int worker_load(struct worker *worker);

/// Runs the loop until the worker has finished.
void worker_run(struct worker *worker);

/// Serves `fd`, a socket that is connected to `peer`.
void worker_accept(struct worker *worker, int fd, const struct socket_address *peer);

/// The same, from any thread. For sockets of which there is only one for all workers.
void worker_hand_over(struct worker *worker, int fd, const struct socket_address *peer);

/// Closes and frees everything but the mailbox. Returns false when a handle was left open, which is
/// a bug and is named; memory of the worker is then still in use. Does nothing to a worker that is
/// not open. *Calls Lua.*
bool worker_close(struct worker *worker);

/// Closes the sockets of a worker that does not begin.
void worker_close_sockets(struct worker *worker);

/// When all threads have ended. Does nothing to a worker that is not open.
void worker_deinit(struct worker *worker);
