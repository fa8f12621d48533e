// SPDX-License-Identifier: MIT
#include "net/offload.h"

#include "base/check.h"
#include "base/environment.h"
#include "net/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static void do_nothing(struct offload *offload);
static void return_at_once(void *arg);
static void on_run(uv_work_t *work);
static void on_done(uv_work_t *work, int status);

static atomic_bool has_threads; // libuv has started the pool, and does not do so again

void offload_set_size(size_t thread_count)
{
    char count[24];
    DCHECK(thread_count > 0);
    snprintf(count, sizeof(count), "%zu", thread_count);
    (void)setenv("UV_THREADPOOL_SIZE", count, 0); // if that fails there are four, which do as well
}

void offload_prepare(struct loop *loop)
{
    static struct offload nothing = {.run = do_nothing, .done = do_nothing};
    offload_start(&nothing, loop);
}

int offload_check(void)
{
    uv_thread_t trial;
    if (has_threads) {
        return 0;
    }
    if (uv_thread_create(&trial, return_at_once, NULL) != 0) {
        return -EAGAIN;
    }
    CHECK(uv_thread_join(&trial) == 0);
    return 0;
}

void offload_start(struct offload *offload, struct loop *loop)
{
    has_threads = true;
    offload->_environment = environment_here;
    loop->offload_count++;
    CHECK(uv_queue_work(&loop->uv, &offload->_work, on_run, on_done) ==
          0); // it fails only without `run`
}

static void do_nothing(struct offload *offload)
{
    (void)offload;
}

static void return_at_once(void *arg)
{
    (void)arg;
}

static void on_run(uv_work_t *work)
{
    struct offload *offload = CONTAINER_OF(work, struct offload, _work);
    environment_here = offload->_environment;
    offload->run(offload);
}

static void on_done(uv_work_t *work, int status)
{
    (void)status; // UV_ECANCELED is possible only after uv_cancel, which nobody calls
    struct offload *offload = CONTAINER_OF(work, struct offload, _work);
    CONTAINER_OF(work->loop, struct loop, uv)->offload_count--;
    offload->done(offload);
}
