// SPDX-License-Identifier: MIT
//
// What happens on a worker's thread. Three things move through a worker:
//
// - Connections. The kernel gives a new one to an acceptor, which makes a transport of it for the
//   service; from there `http` reads requests, and `dispatch` finds who answers them. A connection
//   of a socket that all workers share arrives as a message instead (`worker_hand_over`).
// - Messages. The engine's orders move the worker from one state to the next, and the steps of a
//   reload change its generation of scripts. The worker's news go home to the first worker's
//   mailbox. A worker takes one message at a time, between two turns' worth of events, so nothing
//   of Lua runs meanwhile.
// - The end. `drain_all` leaves everything as it is for `drain_delay`, so that a balancer notices;
//   then the acceptors close, streams and handlers end by themselves, and what is left at the
//   deadline is cut off. `worker_close` closes every handle before it frees anything, because a
//   handle that closes may still call back into any part.
#include "server/worker.h"

#include "base/counters.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/output.h"
#include "base/owner.h"
#include "base/slab.h"
#include "http/codecs.h"
#include "net/tcp.h"
#include "script/scope.h"
#include "script/state.h"
#include "server/admin.h"
#include "server/config.h"
#include "server/descriptors.h"
#include "server/report.h"
#include "sse/reader.h"
#include "sse/stream.h"

#include <string.h>
#include <unistd.h>

enum {
    CLOSE_PATIENCE_MS = 1000, // for the last handles to close
};

/// The states of the drawing in worker.h, in the order in which they come.
enum worker_state {
    STATE_NEW, // the scripts are not loaded
    STATE_LOADED,
    STATE_SERVING,
    STATE_LEAVING,
    STATE_DRAINING,
    STATE_FINISHED,
    STATE_ENDED,
};

/// A connection on its way to another worker.
struct handover {
    struct mailbox_message message;
    struct worker *worker;
    int fd;
    struct socket_address peer;
    bool is_proxied;
};

static void init_messages(struct worker *worker);
static void init_generations(struct worker *worker, struct limits *limits);
static void bound_connections(struct worker *worker);
static size_t socket_count_of_all(const struct worker *worker);
static void init_service(struct worker *worker);
static void on_begin(struct mailbox_message *message);
static void on_accept(void *user, int fd, const struct socket_address *peer);
static void on_accept_proxied(void *user, int fd, const struct socket_address *peer);
static struct transport *accept_socket(struct worker *worker, int fd,
                                       const struct socket_address *peer, bool is_proxied);
static void on_handover(struct mailbox_message *message);
static void on_drain(struct mailbox_message *message);
static void on_delay(struct timer *timer);
static void drain(struct worker *worker);
static void on_deadline(struct timer *timer);
static void on_abort(struct mailbox_message *message);
static void on_empty(void *owner);
static void close_acceptors(struct worker *worker);
static void on_look(struct mailbox_message *message);
static void on_order(struct mailbox_message *message);
static void on_built(void *arg, char *why);
static void take_limits(struct worker *worker);
static void take_application(struct worker *worker);
static void on_reload_wanted(void *owner);
static void on_clock_moved(void *owner);
static void on_turn_end(void *arg);
static void enter(struct worker *worker, enum worker_state state);
static void check_state(const struct worker *worker);

int worker_init(struct worker *worker)
{
    const struct worker_options *options = &worker->options;
    DCHECK(options->worker_count > 0 && options->home != NULL);
    counters_use(worker->number);
    int failure = loop_init(&worker->loop);
    if (failure != 0) {
        report_worker_failure(worker->number, options->worker_count, failure);
        worker->status.has_failed = true;
        return failure;
    }
    DCHECK(!worker->_is_open && worker->_state == STATE_NEW);
    worker->_is_open = true;
    struct limits *limits = limits_new(); // the first generation sets them
    worker->limits = limits_hold(limits);
    mailbox_open(&worker->mailbox, &worker->loop);
    local_hub_init(&worker->local_hub, options->hub, &worker->loop, &worker->mailbox, limits);
    heartbeats_init(&worker->_heartbeats, &worker->loop, stream_beat);
    timer_init(&worker->_delay, &worker->loop.timers, on_delay);
    timer_init(&worker->_deadline, &worker->loop.timers, on_deadline);
    init_messages(worker);
    init_generations(worker, limits);
    requests_init(&worker->_dispatch.requests);
    worker->_dispatch.scrapes.loop = &worker->loop;
    worker->_dispatch.has_admin = options->config->admin != NULL;
    if (options->config->metrics_path != NULL) {
        worker->_dispatch.metrics_path = bytes_from_string(options->config->metrics_path);
    }
    if (options->config->ready_path != NULL) {
        worker->_dispatch.ready_path = bytes_from_string(options->config->ready_path);
    }
    return 0;
}

static void init_messages(struct worker *worker)
{
    worker->orders.begin.run = on_begin;
    worker->orders.drain_all.run = on_drain;
    worker->orders.abort.run = on_abort;
    worker->orders.look.run = on_look;
    worker->reload.order.run = on_order;
}

static void init_generations(struct worker *worker, struct limits *limits)
{
    const struct worker_options *options = &worker->options;
    struct generation_options for_scripts = {
        .loop = &worker->loop,
        .local_hub = &worker->local_hub,
        .shared = options->shared,
        .heartbeats = &worker->_heartbeats,
        .limits = limits,
        .is_dev = options->config->is_dev,
        .has_test_clock = options->config->test_clock > 0,
        .worker = worker->number,
        .on_reload_wanted = on_reload_wanted,
        .on_clock_moved = on_clock_moved,
        .owner = worker,
    };
    generations_init(&worker->generations, options->config, &for_scripts);
    worker->generations.wants_end = options->wants_end;
    worker->generations.wants_end_arg = options->owner;
    worker->_dispatch.generations = &worker->generations;
    worker->generations.service = &worker->service;
}

int worker_load(struct worker *worker)
{
    OWNED(&worker->loop.owner);
    worker->loop.on_turn_end = on_turn_end; // what the scripts log while they wait is shown
    worker->loop.on_turn_end_arg = worker;
    int failure = generations_load(&worker->generations);
    worker->status.has_failed = failure != 0 && failure != -ECANCELED;
    worker->status.is_given_up = failure == -ECANCELED;
    init_service(worker);
    take_application(worker);
    worker->_conns_fitting = descriptors_connections(
        worker->options.descriptors, worker->options.worker_count, socket_count_of_all(worker));
    bound_connections(worker);
    enter(worker, STATE_LOADED);
    return failure;
}

/// The limit `connections` counts, unless there are descriptors for fewer only.
static void bound_connections(struct worker *worker)
{
    uint64_t wanted = worker->limits->conn.count;
    uint64_t fitting = worker->_conns_fitting;
    if (wanted > fitting && worker->number == 1) {
        LOG(LOG_WARN, "fewer connections than the limit says", log_int("wanted", (int64_t)wanted),
            log_int("connections", (int64_t)fitting),
            log_int("descriptors", (int64_t)worker->options.descriptors));
    }
    DCHECK(fitting > 0);
    worker->service.conns_max = wanted == 0 || wanted > fitting ? fitting : wanted;
}

/// How many sockets all workers will listen on, or a few more.
static size_t socket_count_of_all(const struct worker *worker)
{
    const struct worker_options *options = &worker->options;
    size_t address_count;
    IGNORE(application_addresses(worker->generations.current->parts.application, &address_count));
    if (options->inherited_count > 0) {
        return (size_t)options->inherited_count;
    }
    bool is_one = config_has_address(options->config) || address_count == 0;
    return options->worker_count * (is_one ? 1 : address_count);
}

static void init_service(struct worker *worker)
{
    service_init(&worker->service, &worker->loop, worker->limits, worker->options.conn_total);
    codecs_use_http1(&worker->service);
    codecs_use_proxied(&worker->service);
    worker->service.events = &dispatch_events;
    worker->service.user = &worker->_dispatch;
    worker->service.on_empty = on_empty;
    worker->service.owner = worker;
    drain_init(&worker->_drain, &worker->service, worker->options.config->worker_count);
}

void worker_run(struct worker *worker)
{
    OWNED(&worker->loop.owner);
    loop_run(&worker->loop);
    enter(worker, STATE_ENDED);
}

void worker_post(struct worker *worker, struct mailbox_message *message)
{
    if (worker->_is_open) {
        (void)mailbox_post(&worker->mailbox, message); // closed: the worker has ended
    }
}

int worker_open_admin(struct worker *worker, struct admin *admin)
{
    OWNED(&worker->loop.owner);
    DCHECK(worker->number == 1 && worker->_admin == NULL);
    worker->_admin = admin;
    return admin_open(admin, &worker->loop, &worker->_dispatch);
}

static void on_begin(struct mailbox_message *message)
{
    struct worker *worker = CONTAINER_OF(message, struct worker, orders.begin);
    for (size_t i = 0; i < worker->listening.count; i++) {
        struct acceptor *acceptor = &worker->listening.acceptors[i];
        if (acceptor->on_accept == NULL) {
            acceptor->on_accept = worker->listening.are_proxied[i] ? on_accept_proxied : on_accept;
            acceptor->user = worker;
        }
        int failure = acceptor_open(acceptor, &worker->loop, &worker->listening.sockets[i]);
        if (failure != 0) {
            LOG(LOG_ERROR, "cannot accept connections", log_string("error", strerror(-failure)));
            worker->status.has_failed = true;
        }
    }
    enter(worker, STATE_SERVING);
    (void)mailbox_post(worker->options.home, &worker->news.begun); // closed: all is ending
}

static void on_accept(void *user, int fd, const struct socket_address *peer)
{
    // the kernel waited until there was a request to read
    tcp_read(accept_socket(user, fd, peer, false));
}

static void on_accept_proxied(void *user, int fd, const struct socket_address *peer)
{
    tcp_read(accept_socket(user, fd, peer, true));
}

void worker_accept(struct worker *worker, int fd, const struct socket_address *peer,
                   bool is_proxied)
{
    OWNED(&worker->loop.owner);
    (void)accept_socket(worker, fd, peer, is_proxied);
}

static struct transport *accept_socket(struct worker *worker, int fd,
                                       const struct socket_address *peer, bool is_proxied)
{
    struct transport *transport = tcp_of_socket(&worker->loop, fd);
    service_accept(&worker->service, transport, peer, is_proxied);
    return transport;
}

void worker_hand_over(struct worker *worker, int fd, const struct socket_address *peer,
                      bool is_proxied)
{
    DCHECK(fd >= 0);
    struct handover *handover = mem_new(struct handover);
    *handover = (struct handover){{.run = on_handover}, worker, fd, *peer, is_proxied};
    worker->_expected++;
    if (!mailbox_post(&worker->mailbox, &handover->message)) {
        worker->_expected--;
        close(fd); // the worker has ended
        mem_free(handover);
    }
}

size_t worker_conn_count(const struct worker *worker)
{
    return worker->service.conn_count + worker->_expected;
}

static void on_handover(struct mailbox_message *message)
{
    struct handover *handover = CONTAINER_OF(message, struct handover, message);
    DCHECK(handover->worker->_expected > 0);
    handover->worker->_expected--;
    worker_accept(handover->worker, handover->fd, &handover->peer, handover->is_proxied);
    mem_free(handover);
}

/// For `drain_delay` only the answer to `--ready-path` changes. A balancer that asks it sends no
/// new connections, and none is refused before the balancer knows.
static void on_drain(struct mailbox_message *message)
{
    struct worker *worker = CONTAINER_OF(message, struct worker, orders.drain_all);
    worker->_dispatch.is_stopping = true;
    if (worker->limits->drain.delay_ms > 0) {
        timer_arm(&worker->_delay, worker->limits->drain.delay_ms);
        enter(worker, STATE_LEAVING);
    } else {
        drain(worker);
    }
}

static void on_delay(struct timer *timer)
{
    drain(CONTAINER_OF(timer, struct worker, _delay));
}

static void drain(struct worker *worker)
{
    close_acceptors(worker);
    timer_arm(&worker->_deadline, worker->limits->drain.timeout_ms);
    enter(worker, STATE_DRAINING);
    LIST_EACH (node, after, &worker->generations.draining) {
        scopes_end(LIST_ITEM(node, struct generation, node)->parts.scopes);
    }
    scopes_end(worker->generations.current->parts.scopes);
    readers_end_polls(&worker->local_hub);
    drain_start(&worker->_drain, worker->limits->drain.timeout_ms);
    service_drain(&worker->service);
}

static void on_deadline(struct timer *timer)
{
    struct worker *worker = CONTAINER_OF(timer, struct worker, _deadline);
    LOG(LOG_WARN, "drain_timeout is over",
        log_int("connections", (int64_t)worker->service.conn_count),
        log_int("tasks", (int64_t)generations_task_count(&worker->generations)));
    service_close_all(&worker->service);
    on_empty(worker);
}

static void on_abort(struct mailbox_message *message)
{
    struct worker *worker = CONTAINER_OF(message, struct worker, orders.abort);
    close_acceptors(worker);
    service_close_all(&worker->service);
    enter(worker, STATE_ENDED);
    loop_stop(&worker->loop);
}

/// No connection is left but those of health checks. Tasks that scripts have spawned may go on
/// until the deadline; the end of each turn looks whether one is left. Other workers may not have
/// finished, so the loop runs on, and balancers are told that the server is stopping.
static void on_empty(void *owner)
{
    struct worker *worker = owner;
    worker->_has_no_conns = true;
    if (timer_is_armed(&worker->_deadline) && generations_task_count(&worker->generations) > 0) {
        return;
    }
    timer_disarm(&worker->_deadline);
    enter(worker, STATE_FINISHED);
    (void)mailbox_post(worker->options.home, &worker->news.finished); // closed: the server knows
}

static void close_acceptors(struct worker *worker)
{
    for (size_t i = 0; i < worker->listening.count; i++) {
        if (worker->listening.acceptors[i].is_open) {
            acceptor_close(&worker->listening.acceptors[i]);
        } else {
            listen_socket_close(&worker->listening.sockets[i]);
        }
    }
    worker->listening.count = 0;
}

/// Nothing is to be done: the message wakes the loop, and the end of the turn looks at the clock.
static void on_look(struct mailbox_message *message)
{
    (void)message;
}

static void on_order(struct mailbox_message *message)
{
    struct worker *worker = CONTAINER_OF(message, struct worker, reload.order);
    struct worker_reload *reload = &worker->reload;
    switch (reload->step) {
    case STEP_BUILD:
        DCHECK(reload->why == NULL);
        generations_build(&worker->generations, on_built, worker);
        return;
    case STEP_SWAP:
        dispatch_judge_anew(&worker->_dispatch); // also a request whose body still comes
        generations_swap(&worker->generations, &reload->change);
        take_limits(worker);
        take_application(worker);
        break;
    case STEP_DISCARD:
        DCHECK(reload->refusal != NULL);
        generations_abort(&worker->generations, reload->refusal);
        break;
    }
    (void)mailbox_post(worker->options.home, &reload->report); // closed: nobody waits for it
}

/// The scripts have loaded, or they could not.
static void on_built(void *arg, char *why)
{
    struct worker *worker = arg;
    worker->reload.why = why;
    worker->reload.script_count = worker->generations.scripts.count;
    (void)mailbox_post(worker->options.home, &worker->reload.report); // closed: nobody waits for it
}

/// The limits of the new generation count from now on. Requests that have begun, and whatever the
/// old generation finishes, keep the limits that they began with.
static void take_limits(struct worker *worker)
{
    const struct limits *old = worker->limits;
    const struct limits *limits = worker->generations.current->options.limits;
    worker->limits = limits_hold(limits);
    worker->local_hub.limits = limits;
    worker->service.limits = limits;
    if (limits->conn.count != old->conn.count) {
        bound_connections(worker);
    }
    for (size_t i = 0; i < worker->listening.count; i++) {
        listen_socket_set_peer_timeout(&worker->listening.sockets[i], limits->conn.peer_timeout_ms);
    }
    limits_release(old);
}

/// The fields of `server:headers` and the trusted proxies are the new generation's from now on,
/// also for requests that the old generation has yet to answer. The command line's proxies take the
/// place of the scripts'.
static void take_application(struct worker *worker)
{
    const struct generation *generation = worker->generations.current;
    const struct trust *trust = &worker->options.config->trust;
    struct service_terms terms = {.common_fields = BYTES("")};
    if (generation != NULL) {
        struct application *application = generation->parts.application;
        terms.common_fields = response_fields(application_common(application));
        trust = trust_is_given(trust) ? trust : application_trust(application);
    }
    terms.trust = trust_is_given(trust) ? trust : NULL;
    worker->service.terms = terms;
}

static void on_reload_wanted(void *owner)
{
    struct worker *worker = owner;
    (void)mailbox_post(worker->options.home, &worker->news.wants_reload); // closed: it is ending
}

static void on_clock_moved(void *owner)
{
    struct worker *worker = owner;
    (void)mailbox_post(worker->options.home, &worker->news.moved_clock); // closed: it is ending
}

static void on_turn_end(void *arg)
{
    struct worker *worker = arg;
    generations_sweep(&worker->generations);
    if (worker->_has_no_conns && worker->_state == STATE_DRAINING) {
        on_empty(worker);
    }
    if (worker->generations.current != NULL) {
        count_set(COUNT_LUA_BYTES, state_bytes(worker->generations.current->parts.state));
    }
    output_flush();
    log_flush();
}

/// Everything is closed before anything is freed. loop_close names the handles that stay open.
bool worker_close(struct worker *worker)
{
    if (!worker->_is_open) {
        close_acceptors(worker);
        return true;
    }
    OWNED(&worker->loop.owner);
    service_close_all(&worker->service);
    drain_deinit(&worker->_drain);
    timer_deinit(&worker->_delay);
    timer_deinit(&worker->_deadline);
    close_acceptors(worker);
    mailbox_close(&worker->mailbox);
    generations_deinit(&worker->generations);
    heartbeats_deinit(&worker->_heartbeats);
    local_hub_deinit(&worker->local_hub);
    requests_deinit(&worker->_dispatch.requests);
    if (worker->_admin != NULL) {
        admin_close(worker->_admin);
    }
    int open_count = loop_close(&worker->loop, CLOSE_PATIENCE_MS);
    if (open_count == 0) {
        service_deinit(&worker->service);
        if (worker->_admin != NULL) {
            admin_deinit(worker->_admin);
        }
        limits_release(worker->limits);
        loop_deinit(&worker->loop);
    }
    return open_count == 0;
}

void worker_tidy_thread(void)
{
    output_finish();
    log_finish();
    slab_tidy();
}

void worker_close_sockets(struct worker *worker)
{
    close_acceptors(worker);
}

void worker_deinit(struct worker *worker)
{
    if (worker->_is_open) {
        worker->_is_open = false;
        mailbox_deinit(&worker->mailbox);
    }
}

/// A worker goes forward in the drawing only. `on_empty` may come again, for the last connections
/// of health checks, and comes after an abort too: then the state stays.
static void enter(struct worker *worker, enum worker_state state)
{
    DCHECK(state == STATE_ENDED || state == STATE_FINISHED || worker->_state < state);
    if (worker->_state < state) {
        worker->_state = (uint8_t)state;
    }
    DEBUG_CALL(check_state(worker));
}

/// What holds in each state of the drawing.
static void check_state(const struct worker *worker)
{
    bool is_stopping = worker->_dispatch.is_stopping;
    bool is_delayed = timer_is_armed(&worker->_delay);
    bool has_deadline = timer_is_armed(&worker->_deadline);
    CHECK(worker->_is_open);
    switch ((enum worker_state)worker->_state) {
    case STATE_NEW:
    case STATE_LOADED:
    case STATE_SERVING:
        CHECK(!is_stopping && !is_delayed && !has_deadline);
        break;
    case STATE_LEAVING:
        CHECK(is_stopping && is_delayed && !has_deadline);
        break;
    case STATE_DRAINING:
        CHECK(is_stopping && !is_delayed && has_deadline);
        CHECK(worker->listening.count == 0);
        break;
    case STATE_FINISHED:
        CHECK(is_stopping && !is_delayed && !has_deadline);
        CHECK(worker->listening.count == 0 && worker->service.is_draining);
        break;
    case STATE_ENDED:
        CHECK(worker->listening.count == 0 && worker->service.is_draining);
        break;
    }
}
