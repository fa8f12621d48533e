// SPDX-License-Identifier: MIT
#include "server/worker.h"

#include "base/counters.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/output.h"
#include "base/slab.h"
#include "http/codecs.h"
#include "net/tcp.h"
#include "script/scope.h"
#include "script/state.h"
#include "server/admin.h"
#include "server/config.h"
#include "server/descriptors.h"
#include "server/report.h"
#include "sse/stream.h"

#include <string.h>
#include <unistd.h>

enum {
    CLOSE_PATIENCE_MS = 1000, // for the last handles to close
};

/// A connection on its way to another worker.
struct handover {
    struct mailbox_message message;
    struct worker *worker;
    int fd;
    struct socket_address peer;
};

static void init_messages(struct worker *worker);
static void init_generations(struct worker *worker, struct limits *limits);
static void bound_connections(struct worker *worker);
static size_t socket_count_of_all(const struct worker *worker);
static void init_service(struct worker *worker);
static void on_begin(struct mailbox_message *message);
static void on_accept(void *user, int fd, const struct socket_address *peer);
static struct transport *accept_socket(struct worker *worker, int fd,
                                       const struct socket_address *peer);
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
static void take_limits(struct worker *worker);
static void take_common_fields(struct worker *worker);
static void on_reload_wanted(void *owner);
static void on_clock_moved(void *owner);
static void on_turn_end(void *arg);

int worker_init(struct worker *worker)
{
    const struct worker_options *options = &worker->options;
    counters_use(worker->number);
    int failure = loop_init(&worker->loop);
    if (failure != 0) {
        report_worker_failure(worker->number, options->worker_count, failure);
        worker->has_failed = true;
        return 1;
    }
    worker->is_open = true;
    struct limits *limits = limits_new(); // the first generation sets them
    worker->limits = limits_hold(limits);
    mailbox_open(&worker->mailbox, &worker->loop);
    local_hub_init(&worker->local_hub, options->hub, &worker->loop, &worker->mailbox, limits);
    heartbeats_init(&worker->heartbeats, &worker->loop, stream_beat);
    timer_init(&worker->delay, &worker->loop.timers, on_delay);
    timer_init(&worker->deadline, &worker->loop.timers, on_deadline);
    init_messages(worker);
    init_generations(worker, limits);
    requests_init(&worker->dispatch.requests);
    worker->dispatch.scrapes.loop = &worker->loop;
    worker->dispatch.has_admin = options->config->admin != NULL;
    if (options->config->metrics_path != NULL) {
        worker->dispatch.metrics_path = bytes_from_string(options->config->metrics_path);
    }
    if (options->config->ready_path != NULL) {
        worker->dispatch.ready_path = bytes_from_string(options->config->ready_path);
    }
    return 0;
}

static void init_messages(struct worker *worker)
{
    worker->begin.run = on_begin;
    worker->drain_all.run = on_drain;
    worker->abort.run = on_abort;
    worker->look.run = on_look;
    worker->reload.order.run = on_order;
}

static void init_generations(struct worker *worker, struct limits *limits)
{
    const struct worker_options *options = &worker->options;
    struct generation_options for_scripts = {
        .loop = &worker->loop,
        .local_hub = &worker->local_hub,
        .shared = options->shared,
        .heartbeats = &worker->heartbeats,
        .limits = limits,
        .is_dev = options->config->is_dev,
        .has_test_clock = options->config->test_clock > 0,
        .worker = worker->number,
        .on_reload_wanted = on_reload_wanted,
        .on_clock_moved = on_clock_moved,
        .owner = worker,
    };
    generations_init(&worker->generations, options->config, &for_scripts);
    worker->dispatch.generations = &worker->generations;
    worker->generations.service = &worker->service;
}

int worker_load(struct worker *worker)
{
    int failure = generations_load(&worker->generations);
    worker->has_failed = failure != 0;
    init_service(worker);
    take_common_fields(worker);
    worker->conns_fitting = descriptors_connections(
        worker->options.descriptors, worker->options.worker_count, socket_count_of_all(worker));
    bound_connections(worker);
    return failure;
}

/// As many as there are descriptors for, unless the limit says less.
static void bound_connections(struct worker *worker)
{
    uint64_t wanted = worker->limits->conn.count;
    uint64_t fitting = worker->conns_fitting;
    if (wanted > fitting && worker->number == 1) {
        LOG(LOG_WARN, "fewer connections than the limit says", log_int("wanted", (int64_t)wanted),
            log_int("connections", (int64_t)fitting),
            log_int("descriptors", (int64_t)worker->options.descriptors));
    }
    worker->service.conns_max = wanted == 0 || wanted > fitting ? fitting : wanted;
}

/// Not less than there will be.
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
    worker->service.events = &dispatch_events;
    worker->service.user = &worker->dispatch;
    worker->service.on_empty = on_empty;
    worker->service.owner = worker;
    drain_init(&worker->drain, &worker->service, worker->options.config->worker_count);
    worker->loop.on_turn_end = on_turn_end;
    worker->loop.on_turn_end_arg = worker;
}

void worker_run(struct worker *worker)
{
    loop_run(&worker->loop);
}

static void on_begin(struct mailbox_message *message)
{
    struct worker *worker = CONTAINER_OF(message, struct worker, begin);
    for (size_t i = 0; i < worker->socket_count; i++) {
        struct acceptor *acceptor = &worker->acceptors[i];
        if (acceptor->on_accept == NULL) {
            acceptor->on_accept = on_accept;
            acceptor->user = worker;
        }
        int failure = acceptor_open(acceptor, &worker->loop, &worker->sockets[i]);
        if (failure != 0) {
            LOG(LOG_ERROR, "cannot accept connections", log_string("error", strerror(-failure)));
            worker->has_failed = true;
        }
    }
    (void)mailbox_post(worker->options.home, &worker->begun); // closed: all is ending
}

static void on_accept(void *user, int fd, const struct socket_address *peer)
{
    tcp_read(accept_socket(user, fd, peer)); // the kernel has waited for the request
}

void worker_accept(struct worker *worker, int fd, const struct socket_address *peer)
{
    (void)accept_socket(worker, fd, peer);
}

static struct transport *accept_socket(struct worker *worker, int fd,
                                       const struct socket_address *peer)
{
    struct transport *transport = tcp_of_socket(&worker->loop, fd);
    service_accept(&worker->service, transport, peer);
    return transport;
}

void worker_hand_over(struct worker *worker, int fd, const struct socket_address *peer)
{
    struct handover *handover = mem_new(struct handover);
    *handover =
        (struct handover){.message.run = on_handover, .worker = worker, .fd = fd, .peer = *peer};
    worker->expected++;
    if (!mailbox_post(&worker->mailbox, &handover->message)) {
        worker->expected--;
        close(fd); // the worker has ended
        mem_free(handover);
    }
}

static void on_handover(struct mailbox_message *message)
{
    struct handover *handover = CONTAINER_OF(message, struct handover, message);
    handover->worker->expected--;
    worker_accept(handover->worker, handover->fd, &handover->peer);
    mem_free(handover);
}

/// Balancers may look, and find that it is not ready, before anything else changes.
static void on_drain(struct mailbox_message *message)
{
    struct worker *worker = CONTAINER_OF(message, struct worker, drain_all);
    worker->dispatch.is_stopping = true;
    if (worker->limits->drain.delay_ms > 0) {
        timer_arm(&worker->delay, worker->limits->drain.delay_ms);
    } else {
        drain(worker);
    }
}

static void on_delay(struct timer *timer)
{
    drain(CONTAINER_OF(timer, struct worker, delay));
}

static void drain(struct worker *worker)
{
    close_acceptors(worker);
    timer_arm(&worker->deadline, worker->limits->drain.timeout_ms);
    LIST_EACH (node, after, &worker->generations.draining) {
        scopes_end(LIST_ITEM(node, struct generation, node)->parts.scopes);
    }
    scopes_end(worker->generations.current->parts.scopes);
    drain_start(&worker->drain, worker->limits->drain.timeout_ms);
    service_drain(&worker->service);
}

static void on_deadline(struct timer *timer)
{
    struct worker *worker = CONTAINER_OF(timer, struct worker, deadline);
    LOG(LOG_WARN, "drain_timeout is over",
        log_int("connections", (int64_t)worker->service.conn_count));
    service_close_all(&worker->service);
    on_empty(worker);
}

static void on_abort(struct mailbox_message *message)
{
    struct worker *worker = CONTAINER_OF(message, struct worker, abort);
    close_acceptors(worker);
    service_close_all(&worker->service);
    loop_stop(&worker->loop);
}

/// Others may still be at work, so balancers' health checks are answered on.
static void on_empty(void *owner)
{
    struct worker *worker = owner;
    timer_disarm(&worker->deadline);
    (void)mailbox_post(worker->options.home, &worker->finished); // closed: the server knows
}

static void close_acceptors(struct worker *worker)
{
    for (size_t i = 0; i < worker->socket_count; i++) {
        if (worker->acceptors[i].is_open) {
            acceptor_close(&worker->acceptors[i]);
        } else {
            listen_socket_close(&worker->sockets[i]);
        }
    }
    worker->socket_count = 0;
}

/// To be woken is all: the end of the turn looks at the clock.
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
        reload->why = generations_build(&worker->generations, &reload->script_count);
        break;
    case STEP_SWAP:
        dispatch_judge_anew(&worker->dispatch); // also a request whose body still comes
        generations_swap(&worker->generations, &reload->change);
        take_limits(worker);
        take_common_fields(worker);
        break;
    case STEP_DISCARD:
        generations_abort(&worker->generations, reload->refusal);
        break;
    }
    (void)mailbox_post(worker->options.home, &reload->report); // closed: nobody waits for it
}

/// What the new generation has declared counts from now on. Messages that have begun, and what the
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
    for (size_t i = 0; i < worker->socket_count; i++) {
        listen_socket_set_peer_timeout(&worker->sockets[i], limits->conn.peer_timeout_ms);
    }
    limits_release(old);
}

/// Answers of the old generation that are still to come have the new one's fields.
static void take_common_fields(struct worker *worker)
{
    struct generation *generation = worker->generations.current;
    worker->service.common_fields =
        generation == NULL ? BYTES("")
                           : response_fields(application_common(generation->parts.application));
}

static void on_reload_wanted(void *owner)
{
    struct worker *worker = owner;
    (void)mailbox_post(worker->options.home, &worker->wants_reload); // closed: it is ending
}

static void on_clock_moved(void *owner)
{
    struct worker *worker = owner;
    (void)mailbox_post(worker->options.home, &worker->moved_clock); // closed: it is ending
}

static void on_turn_end(void *arg)
{
    struct worker *worker = arg;
    generations_sweep(&worker->generations);
    if (worker->generations.current != NULL) {
        count_set(COUNT_LUA_BYTES, state_bytes(worker->generations.current->parts.state));
    }
    output_flush();
    log_flush();
}

/// Everything is closed before anything is freed; a handle that is left open is a bug, and named.
bool worker_close(struct worker *worker)
{
    if (!worker->is_open) {
        close_acceptors(worker);
        return true;
    }
    service_close_all(&worker->service);
    drain_deinit(&worker->drain);
    timer_deinit(&worker->delay);
    timer_deinit(&worker->deadline);
    close_acceptors(worker);
    mailbox_close(&worker->mailbox);
    generations_deinit(&worker->generations);
    heartbeats_deinit(&worker->heartbeats);
    local_hub_deinit(&worker->local_hub);
    requests_deinit(&worker->dispatch.requests);
    if (worker->admin != NULL) {
        admin_close(worker->admin);
    }
    int open_count = loop_close(&worker->loop, CLOSE_PATIENCE_MS);
    if (open_count == 0) {
        service_deinit(&worker->service);
        if (worker->admin != NULL) {
            admin_deinit(worker->admin);
        }
        limits_release(worker->limits);
        loop_deinit(&worker->loop);
    }
    output_finish();
    log_finish();
    slab_tidy();
    return open_count == 0;
}

void worker_close_sockets(struct worker *worker)
{
    close_acceptors(worker);
}

void worker_deinit(struct worker *worker)
{
    if (worker->is_open) {
        worker->is_open = false;
        mailbox_deinit(&worker->mailbox);
    }
}
