// SPDX-License-Identifier: MIT
//
// The life of a call, under the lock of its pool:
//
//     QUEUED --a thread is free--> RUNNING --the function ends--> POSTED --the loop runs it-->
//     freed
//       |                            |                              |
//       +-cancelled: freed           +-cancelled: its thread        +-cancelled: freed unheard
//                                      frees it
//
// REFUSED is a call that found its mailbox closed. It waits for its cancel, which comes before the
// loop is gone. The mailbox is touched only for calls that are not cancelled, because it may be
// gone when the others come back.
#include "script/pool.h"

#include "base/check.h"
#include "base/environment.h"
#include "base/list.h"
#include "base/mem.h"
#include "net/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

enum call_state { CALL_QUEUED, CALL_RUNNING, CALL_POSTED, CALL_REFUSED };

struct pool {
    struct pool_options options;
    pthread_mutex_t lock;
    pthread_cond_t has_work;
    struct list queue;     // calls that no thread has taken
    uint64_t queued_count; // of them
    uint64_t call_count;   // calls in the queue and on threads
    uint64_t thread_count;
    uint64_t idle_count; // threads without a call
    bool is_closed;      // the owner has gone: the last thread frees the pool
    lua_State *state;    // where there are no threads
};

struct pool_call {
    struct mailbox_message message;
    struct list node; // in pool->queue
    struct pool *pool;
    pool_answer_fn on_answer;
    void *user;    // NULL: cancelled
    uint8_t state; // enum call_state
    struct pool_answer answer;
    size_t name_len;
    size_t arguments_len;
    char texts[]; // the name, and the arguments behind it
};

static struct pool_call *make_call(struct pool *pool, struct bytes name, struct bytes arguments);
static int take_in(struct pool *pool, struct pool_call *call);
static int provide_thread(struct pool *pool);
static int start_thread(struct pool *pool);
static void *run(void *arg);
static struct pool_call *await_work(struct pool *pool);
static void work(lua_State **L, const struct pool *pool, struct pool_call *call);
static void hand_back(struct pool *pool, struct pool_call *call);
static void on_message(struct mailbox_message *message);
static void free_call(struct pool_call *call);
static void free_pool(struct pool *pool);

struct pool *pool_open(const struct pool_options *options)
{
    struct pool *pool = mem_new(struct pool);
    DCHECK(options->thread_count_max > 0 && options->on_answer != NULL);
    pool->options = *options;
    pool->options.source = (struct pool_source){
        .module = mem_string(bytes_from_string(options->source.module)),
        .path = mem_string(bytes_from_string(options->source.path)),
        .cpath = mem_string(bytes_from_string(options->source.cpath)),
    };
    CHECK(pthread_mutex_init(&pool->lock, NULL) == 0);
    CHECK(pthread_cond_init(&pool->has_work, NULL) == 0);
    list_init(&pool->queue);
    return pool;
}

void pool_close(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    CHECK(!pool->is_closed && list_is_empty(&pool->queue));
    pool->is_closed = true;
    bool is_last = pool->thread_count == 0;
    pthread_cond_broadcast(&pool->has_work);
    pthread_mutex_unlock(&pool->lock);
    if (is_last) {
        free_pool(pool);
    }
}

int pool_call_start(struct pool *pool, struct bytes name, struct bytes arguments, void *user,
                    struct pool_call **started)
{
    DCHECK(!pool->is_closed && user != NULL);
    struct pool_call *call = make_call(pool, name, arguments);
    if (call == NULL) {
        return -ENOMEM;
    }
    call->user = user;
    bool has_threads = !environment_is_still(environment_here);
    if (!has_threads) {
        work(&pool->state, pool, call);
    }
    pthread_mutex_lock(&pool->lock);
    int failure = has_threads ? take_in(pool, call) : 0;
    if (!has_threads) {
        pool->call_count++;
        hand_back(pool, call);
    }
    pthread_mutex_unlock(&pool->lock);
    if (failure != 0) {
        free_call(call);
        return failure;
    }
    *started = call;
    return 0;
}

void pool_call_cancel(struct pool_call *call)
{
    struct pool *pool = call->pool;
    pthread_mutex_lock(&pool->lock);
    DCHECK(call->user != NULL && !pool->is_closed);
    call->user = NULL;
    bool is_queued = call->state == CALL_QUEUED;
    bool is_ours = is_queued || call->state == CALL_REFUSED;
    if (is_queued) {
        list_remove(&call->node);
        pool->queued_count--;
        pool->call_count--;
    }
    pthread_mutex_unlock(&pool->lock);
    if (is_ours) {
        free_call(call);
    }
}

/// NULL when there is no memory.
static struct pool_call *make_call(struct pool *pool, struct bytes name, struct bytes arguments)
{
    struct pool_call *call =
        mem_try_resize(NULL, sizeof(struct pool_call) + name.len + arguments.len);
    if (call == NULL) {
        return NULL;
    }
    *call = (struct pool_call){
        .message = {.run = on_message},
        .pool = pool,
        .on_answer = pool->options.on_answer,
        .name_len = name.len,
        .arguments_len = arguments.len,
    };
    list_init(&call->node);
    memcpy(call->texts, name.at, name.len);
    memcpy(call->texts + name.len, arguments.at, arguments.len);
    return call;
}

/// Puts the call into the queue. A thread that was started a moment ago may not have taken its call
/// yet, so it is all calls that are counted.
static int take_in(struct pool *pool, struct pool_call *call)
{
    const struct pool_options *options = &pool->options;
    if (pool->call_count >= options->thread_count_max + options->queue_max) {
        return -EAGAIN;
    }
    int failure = provide_thread(pool);
    if (failure == 0) {
        list_append(&pool->queue, &call->node);
        pool->queued_count++;
        pool->call_count++;
        pthread_cond_signal(&pool->has_work);
    }
    return failure;
}

/// Makes sure that some thread will take one more call.
static int provide_thread(struct pool *pool)
{
    if (pool->idle_count > pool->queued_count ||
        pool->thread_count == pool->options.thread_count_max) {
        return 0;
    }
    int failure = start_thread(pool);
    return pool->thread_count > 0 ? 0 : failure;
}

/// The thread gets no signals: those are for the threads that have loops.
static int start_thread(struct pool *pool)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&thread, &attributes, run, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    pool->thread_count += failure == 0 ? 1 : 0;
    return failure == 0 ? 0 : -ENOSPC;
}

static void *run(void *arg)
{
    struct pool *pool = arg;
    lua_State *L = NULL;
    pthread_mutex_lock(&pool->lock);
    for (struct pool_call *call = await_work(pool); call != NULL; call = await_work(pool)) {
        call->state = CALL_RUNNING;
        pthread_mutex_unlock(&pool->lock);
        work(&L, pool, call);
        pthread_mutex_lock(&pool->lock);
        hand_back(pool, call);
    }
    pthread_mutex_unlock(&pool->lock);
    pool_state_free(L);
    pthread_mutex_lock(&pool->lock);
    DCHECK(pool->is_closed && pool->thread_count > 0);
    bool is_last = --pool->thread_count == 0;
    pthread_mutex_unlock(&pool->lock);
    if (is_last) {
        free_pool(pool);
    }
    return NULL;
}

/// The next call; NULL when the pool is closed. Called, and returns, with the lock.
static struct pool_call *await_work(struct pool *pool)
{
    pool->idle_count++;
    while (list_is_empty(&pool->queue) && !pool->is_closed) {
        pthread_cond_wait(&pool->has_work, &pool->lock);
    }
    pool->idle_count--;
    if (list_is_empty(&pool->queue)) {
        return NULL;
    }
    struct pool_call *call = LIST_ITEM(pool->queue.next, struct pool_call, node);
    DCHECK(call->state == CALL_QUEUED && call->user != NULL);
    list_remove(&call->node);
    pool->queued_count--;
    return call;
}

static void work(lua_State **L, const struct pool *pool, struct pool_call *call)
{
    struct bytes name = bytes_of(call->texts, call->name_len);
    struct bytes arguments = bytes_of(call->texts + call->name_len, call->arguments_len);
    pool_state_call(L, &pool->options.source, name, arguments, &call->answer);
}

/// Called with the lock, so that a call which is cancelled meanwhile is in one state or the other.
/// A call that is posted belongs to the loop.
static void hand_back(struct pool *pool, struct pool_call *call)
{
    DCHECK(pool->call_count > 0 && !list_is_linked(&call->node));
    pool->call_count--;
    if (call->user == NULL) {
        free_call(call);
        return;
    }
    call->state = CALL_POSTED;
    if (!mailbox_post(pool->options.mailbox, &call->message)) {
        call->state = CALL_REFUSED;
    }
}

static void on_message(struct mailbox_message *message)
{
    struct pool_call *call = CONTAINER_OF(message, struct pool_call, message);
    DCHECK(call->state == CALL_POSTED);
    if (call->user != NULL) {
        call->on_answer(call->user, &call->answer);
    }
    free_call(call);
}

static void free_call(struct pool_call *call)
{
    mem_free(call->answer.text);
    mem_free(call);
}

static void free_pool(struct pool *pool)
{
    CHECK(pool->call_count == 0 && pool->thread_count == 0);
    pool_state_free(pool->state);
    pthread_cond_destroy(&pool->has_work);
    pthread_mutex_destroy(&pool->lock);
    mem_free((void *)pool->options.source.module);
    mem_free((void *)pool->options.source.path);
    mem_free((void *)pool->options.source.cpath);
    mem_free(pool);
}
