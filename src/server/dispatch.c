// SPDX-License-Identifier: MIT
#include "server/dispatch.h"

#include "http/conn.h"
#include "http/exchange.h"
#include "script/generation.h"
#include "script/lib_server.h"
#include "script/visit.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    ALLOW_BYTES_MAX = 128,
    RETRY_SECONDS_MIN = 1, // what a surplus client is told to wait, spread over the range
    RETRY_SECONDS_MAX = 10,
};

static void on_head(void *user, struct exchange *exchange);
static void on_request(void *user, struct exchange *exchange);
static void find(struct dispatch *dispatch, struct exchange *exchange);
static void answer_unrouted(struct dispatch *dispatch, struct exchange *exchange);
static int unrouted_status(const struct dispatch *dispatch, const struct exchange *exchange);
static void set_allow(const struct dispatch *dispatch, struct exchange *exchange);
static void answer_surplus(struct exchange *exchange);
static void send_text(struct exchange *exchange, int status, const char *text);
static void set_field(struct exchange *exchange, struct bytes name, struct bytes value);

const struct service_events dispatch_events = {.on_head = on_head, .on_request = on_request};

static void on_head(void *user, struct exchange *exchange)
{
    struct dispatch *dispatch = user;
    find(dispatch, exchange);
    exchange->is_refused_early = exchange->route == NULL || conn_is_surplus(exchange->conn);
    const struct route *route = exchange->route;
    if (route != NULL && route->has_body_bytes) {
        exchange->body_bytes_max = route->body_bytes_max;
    }
}

static void on_request(void *user, struct exchange *exchange)
{
    struct dispatch *dispatch = user;
    if (dispatch->match_number != exchange->number) {
        find(dispatch, exchange); // another connection's head came between
    }
    if (conn_is_surplus(exchange->conn)) {
        answer_surplus(exchange);
    } else if (exchange->route != NULL) {
        visit_handle(dispatch->generation, exchange, exchange->route, &dispatch->match);
    } else {
        answer_unrouted(dispatch, exchange);
    }
}

static void find(struct dispatch *dispatch, struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    route_find(dispatch->generation->routes, request->method, request->target.path,
               &dispatch->match);
    dispatch->match_number = exchange->number;
    exchange->route = dispatch->match.outcome == ROUTE_FOUND ? dispatch->match.target : NULL;
}

/// The scripts' fallback finds the status, and Allow, already set.
static void answer_unrouted(struct dispatch *dispatch, struct exchange *exchange)
{
    struct generation *generation = dispatch->generation;
    int status = unrouted_status(dispatch, exchange);
    exchange->response.status = (uint16_t)status;
    if (status == 405 || status == 204) {
        set_allow(dispatch, exchange);
    }
    if (status == 501) {
        exchange->request.wants_close = true; // CONNECT: what follows is not HTTP
    }
    if (generation->fallback.handler_ref != LUA_NOREF) {
        dispatch->match.param_count = 0;
        visit_handle(generation, exchange, &generation->fallback, &dispatch->match);
    } else if (status == 204) {
        IGNORE(exchange_send(exchange, BYTES(""))); // it is fresh
    } else {
        send_text(exchange, status, lib_server_unrouted_text(status));
    }
}

static int unrouted_status(const struct dispatch *dispatch, const struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    if (request->target.form == TARGET_AUTHORITY) {
        return 501;
    }
    bool is_options = bytes_equal(request->method, BYTES("OPTIONS"));
    if (is_options && request->target.form == TARGET_ASTERISK) {
        return 204;
    }
    if (dispatch->match.outcome == ROUTE_NO_PATH) {
        return 404;
    }
    return is_options ? 204 : 405;
}

/// For "*" the whole server is asked: everything that some route may have.
static void set_allow(const struct dispatch *dispatch, struct exchange *exchange)
{
    char allow[ALLOW_BYTES_MAX];
    struct bytes text = BYTES("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
    if (exchange->request.target.form != TARGET_ASTERISK) {
        text = bytes_of(allow, route_allow(dispatch->generation->routes,
                                           exchange->request.target.path, allow, sizeof(allow)));
    }
    set_field(exchange, BYTES("Allow"), text);
}

/// A plain client is told when to come back. An EventSource gives up for ever on a 503, so it gets
/// a stream that ends at once and says how long to wait. Spread, so that not all come back
/// together.
static void answer_surplus(struct exchange *exchange)
{
    uint32_t seconds =
        RETRY_SECONDS_MIN + (uint32_t)random() % (RETRY_SECONDS_MAX - RETRY_SECONDS_MIN + 1);
    // A client that takes anything is a plain one: what names the type is an event-stream reader.
    bool is_stream = request_quality(&exchange->request, BYTES("text/event-stream")) >
                     request_quality(&exchange->request, BYTES("text/plain"));
    char text[32];
    if (is_stream) {
        int len = snprintf(text, sizeof(text), "retry: %u\n\n",
                           seconds * 1000 + (uint32_t)random() % 1000);
        exchange->response.is_stream = true;
        if (exchange_begin(exchange) == 0) {
            IGNORE(exchange_write(exchange, bytes_of(text, (size_t)len))); // the output is empty
            IGNORE(exchange_finish(exchange));                             // it is open
        }
        return;
    }
    int len = snprintf(text, sizeof(text), "%u", seconds);
    set_field(exchange, BYTES("Retry-After"), bytes_of(text, (size_t)len));
    send_text(exchange, 503, "503: too many connections; try again later\n");
}

static void send_text(struct exchange *exchange, int status, const char *text)
{
    exchange->response.status = (uint16_t)status;
    set_field(exchange, BYTES("Content-Type"), BYTES("text/plain; charset=utf-8"));
    IGNORE(exchange_send(exchange, bytes_from_string(text))); // it is fresh
}

static void set_field(struct exchange *exchange, struct bytes name, struct bytes value)
{
    CHECK(response_set_field(&exchange->response, name, value) == 0);
}
