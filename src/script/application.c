// SPDX-License-Identifier: MIT
//
// The functions here only keep what lib_server.c has checked. Routes and middlewares stand in lists
// for those who walk them, and in one table for the search. What is kept of Lua are references into
// the registry.
#include "script/application.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "http/response.h"
#include "wire/route.h"
#include "wire/trust.h"

#include <assert.h>
#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include <sys/un.h>

enum { HOSTS_BYTES_MAX = 64 * 1024 }; // the message of lib_server.c says so

struct application {
    enum application_stage stage;
    struct route_table *table;
    struct list routes;
    struct list middlewares;
    int runner_ref;         // LUA_NOREF until the scripts are loaded
    struct route fallback;  // its handler_ref is LUA_NOREF when there is no fallback
    struct response common; // its fields are in every answer: `server:headers`
    struct buf hosts;       // one in a line
    int on_error_ref;       // LUA_NOREF for none
    enum on_reload on_reload;
    int on_reload_ref; // for ON_RELOAD_CALL
    struct address addresses[ADDRESSES_MAX];
    size_t address_count;
    struct trust trust; // of proxies; nobody is trusted until a script says so
};

static void free_route(struct route *route);
static void free_middlewares(struct list *middlewares);

struct application *application_new(void)
{
    struct application *application = mem_new(struct application);
    static_assert(ADDRESS_TEXT_MAX == sizeof(((struct sockaddr_un *)NULL)->sun_path),
                  "a path of a Unix socket fits, and none that the system would cut");
    application->table = route_table_new();
    application->fallback.handler_ref = LUA_NOREF;
    application->fallback.list.ref = LUA_NOREF;
    application->runner_ref = LUA_NOREF;
    application->on_error_ref = LUA_NOREF;
    application->on_reload_ref = LUA_NOREF;
    list_init(&application->routes);
    list_init(&application->middlewares);
    response_init(&application->common);
    buf_init(&application->hosts, HOSTS_BYTES_MAX);
    return application;
}

void application_free(struct application *application)
{
    route_table_free(application->table);
    LIST_EACH (node, after, &application->routes) {
        free_route(LIST_ITEM(node, struct route, node));
    }
    free_middlewares(&application->middlewares);
    mem_free(application->fallback.list.chain);
    response_deinit(&application->common);
    buf_reset(&application->hosts);
    mem_free(application);
}

enum application_stage application_stage(const struct application *application)
{
    return application->stage;
}

void application_set_stage(struct application *application, enum application_stage stage)
{
    DCHECK(stage >= application->stage);
    application->stage = stage;
}

int application_add_route(struct application *application, struct route *route, struct bytes method,
                          struct bytes pattern, struct route_problem *problem)
{
    DCHECK(application->stage == APPLICATION_LOADING);
    DCHECK(route->method != NULL && route->pattern != NULL && route->handler_count > 0);
    list_append(&application->routes, &route->node);
    return route_add(application->table, method, pattern, route, problem);
}

int application_add_middleware(struct application *application, struct bytes prefix, int fn_ref,
                               struct route_problem *problem)
{
    struct middleware *middleware = mem_new(struct middleware);
    DCHECK(application->stage == APPLICATION_LOADING && fn_ref != LUA_NOREF);
    middleware->fn_ref = fn_ref;
    list_append(&application->middlewares, &middleware->node);
    return route_add_middleware(application->table, prefix, middleware, problem);
}

int application_runner(const struct application *application)
{
    return application->runner_ref;
}

void application_set_runner(struct application *application, int fn_ref)
{
    DCHECK(application->stage == APPLICATION_LOADING);
    application->runner_ref = fn_ref;
}

const struct list *application_routes(const struct application *application)
{
    return &application->routes;
}

const struct route_table *application_route_table(const struct application *application)
{
    return application->table;
}

struct route *application_fallback(struct application *application)
{
    return application->fallback.handler_ref == LUA_NOREF ? NULL : &application->fallback;
}

void application_set_fallback(struct application *application, int handler_ref)
{
    DCHECK(application->stage == APPLICATION_LOADING && handler_ref != LUA_NOREF);
    application->fallback.handler_ref = handler_ref;
    application->fallback.handler_count = 1;
}

bool application_has_answers(const struct application *application)
{
    return !list_is_empty(&application->routes) || application->fallback.handler_ref != LUA_NOREF;
}

int application_on_error(const struct application *application)
{
    return application->on_error_ref;
}

void application_set_on_error(struct application *application, int ref)
{
    DCHECK(application->stage == APPLICATION_LOADING && ref != LUA_NOREF);
    application->on_error_ref = ref;
}

enum on_reload application_on_reload(const struct application *application, int *ref)
{
    *ref = application->on_reload_ref;
    return application->on_reload;
}

void application_set_on_reload(struct application *application, enum on_reload what, int ref)
{
    DCHECK((what == ON_RELOAD_CALL) == (ref != LUA_NOREF));
    application->on_reload = what;
    application->on_reload_ref = ref;
}

int application_add_address(struct application *application, const struct address *address)
{
    DCHECK(application->stage == APPLICATION_LOADING && address->text[0] != '\0');
    for (size_t i = 0; i < application->address_count; i++) {
        const struct address *known = &application->addresses[i];
        if (strcmp(known->text, address->text) == 0 && known->port == address->port &&
            known->is_unix == address->is_unix) {
            return known->mode != address->mode               ? -EEXIST
                   : known->is_proxied != address->is_proxied ? -EPROTOTYPE
                                                              : 0;
        }
    }
    if (application->address_count == ADDRESSES_MAX) {
        return -E2BIG;
    }
    application->addresses[application->address_count++] = *address;
    return 0;
}

const struct address *application_addresses(const struct application *application, size_t *count)
{
    *count = application->address_count;
    return application->addresses;
}

struct trust *application_trust(struct application *application)
{
    return &application->trust;
}

struct response *application_common(struct application *application)
{
    return &application->common;
}

struct bytes application_hosts(const struct application *application)
{
    return buf_bytes(&application->hosts);
}

int application_add_host(struct application *application, struct bytes host)
{
    DCHECK(application->stage == APPLICATION_LOADING && host.len > 0);
    bool has_room =
        buf_append(&application->hosts, host) && buf_append(&application->hosts, BYTES("\n"));
    return has_room ? 0 : -E2BIG;
}

static void free_middlewares(struct list *middlewares)
{
    LIST_EACH (node, after, middlewares) {
        mem_free(LIST_ITEM(node, struct middleware, node));
    }
}

static void free_route(struct route *route)
{
    mem_free(route->list.chain);
    mem_free(route->method);
    mem_free(route->pattern);
    mem_free(route->source);
    mem_free(route->folder);
    mem_free(route);
}
