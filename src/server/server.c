// SPDX-License-Identifier: MIT
#include "server/server.h"

#include "base/log.h"
#include "base/mem.h"
#include "http/service.h"
#include "hub/hub.h"
#include "net/listener.h"
#include "net/signals.h"
#include "script/generation.h"
#include "script/visit.h"
#include "server/config.h"
#include "server/dispatch.h"
#include "server/generations.h"
#include "server/inherited.h"
#include "server/notify.h"
#include "server/report.h"
#include "sse/farewell.h"
#include "sse/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum {
    PORT_DEFAULT = 3000,
    CLOSE_PATIENCE_MS = 1000, // for the last handles to close
    CONNECTIONS_SHARE = 10,   // one in so many descriptors is kept for other things
    PATIENCE_MS = 5000,       // that a service manager should have after `drain_timeout`
};

struct server {
    const struct config *config;
    struct limits limits;
    struct loop loop;
    struct hub hub;
    struct heartbeats heartbeats;
    struct generations generations;
    struct dispatch dispatch;
    struct service service;
    struct listener listeners[ADDRESSES_MAX];
    size_t listener_count;
    int inherited_count; // sockets that a service manager has passed
    struct signals signals;
    struct farewell farewell;
    struct timer delay; // between the signal and the draining
    struct timer deadline;
};

static int check_inherited(int count, const struct config *config);
static void init(struct server *server, const struct config *config, int inherited_count);
static void init_service(struct server *server);
static void set_connections(struct limits *limits);
static int listen_all(struct server *server);
static int listen_on_addresses(struct server *server);
static int listen_on_inherited(struct server *server);
static struct listener *add_listener(struct server *server);
static struct address address_of_config(const struct config *config);
static int listen_on(struct server *server, const struct address *address);
static void serve(struct server *server);
static void on_accept(void *user, struct transport *transport);
static void on_signal(void *user, int number);
static void tell_ready(const struct server *server);
static void leave(struct server *server);
static void on_delay(struct timer *timer);
static void drain(struct server *server);
static void on_deadline(struct timer *timer);
static void close_listeners(struct server *server);
static void on_empty(void *user);
static void on_turn_end(void *arg);
static int end(struct server *server);

int server_run(const struct config *config)
{
    int inherited_count = inherited_take();
    int result = check_inherited(inherited_count, config);
    if (result != 0) {
        return result;
    }
    struct server *server = mem_new(struct server);
    init(server, config, inherited_count);
    result = generations_load(&server->generations);
    set_connections(&server->limits);
    init_service(server);
    if (result == 0 && config->is_check) {
        report_routes(server->generations.current, "");
    } else if (result == 0) {
        result = listen_all(server);
        if (result == 0) {
            serve(server);
        }
    }
    int end_result = end(server);
    return result != 0 ? result : end_result;
}

/// Returns the exit code.
static int check_inherited(int count, const struct config *config)
{
    if (count < 0) {
        fprintf(stderr, "lunesse: LISTEN_FDS: %s\n", strerror(-count));
        return 1;
    }
    if (count > ADDRESSES_MAX) {
        fprintf(stderr, "lunesse: LISTEN_FDS: %d sockets; at most %d\n", count, ADDRESSES_MAX);
        return 1;
    }
    if (count > 0 && config_has_address(config)) {
        fputs("lunesse: LISTEN_FDS passes sockets, and the command line names an address: leave "
              "out --host, --port and --unix\n",
              stderr);
        return 2;
    }
    return 0;
}

static void init(struct server *server, const struct config *config, int inherited_count)
{
    server->config = config;
    server->inherited_count = inherited_count;
    server->limits = limits_default();
    log_configure(config->log_level, config->log_format);
    CHECK(loop_init(&server->loop) == 0);
    hub_init(&server->hub, &server->loop, &server->limits);
    heartbeats_init(&server->heartbeats, &server->loop, stream_beat);
    struct generation_options options = {
        .loop = &server->loop,
        .hub = &server->hub,
        .heartbeats = &server->heartbeats,
        .limits = &server->limits,
        .is_dev = config->is_dev,
        .has_test_clock = config->has_test_clock,
    };
    generations_init(&server->generations, config, &options, &server->dispatch);
    server->generations.service = &server->service;
    if (config->ready_path != NULL) {
        server->dispatch.ready_path = bytes_from_string(config->ready_path);
    }
}

/// The scripts may have changed the limits.
static void init_service(struct server *server)
{
    service_init(&server->service, &server->loop, &server->limits, &dispatch_events,
                 &server->dispatch);
    srandom(server->service.seed); // servers that are restarted together must not jitter alike
    farewell_init(&server->farewell, &server->service);
    timer_init(&server->delay, &server->loop, on_delay);
    timer_init(&server->deadline, &server->loop, on_deadline);
}

/// As many descriptors as the system allows, and most of them for connections.
static void set_connections(struct limits *limits)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        files.rlim_cur = 1024;
    } else if (files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
        (void)getrlimit(RLIMIT_NOFILE, &files);
    }
    if (limits->connections == 0) {
        limits->connections = files.rlim_cur - files.rlim_cur / CONNECTIONS_SHARE;
    }
}

/// Sockets that were passed take the place of all addresses.
static int listen_all(struct server *server)
{
    return server->inherited_count > 0 ? listen_on_inherited(server) : listen_on_addresses(server);
}

/// The command line's address takes the place of the scripts'; without either there is a default.
static int listen_on_addresses(struct server *server)
{
    const struct generation *generation = server->generations.current;
    if (config_has_address(server->config) || generation->address_count == 0) {
        struct address address = address_of_config(server->config);
        return listen_on(server, &address);
    }
    for (size_t i = 0; i < generation->address_count; i++) {
        if (listen_on(server, &generation->addresses[i]) != 0) {
            return 1;
        }
    }
    return 0;
}

static int listen_on_inherited(struct server *server)
{
    for (int fd = INHERITED_FIRST; fd < INHERITED_FIRST + server->inherited_count; fd++) {
        int failure =
            listener_adopt(add_listener(server), &server->loop, fd, server->limits.peer_timeout_ms);
        if (failure != 0) {
            report_inherited_failure(fd, failure);
            return 1;
        }
    }
    return 0;
}

static struct listener *add_listener(struct server *server)
{
    struct listener *listener = &server->listeners[server->listener_count++];
    listener->user = server;
    listener->on_accept = on_accept;
    return listener;
}

static struct address address_of_config(const struct config *config)
{
    struct address address = {.is_unix = config->unix_path != NULL,
                              .port = config->has_port ? config->port : PORT_DEFAULT};
    const char *host = config->host == NULL ? "127.0.0.1" : config->host;
    snprintf(address.text, sizeof(address.text), "%s", address.is_unix ? config->unix_path : host);
    return address;
}

static int listen_on(struct server *server, const struct address *address)
{
    struct listener *listener = add_listener(server);
    int failure = address->is_unix
                      ? listener_open_unix(listener, &server->loop, address->text)
                      : listener_open_tcp(listener, &server->loop, address->text, address->port,
                                          server->limits.peer_timeout_ms);
    if (failure != 0) {
        report_listen_failure(address, failure);
        return 1;
    }
    return 0;
}

static void serve(struct server *server)
{
    server->loop.on_turn_end = on_turn_end;
    server->loop.on_turn_end_arg = server;
    server->service.on_empty = on_empty;
    server->service.owner = server;
    if (server->config->is_watching) {
        generations_watch(&server->generations);
    }
    signals_open(&server->signals, &server->loop, on_signal, server);
    if (server->config->ready_path != NULL) {
        report_hidden_routes(server->generations.current, server->config->ready_path);
    }
    log_flush(); // what the scripts logged while they loaded comes before the addresses
    for (size_t i = 0; i < server->listener_count; i++) {
        report_listening(server->generations.current, &server->listeners[i]);
    }
    tell_ready(server);
    loop_run(&server->loop);
    signals_close(&server->signals);
}

static void on_accept(void *user, struct transport *transport)
{
    struct server *server = user;
    service_accept(&server->service, transport);
}

static void on_turn_end(void *arg)
{
    struct server *server = arg;
    generations_sweep(&server->generations);
    log_flush();
}

static void tell_ready(const struct server *server)
{
    char url[160];
    char status[200];
    listener_url(&server->listeners[0], url, sizeof(url));
    snprintf(status, sizeof(status), "serving on %s", url);
    notify_ready(status);
}

static void on_signal(void *user, int number)
{
    struct server *server = user;
    if (number == SIGHUP) {
        generations_reload(&server->generations);
        return;
    }
    if (server->dispatch.is_stopping) {
        LOG(LOG_WARN, "stopping at once", log_int("signal", number));
        service_close_all(&server->service);
        loop_stop(&server->loop);
        return;
    }
    LOG(LOG_INFO, "stopping", log_int("signal", number),
        log_int("connections", (int64_t)server->service.conn_count));
    leave(server);
}

/// Balancers may look, and find that it is not ready, before anything else changes.
static void leave(struct server *server)
{
    const struct limits *limits = &server->limits;
    char status[80];
    snprintf(status, sizeof(status), "stopping; %zu connections", server->service.conn_count);
    notify_stopping(status, limits->drain_delay_ms + limits->drain_timeout_ms + PATIENCE_MS);
    server->dispatch.is_stopping = true;
    if (limits->drain_delay_ms > 0) {
        timer_arm(&server->delay, limits->drain_delay_ms);
    } else {
        drain(server);
    }
}

static void on_delay(struct timer *timer)
{
    drain(CONTAINER_OF(timer, struct server, delay));
}

static void drain(struct server *server)
{
    generations_stop(&server->generations);
    close_listeners(server);
    timer_arm(&server->deadline, server->limits.drain_timeout_ms);
    LIST_EACH (node, after, &server->generations.retired) {
        visits_end(LIST_ITEM(node, struct generation, node));
    }
    visits_end(server->generations.current);
    farewell_begin(&server->farewell, server->limits.drain_timeout_ms);
    service_drain(&server->service);
}

static void on_deadline(struct timer *timer)
{
    struct server *server = CONTAINER_OF(timer, struct server, deadline);
    LOG(LOG_WARN, "drain_timeout is over",
        log_int("connections", (int64_t)server->service.conn_count));
    service_close_all(&server->service);
    loop_stop(&server->loop);
}

static void on_empty(void *owner)
{
    struct server *server = owner;
    loop_stop(&server->loop);
}

static void close_listeners(struct server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        listener_close(&server->listeners[i]);
    }
}

/// Everything is closed before anything is freed; a handle that is left open is a bug, and named.
static int end(struct server *server)
{
    service_close_all(&server->service);
    farewell_deinit(&server->farewell);
    timer_deinit(&server->delay);
    timer_deinit(&server->deadline);
    close_listeners(server);
    generations_stop(&server->generations);
    generations_deinit(&server->generations);
    heartbeats_deinit(&server->heartbeats);
    hub_deinit(&server->hub);
    int open_count = loop_close(&server->loop, CLOSE_PATIENCE_MS);
    log_flush();
    if (open_count > 0) {
        return 1;
    }
    service_deinit(&server->service);
    loop_deinit(&server->loop);
    mem_free(server);
    return 0;
}
