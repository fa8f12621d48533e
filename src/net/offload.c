// SPDX-License-Identifier: MIT
#include "net/offload.h"

#include "base/check.h"
#include "base/environment.h"
#include "net/loop.h"

static void do_nothing(struct offload *offload);
static void on_run(uv_work_t *work);
static void on_done(uv_work_t *work, int status);

void offload_prepare(struct loop *loop)
{
    static struct offload nothing = {.run = do_nothing, .done = do_nothing};
    offload_start(&nothing, loop);
}

void offload_start(struct offload *offload, struct loop *loop)
{
    offload->_environment = environment_here;
    loop->offload_count++;
    CHECK(uv_queue_work(&loop->uv, &offload->_work, on_run, on_done) ==
          0); // it fails only without `run`
}

static void do_nothing(struct offload *offload)
{
    (void)offload;
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
