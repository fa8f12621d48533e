// SPDX-License-Identifier: MIT
//
// A transport comes in by `service_accept`, which counts and may refuse it, and goes to the codec.
// The codec's connection is listed by `service_add` until `service_forget`. Draining and closing
// walk the list and leave the rest to the connections: the drain is over when only health checks
// are listed.
#include "http/service.h"

#include "base/check.h"
#include "base/counters.h"
#include "base/environment.h"
#include "base/limits.h"
#include "base/mem.h"
#include "net/transport.h"

#include <time.h>

enum {
    OVER_LIMIT_MIN = 32, // connections over the limit that still get a 503, however low the limit
    TIDY_MS = 1000,
};

static struct connection *connection_of(struct list *node);
static void release(struct codec **codec);
static void tell_if_empty(struct service *service);
static void on_tidy(struct timer *timer);

void service_init(struct service *service, struct loop *loop, const struct limits *limits,
                  atomic_size_t *total)
{
    *service = (struct service){
        .loop = loop,
        .limits = limits,
        .conns_max = limits->conn.count,
        ._total = total,
        ._next_number = 1,
    };
    list_init(&service->_connections);
    timer_init(&service->_tidy_timer, &loop->timers, on_tidy);
    service->_date_second = -1; // no second was formatted
    environment_fill(&service->seed, sizeof(service->seed));
}

void service_deinit(struct service *service)
{
    CHECK(list_is_empty(&service->_connections));
    CHECK(service->conn_count == 0);
    CHECK(service->_health_check_count == 0);
    CHECK(service->_body_bytes == 0);
    release(&service->codec);
    release(&service->_proxied_codec);
    timer_deinit(&service->_tidy_timer);
}

size_t service_over_limit_max(size_t conns_max)
{
    return conns_max / 10 > OVER_LIMIT_MIN ? conns_max / 10 : OVER_LIMIT_MIN;
}

void service_accept(struct service *service, struct transport *transport,
                    const struct socket_address *peer, bool is_proxied)
{
    struct codec *codec = is_proxied ? service->_proxied_codec : service->codec;
    size_t most = service->conns_max + service_over_limit_max(service->conns_max);
    if (!service->is_draining && *service->_total >= most) {
        limit_met("connections", service->conns_max);
    }
    if (service->is_draining || *service->_total >= most) {
        transport_reset(transport);
        return;
    }
    CHECK(codec != NULL); // see codecs.h
    bool is_over_limit = *service->_total >= service->conns_max;
    if (is_over_limit) {
        limit_met("connections", service->conns_max);
    }
    codec->connection_ops->open(codec, transport, peer, is_over_limit);
}

/// Each connection is asked in turn. One that closes may end exchanges, whose handlers may touch
/// other exchanges, but no connection leaves the list before the loop turns.
void service_drain(struct service *service)
{
    OWNED(&service->loop->owner);
    service->is_draining = true;
    LIST_EACH (node, after, &service->_connections) {
        struct connection *connection = connection_of(node);
        connection->carrier.codec->connection_ops->drain(connection);
    }
    tell_if_empty(service);
}

void service_close_all(struct service *service)
{
    OWNED(&service->loop->owner);
    service->is_draining = true;
    LIST_EACH (node, after, &service->_connections) {
        struct connection *connection = connection_of(node);
        connection->carrier.codec->connection_ops->close(connection, END_SHUTDOWN);
    }
}

void service_each_exchange(const struct service *service, codec_visit_fn visit, void *user)
{
    LIST_EACH (node, after, &service->_connections) {
        struct connection *connection = connection_of(node);
        if (!connection->carrier.codec->connection_ops->each_exchange(connection, visit, user)) {
            return;
        }
    }
}

void service_add(struct service *service, struct connection *connection)
{
    OWNED(&service->loop->owner);
    DCHECK(connection->carrier.codec->service == service);
    list_append(&service->_connections, &connection->node);
    service->conn_count++;
    (*service->_total)++;
    count_up(COUNT_CONNECTIONS, 1);
}

void service_forget(struct service *service, struct connection *connection)
{
    OWNED(&service->loop->owner);
    DCHECK(service->conn_count > 0 && *service->_total >= service->conn_count);
    list_remove(&connection->node);
    count_up(COUNT_CONNECTIONS, (uint64_t)-1);
    service->conn_count--;
    (*service->_total)--;
    if (!timer_is_armed(&service->_tidy_timer)) {
        timer_arm(&service->_tidy_timer, TIDY_MS);
    }
    if (service->is_draining) {
        tell_if_empty(service);
    }
}

void service_count_health_checks(struct service *service, int change)
{
    DCHECK(change == 1 || change == -1);
    DCHECK(change > 0 || service->_health_check_count > 0);
    service->_health_check_count += (size_t)change;
    DCHECK(service->_health_check_count <= service->conn_count);
}

void service_count_body(struct service *service, size_t change)
{
    service->_body_bytes += change;
    DCHECK(service->_body_bytes <= SIZE_MAX / 2); // otherwise more was subtracted than was added
}

size_t service_total(const struct service *service)
{
    return *service->_total;
}

void service_set_proxied_codec(struct service *service, struct codec *codec)
{
    DCHECK(service->_proxied_codec == NULL && codec->service == service);
    service->_proxied_codec = codec;
}

uint64_t service_next_number(struct service *service)
{
    OWNED(&service->loop->owner);
    return service->_next_number++;
}

bool service_has_room(const struct service *service, size_t size)
{
    uint64_t total = service->limits->body.total_bytes;
    uint64_t used = service->_body_bytes;
    DCHECK(size <= used);
    return used <= total && size <= total - used;
}

struct bytes service_date(struct service *service)
{
    struct timespec now = environment_time(CLOCK_REALTIME_COARSE);
    if (now.tv_sec != service->_date_second) {
        service->_date_second = now.tv_sec;
        date_format(now.tv_sec, service->_date);
    }
    return bytes_of(service->_date, sizeof(service->_date));
}

static struct connection *connection_of(struct list *node)
{
    return LIST_ITEM(node, struct connection, node);
}

static void release(struct codec **codec)
{
    if (*codec != NULL) {
        (*codec)->connection_ops->release(*codec);
        *codec = NULL;
    }
}

/// The drain does not wait for health checks.
static void tell_if_empty(struct service *service)
{
    DCHECK(service->_health_check_count <= service->conn_count);
    if (service->conn_count == service->_health_check_count && service->on_empty != NULL) {
        service->on_empty(service->owner);
    }
}

static void on_tidy(struct timer *timer)
{
    (void)timer;
    mem_tidy();
}
