// SPDX-License-Identifier: MIT
//
//   l_password_* --> waiting --> running (a thread of the pool) --> on_done: the task wakes
//                       |           |
//     the task leaves:  freed       `task` is NULL, and on_done only frees it
//
// The work has a copy of the password, since the string's memory is Lua's; it is wiped at the end.
#include "script/lib_password.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/list.h"
#include "base/mem.h"
#include "crypto/password.h"
#include "crypto/secret.h"
#include "net/loop.h"
#include "net/offload.h"
#include "script/box.h"
#include "script/obstacle.h"
#include "script/parts.h"
#include "script/task.h"

#include <string.h>

/// The works of a generation.
struct passwords {
    struct loop *loop;
    struct list waiting;
    struct password_work *running; // NULL: no thread is at one
    uint64_t task_count;           // that wait for a work
};

/// One password that is hashed or verified.
struct password_work {
    struct offload offload;
    struct list node;            // in passwords->waiting until a thread begins
    struct passwords *passwords; // NULL: the generation is gone
    struct task *task;           // NULL: it has left
    struct password_hash hash;
    bool verifies;                      // whether the key of `hash` is the password's
    int error;                          // of `password_derive`
    char derived_key[PASSWORD_KEY_MAX]; // written on the thread
    size_t password_len;
    char password[];
};

static struct bytes check_password_or_raise(lua_State *L, const char *what);
static int begin(lua_State *L, struct bytes password, const struct password_hash *hash,
                 bool verifies);
static void start_next(struct passwords *passwords);
static void derive(struct offload *offload);
static void on_done(struct offload *offload);
static void wake(struct password_work *work);
static int push_result(lua_State *L, struct password_work *work);
static void stop_waiting(struct task *task, void *arg);
static void free_work(struct password_work *work);
static int l_password_hash(lua_State *L);
static int l_password_verify(lua_State *L);

const luaL_Reg lib_password_functions[] = {
    {"password_hash", l_password_hash}, {"password_verify", l_password_verify}, {NULL, NULL}};

void lib_password_open(struct parts *parts)
{
    struct passwords *passwords = mem_new(struct passwords);
    passwords->loop = parts->options->loop;
    list_init(&passwords->waiting);
    parts->bindings.passwords = passwords;
}

void lib_password_close(struct parts *parts)
{
    struct passwords *passwords = parts->bindings.passwords;
    CHECK(list_is_empty(&passwords->waiting) && passwords->task_count == 0);
    if (passwords->running != NULL) {
        DCHECK(passwords->running->task == NULL);
        passwords->running->passwords = NULL;
    }
    mem_free(passwords);
}

/// password_hash(password) -> text; nil, message, "EAGAIN" or "ENOMEM"
static int l_password_hash(lua_State *L)
{
    struct bytes password = check_password_or_raise(L, "password_hash");
    struct password_hash hash;
    password_prepare(&hash);
    return begin(L, password, &hash, false);
}

/// password_verify(password, text) -> boolean, whether the text is outdated; nil, message,
/// "EINVAL", "EAGAIN" or "ENOMEM"
static int l_password_verify(lua_State *L)
{
    struct password_hash hash;
    luaL_checktype(L, 2, LUA_TSTRING);
    struct bytes password = check_password_or_raise(L, "password_verify");
    if (password_parse(check_bytes(L, 2), &hash) != 0) {
        return box_push_failure(
            L, "the hash is none that password_hash makes, or asks for too much", "EINVAL");
    }
    return begin(L, password, &hash, true);
}

static struct bytes check_password_or_raise(lua_State *L, const char *what)
{
    luaL_checktype(L, 1, LUA_TSTRING);
    if (!task_can_park(L)) {
        raise_obstacle(L, lua_pushfstring(L,
                                          "%s can only wait inside a handler, timer, task or "
                                          "callback",
                                          what));
    }
    return check_bytes(L, 1);
}

static int begin(lua_State *L, struct bytes password, const struct password_hash *hash,
                 bool verifies)
{
    struct passwords *passwords = parts_of(L)->bindings.passwords;
    uint64_t count_max = parts_of(L)->options->limits->script.passwords;
    if (passwords->task_count >= count_max) {
        limit_met("passwords", count_max);
        return box_push_failure(L, "too many passwords wait already", "EAGAIN");
    }
    if (offload_check() != 0) {
        return box_push_failure(L, "the system starts no thread to hash on", "EAGAIN");
    }
    struct password_work *work = mem_try_resize(NULL, sizeof(struct password_work) + password.len);
    if (work == NULL) {
        return box_push_failure(L, "there is no memory for the password", "ENOMEM");
    }
    *work = (struct password_work){
        .offload = {.run = derive, .done = on_done},
        .passwords = passwords,
        .task = task_current(L),
        .hash = *hash,
        .verifies = verifies,
        .password_len = password.len,
    };
    memcpy(work->password, password.at, password.len);
    list_init(&work->node);
    list_append(&passwords->waiting, &work->node);
    passwords->task_count++;
    start_next(passwords);
    return task_park(L, stop_waiting, work);
}

static void start_next(struct passwords *passwords)
{
    if (passwords->running == NULL && !list_is_empty(&passwords->waiting)) {
        struct password_work *work = LIST_ITEM(passwords->waiting.next, struct password_work, node);
        list_remove(&work->node);
        passwords->running = work;
        offload_start(&work->offload, passwords->loop);
    }
}

/// On a thread of the pool.
static void derive(struct offload *offload)
{
    struct password_work *work = CONTAINER_OF(offload, struct password_work, offload);
    struct bytes password = bytes_of(work->password, work->password_len);
    work->error = password_derive(password, &work->hash, work->derived_key);
}

static void on_done(struct offload *offload)
{
    struct password_work *work = CONTAINER_OF(offload, struct password_work, offload);
    struct passwords *passwords = work->passwords;
    if (work->task != NULL) {
        wake(work);
    }
    free_work(work);
    if (passwords != NULL) {
        passwords->running = NULL;
        start_next(passwords);
    }
}

static void wake(struct password_work *work)
{
    struct task *task = work->task;
    DCHECK(work->passwords->running == work && work->passwords->task_count > 0);
    work->passwords->task_count--;
    work->task = NULL;
    task_wake_with(task, push_result(task->parts->L, work));
}

static int push_result(lua_State *L, struct password_work *work)
{
    char text[PASSWORD_TEXT_MAX];
    if (work->error != 0) {
        return box_push_failure(L, "there is no memory for the hash", "ENOMEM");
    }
    size_t key_len = work->hash.key_len;
    if (work->verifies) {
        bool is_right =
            secret_equals(bytes_of(work->derived_key, key_len), bytes_of(work->hash.key, key_len));
        lua_pushboolean(L, is_right);
        lua_pushboolean(L, is_right && password_is_outdated(&work->hash));
        return 2;
    }
    memcpy(work->hash.key, work->derived_key, key_len);
    lua_pushlstring(L, text, password_format(&work->hash, text));
    return 1;
}

static void stop_waiting(struct task *task, void *arg)
{
    struct password_work *work = arg;
    DCHECK(work->task == task);
    work->passwords->task_count--;
    work->task = NULL;
    if (work->passwords->running != work) {
        list_remove(&work->node);
        free_work(work);
    }
}

static void free_work(struct password_work *work)
{
    DCHECK(work->task == NULL && !list_is_linked(&work->node));
    secret_overwrite(work, sizeof(*work) + work->password_len);
    mem_free(work);
}
