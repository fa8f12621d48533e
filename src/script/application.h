// SPDX-License-Identifier: MIT
//
// What the scripts of a generation have declared: routes, the fallback, addresses, hosts, the
// fields of every answer, and the functions that are called on an error and on a reload. Owned by
// its generation. Scripts declare while they load. Afterwards nothing changes any more, and the
// server reads it.
#pragma once

#include "base/bytes.h"
#include "base/check.h"
#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct application;
struct response;
struct route_link;
struct route_problem;
struct route_table;
struct trust;

enum {
    ADDRESSES_MAX = 16, // how many scripts may declare
    ADDRESS_TEXT_MAX = 108,
};

/// An address that a script declared with `server:listen`.
struct address {
    char text[ADDRESS_TEXT_MAX]; // host, or path of a Unix socket
    uint16_t port;
    uint16_t mode; // mode of a Unix socket's file; 0 leaves it to the umask
    bool is_unix;
    bool is_proxied; // its connections begin with a PROXY header
};

/// How requests of a route are treated.
struct route_options {
    bool is_detached;  // on_leave = "detach"
    bool is_cancelled; // on_leave = "cancel" was written out, so it holds for plain answers, too
    bool takes_raw_path;
    bool compresses;     // plain answers are compressed where the client takes that
    bool always_streams; // sse = "always": it streams whatever Accept says
    bool takes_body;     // a request's body is read
    bool streams_body;   // body = "stream": it is read while it comes
    bool has_body_bytes; // `body_bytes_max` is set
    bool has_heartbeat;  // `heartbeat_ms` is set
    uint64_t body_bytes_max;
    uint64_t heartbeat_ms;
};

/// The middlewares and handlers of a request, as a list of Lua. It is kept, because nearly all
/// requests of a route have the same chain.
struct handler_list {
    int ref; // LUA_NOREF: there is none
    size_t chain_len;
    struct route_link *chain; // a copy: the middlewares that the list begins with
};

/// One route as a script registered it. Owned by the application.
struct route {
    struct list node; // in `application_routes`
    struct route_options options;
    int handler_ref;      // a Lua function; or a list, when there are several
    size_t handler_count; // the last one answers, the others are the route's own middlewares
    struct handler_list list;
    char *method;
    char *pattern;
    char *source;    // "scripts/clock.lua:5"
    char *folder;    // of that script, with a slash at its end; "" for the working folder
    void *counts;    // where dispatch counts the route's answers; NULL before the first
    uint64_t digest; // of the route's code: equal for equal code
};

/// A function that runs before the handlers of all paths that a prefix covers. Owned by the
/// application. The targets of the route table's middlewares are these.
struct middleware {
    struct list node;
    int fn_ref;
};

/// How far loading has come.
enum application_stage {
    APPLICATION_LOADING, // routes and limits may still be declared
    APPLICATION_LOADED,
    APPLICATION_IN_CHARGE, // the generation answers requests, or has; its timers run
};

/// What a reload does to the streams that need the old code.
enum on_reload { ON_RELOAD_KEEP, ON_RELOAD_END, ON_RELOAD_CALL };

struct application *application_new(void);
void application_free(struct application *application);

enum application_stage application_stage(const struct application *application);
void application_set_stage(struct application *application, enum application_stage stage);

/// Takes over the route, whose texts are on the heap, and enters it under `method` and `pattern`.
/// Returns what `route_add` returns. The application owns the route also when it is refused.
MUST_USE int application_add_route(struct application *application, struct route *route,
                                   struct bytes method, struct bytes pattern,
                                   struct route_problem *problem);

/// Registers the function for all paths that `prefix` covers. Returns as `route_add_middleware`.
MUST_USE int application_add_middleware(struct application *application, struct bytes prefix,
                                        int fn_ref, struct route_problem *problem);

/// A reference to the function of Lua that runs a list of handlers: `run(list, i, request,
/// response)`. LUA_NOREF until it is set, before the scripts are loaded.
int application_runner(const struct application *application);
void application_set_runner(struct application *application, int fn_ref);

/// All routes, in the order in which they were declared.
const struct list *application_routes(const struct application *application);

/// The same routes as a table, which finds a route by the path of a request.
const struct route_table *application_route_table(const struct application *application);

/// What answers a request that no route takes; NULL when the scripts declare nothing for it.
struct route *application_fallback(struct application *application);
void application_set_fallback(struct application *application, int handler_ref);

/// Whether the scripts have declared anything that answers a request: a route, or the fallback.
bool application_has_answers(const struct application *application);

/// A reference to the function that shapes the answer after an error; LUA_NOREF for none.
int application_on_error(const struct application *application);
void application_set_on_error(struct application *application, int ref);

/// What a reload does. `ref` is the function to call, for ON_RELOAD_CALL alone.
enum on_reload application_on_reload(const struct application *application, int *ref);
void application_set_on_reload(struct application *application, enum on_reload what, int ref);

/// Adds an address; the same one twice is one address. Fails with -EEXIST when it was declared with
/// another mode before, with -EPROTOTYPE when it was declared with another `is_proxied`, and with
/// -E2BIG when there are ADDRESSES_MAX already.
MUST_USE int application_add_address(struct application *application,
                                     const struct address *address);
const struct address *application_addresses(const struct application *application, size_t *count);

/// A response whose fields every answer has.
struct response *application_common(struct application *application);

/// The hosts that the server answers for, one in a line; empty when it answers for any.
struct bytes application_hosts(const struct application *application);

/// The proxies that the scripts trust; to be filled in while they load.
struct trust *application_trust(struct application *application);

/// Adds a host. Fails with -E2BIG when there is no room for it.
MUST_USE int application_add_host(struct application *application, struct bytes host);
