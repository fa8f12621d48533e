// SPDX-License-Identifier: MIT
#include "engine.h"

#include "base/log.h"
#include "base/mem.h"
#include "net/loop.h"
#include "net/socket_address.h"
#include "shared/shared.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DESCRIPTORS = 1000, TURNS = 4, REQUEST_BYTES = 512 };

static void on_finished(struct mailbox_message *message);

void engine_init(struct engine *engine, const char *script, unsigned first_number,
                 size_t worker_count)
{
    CHECK(worker_count >= 1 && worker_count <= ENGINE_WORKERS_MAX);
    *engine = (struct engine){.worker_count = worker_count};
    log_configure(LOG_SILENT, LOG_TEXT);
    snprintf(engine->script_path, ENGINE_PATH_BYTES, "/tmp/lunesse-proof-XXXXXX.lua");
    int fd = mkstemps(engine->script_path, (int)sizeof(".lua") - 1);
    size_t len = strlen(script);
    CHECK(fd >= 0 && write(fd, script, len) == (ssize_t)len);
    CHECK(close(fd) == 0);
    engine->config = (struct config){
        .script = engine->script_path,
        .worker_count = (unsigned)worker_count,
        .log_level = LOG_SILENT,
    };
    hub_init(&engine->hub);
    engine->shared = shared_new();
    for (size_t i = 0; i < worker_count; i++) {
        engine->workers[i].number = first_number + (unsigned)i;
        engine->workers[i].news.finished.run = on_finished;
        engine->workers[i].options = (struct worker_options){
            .config = &engine->config,
            .hub = &engine->hub,
            .shared = engine->shared,
            .conn_total = &engine->conn_total,
            .worker_count = worker_count,
            .descriptors = DESCRIPTORS,
            .home = &engine->workers[0].mailbox,
        };
    }
}

void engine_open_worker(struct engine *engine, size_t index)
{
    CHECK(worker_init(&engine->workers[index]) == 0);
    CHECK(worker_load(&engine->workers[index]) == 0);
}

void engine_close_worker(struct engine *engine, size_t index)
{
    CHECK(worker_close(&engine->workers[index]));
}

void engine_deinit(struct engine *engine)
{
    for (size_t i = 0; i < engine->worker_count; i++) {
        worker_deinit(&engine->workers[i]);
    }
    hub_deinit(&engine->hub);
    shared_free(engine->shared);
    CHECK(engine->conn_total == 0);
    CHECK(unlink(engine->script_path) == 0);
}

/// A server ends when all workers have; an engine is ended by whoever drives it.
static void on_finished(struct mailbox_message *message)
{
    (void)message;
}

/// What a turn has queued for the next one, and what others have posted, is done in a few.
void engine_turn(struct engine *engine, size_t index)
{
    for (int i = 0; i < TURNS; i++) {
        loop_turn(&engine->workers[index].loop);
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
    service_accept(&worker->service, &caller->transport.base, &nowhere);
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
