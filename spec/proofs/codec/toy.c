// SPDX-License-Identifier: MIT
//
// A server of the toy protocol: the scripts, the streams and the channels of the product over a
// codec of its own and a transport without a socket. Its one connection does what standard input
// says, a command in each line, and `show` prints what the server has sent:
//
//     say <frame>      the client sends a frame; "\n" in it is a line's end
//     room <bytes>     from now on the transport takes so many bytes
//     advance <ms>     the clock moves
//     show             prints what was taken since the last time, and a line "----"
//     drain            the server stops taking requests
//
// Usage: toy script.lua
#include "net/loopback.h"
#include "toy_codec.h"

#include "base/counters.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/exchange.h"
#include "http/service.h"
#include "hub/hub.h"
#include "hub/local_hub.h"
#include "net/loop.h"
#include "net/mailbox.h"
#include "net/socket_address.h"
#include "script/generation.h"
#include "script/handler.h"
#include "shared/shared.h"
#include "sse/heartbeat.h"
#include "sse/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TURNS = 50, LINE_BYTES = 512, PATIENCE_MS = 1000 };

struct toy {
    struct loop loop;
    struct mailbox mailbox;
    struct hub hub;
    struct local_hub local_hub;
    struct shared *shared;
    struct heartbeats heartbeats;
    const struct limits *limits;
    struct generation *generation;
    struct service service;
    atomic_size_t conn_total;
    struct loopback transport;
    struct route_match match;
};

static void on_head(void *user, struct exchange *exchange);
static void on_request(void *user, struct exchange *exchange);
static void open_toy(struct toy *toy, const char *script);
static void close_toy(struct toy *toy);
static void obey(struct toy *toy, const char *line);
static void say(struct toy *toy, const char *text);
static void show(struct toy *toy);
static void turn(struct toy *toy);

static const struct service_events events = {.on_head = on_head, .on_request = on_request};

int main(int argc, char **argv)
{
    static struct toy toy;
    char line[LINE_BYTES];
    CHECK(argc == 2);
    open_toy(&toy, argv[1]);
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        obey(&toy, line);
        turn(&toy);
    }
    close_toy(&toy);
    return 0;
}

static void on_head(void *user, struct exchange *exchange)
{
    struct toy *toy = user;
    struct request *request = exchange->request;
    route_find(application_route_table(toy->generation->parts.application), request->method,
               request->target.path, &toy->match);
    request->route = toy->match.outcome == ROUTE_FOUND ? toy->match.target : NULL;
    request->body.is_unwanted = true;
}

static void on_request(void *user, struct exchange *exchange)
{
    struct toy *toy = user;
    if (exchange->request->route == NULL) {
        exchange_refuse(exchange, 404, "no such route");
        return;
    }
    handler_start(&toy->generation->parts, exchange, exchange->request->route, &toy->match);
}

static void on_loaded(void *arg, char *why)
{
    (void)arg;
    if (why != NULL) {
        fprintf(stderr, "%s\n", why);
        exit(1);
    }
}

static void open_toy(struct toy *toy, const char *script)
{
    static const struct socket_address nobody;
    char *why = NULL;
    counters_use(1);
    CHECK(loop_init(&toy->loop) == 0);
    struct limits *limits = limits_new(); // the generation sets and releases them
    toy->limits = limits_hold(limits);
    mailbox_open(&toy->mailbox, &toy->loop);
    hub_init(&toy->hub);
    local_hub_init(&toy->local_hub, &toy->hub, &toy->loop, &toy->mailbox, toy->limits);
    toy->shared = shared_new();
    heartbeats_init(&toy->heartbeats, &toy->loop, stream_beat);
    struct generation_options options = {
        .loop = &toy->loop,
        .local_hub = &toy->local_hub,
        .shared = toy->shared,
        .heartbeats = &toy->heartbeats,
        .limits = limits,
        .worker = 1,
        .number = 1,
    };
    char *path = mem_string(bytes_from_string(script));
    if (generation_new(&options, &toy->generation, &why) != 0) {
        on_loaded(NULL, why);
    }
    generation_load(toy->generation, &path, 1, on_loaded, NULL); // its script does not wait
    mem_free(path);
    generation_take_over(toy->generation);
    service_init(&toy->service, &toy->loop, toy->limits, &toy->conn_total);
    toy_codec_use(&toy->service);
    toy->service.conns_max = 1; // the limit is 0: as many as there are descriptors for
    toy->service.events = &events;
    toy->service.user = toy;
    loopback_init(&toy->transport, &toy->loop, SIZE_MAX);
    service_accept(&toy->service, &toy->transport.base, &nobody, false);
}

/// In the order in which a worker closes.
static void close_toy(struct toy *toy)
{
    service_close_all(&toy->service);
    turn(toy);
    mailbox_close(&toy->mailbox);
    generation_free(toy->generation);
    heartbeats_deinit(&toy->heartbeats);
    local_hub_deinit(&toy->local_hub);
    CHECK(loop_close(&toy->loop, PATIENCE_MS) == 0);
    service_deinit(&toy->service);
    loopback_deinit(&toy->transport);
    limits_release(toy->limits);
    loop_deinit(&toy->loop);
    mailbox_deinit(&toy->mailbox);
    hub_deinit(&toy->hub);
    shared_free(toy->shared);
    log_flush();
}

static void obey(struct toy *toy, const char *line)
{
    if (strncmp(line, "say ", 4) == 0) {
        say(toy, line + 4);
    } else if (strncmp(line, "room ", 5) == 0) {
        loopback_make_room(&toy->transport, strtoul(line + 5, NULL, 10));
    } else if (strncmp(line, "advance ", 8) == 0) {
        loop_advance(&toy->loop, strtoul(line + 8, NULL, 10));
    } else if (strcmp(line, "drain") == 0) {
        service_drain(&toy->service);
    } else {
        CHECK(strcmp(line, "show") == 0);
        show(toy);
    }
}

static void say(struct toy *toy, const char *text)
{
    char frame[LINE_BYTES];
    size_t len = 0;
    for (const char *at = text; *at != '\0'; at++) {
        bool is_end = at[0] == '\\' && at[1] == 'n';
        frame[len++] = is_end ? '\n' : *at;
        at += is_end ? 1 : 0;
    }
    loopback_send(&toy->transport, bytes_of(frame, len));
}

static void show(struct toy *toy)
{
    struct bytes taken = buf_bytes(&toy->transport.taken);
    fwrite(taken.at, 1, taken.len, stdout);
    printf("%s----\n", toy->transport.is_gone ? "gone\n" : "");
    buf_clear(&toy->transport.taken);
}

/// Until nothing is left to do.
static void turn(struct toy *toy)
{
    for (int i = 0; i < TURNS; i++) {
        loop_turn(&toy->loop);
    }
}
