// SPDX-License-Identifier: MIT
//
// A request passes here twice: when its head is complete, and when its message is.
//
// With the head, `judge` decides who answers. The server's own paths go first (`--ready-path`,
// `--metrics`), because they must work whatever the scripts do. Then the route table is asked, and
// what makes an answer impossible is looked for: a full server, a host that is none of ours, a path
// that could leave its folder. From the route come the largest body and whether a body is read at
// all, so a body that nobody wants is never read. With the complete message the same verdict is
// carried out. If another connection's head came between, or new scripts, the request is judged
// again, because the worker keeps one verdict, not one for each connection.
#include "server/dispatch.h"

#include "base/jitter.h"
#include "base/mem.h"
#include "http/exchange.h"
#include "http/origin.h"
#include "script/dev_page.h"
#include "script/generation.h"
#include "script/handler.h"
#include "script/lib_server.h"
#include "server/generations.h"
#include "wire/url.h"

#include <assert.h>
#include <stdio.h>

enum {
    ALLOW_BYTES_MAX = 128,
    RETRY_SECONDS_MIN = 1, // what a client over the limit is told to wait, spread over the range
    RETRY_SECONDS_MAX = 10,
};

static_assert((int)RETRY_SECONDS_MIN < (int)RETRY_SECONDS_MAX,
              "clients do not all come back at once");

static void on_head(void *user, struct exchange *exchange);
static void on_request(void *user, struct exchange *exchange);
static void judge(struct dispatch *dispatch, struct exchange *exchange);
static enum dispatch_verdict verdict_of(const struct dispatch *dispatch,
                                        const struct exchange *exchange);
static void answer_by_scripts(struct dispatch *dispatch, struct exchange *exchange);
static bool answer_dev(const struct dispatch *dispatch, struct exchange *exchange);
static void on_answered(void *user, const struct exchange *exchange, uint64_t ns);
static bool asks_metrics_here(const struct dispatch *dispatch, const struct exchange *exchange);
static bool asks(struct bytes path, const struct exchange *exchange);
static void count_route(struct dispatch *dispatch, struct request *request);
static struct application *application_of(const struct dispatch *dispatch);
static void find(struct dispatch *dispatch, struct exchange *exchange);
static void answer_ready(const struct dispatch *dispatch, struct exchange *exchange);
static bool has_bad_path(const struct dispatch *dispatch, const struct exchange *exchange);
static bool has_foreign_host(const struct dispatch *dispatch, const struct exchange *exchange);
static void answer_unrouted(struct dispatch *dispatch, struct exchange *exchange);
static int unrouted_status(const struct dispatch *dispatch, const struct exchange *exchange);
static void set_allow(const struct dispatch *dispatch, struct exchange *exchange);
static void answer_over_limit(struct exchange *exchange);
static void send_text(struct exchange *exchange, int status, const char *text);
static void set_field(struct exchange *exchange, struct bytes name, struct bytes value);
static void check_verdict(const struct dispatch *dispatch, const struct exchange *exchange);

const struct service_events dispatch_events = {
    .on_head = on_head, .on_request = on_request, .on_answered = on_answered};

void dispatch_judge_anew(struct dispatch *dispatch)
{
    dispatch->judged_number = 0;
}

void dispatch_answer_admin(struct dispatch *dispatch, struct exchange *exchange)
{
    struct bytes metrics_path = dispatch->metrics_path;
    exchange_set_health_check(exchange, true); // in the log at debug
    if (asks(dispatch->ready_path, exchange)) {
        answer_ready(dispatch, exchange);
    } else if (asks(metrics_path.len > 0 ? metrics_path : BYTES("/metrics"), exchange)) {
        metrics_answer(&dispatch->scrapes, exchange);
    } else {
        send_text(exchange, 404, lib_server_unrouted_text(404));
    }
}

static void on_head(void *user, struct exchange *exchange)
{
    struct dispatch *dispatch = user;
    struct request *request = exchange->request;
    judge(dispatch, exchange);
    DEBUG_CALL(check_verdict(dispatch, exchange));
    const struct route *route = request->route;
    request->body.is_unwanted =
        dispatch->verdict != VERDICT_TAKEN || route == NULL || !route->options.takes_body;
    request->body.is_streamed = route != NULL && route->options.streams_body;
    if (route != NULL && route->options.has_body_bytes) {
        request->body.bytes_max = route->options.body_bytes_max;
    }
}

static void on_request(void *user, struct exchange *exchange)
{
    struct dispatch *dispatch = user;
    if (dispatch->judged_number != exchange->request->number) {
        judge(dispatch, exchange); // another connection's head came between, or new scripts
    }
    DEBUG_CALL(check_verdict(dispatch, exchange));
    enum dispatch_verdict verdict = dispatch->verdict;
    exchange_set_health_check(exchange, verdict == VERDICT_READY || verdict == VERDICT_METRICS);
    switch (verdict) {
    case VERDICT_READY:
        exchange->request->counts = requests_of(&dispatch->requests, dispatch->ready_path.at);
        answer_ready(dispatch, exchange);
        return;
    case VERDICT_METRICS:
        exchange->request->counts = requests_of(&dispatch->requests, dispatch->metrics_path.at);
        metrics_answer(&dispatch->scrapes, exchange);
        return;
    case VERDICT_OVER_LIMIT:
        answer_over_limit(exchange);
        return;
    case VERDICT_FOREIGN_HOST:
        send_text(exchange, 421, "421: this server does not answer for this host\n");
        return;
    case VERDICT_BAD_PATH:
        send_text(exchange, 400, lib_server_unrouted_text(400));
        return;
    case VERDICT_TAKEN:
        answer_by_scripts(dispatch, exchange);
        return;
    }
}

/// Finds the route and the verdict. Both are kept until the next head is complete, on any
/// connection.
static void judge(struct dispatch *dispatch, struct exchange *exchange)
{
    dispatch->judged_number = exchange->request->number;
    if (asks(dispatch->ready_path, exchange)) {
        dispatch->verdict = VERDICT_READY;
    } else if (asks_metrics_here(dispatch, exchange)) {
        dispatch->verdict = VERDICT_METRICS;
    } else {
        find(dispatch, exchange);
        dispatch->verdict = verdict_of(dispatch, exchange);
    }
}

static enum dispatch_verdict verdict_of(const struct dispatch *dispatch,
                                        const struct exchange *exchange)
{
    if (exchange_is_over_limit(exchange)) {
        return VERDICT_OVER_LIMIT;
    }
    if (has_foreign_host(dispatch, exchange)) {
        return VERDICT_FOREIGN_HOST;
    }
    return has_bad_path(dispatch, exchange) ? VERDICT_BAD_PATH : VERDICT_TAKEN;
}

static void answer_by_scripts(struct dispatch *dispatch, struct exchange *exchange)
{
    struct generation *generation = dispatch->generations->current;
    struct route *route = exchange->request->route;
    size_t body_size = buf_len(&exchange->request->body.content);
    if (generation->options.is_dev && answer_dev(dispatch, exchange)) {
        return;
    }
    if (body_size > 0 && !mem_has(body_size)) {
        send_text(exchange, 503, "503: there is no memory for the body; try again later\n");
    } else if (route != NULL) {
        handler_start(&generation->parts, exchange, route, &dispatch->match);
    } else {
        answer_unrouted(dispatch, exchange);
    }
}

/// With --dev, answers what the pages in a browser ask for: whether the scripts have changed, and
/// what is wrong with them. False for any other request.
static bool answer_dev(const struct dispatch *dispatch, struct exchange *exchange)
{
    const struct generations *generations = dispatch->generations;
    bool is_broken = generations->failure != NULL;
    if (dev_page_asks(exchange)) {
        exchange_set_health_check(exchange, true);
        dev_page_answer(exchange, generations->current->options.number, !is_broken);
        return true;
    }
    if (is_broken && dev_page_is_wanted(exchange)) {
        dev_page_send_broken(exchange, bytes_from_string(generations->failure));
        return true;
    }
    return false;
}

static void on_answered(void *user, const struct exchange *exchange, uint64_t ns)
{
    struct dispatch *dispatch = user;
    requests_count(&dispatch->requests, exchange, ns);
}

static struct application *application_of(const struct dispatch *dispatch)
{
    DCHECK(dispatch->generations->current != NULL);
    return dispatch->generations->current->parts.application;
}

static void find(struct dispatch *dispatch, struct exchange *exchange)
{
    struct request *request = exchange->request;
    route_find(application_route_table(application_of(dispatch)), request->method,
               request->target.path, &dispatch->match);
    request->route = dispatch->match.outcome == ROUTE_FOUND ? dispatch->match.target : NULL;
    count_route(dispatch, request);
}

/// The request keeps the counts and not the route: a reload may free the route before the answer
/// is complete, while the counts belong to the worker.
static void count_route(struct dispatch *dispatch, struct request *request)
{
    struct route *route = request->route;
    if (route != NULL && route->counts == NULL) {
        route->counts = requests_of(&dispatch->requests, route->pattern);
    }
    request->counts = route == NULL ? NULL : route->counts;
}

/// With an address of the operator's own (`--admin`), the metrics are on that address only.
static bool asks_metrics_here(const struct dispatch *dispatch, const struct exchange *exchange)
{
    return !dispatch->has_admin && asks(dispatch->metrics_path, exchange);
}

static bool asks(struct bytes path, const struct exchange *exchange)
{
    return path.len > 0 && bytes_equal(exchange->request->target.path, path);
}

/// A server that has reached the limit of connections is ready all the same. It refuses connections
/// by itself, and a balancer that took it for dead would only send more to the others.
static void answer_ready(const struct dispatch *dispatch, struct exchange *exchange)
{
    bool is_asked = bytes_equal(exchange->request->method, BYTES("GET")) || exchange->is_head;
    if (!is_asked) {
        set_field(exchange, BYTES("Allow"), BYTES("GET, HEAD"));
        send_text(exchange, 405, lib_server_unrouted_text(405));
        return;
    }
    set_field(exchange, BYTES("Cache-Control"), BYTES("no-store"));
    if (dispatch->is_stopping) {
        exchange->wants_close = true;
        send_text(exchange, 503, "503: stopping\n");
    } else {
        send_text(exchange, 200, "ready\n");
    }
}

/// Whether the path has a segment `.` or `..`, or an encoded slash in what `*rest` stands for. A
/// script that puts such a path behind the name of a folder would open another file, and the prefix
/// of a middleware could be passed. A route with `raw_path` takes these paths, and gets its
/// parameters as they came.
static bool has_bad_path(const struct dispatch *dispatch, const struct exchange *exchange)
{
    const struct request *request = exchange->request;
    const struct route *route = request->route;
    const struct route_match *match = &dispatch->match;
    if (route != NULL && route->options.takes_raw_path) {
        return false;
    }
    DCHECK(!match->has_rest || match->param_count > 0);
    return request->target.has_dot_segment ||
           (match->has_rest && url_has_encoded_slash(match->params[match->param_count - 1].value));
}

/// Whether the request names a host that `server:hosts` does not list. Such a request comes from a
/// page of a stranger whose name leads to this address (DNS rebinding), or from a proxy that
/// forwards too much. A request of HTTP/1.0 without a host passes: no browser sends one. Behind a
/// trusted proxy the host counts that the proxy was asked for.
static bool has_foreign_host(const struct dispatch *dispatch, const struct exchange *exchange)
{
    struct origin origin;
    struct bytes hosts = application_hosts(application_of(dispatch));
    if (hosts.len == 0) {
        return false;
    }
    exchange_origin(exchange, exchange->request, &origin);
    struct bytes host = origin_host(&origin);
    if (host.len == 0) {
        return false;
    }
    while (hosts.len > 0) {
        const char *end = memchr(hosts.at, '\n', hosts.len);
        DCHECK(end != NULL);
        struct bytes wanted = bytes_of(hosts.at, (size_t)(end - hosts.at));
        if (url_host_is(host, wanted)) {
            return false;
        }
        hosts = bytes_skip(hosts, wanted.len + 1);
    }
    return true;
}

/// Answers what no route takes. The status and Allow are set before the scripts' fallback runs.
static void answer_unrouted(struct dispatch *dispatch, struct exchange *exchange)
{
    DCHECK(exchange->request->route == NULL);
    struct route *fallback = application_fallback(application_of(dispatch));
    int status = unrouted_status(dispatch, exchange);
    exchange->response.status = (uint16_t)status;
    if (status == 405 || status == 204) {
        set_allow(dispatch, exchange);
    }
    if (status == 501) {
        exchange->wants_close = true; // CONNECT: what follows is not HTTP
    }
    if (fallback != NULL) {
        dispatch->match.param_count = 0;
        handler_start(&dispatch->generations->current->parts, exchange, fallback, &dispatch->match);
    } else if (status == 204) {
        IGNORE(exchange_send(exchange, BYTES(""))); // it is fresh
    } else {
        send_text(exchange, status, lib_server_unrouted_text(status));
    }
}

static int unrouted_status(const struct dispatch *dispatch, const struct exchange *exchange)
{
    const struct request *request = exchange->request;
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

/// `OPTIONS *` asks about the whole server, so Allow has every method that a route can have.
static void set_allow(const struct dispatch *dispatch, struct exchange *exchange)
{
    char allow[ALLOW_BYTES_MAX];
    struct bytes text = BYTES("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
    if (exchange->request->target.form != TARGET_ASTERISK) {
        text = bytes_of(allow, route_allow(application_route_table(application_of(dispatch)),
                                           exchange->request->target.path, allow, sizeof(allow)));
    }
    set_field(exchange, BYTES("Allow"), text);
}

/// A plain client gets 503 and is told when to come back. An EventSource never comes back after a
/// 503, so it gets a stream that says how long to wait and is cut at once: other readers of event
/// streams come back only if the stream did not end in order. The delays differ, so that clients do
/// not come back all together.
static void answer_over_limit(struct exchange *exchange)
{
    DCHECK(exchange_is_over_limit(exchange));
    unsigned seconds = (unsigned)jitter_between(RETRY_SECONDS_MIN, RETRY_SECONDS_MAX);
    // A client that accepts anything is a plain one; a reader of event streams names their type.
    bool is_stream = request_quality(exchange->request, BYTES("text/event-stream")) >
                     request_quality(exchange->request, BYTES("text/plain"));
    char text[32];
    if (is_stream) {
        int len = snprintf(text, sizeof(text), "retry: %u\n\n",
                           seconds * 1000 + (unsigned)jitter_between(0, 999));
        DCHECK(len > 0 && (size_t)len < sizeof(text));
        exchange->response.is_stream = true;
        if (exchange_begin(exchange) == 0) {
            IGNORE(exchange_write(exchange, bytes_of(text, (size_t)len))); // the output is empty
            exchange_cut(exchange, END_REFUSED);
        }
        return;
    }
    int len = snprintf(text, sizeof(text), "%u", seconds);
    DCHECK(len > 0 && (size_t)len < sizeof(text));
    exchange->end_reason = END_REFUSED;
    set_field(exchange, BYTES("Retry-After"), bytes_of(text, (size_t)len));
    send_text(exchange, 503, "503: too many connections; try again later\n");
}

static void send_text(struct exchange *exchange, int status, const char *text)
{
    DCHECK(status >= 200 && status <= 599 && exchange->response.state == RESPONSE_FRESH);
    exchange->response.status = (uint16_t)status;
    set_field(exchange, BYTES("Content-Type"), BYTES("text/plain; charset=utf-8"));
    IGNORE(exchange_send(exchange, bytes_from_string(text))); // it is fresh
}

static void set_field(struct exchange *exchange, struct bytes name, struct bytes value)
{
    IGNORE(response_set_field(&exchange->response, name, value)); // no room: without it
}

/// The verdict belongs to this request, and the request has a route exactly when one was found.
static void check_verdict(const struct dispatch *dispatch, const struct exchange *exchange)
{
    const struct request *request = exchange->request;
    bool is_ours = dispatch->verdict == VERDICT_READY || dispatch->verdict == VERDICT_METRICS;
    bool is_found = !is_ours && dispatch->match.outcome == ROUTE_FOUND;
    CHECK(dispatch->judged_number == request->number);
    CHECK(is_ours || (request->route != NULL) == is_found);
    CHECK(!is_found || request->route == dispatch->match.target);
    CHECK(is_ours || (request->counts == NULL) == (request->route == NULL));
    CHECK(dispatch->verdict != VERDICT_METRICS || !dispatch->has_admin);
}
