// SPDX-License-Identifier: MIT
#include "http/service.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include "http/conn.h"
#include "http/http1.h"
#include "net/transport.h"

#include <time.h>
#include <unistd.h>

enum {
    OVER_LIMIT_MIN = 32, // so many at once are told that they are too many, however low the bound
    TIDY_MS = 1000,
};

static void settle(struct service *service);
static void on_tidy(struct timer *timer);

void service_init(struct service *service, struct loop *loop, const struct limits *limits,
                  atomic_size_t *total)
{
    *service = (struct service){
        .loop = loop,
        .limits = limits,
        .conns_max = limits->connections,
        .total = total,
        .next_number = 1,
    };
    list_init(&service->conns);
    timer_init(&service->_tidy_timer, &loop->timers, on_tidy);
    CHECK(getentropy(&service->seed, sizeof(service->seed)) == 0);
}

void service_deinit(struct service *service)
{
    CHECK(list_is_empty(&service->conns));
    CHECK(service->conn_count == 0);
    CHECK(service->body_bytes == 0);
    http1_free(service->spare_parser);
    timer_deinit(&service->_tidy_timer);
}

size_t service_over_limit_max(size_t conns_max)
{
    return conns_max / 10 > OVER_LIMIT_MIN ? conns_max / 10 : OVER_LIMIT_MIN;
}

void service_accept(struct service *service, struct transport *transport,
                    const struct socket_address *peer)
{
    size_t most = service->conns_max + service_over_limit_max(service->conns_max);
    if (!service->is_draining && *service->total >= most) {
        limit_met("connections", service->conns_max);
    }
    if (service->is_draining || *service->total >= most) {
        transport_reset(transport);
        return;
    }
    bool is_over_limit = *service->total >= service->conns_max;
    if (is_over_limit) {
        limit_met("connections", service->conns_max);
    }
    conn_open(service, transport, peer, is_over_limit);
}

/// Asked of each conn in turn; closing is asynchronous, but it may end exchanges, whose handlers'
/// cleanup may touch other exchanges: never the list.
void service_drain(struct service *service)
{
    service->is_draining = true;
    LIST_EACH (node, after, &service->conns) {
        conn_drain(conn_of_node(node));
    }
    settle(service);
}

void service_close_all(struct service *service)
{
    service->is_draining = true;
    LIST_EACH (node, after, &service->conns) {
        conn_close(conn_of_node(node), END_SHUTDOWN);
    }
}

void service_each_exchange(const struct service *service, service_visit_fn visit, void *user)
{
    LIST_EACH (node, after, &service->conns) {
        struct exchange *exchange = conn_exchange(conn_of_node(node));
        if (exchange != NULL && !visit(user, exchange)) {
            return;
        }
    }
}

void service_forget(struct service *service)
{
    service->conn_count--;
    (*service->total)--;
    if (!timer_is_armed(&service->_tidy_timer)) {
        timer_arm(&service->_tidy_timer, TIDY_MS);
    }
    if (service->is_draining) {
        settle(service);
    }
}

struct bytes service_date_line(struct service *service)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != service->_date_second) {
        service->_date_second = now.tv_sec;
        char *end = mempcpy(service->_date_line, "Date: ", 6);
        date_format(now.tv_sec, end);
        end[HTTP_DATE_LEN] = '\r';
        end[HTTP_DATE_LEN + 1] = '\n';
    }
    return bytes_of(service->_date_line, sizeof(service->_date_line));
}

/// Nobody waits for a health check.
static void settle(struct service *service)
{
    if (service->conn_count == service->health_check_count && service->on_empty != NULL) {
        service->on_empty(service->owner);
    }
}

static void on_tidy(struct timer *timer)
{
    (void)timer;
    mem_tidy();
}
