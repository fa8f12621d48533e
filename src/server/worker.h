// SPDX-License-Identifier: MIT
//
// A worker: a thread with a loop, a Lua state and connections of its own. Workers share the hub,
// the shared stores and the count of connections, and nothing else. Whatever one thread has to say
// to another goes through a mailbox. The first worker's mailbox is also where messages to the
// engine arrive; in the server it runs on the main thread. A worker is owned by its engine, whose
// memory it is part of. From `worker_init` to `worker_close` everything in it is used on its own
// thread only, except for the messages, `status` and `expected`.
//
// The states of a worker, on its own thread:
//
//     LOADED --begin--> SERVING --drain_all--> LEAVING --drain_delay--> DRAINING --> FINISHED
//        |                 |                      |                        |            |
//        +-----------------+------ abort ---------+------------------------+------------+--> ENDED
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
struct engine;
struct reload;

/// What all workers are given.
struct worker_options {
    const struct config *config;
    struct hub *hub;
    struct shared *shared;
    atomic_size_t *conn_total; // of all workers
    size_t worker_count;
    int inherited_count;            // sockets that a service manager has passed
    uint64_t descriptors;           // that the program may have
    struct mailbox *home;           // where messages to the engine go
    bool (*wants_end)(void *owner); // see `engine_events`; or NULL
    void *owner;
};

/// A step of a reload; see reload.h.
enum worker_step { STEP_BUILD, STEP_SWAP, STEP_DISCARD };

/// A step of a reload and what came of it.
struct worker_reload {
    struct reload *coordinator;
    struct mailbox_message order;  // to the worker: take the step
    struct mailbox_message report; // back: the step is done
    enum worker_step step;
    const char *refusal; // STEP_DISCARD: why there is no new code
    char *why; // STEP_BUILD: the same for a person, for the receiver to free; NULL without failure
    size_t script_count;
    struct change change; // STEP_SWAP
};

/// How far a worker has come, as far as the engine has heard.
enum worker_stage { WORKER_LOADING, WORKER_LOADED, WORKER_SERVING, WORKER_FINISHED };

/// What the engine keeps for each worker. `has_failed` and `is_given_up` are set by the worker,
/// before it posts `loaded` or `begun`.
struct worker_status {
    struct engine *engine;
    enum worker_stage stage;
    bool has_failed;  // to start, to load or to accept
    bool is_given_up; // a signal came while the scripts loaded
    pthread_t thread;
};

/// Messages of the engine to the worker; see `worker_post`.
struct worker_orders {
    struct mailbox_message begin;     // accept connections
    struct mailbox_message drain_all; // end in order
    struct mailbox_message abort;     // end at once
    struct mailbox_message look;      // wake up: the clock was moved
};

/// Messages of the worker to the engine, which sets what they run.
struct worker_news {
    struct mailbox_message loaded;   // the scripts are loaded, or could not be: `has_failed`
    struct mailbox_message begun;    // the worker accepts connections, or cannot: `has_failed`
    struct mailbox_message finished; // no connection is left but those of health checks
    struct mailbox_message wants_reload;
    struct mailbox_message moved_clock;
};

/// The sockets that a worker listens on. They are bound before it begins, on the main thread.
struct worker_sockets {
    struct listen_socket sockets[ADDRESSES_MAX];
    struct acceptor acceptors[ADDRESSES_MAX];
    bool are_proxied[ADDRESSES_MAX]; // connections of the socket begin with a PROXY header
    size_t count;
};

struct worker {
    struct worker_options options;
    unsigned number; // from 1
    struct worker_status status;
    struct worker_orders orders;
    struct worker_news news;
    struct worker_reload reload;
    struct worker_sockets listening;
    const struct limits *limits; // held: those of the generation that answers
    struct loop loop;
    struct mailbox mailbox;
    struct generations generations;
    struct service service;
    struct dispatch _dispatch;
    struct local_hub local_hub;
    struct heartbeats _heartbeats;
    struct drain _drain;
    struct timer _delay;     // from `drain_all` to the draining
    struct timer _deadline;  // of the draining
    struct admin *_admin;    // of the first worker, once it is open
    uint64_t _conns_fitting; // connections that there are descriptors for
    atomic_size_t _expected; // connections that are handed over and have not arrived
    uint8_t _state;          // see the drawing
    bool _has_no_conns;      // while it drains: only spawned tasks are waited for
    bool _is_open;           // from `worker_init` to `worker_deinit`
};

/// Whether the worker was made and is not freed.
static inline bool worker_is_made(const struct worker *worker)
{
    return worker->_is_open;
}

/// Makes everything that needs no script. `options` and `number` are set. Returns 0, or a negative
/// errno when it has printed why not; then the worker has only its sockets, if any.
MUST_USE int worker_init(struct worker *worker);

/// Loads the scripts, running the loop while they wait, and makes what depends on the limits that
/// they set. Returns 0, or a negative errno when it has printed why not; -ECANCELED when
/// `wants_end` has ended the loading. *Calls Lua.*
MUST_USE int worker_load(struct worker *worker);

/// Runs the loop until the worker has ended.
void worker_run(struct worker *worker);

/// Sends one of `orders`, or the order of a reload, from any thread. A worker that has ended, or
/// never began, does not get it.
void worker_post(struct worker *worker, struct mailbox_message *message);

/// Has the first worker accept connections on `admin`, which is bound. Returns 0 or a negative
/// errno.
MUST_USE int worker_open_admin(struct worker *worker, struct admin *admin);

/// Serves `fd`, a socket that is connected to `peer`, and begins with a PROXY header if it
/// `is_proxied`.
void worker_accept(struct worker *worker, int fd, const struct socket_address *peer,
                   bool is_proxied);

/// Has the worker serve `fd`, from any thread. It is for connections of sockets of which there is
/// only one for all workers.
void worker_hand_over(struct worker *worker, int fd, const struct socket_address *peer,
                      bool is_proxied);

/// How many connections the worker has, with those that are handed over to it. From any thread; the
/// number may have changed since.
size_t worker_conn_count(const struct worker *worker);

/// Closes and frees everything but the mailbox. Returns false when a handle was left open, which is
/// a bug and is named; memory of the worker is then still in use. Does nothing to a worker that is
/// not open. *Calls Lua.*
bool worker_close(struct worker *worker);

/// Frees what the calling thread has for output, the log and memory. When no worker is on it any
/// more.
void worker_tidy_thread(void);

/// Closes the sockets of a worker that does not begin.
void worker_close_sockets(struct worker *worker);

/// Frees the mailbox, when all threads have ended. Does nothing to a worker that is not open.
void worker_deinit(struct worker *worker);
