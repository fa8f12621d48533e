// SPDX-License-Identifier: MIT
#include "server/descriptors.h"

#include "base/log.h"
#include "http/service.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

enum {
    OF_PROGRAM =
        24,        // standard streams, signals, watching; most of them for scripts that open files
    OF_WORKER = 6, // its loop, and a script that it reads
    OF_SOCKET = 2, // itself, and the spare one of its acceptor
    LIMIT_UNKNOWN = 1024,
};

static uint64_t needed_by_program(size_t worker_count, size_t socket_count);

uint64_t descriptors_raise(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return LIMIT_UNKNOWN;
    }
    if (files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files); // what it is then is asked
        (void)getrlimit(RLIMIT_NOFILE, &files);
    }
    return files.rlim_cur;
}

int descriptors_check(uint64_t limit, size_t worker_count)
{
    DCHECK(worker_count > 0);
    uint64_t needed = needed_by_program(worker_count, worker_count) + 1 + service_over_limit_max(1);
    if (limit >= needed) {
        return 0;
    }
    log_complain("%" PRIu64 " descriptors are too few for %zu %s: at least %" PRIu64
                 " are needed; raise ulimit -n, or LimitNOFILE= of the service%s",
                 limit, worker_count, worker_count == 1 ? "worker" : "workers", needed,
                 worker_count == 1 ? "" : ", or have fewer --workers");
    return -EMFILE;
}

/// Nine tenths of the descriptors that are left are for connections. A connection over the limit
/// needs a descriptor too, while it is refused: a tenth is for those, or all but the fewest that
/// `service` asks for, where that is more. Where sockets have taken all of them, one connection at
/// a time is tried all the same.
uint64_t descriptors_connections(uint64_t limit, size_t worker_count, size_t socket_count)
{
    uint64_t needed = needed_by_program(worker_count, socket_count);
    uint64_t left = limit > needed ? limit - needed : 1;
    uint64_t smallest = service_over_limit_max(1);
    uint64_t most = left - left / 10;
    uint64_t fitting = left > smallest ? left - smallest : 1;
    uint64_t count = most < fitting ? most : fitting;
    DCHECK(count >= 1 && count <= left);
    return count;
}

static uint64_t needed_by_program(size_t worker_count, size_t socket_count)
{
    return OF_PROGRAM + OF_WORKER * worker_count + OF_SOCKET * socket_count;
}
