// SPDX-License-Identifier: MIT
#include "script/compressed.h"

#include "base/mem.h"
#include "http/exchange.h"
#include "net/offload.h"
#include "script/box.h"
#include "script/parts.h"
#include "script/scope.h"
#include "script/task.h"

#include <errno.h>

enum { AT_ONCE_BYTES = 32 * 1024 }; // three quarters of a millisecond

/// A task that waits for its answer to be compressed.
struct compressing {
    struct offload offload;
    struct task *task; // NULL once it was cancelled
    struct scope *scope;
    enum content_coding coding;
    char *content;
    size_t len;
    char *coded;       // NULL: the content is sent as it is
    size_t coded_size; // 0 without it
};

static int send_best(struct exchange *exchange, struct bytes content, struct bytes coded,
                     enum content_coding coding);
static int push_result(lua_State *L, int failure);
static void stop_waiting(struct task *task, void *arg);
static void compress(struct offload *offload);
static void on_compressed(struct offload *offload);
static int send_result(const struct compressing *compressing);

int compressed_send(lua_State *L, struct scope *scope, struct bytes content,
                    enum content_coding coding)
{
    struct exchange *exchange = scope->exchange;
    DCHECK(exchange != NULL && exchange->response.state == RESPONSE_FRESH);
    if (content.len > AT_ONCE_BYTES && task_can_park(L) && offload_check() == 0) {
        struct compressing *compressing = mem_new(struct compressing);
        compressing->task = task_current(L);
        compressing->scope = scope;
        compressing->coding = coding;
        compressing->content = mem_string(content);
        compressing->len = content.len;
        compressing->offload.run = compress;
        compressing->offload.done = on_compressed;
        offload_start(&compressing->offload, parts_of(L)->options->loop);
        return task_park(L, stop_waiting, compressing);
    }
    size_t size = 0;
    char *coded = NULL;
    if (content.len <= AT_ONCE_BYTES) {
        IGNORE(compress_bytes(coding, content, &coded, &size)); // or it is sent plain
    }
    int failure = send_best(exchange, content, (struct bytes){coded, size}, coding);
    mem_free(coded);
    return push_result(L, failure);
}

/// Sends what is coded, or the plain content where nothing is, or there is no room to say so.
static int send_best(struct exchange *exchange, struct bytes content, struct bytes coded,
                     enum content_coding coding)
{
    bool is_coded = coded.len > 0 && compress_mark(exchange, coding) == 0;
    return exchange_send(exchange, is_coded ? coded : content);
}

static int push_result(lua_State *L, int failure)
{
    if (failure == -EFBIG) {
        return box_push_failure(L, "the answer is larger than 1 GiB", "EMSGSIZE");
    }
    if (failure != 0) {
        return box_push_closed(L);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static void stop_waiting(struct task *task, void *arg)
{
    struct compressing *compressing = arg;
    (void)task;
    compressing->task = NULL;
}

static void compress(struct offload *offload)
{
    struct compressing *compressing = CONTAINER_OF(offload, struct compressing, offload);
    IGNORE(compress_bytes(compressing->coding, bytes_of(compressing->content, compressing->len),
                          &compressing->coded, &compressing->coded_size)); // or it is sent plain
}

/// The coroutine of the task has the response box on its stack, so the scope is there while the
/// task waits.
static void on_compressed(struct offload *offload)
{
    struct compressing *compressing = CONTAINER_OF(offload, struct compressing, offload);
    struct task *task = compressing->task;
    if (task != NULL) {
        lua_State *L = task->parts->L;
        task_wake_with(task, push_result(L, send_result(compressing)));
    }
    mem_free(compressing->content);
    mem_free(compressing->coded);
    mem_free(compressing);
}

/// Somebody else may have answered meanwhile.
static int send_result(const struct compressing *compressing)
{
    struct exchange *exchange = compressing->scope->exchange;
    if (exchange == NULL || exchange->is_aborted || exchange->response.state != RESPONSE_FRESH) {
        return -ECANCELED;
    }
    return send_best(exchange, bytes_of(compressing->content, compressing->len),
                     (struct bytes){compressing->coded, compressing->coded_size},
                     compressing->coding);
}
