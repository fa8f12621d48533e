// SPDX-License-Identifier: MIT
#include "rig.h"

#include "base/counters.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/loop.h"
#include "net/socket_address.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DESCRIPTORS = 1000, TURNS = 4, REQUEST_BYTES = 512 };

void rig_init(struct rig *rig, const char *script, size_t worker_count)
{
    *rig = (struct rig){.log.level = LOG_SILENT};
    environment_init(&rig->environment, 0);
    rig->environment.log = &rig->log;
    environment_enter(&rig->environment);
    snprintf(rig->script_path, RIG_PATH_BYTES, "/tmp/lunesse-proof-XXXXXX.lua");
    int fd = mkstemps(rig->script_path, (int)sizeof(".lua") - 1);
    size_t len = strlen(script);
    CHECK(fd >= 0 && write(fd, script, len) == (ssize_t)len);
    CHECK(close(fd) == 0);
    rig->config = (struct config){
        .script = rig->script_path,
        .worker_count = (unsigned)worker_count,
        .log_level = LOG_SILENT,
    };
    engine_init(&rig->engine, &(struct engine_options){
                                  .config = &rig->config,
                                  .worker_count = worker_count,
                                  .descriptors = DESCRIPTORS,
                              });
}

void rig_enter(struct rig *rig, size_t index)
{
    environment_enter(&rig->environment);
    counters_turn_to((unsigned)index + 1);
}

void rig_advance(struct rig *rig, uint64_t ms)
{
    environment_enter(&rig->environment);
    clock_advance(ms);
}

void rig_open_worker(struct rig *rig, size_t index)
{
    rig_enter(rig, index);
    CHECK(worker_init(&rig->engine.workers[index]) == 0);
    CHECK(worker_load(&rig->engine.workers[index]) == 0);
}

void rig_close_worker(struct rig *rig, size_t index)
{
    rig_enter(rig, index);
    CHECK(worker_close(&rig->engine.workers[index]));
}

void rig_deinit(struct rig *rig)
{
    environment_enter(&rig->environment);
    engine_deinit(&rig->engine);
    environment_enter(&environment_of_process);
    CHECK(unlink(rig->script_path) == 0);
}

/// What a turn has queued for the next one, and what others have posted, is done in a few.
void rig_turn(struct rig *rig, size_t index)
{
    rig_enter(rig, index);
    for (int i = 0; i < TURNS; i++) {
        loop_turn(&rig->engine.workers[index].loop);
    }
}

void caller_ask(struct caller *caller, struct worker *worker, const char *target,
                const char *fields)
{
    char request[REQUEST_BYTES];
    static const struct socket_address nowhere = {.storage.ss_family = AF_UNIX};
    int len =
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", target, fields);
    CHECK(len > 0 && len < REQUEST_BYTES);
    loopback_init(&caller->transport, &worker->loop, SIZE_MAX);
    service_accept(&worker->service, &caller->transport.base, &nowhere, false);
    loopback_send(&caller->transport, bytes_of(request, (size_t)len));
}

bool caller_has(const struct caller *caller, const char *text)
{
    struct bytes taken = buf_bytes(&caller->transport.taken);
    return memmem(taken.at, taken.len, text, strlen(text)) != NULL;
}

void caller_leave(struct caller *caller)
{
    loopback_fail(&caller->transport);
}

void caller_deinit(struct caller *caller)
{
    loopback_deinit(&caller->transport);
}
