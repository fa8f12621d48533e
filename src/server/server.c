// SPDX-License-Identifier: MIT
//
// The main thread, in the order of a run: check what was passed and what the system allows, make
// the first worker and load the scripts in it, bind all sockets, start the other threads, and run
// the first worker's loop until the program ends.
//
// Sockets are bound before there are threads, so a port that is taken ends the program before
// anything else has begun. The first worker loads before the others, because a mistake in a script
// shows there, once. After that the engine leads the workers through their states (engine.h).
// Signals arrive as callbacks of the first worker's loop.
#include "server/server.h"

#include "base/jitter.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/output.h"
#include "http/access.h"
#include "net/loop.h"
#include "net/offload.h"
#include "net/signals.h"
#include "server/addresses.h"
#include "server/admin.h"
#include "server/config.h"
#include "server/descriptors.h"
#include "server/engine.h"
#include "server/inherited.h"
#include "server/metrics.h"
#include "server/notify.h"
#include "server/report.h"
#include "server/terminal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    PATIENCE_MS = 5000, // that a service manager should have after `drain_timeout`
};

struct server {
    const struct config *config;
    struct engine engine;
    int inherited_count;  // sockets that a service manager has passed
    size_t thread_count;  // that were started
    pthread_mutex_t gate; // is held while threads are started; they begin after
    bool has_all_threads;
    bool has_terminal;     // with which it ends
    atomic_bool is_ending; // a signal has said so
    struct signals signals;
    struct admin admin;
};

static int check_inherited(int count, const struct config *config);
static int init(struct server *server, size_t worker_count, uint64_t descriptors);
static int load_and_serve(struct server *server);
static bool is_over_already(const struct server *server);
static int bind_and_run(struct server *server);
static void share_lone_sockets(struct server *server);
static void on_accept(void *user, int fd, const struct socket_address *peer);
static void on_accept_proxied(void *user, int fd, const struct socket_address *peer);
static void share_out(struct server *server, int fd, const struct socket_address *peer,
                      bool is_proxied);
static int start_threads(struct server *server);
static bool may_begin(struct server *server);
static void *run_thread(void *arg);
static void on_serving(void *owner);
static void open_admin(struct server *server);
static void tell_ready(const struct server *server);
static bool wants_end(void *owner);
static void on_reload(void *owner, bool is_over);
static void on_signal(void *user, int number);
static bool has_lost_terminal(const struct server *server);
static void tell_stopping(const struct server *server);
static bool close_worker(struct worker *worker);
static bool end(struct server *server);
static void check_threads(const struct server *server);

static const struct engine_events events = {
    .on_serving = on_serving,
    .on_reload = on_reload,
    .wants_end = wants_end,
};

int server_run(const struct config *config)
{
    int inherited_count = inherited_take();
    size_t worker_count = config->is_check ? 1 : config->worker_count;
    uint64_t descriptors = descriptors_raise();
    int result = check_inherited(inherited_count, config);
    if (result == 0 && descriptors_check(descriptors, worker_count) != 0) {
        result = 1;
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
        .has_terminal = terminal_is_ours(),
    };
    result = init(server, worker_count, descriptors) == 0 ? load_and_serve(server) : 1;
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
static int init(struct server *server, size_t worker_count, uint64_t descriptors)
{
    mem_keep_reserve();
    metrics_set_names();
    access_show_query(server->config->logs_query);
    CHECK(pthread_mutex_init(&server->gate, NULL) == 0);
    engine_init(&server->engine, &(struct engine_options){
                                     .config = server->config,
                                     .worker_count = worker_count,
                                     .inherited_count = server->inherited_count,
                                     .descriptors = descriptors,
                                     .events = &events,
                                     .owner = server,
                                 });
    return worker_init(&server->engine.workers[0]);
}

/// Returns the exit code. A signal that comes while the scripts load is noted. The guard looks at
/// it while a script computes, and `wants_end` while a script waits.
static int load_and_serve(struct server *server)
{
    struct worker *first = &server->engine.workers[0];
    if (server->config->is_check) {
        output_wait_for_reader();
    } else {
        signals_note();
    }
    int load_failure = worker_load(first);
    if (load_failure != 0) {
        return load_failure == -ECANCELED && is_over_already(server) ? 0 : 1;
    }
    jitter_seed(first->service.seed); // servers that are restarted together must not jitter alike
    if (server->config->is_check) {
        report_missing_routes(first->generations.current, server->config->script);
        report_routes(first->generations.current, "");
        return 0;
    }
    int failure = signals_open(&server->signals, &first->loop, on_signal, server);
    if (failure != 0) {
        report_worker_failure(1, server->engine.worker_count, failure);
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
    struct worker *first = &server->engine.workers[0];
    if (signals_have_noted(SIGHUP)) {
        engine_reload(&server->engine);
    }
    if (addresses_bind(server->engine.workers, server->engine.worker_count,
                       server->inherited_count) != 0) {
        return 1;
    }
    share_lone_sockets(server);
    if (server->config->admin != NULL && admin_bind(&server->admin, server->config->admin) != 0) {
        return 1;
    }
    // A worker has one password hashed at a time; three more threads are for what is short.
    offload_set_size(server->engine.worker_count + 3);
    if (server->config->metrics_path != NULL || server->config->admin != NULL) {
        offload_prepare(&first->loop); // for the first scrape
    }
    if (start_threads(server) != 0) {
        return 1;
    }
    (void)mailbox_post(&first->mailbox, &first->news.loaded); // it is open
    worker_run(first);
    return server->engine.has_failed ? 1 : 0;
}

/// There is only one of a Unix socket, and of a socket that was passed. The first worker accepts
/// their connections for all workers.
static void share_lone_sockets(struct server *server)
{
    struct worker *first = &server->engine.workers[0];
    for (size_t i = 0; i < first->listening.count && server->engine.worker_count > 1; i++) {
        bool is_unix = first->listening.sockets[i].address.storage.ss_family == AF_UNIX;
        if (is_unix || server->inherited_count > 0) {
            first->listening.acceptors[i].on_accept =
                first->listening.are_proxied[i] ? on_accept_proxied : on_accept;
            first->listening.acceptors[i].user = server;
        }
    }
}

static void on_accept(void *user, int fd, const struct socket_address *peer)
{
    share_out(user, fd, peer, false);
}

static void on_accept_proxied(void *user, int fd, const struct socket_address *peer)
{
    share_out(user, fd, peer, true);
}

/// Gives the connection to the worker that has the fewest. Connections that are handed over and
/// have not arrived are counted too, because each has its descriptor already.
static void share_out(struct server *server, int fd, const struct socket_address *peer,
                      bool is_proxied)
{
    struct worker *idlest = &server->engine.workers[0];
    size_t conns_max = idlest->service.conns_max;
    DCHECK(fd >= 0 && conns_max > 0);
    size_t total = 0;
    for (size_t i = 0; i < server->engine.worker_count; i++) {
        struct worker *worker = &server->engine.workers[i];
        total += worker_conn_count(worker);
        idlest = worker_conn_count(worker) < worker_conn_count(idlest) ? worker : idlest;
    }
    if (total >= conns_max + service_over_limit_max(conns_max)) {
        limit_met("connections", conns_max);
        close(fd);
    } else if (idlest->number == 1) {
        worker_accept(idlest, fd, peer, is_proxied);
    } else {
        worker_hand_over(idlest, fd, peer, is_proxied);
    }
}

/// Returns 0, or a negative errno when it has printed why there cannot be so many threads. No
/// thread begins before all are started: a worker that begins takes memory, and memory may be what
/// the next thread lacks.
static int start_threads(struct server *server)
{
    int failure = 0;
    DCHECK(server->thread_count == 0);
    CHECK(pthread_mutex_lock(&server->gate) == 0);
    for (size_t i = 1; i < server->engine.worker_count && failure == 0; i++) {
        struct worker *worker = &server->engine.workers[i];
        failure = pthread_create(&worker->status.thread, NULL, run_thread, worker);
        server->thread_count += failure == 0;
    }
    server->has_all_threads = failure == 0;
    CHECK(pthread_mutex_unlock(&server->gate) == 0);
    if (failure == 0) {
        return 0;
    }
    report_worker_failure((unsigned)server->thread_count + 2, server->engine.worker_count,
                          -failure);
    for (size_t i = server->thread_count + 1; i < server->engine.worker_count; i++) {
        worker_close_sockets(&server->engine.workers[i]);
    }
    return -failure;
}

/// Returns the worker when a handle of it was left open, otherwise NULL.
static void *run_thread(void *arg)
{
    struct worker *worker = arg;
    if (!may_begin(CONTAINER_OF(worker->status.engine, struct server, engine))) {
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
    return close_worker(worker) ? NULL : worker;
}

/// Waits until all threads are started, or one could not be. False for the latter.
static bool may_begin(struct server *server)
{
    CHECK(pthread_mutex_lock(&server->gate) == 0);
    bool has_all_threads = server->has_all_threads;
    CHECK(pthread_mutex_unlock(&server->gate) == 0);
    return has_all_threads;
}

/// All workers accept connections from now on.
static void on_serving(void *owner)
{
    struct server *server = owner;
    const struct worker *first = &server->engine.workers[0];
    const struct generation *generation = first->generations.current;
    DEBUG_CALL(check_threads(server));
    if (server->config->is_watching) {
        reload_watch(&server->engine.reload);
    }
    if (server->config->admin != NULL) {
        open_admin(server);
    }
    log_flush(); // what the scripts logged while they loaded comes before the addresses
    for (size_t i = 0; i < first->listening.count; i++) {
        report_listening(generation, &first->listening.sockets[i]);
    }
    tell_ready(server);
}

/// The first worker serves the operator's address.
static void open_admin(struct server *server)
{
    struct worker *first = &server->engine.workers[0];
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

static void tell_ready(const struct server *server)
{
    char url[160];
    char status[200];
    DCHECK(server->engine.workers[0].listening.count > 0);
    socket_address_url(&server->engine.workers[0].listening.sockets[0].address, url, sizeof(url));
    snprintf(status, sizeof(status), "serving on %s", url);
    notify_ready(status);
}

/// A signal that comes while the first worker loads is noted; later ones come to `on_signal`.
static bool wants_end(void *owner)
{
    const struct server *server = owner;
    return server->is_ending || signals_want_end() ||
           (signals_have_noted(SIGHUP) && has_lost_terminal(server));
}

static void on_reload(void *owner, bool is_over)
{
    (void)owner;
    if (is_over) {
        notify_reloaded();
    } else {
        notify_reloading();
    }
}

static void on_signal(void *user, int number)
{
    struct server *server = user;
    struct engine *engine = &server->engine;
    if (number == SIGUSR1) {
        report_counts(engine->worker_count);
    }
    if (number == SIGUSR1 || number == SIGUSR2) {
        return; // the default action of SIGUSR2, which says nothing, would end the program
    }
    bool is_lost = number == SIGHUP && !engine->is_stopping && has_lost_terminal(server);
    if (number == SIGHUP && !is_lost) {
        engine_reload(engine);
        return;
    }
    if (engine->is_stopping) {
        signals_end_soon();
    } else {
        tell_stopping(server);
    }
    server->is_ending = true;
    engine_stop(engine, number);
}

/// A terminal that goes away sends SIGHUP; so does whoever wants a reload. Only in the first case
/// is the terminal gone.
static bool has_lost_terminal(const struct server *server)
{
    return server->has_terminal && !terminal_is_there();
}

static void tell_stopping(const struct server *server)
{
    const struct limits *limits = server->engine.workers[0].limits;
    char status[80];
    snprintf(status, sizeof(status), "stopping; %zu connections",
             (size_t)server->engine.conn_total);
    notify_stopping(status, limits->drain.delay_ms + limits->drain.timeout_ms + PATIENCE_MS);
    DEBUG_CALL(check_threads(server));
}

/// Closes the only worker of a thread that ends.
static bool close_worker(struct worker *worker)
{
    bool is_closed = worker_close(worker);
    worker_tidy_thread();
    return is_closed;
}

/// Waits for all threads, and frees what they share. False when a worker has left a handle open:
/// nothing is freed then, because the handle still points to it.
static bool end(struct server *server)
{
    reload_stop(&server->engine.reload);
    size_t unclosed_count = 0;
    for (size_t i = 1; i <= server->thread_count; i++) {
        void *unclosed = NULL;
        CHECK(pthread_join(server->engine.workers[i].status.thread, &unclosed) == 0);
        unclosed_count += unclosed != NULL;
    }
    admin_close(&server->admin);
    if (!close_worker(&server->engine.workers[0]) || unclosed_count > 0) {
        return false;
    }
    admin_deinit(&server->admin);
    engine_deinit(&server->engine);
    pthread_mutex_destroy(&server->gate);
    mem_free(server);
    return true;
}

/// Each worker but the first has a thread of its own by the time that the engine serves.
static void check_threads(const struct server *server)
{
    size_t worker_count = server->engine.worker_count;
    CHECK(server->thread_count < worker_count);
    CHECK(!server->engine.is_serving || server->thread_count + 1 == worker_count);
}
