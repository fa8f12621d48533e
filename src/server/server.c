// SPDX-License-Identifier: MIT
//
// The main thread, in the order of a run: check what was passed and what the system allows, make
// the first worker and load the scripts in it, bind all sockets, start the other threads, and run
// the first worker's loop until the program ends.
//
// Sockets are bound before there are threads, so a port that is taken ends the program before
// anything else has begun. The first worker loads before the others, because a mistake in a script
// shows there, once. After that the server only hears: each worker posts `loaded`, `begun` and
// `finished`, and the server goes on when all of them have. Signals arrive the same way, as
// callbacks of the first worker's loop.
#include "server/server.h"

#include "base/counters.h"
#include "base/jitter.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/output.h"
#include "http/access.h"
#include "hub/hub.h"
#include "net/loop.h"
#include "net/offload.h"
#include "net/signals.h"
#include "server/addresses.h"
#include "server/admin.h"
#include "server/config.h"
#include "server/descriptors.h"
#include "server/inherited.h"
#include "server/metrics.h"
#include "server/notify.h"
#include "server/reload.h"
#include "server/report.h"
#include "server/terminal.h"
#include "server/worker.h"
#include "shared/shared.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 5000, // that a service manager should have after `drain_timeout`
};

struct server {
    const struct config *config;
    int inherited_count;  // sockets that a service manager has passed
    uint64_t descriptors; // that the program may have
    struct hub hub;
    struct shared *shared;
    atomic_size_t conn_total;
    struct worker *workers;
    size_t worker_count;
    size_t thread_count;  // that were started
    pthread_mutex_t gate; // is held while threads are started; they begin after
    bool has_all_threads;
    bool has_terminal; // with which it ends
    bool is_serving;   // all workers are
    bool wants_reload; // was asked for before
    bool is_stopping;
    int exit_code;
    struct signals signals;
    struct reload reload;
    struct admin admin;
};

static int check_inherited(int count, const struct config *config);
static int init(struct server *server);
static void init_worker(struct server *server, size_t index);
static int load_and_serve(struct server *server);
static bool is_over_already(const struct server *server);
static int bind_and_run(struct server *server);
static int start_threads(struct server *server);
static bool may_begin(struct server *server);
static void *run_thread(void *arg);
static void on_loaded(struct mailbox_message *message);
static bool have_all(const struct server *server, enum worker_stage stage);
static void begin(struct server *server);
static void share_lone_sockets(struct server *server);
static void on_accept(void *user, int fd, const struct socket_address *peer);
static void on_begun(struct mailbox_message *message);
static void serve(struct server *server);
static void on_signal(void *user, int number);
static void open_admin(struct server *server);
static void want_reload(struct server *server);
static void tell_ready(const struct server *server);
static bool has_lost_terminal(const struct server *server);
static void drain(struct server *server);
static void abort_run(struct server *server);
static void on_finished(struct mailbox_message *message);
static void on_wants_reload(struct mailbox_message *message);
static void on_moved_clock(struct mailbox_message *message);
static bool end(struct server *server);

int server_run(const struct config *config)
{
    int inherited_count = inherited_take();
    size_t worker_count = config->is_check ? 1 : config->worker_count;
    uint64_t descriptors = descriptors_raise();
    int result = check_inherited(inherited_count, config);
    if (result == 0) {
        result = descriptors_check(descriptors, worker_count);
    }
    if (result != 0) {
        return result;
    }
    if (config->test_clock > 0) {
        clock_slow_down(config->test_clock);
    }
    struct server *server = mem_new(struct server);
    *server = (struct server){
        .config = config,
        .inherited_count = inherited_count,
        .descriptors = descriptors,
        .worker_count = worker_count,
        .has_terminal = terminal_is_ours(),
    };
    result = init(server) == 0 ? load_and_serve(server) : 1;
    return end(server) ? result : 1;
}

/// Returns the exit code.
static int check_inherited(int count, const struct config *config)
{
    if (count < 0) {
        return 1;
    }
    if (count > 0 && config_has_address(config)) {
        log_complain("LISTEN_FDS passes sockets, and the command line names an address: leave "
                     "out --host, --port and --unix");
        return 2;
    }
    return 0;
}

/// Returns 0, or a negative errno when it has printed why there is no first worker.
static int init(struct server *server)
{
    mem_keep_reserve();
    metrics_set_names();
    access_show_query(server->config->logs_query);
    server->workers = mem_zero(server->worker_count * sizeof(struct worker));
    CHECK(pthread_mutex_init(&server->gate, NULL) == 0);
    hub_init(&server->hub);
    server->shared = shared_new();
    for (size_t i = 0; i < server->worker_count; i++) {
        init_worker(server, i);
    }
    reload_init(&server->reload, server->workers, server->worker_count);
    return worker_init(&server->workers[0]);
}

static void init_worker(struct server *server, size_t index)
{
    struct worker *worker = &server->workers[index];
    worker->status.server = server;
    worker->number = (unsigned)index + 1;
    worker->options = (struct worker_options){
        .config = server->config,
        .hub = &server->hub,
        .shared = server->shared,
        .conn_total = &server->conn_total,
        .worker_count = server->worker_count,
        .inherited_count = server->inherited_count,
        .descriptors = server->descriptors,
        .home = &server->workers[0].mailbox,
    };
    worker->news.loaded.run = on_loaded;
    worker->news.begun.run = on_begun;
    worker->news.finished.run = on_finished;
    worker->news.wants_reload.run = on_wants_reload;
    worker->news.moved_clock.run = on_moved_clock;
}

/// Returns the exit code. A signal that comes while the scripts load is noted, and acted on when
/// they are loaded.
static int load_and_serve(struct server *server)
{
    struct worker *first = &server->workers[0];
    if (server->config->is_check) {
        output_wait_for_reader();
    } else {
        signals_note();
    }
    if (worker_load(first) != 0) {
        return 1;
    }
    jitter_seed(first->service.seed); // servers that are restarted together must not jitter alike
    if (server->config->is_check) {
        report_missing_routes(first->generations.current, server->config->script);
        report_routes(first->generations.current, "");
        return 0;
    }
    int failure = signals_open(&server->signals, &first->loop, on_signal, server);
    if (failure != 0) {
        report_worker_failure(1, server->worker_count, failure);
        return 1;
    }
    int result = is_over_already(server) ? 0 : bind_and_run(server);
    signals_close(&server->signals);
    return result;
}

static bool is_over_already(const struct server *server)
{
    int number = signals_have_noted(SIGTERM) ? SIGTERM : SIGINT;
    if (signals_have_noted(SIGHUP) && has_lost_terminal(server)) {
        number = SIGHUP;
    }
    if (!signals_have_noted(number)) {
        return false;
    }
    LOG(LOG_INFO, "stopping", log_int("signal", number), log_int("connections", 0));
    return true;
}

/// Returns the exit code.
static int bind_and_run(struct server *server)
{
    struct worker *first = &server->workers[0];
    server->wants_reload = signals_have_noted(SIGHUP);
    if (addresses_bind(server->workers, server->worker_count, server->inherited_count) != 0) {
        return 1;
    }
    if (server->config->admin != NULL && admin_bind(&server->admin, server->config->admin) != 0) {
        return 1;
    }
    if (server->config->metrics_path != NULL || server->config->admin != NULL) {
        offload_prepare(&first->loop); // for the first scrape
    }
    if (start_threads(server) != 0) {
        return 1;
    }
    on_loaded(&first->news.loaded);
    worker_run(first);
    return server->exit_code;
}

/// Returns 0, or 1 when it has printed why there cannot be so many threads. No thread begins before
/// all are started: a worker that begins takes memory, and memory may be what the next thread
/// lacks.
static int start_threads(struct server *server)
{
    int failure = 0;
    pthread_mutex_lock(&server->gate);
    for (size_t i = 1; i < server->worker_count && failure == 0; i++) {
        struct worker *worker = &server->workers[i];
        failure = pthread_create(&worker->status.thread, NULL, run_thread, worker);
        server->thread_count += failure == 0;
    }
    server->has_all_threads = failure == 0;
    pthread_mutex_unlock(&server->gate);
    if (failure == 0) {
        return 0;
    }
    report_worker_failure((unsigned)server->thread_count + 2, server->worker_count, -failure);
    for (size_t i = server->thread_count + 1; i < server->worker_count; i++) {
        worker_close_sockets(&server->workers[i]);
    }
    return 1;
}

/// Returns the worker when a handle of it was left open, otherwise NULL.
static void *run_thread(void *arg)
{
    struct worker *worker = arg;
    if (!may_begin(worker->status.server)) {
        worker_close_sockets(worker);
        return NULL;
    }
    int failure = worker_init(worker);
    if (failure == 0) {
        failure = worker_load(worker);
    }
    (void)mailbox_post(worker->options.home, &worker->news.loaded); // closed: all is ending
    if (failure == 0) {
        worker_run(worker);
    }
    return worker_close(worker) ? NULL : worker;
}

/// Waits until all threads are started, or one could not be. False for the latter.
static bool may_begin(struct server *server)
{
    pthread_mutex_lock(&server->gate);
    bool has_all_threads = server->has_all_threads;
    pthread_mutex_unlock(&server->gate);
    return has_all_threads;
}

/// A worker that could not load has ended its thread already; the others are told to end.
static void on_loaded(struct mailbox_message *message)
{
    struct worker *worker = CONTAINER_OF(message, struct worker, news.loaded);
    struct server *server = worker->status.server;
    worker->status.stage = WORKER_LOADED;
    server->exit_code = worker->status.has_failed ? 1 : server->exit_code;
    if (!have_all(server, WORKER_LOADED)) {
        return;
    }
    if (server->exit_code != 0 || server->is_stopping) {
        abort_run(server);
    } else {
        begin(server);
    }
}

/// Whether all workers have come to `stage`.
static bool have_all(const struct server *server, enum worker_stage stage)
{
    size_t count = 0;
    for (size_t i = 0; i < server->worker_count; i++) {
        count += server->workers[i].status.stage >= stage;
    }
    return count == server->worker_count;
}

static void begin(struct server *server)
{
    share_lone_sockets(server);
    for (size_t i = 0; i < server->worker_count; i++) {
        worker_post(&server->workers[i], &server->workers[i].orders.begin);
    }
}

/// There is only one of a Unix socket, and of a socket that was passed. The first worker accepts
/// their connections for all workers.
static void share_lone_sockets(struct server *server)
{
    struct worker *first = &server->workers[0];
    for (size_t i = 0; i < first->listening.count && server->worker_count > 1; i++) {
        bool is_unix = first->listening.sockets[i].address.storage.ss_family == AF_UNIX;
        if (is_unix || server->inherited_count > 0) {
            first->listening.acceptors[i].on_accept = on_accept;
            first->listening.acceptors[i].user = server;
        }
    }
}

/// Gives the connection to the worker that has the fewest. Connections that are handed over and
/// have not arrived are counted too, because each has its descriptor already.
static void on_accept(void *user, int fd, const struct socket_address *peer)
{
    struct server *server = user;
    struct worker *idlest = &server->workers[0];
    size_t conns_max = idlest->service.conns_max;
    size_t total = 0;
    for (size_t i = 0; i < server->worker_count; i++) {
        struct worker *worker = &server->workers[i];
        total += worker_conn_count(worker);
        idlest = worker_conn_count(worker) < worker_conn_count(idlest) ? worker : idlest;
    }
    if (total >= conns_max + service_over_limit_max(conns_max)) {
        limit_met("connections", conns_max);
        close(fd);
    } else if (idlest->number == 1) {
        worker_accept(idlest, fd, peer);
    } else {
        worker_hand_over(idlest, fd, peer);
    }
}

static void on_begun(struct mailbox_message *message)
{
    struct worker *worker = CONTAINER_OF(message, struct worker, news.begun);
    struct server *server = worker->status.server;
    worker->status.stage = WORKER_SERVING;
    if (worker->status.has_failed) {
        server->exit_code = 1;
        abort_run(server);
    }
    if (have_all(server, WORKER_SERVING) && !server->is_stopping) {
        serve(server);
    }
}

/// All workers accept connections from now on.
static void serve(struct server *server)
{
    const struct worker *first = &server->workers[0];
    const struct generation *generation = first->generations.current;
    server->is_serving = true;
    if (server->config->is_watching) {
        reload_watch(&server->reload);
    }
    report_missing_routes(generation, server->config->script);
    report_hidden_routes(generation, "--ready-path", server->config->ready_path);
    if (server->config->admin == NULL) {
        report_hidden_routes(generation, "--metrics", server->config->metrics_path);
    } else {
        open_admin(server);
    }
    log_flush(); // what the scripts logged while they loaded comes before the addresses
    for (size_t i = 0; i < first->listening.count; i++) {
        report_listening(generation, &first->listening.sockets[i]);
    }
    tell_ready(server);
    if (server->wants_reload) {
        reload_start(&server->reload);
    }
}

/// The first worker serves the operator's address.
static void open_admin(struct server *server)
{
    struct worker *first = &server->workers[0];
    const char *path = server->config->metrics_path;
    char base[160];
    int failure = worker_open_admin(first, &server->admin);
    if (failure != 0) {
        LOG(LOG_ERROR, "cannot accept connections", log_string("address", server->config->admin),
            log_string("error", strerror(-failure)));
        return;
    }
    socket_address_url(&server->admin.socket.address, base, sizeof(base));
    printf("metrics on %s%s\n", base, path == NULL ? "/metrics" : path);
}

/// A worker that does not serve yet could not take part in a reload. A reload that is asked for
/// before all workers serve begins when they do.
static void want_reload(struct server *server)
{
    if (server->is_serving) {
        reload_start(&server->reload);
    } else {
        server->wants_reload = true;
    }
}

static void tell_ready(const struct server *server)
{
    char url[160];
    char status[200];
    socket_address_url(&server->workers[0].listening.sockets[0].address, url, sizeof(url));
    snprintf(status, sizeof(status), "serving on %s", url);
    notify_ready(status);
}

static void on_signal(void *user, int number)
{
    struct server *server = user;
    if (number == SIGUSR1) {
        report_counts(server->worker_count);
    }
    if (number == SIGUSR1 || number == SIGUSR2) {
        return; // the default action of SIGUSR2, which says nothing, would end the program
    }
    bool is_lost = number == SIGHUP && !server->is_stopping && has_lost_terminal(server);
    if (number == SIGHUP && !is_lost) {
        want_reload(server);
    } else if (server->is_stopping) {
        LOG(LOG_WARN, "stopping at once", log_int("signal", number));
        signals_end_soon();
        abort_run(server);
    } else {
        LOG(LOG_INFO, "stopping", log_int("signal", number),
            log_int("connections", (int64_t)server->conn_total));
        if (server->is_serving && server->conn_total > 0) {
            report_waiting(server->conn_total, server->workers[0].limits, number);
        }
        drain(server);
    }
}

/// A terminal that goes away sends SIGHUP; so does whoever wants a reload. Only in the first case
/// is the terminal gone.
static bool has_lost_terminal(const struct server *server)
{
    return server->has_terminal && !terminal_is_there();
}

static void drain(struct server *server)
{
    const struct limits *limits = server->workers[0].limits;
    char status[80];
    snprintf(status, sizeof(status), "stopping; %zu connections", (size_t)server->conn_total);
    notify_stopping(status, limits->drain.delay_ms + limits->drain.timeout_ms + PATIENCE_MS);
    if (!server->is_serving) {
        abort_run(server);
        return;
    }
    server->is_stopping = true;
    reload_stop(&server->reload);
    for (size_t i = 0; i < server->worker_count; i++) {
        worker_post(&server->workers[i], &server->workers[i].orders.drain_all);
    }
}

/// A worker that is still loading cannot be told; `on_loaded` does that when all have loaded.
static void abort_run(struct server *server)
{
    bool has_loaded = have_all(server, WORKER_LOADED);
    server->is_stopping = true;
    reload_stop(&server->reload);
    for (size_t i = 0; has_loaded && i < server->worker_count; i++) {
        struct worker *worker = &server->workers[i];
        worker_post(worker, &worker->orders.abort);
    }
}

static void on_finished(struct mailbox_message *message)
{
    struct worker *worker = CONTAINER_OF(message, struct worker, news.finished);
    worker->status.stage = WORKER_FINISHED;
    if (have_all(worker->status.server, WORKER_FINISHED)) {
        abort_run(worker->status.server);
    }
}

static void on_wants_reload(struct mailbox_message *message)
{
    want_reload(CONTAINER_OF(message, struct worker, news.wants_reload)->status.server);
}

static void on_moved_clock(struct mailbox_message *message)
{
    struct server *server = CONTAINER_OF(message, struct worker, news.moved_clock)->status.server;
    for (size_t i = 0; server->is_serving && i < server->worker_count; i++) {
        struct worker *worker = &server->workers[i];
        worker_post(worker, &worker->orders.look);
    }
}

/// Waits for all threads, and frees what they share. False when a worker has left a handle open:
/// nothing is freed then, because the handle still points to it.
static bool end(struct server *server)
{
    reload_stop(&server->reload);
    size_t unclosed_count = 0;
    for (size_t i = 1; i <= server->thread_count; i++) {
        void *unclosed = NULL;
        CHECK(pthread_join(server->workers[i].status.thread, &unclosed) == 0);
        unclosed_count += unclosed != NULL;
    }
    admin_close(&server->admin);
    if (!worker_close(&server->workers[0]) || unclosed_count > 0) {
        return false;
    }
    admin_deinit(&server->admin);
    reload_deinit(&server->reload);
    for (size_t i = 0; i <= server->thread_count; i++) {
        worker_deinit(&server->workers[i]);
    }
    pthread_mutex_destroy(&server->gate);
    hub_deinit(&server->hub);
    counters_free();
    shared_free(server->shared);
    mem_free(server->workers);
    mem_free(server);
    return true;
}
