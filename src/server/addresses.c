// SPDX-License-Identifier: MIT
#include "server/addresses.h"

#include "base/check.h"
#include "server/config.h"
#include "server/inherited.h"
#include "server/report.h"
#include "server/worker.h"

#include <assert.h>
#include <stdio.h>

enum { PORT_DEFAULT = 3000 };

static_assert(PORT_DEFAULT == 3000, "lunesse --help says so");

static int bind_inherited(struct worker *first, int count);
static int bind_own(struct worker *workers, size_t worker_count);
static struct address address_of_config(const struct config *config);
static int bind_address(struct worker *workers, size_t worker_count, const struct address *address);
static int bind_unix(struct worker *first, const struct address *address);
static int bind_tcp(struct worker *workers, size_t worker_count, const struct address *address);
static struct listen_socket *next_socket(struct worker *worker, bool is_proxied);
static void drop_socket(struct worker *worker);

/// Sockets that a service manager has passed take the place of all addresses.
int addresses_bind(struct worker *workers, size_t worker_count, int inherited_count)
{
    DCHECK(worker_count > 0 && workers[0].listening.count == 0);
    DCHECK(inherited_count >= 0 && inherited_count <= ADDRESSES_MAX);
    return inherited_count > 0 ? bind_inherited(&workers[0], inherited_count)
                               : bind_own(workers, worker_count);
}

static int bind_inherited(struct worker *first, int count)
{
    for (int fd = INHERITED_FIRST; fd < INHERITED_FIRST + count; fd++) {
        bool is_proxied = first->options.config->address.is_proxied;
        struct listen_socket *socket = next_socket(first, is_proxied);
        int failure = listen_socket_adopt(socket, fd, first->limits->conn.peer_timeout_ms);
        if (failure != 0) {
            drop_socket(first);
            report_inherited_failure(fd, failure);
            return failure;
        }
    }
    return 0;
}

/// The command line's address takes the place of the scripts'; without either there is a default.
static int bind_own(struct worker *workers, size_t worker_count)
{
    const struct config *config = workers[0].options.config;
    const struct generation *generation = workers[0].generations.current;
    DCHECK(generation != NULL);
    size_t count;
    const struct address *declared = application_addresses(generation->parts.application, &count);
    if (config_has_address(config) || count == 0) {
        struct address address = address_of_config(config);
        return bind_address(workers, worker_count, &address);
    }
    int failure = 0;
    for (size_t i = 0; i < count && failure == 0; i++) {
        struct address address = declared[i];
        address.is_proxied = address.is_proxied || config->address.is_proxied;
        failure = bind_address(workers, worker_count, &address);
    }
    return failure;
}

static struct address address_of_config(const struct config *config)
{
    struct address address = {.is_unix = config->address.unix_path != NULL,
                              .mode = config->address.unix_mode,
                              .is_proxied = config->address.is_proxied,
                              .port =
                                  config->address.has_port ? config->address.port : PORT_DEFAULT};
    const char *host = config->address.host == NULL ? "127.0.0.1" : config->address.host;
    snprintf(address.text, sizeof(address.text), "%s",
             address.is_unix ? config->address.unix_path : host);
    return address;
}

static int bind_address(struct worker *workers, size_t worker_count, const struct address *address)
{
    int failure = address->is_unix ? bind_unix(&workers[0], address)
                                   : bind_tcp(workers, worker_count, address);
    if (failure != 0) {
        drop_socket(&workers[0]);
        report_listen_failure(address, failure);
    }
    return failure;
}

static int bind_unix(struct worker *first, const struct address *address)
{
    struct listen_socket *socket = next_socket(first, address->is_proxied);
    return listen_socket_unix(socket, address->text, address->mode);
}

/// Binds a socket of its own for each worker; the kernel spreads the connections over them.
static int bind_tcp(struct worker *workers, size_t worker_count, const struct address *address)
{
    uint64_t timeout_ms = workers[0].limits->conn.peer_timeout_ms;
    struct listen_socket *first = next_socket(&workers[0], address->is_proxied);
    int failure = listen_socket_tcp(first, address->text, address->port, timeout_ms);
    for (size_t i = 1; i < worker_count && failure == 0; i++) {
        struct worker *worker = &workers[i];
        failure = listen_socket_share(next_socket(worker, address->is_proxied), first, timeout_ms);
        if (failure != 0) {
            drop_socket(worker);
            listen_socket_close(first);
        }
    }
    return failure;
}

static struct listen_socket *next_socket(struct worker *worker, bool is_proxied)
{
    struct worker_sockets *listening = &worker->listening;
    CHECK(listening->count < ADDRESSES_MAX);
    listening->are_proxied[listening->count] = is_proxied;
    return &listening->sockets[listening->count++];
}

/// Takes back the last `next_socket`, of a socket that could not be bound.
static void drop_socket(struct worker *worker)
{
    DCHECK(worker->listening.count > 0);
    worker->listening.count--;
}
