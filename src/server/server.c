// SPDX-License-Identifier: MIT
#include "server/server.h"

#include "base/log.h"
#include "base/mem.h"
#include "http/service.h"
#include "net/listener.h"
#include "net/signals.h"
#include "script/generation.h"
#include "script/visit.h"
#include "server/config.h"
#include "server/dispatch.h"
#include "server/report.h"
#include "server/scripts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    PORT_DEFAULT = 3000,
    CLOSE_PATIENCE_MS = 1000, // for the last handles to close
    CONNECTIONS_SHARE = 10,   // one in so many descriptors is kept for other things
};

struct server {
    const struct config *config;
    struct limits limits;
    struct loop loop;
    struct generation *generation;
    struct dispatch dispatch;
    struct service service;
    struct listener listeners[ADDRESSES_MAX];
    size_t listener_count;
    struct signals signals;
    struct timer deadline;
    bool is_draining;
};

static int load(struct server *server);
static int load_scripts(struct server *server, const struct scripts *scripts);
static int fail_load(char *why);
static void set_connections(struct limits *limits);
static int listen_all(struct server *server);
static struct address address_of_config(const struct config *config);
static int listen_on(struct server *server, const struct address *address);
static void serve(struct server *server);
static void on_accept(void *user, struct transport *transport);
static void on_signal(void *user, int number);
static void drain(struct server *server);
static void on_deadline(struct timer *timer);
static void on_empty(void *user);
static void on_turn_end(void *arg);
static int end(struct server *server);

int server_run(const struct config *config)
{
    struct server *server = mem_new(struct server);
    server->config = config;
    server->limits = limits_default();
    log_configure(config->log_level, config->log_format);
    CHECK(loop_init(&server->loop) == 0);
    int result = load(server);
    service_init(&server->service, &server->loop, &server->limits, &dispatch_events,
                 &server->dispatch);
    timer_init(&server->deadline, &server->loop, on_deadline);
    if (result == 0 && config->is_check) {
        report_routes(server->generation, "");
    } else if (result == 0) {
        result = listen_all(server);
        if (result == 0) {
            serve(server);
        }
    }
    int end_result = end(server);
    return result != 0 ? result : end_result;
}

static int load(struct server *server)
{
    const struct config *config = server->config;
    struct generation_options options = {
        .loop = &server->loop,
        .limits = &server->limits,
        .is_dev = config->is_dev,
        .has_test_clock = config->has_test_clock,
    };
    struct scripts scripts;
    server->generation = generation_new(&options);
    server->dispatch.generation = server->generation;
    int failure = scripts_find(&scripts, config->script);
    if (failure != 0) {
        fprintf(stderr, "lunesse: cannot read %s: %s\n", config->script, strerror(-failure));
        return 1;
    }
    config_apply_limits(config, &server->limits); // loading has its limits too
    int result = load_scripts(server, &scripts);
    scripts_deinit(&scripts);
    config_apply_limits(config, &server->limits); // over what the scripts say
    set_connections(&server->limits);
    return result;
}

static int load_scripts(struct server *server, const struct scripts *scripts)
{
    char *why = NULL;
    if (scripts->count == 0) {
        fprintf(stderr, "lunesse: no *.lua files in %s\n", server->config->script);
        return 1;
    }
    for (size_t i = 0; i < scripts->count; i++) {
        if (generation_load(server->generation, scripts->paths[i], &why) != 0) {
            return fail_load(why);
        }
    }
    return generation_complete(server->generation, &why) == 0 ? 0 : fail_load(why);
}

static int fail_load(char *why)
{
    fprintf(stderr, "lunesse: %s\n", why);
    mem_free(why);
    return 1;
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

/// The command line's address takes the place of the scripts'; without either there is a default.
static int listen_all(struct server *server)
{
    const struct config *config = server->config;
    const struct generation *generation = server->generation;
    bool is_overridden = config->has_port || config->host != NULL || config->unix_path != NULL;
    if (is_overridden || generation->address_count == 0) {
        struct address address = address_of_config(config);
        return listen_on(server, &address);
    }
    for (size_t i = 0; i < generation->address_count; i++) {
        if (listen_on(server, &generation->addresses[i]) != 0) {
            return 1;
        }
    }
    return 0;
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
    struct listener *listener = &server->listeners[server->listener_count++];
    listener->user = server;
    listener->on_accept = on_accept;
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
    server->service.on_empty = on_empty;
    server->service.owner = server;
    signals_open(&server->signals, &server->loop, on_signal, server);
    log_flush(); // what the scripts logged while they loaded comes before the addresses
    for (size_t i = 0; i < server->listener_count; i++) {
        report_listening(server->generation, &server->listeners[i]);
    }
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
    (void)arg;
    log_flush();
}

static void on_signal(void *user, int number)
{
    struct server *server = user;
    if (server->is_draining) {
        LOG(LOG_WARN, "stopping at once", log_int("signal", number));
        service_close_all(&server->service);
        loop_stop(&server->loop);
        return;
    }
    LOG(LOG_INFO, "stopping", log_int("signal", number),
        log_int("connections", (int64_t)server->service.conn_count));
    drain(server);
}

static void drain(struct server *server)
{
    server->is_draining = true;
    for (size_t i = 0; i < server->listener_count; i++) {
        listener_close(&server->listeners[i]);
    }
    visits_end_streams(server->generation);
    service_drain(&server->service);
    timer_arm(&server->deadline, server->limits.drain_timeout_ms);
    if (server->service.conn_count == 0) {
        loop_stop(&server->loop);
    }
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

/// Everything is closed before anything is freed; a handle that is left open is a bug, and named.
static int end(struct server *server)
{
    service_close_all(&server->service);
    timer_deinit(&server->deadline);
    for (size_t i = 0; i < server->listener_count; i++) {
        listener_close(&server->listeners[i]);
    }
    generation_free(server->generation);
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
