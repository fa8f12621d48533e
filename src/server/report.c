// SPDX-License-Identifier: MIT
//
// Each function prints one thing when the start, a signal or a failure asks for it. Nothing is
// kept.
#include "server/report.h"

#include "base/check.h"
#include "base/counters.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/output.h"
#include "net/listen_socket.h"
#include "script/generation.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static bool has_page(const struct generation *generation);
static const char *advice(const struct address *address, int failure);

void report_routes(const struct generation *generation, const char *base)
{
    int widest = 0;
    LIST_EACH (node, after, application_routes(generation->parts.application)) {
        int len = (int)strlen(LIST_ITEM(node, struct route, node)->pattern);
        widest = len > widest ? len : widest;
    }
    LIST_EACH (node, after, application_routes(generation->parts.application)) {
        const struct route *route = LIST_ITEM(node, struct route, node);
        const char *method = strcmp(route->method, "*") == 0 ? "any" : route->method;
        fprintf(output_stream(), "%-7s %s%-*s  %s\n", method, base, widest, route->pattern,
                route->source);
    }
}

void report_listening(const struct generation *generation,
                      const struct listen_socket *listen_socket)
{
    char base[160];
    socket_address_url(&listen_socket->address, base, sizeof(base));
    bool is_unix = socket_address_port(&listen_socket->address) == 0;
    report_routes(generation, is_unix ? "" : base);
    if (!is_unix && has_page(generation)) {
        fprintf(output_stream(), "open %s/ in a browser\n", base);
    }
    fprintf(output_stream(), "listening on %s\n", base);
    output_flush();
}

void report_counts(size_t worker_count)
{
    DCHECK(worker_count <= COUNTERS_WORKERS_MAX);
    for (unsigned number = 1; number <= worker_count; number++) {
        const struct counters *counters = counters_of(number);
        if (counters == NULL) {
            continue;
        }
        uint64_t closed = 0;
        for (int i = 0; i < COUNTERS_REASONS_MAX; i++) {
            closed += counters->closed[i];
        }
        const atomic_uint_fast64_t *values = counters->values;
        LOG(LOG_INFO, "counts", log_int("worker", number),
            log_int("connections", (int64_t)values[COUNT_CONNECTIONS]),
            log_int("streams", (int64_t)(values[COUNT_STREAMS_OPENED] - closed)),
            log_int("opened", (int64_t)values[COUNT_STREAMS_OPENED]),
            log_int("events", (int64_t)values[COUNT_EVENTS_SENT]),
            log_int("published", (int64_t)values[COUNT_PUBLISHED]),
            log_int("pending_bytes", (int64_t)values[COUNT_PENDING_BYTES]),
            log_int("lua_bytes", (int64_t)values[COUNT_LUA_BYTES]));
    }
}

void report_hidden_routes(const struct generation *generation, const char *option, const char *path)
{
    LIST_EACH (node, after, application_routes(generation->parts.application)) {
        const struct route *route = LIST_ITEM(node, struct route, node);
        if (path != NULL && strcmp(route->pattern, path) == 0) {
            LOG(LOG_WARN, "a path of the server hides a route", log_string("option", option),
                log_string("path", path), log_string("route", route->source));
        }
    }
}

void report_missing_routes(const struct generation *generation, const char *script)
{
    if (!application_has_answers(generation->parts.application)) {
        LOG(LOG_WARN, "the scripts declare no route: every request is answered with 404",
            log_string("scripts", script));
    }
}

void report_waiting(size_t conn_count, const struct limits *limits, int number)
{
    uint64_t wait_ms = limits->drain.delay_ms + limits->drain.timeout_ms;
    LOG(LOG_INFO,
        number == SIGINT ? "waiting for what is under way; Ctrl-C again ends it at once"
                         : "waiting for what is under way; a second signal ends it at once",
        log_int("connections", (int64_t)conn_count),
        log_int("seconds_at_most", (int64_t)((wait_ms + 999) / 1000)));
}

void report_worker_failure(unsigned number, size_t count, int failure)
{
    DCHECK(failure < 0 && number >= 1 && count >= 1);
    bool lacks_descriptors = failure == -EMFILE || failure == -ENFILE;
    log_complain("cannot start worker %u of %zu: %s; have fewer --workers, or raise %s", number,
                 count, strerror(-failure),
                 lacks_descriptors
                     ? "ulimit -n, or LimitNOFILE= of the service"
                     : "what limits memory and threads (ulimit -v and -u, MemoryMax= and "
                       "TasksMax= of the service)");
}

void report_inherited_failure(int fd, int failure)
{
    DCHECK(failure < 0 && fd >= 0);
    log_complain("cannot listen on descriptor %d of LISTEN_FDS: %s", fd,
                 failure == -EINVAL ? "it is not a stream socket that listens"
                                    : strerror(-failure));
}

void report_listen_failure(const struct address *address, int failure)
{
    DCHECK(failure < 0);
    if (address->is_unix) {
        log_complain("cannot listen on unix:%s: %s%s", address->text, strerror(-failure),
                     advice(address, failure));
    } else {
        log_complain("cannot listen on %s port %u: %s%s", address->text, address->port,
                     strerror(-failure), advice(address, failure));
    }
}

static bool has_page(const struct generation *generation)
{
    LIST_EACH (node, after, application_routes(generation->parts.application)) {
        const struct route *route = LIST_ITEM(node, struct route, node);
        if (strcmp(route->method, "GET") == 0 && strcmp(route->pattern, "/") == 0) {
            return true;
        }
    }
    return false;
}

static const char *advice(const struct address *address, int failure)
{
    switch (failure) {
    case -EADDRINUSE:
        return address->is_unix ? "; stop the other program or choose another path with --unix"
                                : "; stop the other program or choose another port with --port";
    case -EACCES:
        return address->is_unix ? "; the folder must be writable"
                                : "; ports below 1024 need privileges: choose another with --port";
    case -EADDRNOTAVAIL:
        return "; this machine has no such address: choose another with --host";
    case -EINVAL:
        return strchr(address->text, '/') != NULL
                   ? "; this is a path: give it with --unix"
                   : "; an IPv4 or IPv6 address is expected: choose one with --host";
    case -ENOENT:
        return address->is_unix ? "; the folder must be there" : "";
    case -EEXIST:
        return "; this file is not a socket: choose another path with --unix";
    default:
        return "";
    }
}
