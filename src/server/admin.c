// SPDX-License-Identifier: MIT
#include "server/admin.h"

#include "base/limits.h"
#include "base/log.h"
#include "http/codecs.h"
#include "http/exchange.h"
#include "net/tcp.h"
#include "script/generation.h"
#include "server/address_text.h"
#include "server/dispatch.h"
#include "server/report.h"

#include <stdio.h>

enum { ADMIN_CONNECTIONS = 32 };

static void on_accept(void *user, int fd, const struct socket_address *peer);
static void on_head(void *user, struct exchange *exchange);
static void on_request(void *user, struct exchange *exchange);
static void check_admin(const struct admin *admin);

static const struct service_events events = {.on_head = on_head, .on_request = on_request};

int admin_bind(struct admin *admin, const char *text)
{
    struct address address;
    CHECK(address_text_parse(text, &address)); // the command line was checked
    DCHECK(!admin->is_bound && !admin->is_open && admin->limits == NULL);
    struct limits *limits = limits_new();
    limits->conn.count = ADMIN_CONNECTIONS;
    admin->limits = limits;
    int failure = address.is_unix ? listen_socket_unix(&admin->socket, address.text, 0)
                                  : listen_socket_tcp(&admin->socket, address.text, address.port,
                                                      limits->conn.peer_timeout_ms);
    admin->is_bound = failure == 0;
    if (failure != 0) {
        report_listen_failure(&address, failure);
    }
    DEBUG_CALL(check_admin(admin));
    return failure;
}

int admin_open(struct admin *admin, struct loop *loop, struct dispatch *dispatch)
{
    DCHECK(admin->is_bound && !admin->is_open && dispatch != NULL);
    admin->dispatch = dispatch;
    service_init(&admin->service, loop, admin->limits, &admin->total);
    codecs_use_http1(&admin->service);
    admin->service.events = &events;
    admin->service.user = admin;
    admin->acceptor.user = admin;
    admin->acceptor.on_accept = on_accept;
    admin->is_open = true;
    DEBUG_CALL(check_admin(admin));
    return acceptor_open(&admin->acceptor, loop, &admin->socket);
}

void admin_close(struct admin *admin)
{
    DEBUG_CALL(check_admin(admin));
    if (admin->acceptor.is_open) {
        acceptor_close(&admin->acceptor);
    } else if (admin->is_bound) {
        listen_socket_close(&admin->socket);
    }
    admin->is_bound = false;
    if (admin->is_open) {
        service_close_all(&admin->service);
    }
}

void admin_deinit(struct admin *admin)
{
    DCHECK(!admin->is_bound && !admin->acceptor.is_open);
    if (admin->is_open) {
        service_deinit(&admin->service);
        admin->is_open = false;
    }
    if (admin->limits != NULL) {
        limits_release(admin->limits);
        admin->limits = NULL;
    }
}

static void on_accept(void *user, int fd, const struct socket_address *peer)
{
    struct admin *admin = user;
    DCHECK(admin->is_open && fd >= 0);
    struct transport *transport = tcp_of_socket(admin->service.loop, fd);
    service_accept(&admin->service, transport, peer, false);
    tcp_read(transport); // the kernel waited until there was a request to read
}

static void on_head(void *user, struct exchange *exchange)
{
    (void)user;
    exchange->request->body.is_unwanted = true;
}

static void on_request(void *user, struct exchange *exchange)
{
    struct admin *admin = user;
    dispatch_answer_admin(admin->dispatch, exchange);
}

/// What is open has everything that it answers with, and nobody answers before it is bound.
static void check_admin(const struct admin *admin)
{
    CHECK(!admin->is_bound || admin->limits != NULL);
    CHECK(!admin->is_open || (admin->limits != NULL && admin->dispatch != NULL));
    CHECK(!admin->acceptor.is_open || admin->is_open);
}
