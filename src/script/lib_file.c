// SPDX-License-Identifier: MIT
//
// `file` starts to look for a file and parks its task. When the pool has looked, `on_looked`
// answers the request, without Lua, and wakes the task with the result. If the task was cancelled
// meanwhile, what was found is given back. The file then goes on by itself (files/download.h): the
// task and its code are no longer needed.
#include "script/lib_file.h"

#include "base/check.h"
#include "base/environment.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/mem.h"
#include "files/file_answer.h"
#include "files/lookup.h"
#include "http/exchange.h"
#include "script/application.h"
#include "script/box.h"
#include "script/obstacle.h"
#include "script/parts.h"
#include "script/scope.h"
#include "script/task.h"
#include "wire/accept.h"
#include "wire/file_path.h"

#include <errno.h>

/// A task that waits for a file.
struct file_wait {
    struct lookup lookup;
    struct task *task; // NULL once it was cancelled
    struct scope *scope;
    char *download_name; // NULL for none
    char *cache_control; // the same
    bool has_codings;
};

static int l_file(lua_State *L);
static int l_is_public(lua_State *L);
static int l_beside(lua_State *L);
static void push_place(lua_State *L, int index, const struct route *route);
static char *opt_text(lua_State *L, int index);
static void choose_codings(const struct exchange *exchange, struct lookup_wanted *wanted);
static void stop_waiting(struct task *task, void *arg);
static void on_looked(struct lookup *lookup);
static int answer(const struct file_wait *wait, struct lookup *lookup);
static void wake(struct task *task, int failure);
static int push_failure(lua_State *L, int failure);
static void drop(struct file_wait *wait);

const luaL_Reg lib_file_functions[] = {
    {"file", l_file}, {"is_public", l_is_public}, {"beside", l_beside}, {NULL, NULL}};

/// file(response, path, root, index, download, cache, has_codings) -> true; nil, message, code. All
/// but the first two may be nil. lua/lunesse/file.lua has checked them.
static int l_file(lua_State *L)
{
    struct scope *scope = check_box(L, 1, BOX_RESPONSE);
    struct bytes path = check_bytes(L, 2);
    luaL_argcheck(L, memchr(path.at, '\0', path.len + 1) == path.at + path.len, 2,
                  "a path has no NUL");
    lua_settop(L, 7);
    if (scope->exchange == NULL || scope->exchange->is_aborted) {
        return box_push_closed(L);
    }
    if (scope->exchange->response.state != RESPONSE_FRESH) {
        return luaL_error(L, "the response is already sent");
    }
    if (!task_can_park(L)) {
        return raise_obstacle(
            L, "response:file can only wait inside a handler, timer, task or callback");
    }
    if (offload_check() != 0) {
        return box_push_failure(L, "the system starts no thread that could open it", "EAGAIN");
    }
    bool has_root = !lua_isnil(L, 3);
    push_place(L, has_root ? 3 : 2, scope->route); // may raise, so nothing is acquired before
    struct file_wait *wait = mem_new(struct file_wait);
    struct lookup_wanted *wanted = &wait->lookup.wanted;
    wait->task = task_current(L);
    wait->scope = scope;
    wanted->root = has_root ? opt_text(L, -1) : NULL;
    wanted->path = has_root ? mem_string(path) : opt_text(L, -1);
    wanted->index = opt_text(L, 4);
    wait->download_name = opt_text(L, 5);
    wait->cache_control = opt_text(L, 6);
    wait->has_codings = lua_toboolean(L, 7);
    if (wait->has_codings) {
        choose_codings(scope->exchange, wanted);
    }
    wanted->wants_content = !scope->exchange->is_head;
    lookup_start(&wait->lookup, parts_of(L)->options->loop, on_looked);
    return task_park(L, stop_waiting, wait);
}

/// is_public(path) -> whether a peer may ask for the path beneath a folder
static int l_is_public(lua_State *L)
{
    lua_pushboolean(L, file_path_is_public(check_bytes(L, 1)));
    return 1;
}

/// beside(source, path) -> the path as seen from the working folder, when it is meant as seen from
/// the script that `source` (of debug.getinfo) names.
static int l_beside(lua_State *L)
{
    const char *source = luaL_checkstring(L, 1);
    const char *path = luaL_checkstring(L, 2);
    const char *folder = environment_here->texts_folder;
    source += *source == '@' ? 1 : 0;
    const char *end = strrchr(source, '/');
    if (*path == '/') {
        lua_pushstring(L, path);
        return 1;
    }
    lua_pushstring(L, folder != NULL && *source != '/' ? folder : "");
    lua_pushstring(L, lua_rawlen(L, -1) > 0 ? "/" : "");
    lua_pushlstring(L, source, end == NULL ? 0 : (size_t)(end - source) + 1);
    lua_pushstring(L, path);
    lua_concat(L, 4);
    return 1;
}

/// Pushes a path as the working folder sees it, of one that is meant as seen from the script of the
/// route.
static void push_place(lua_State *L, int index, const struct route *route)
{
    bool is_beside = route->folder != NULL && *lua_tostring(L, index) != '/';
    lua_pushstring(L, is_beside ? route->folder : "");
    lua_pushvalue(L, index);
    lua_concat(L, 2);
}

static char *opt_text(lua_State *L, int index)
{
    return lua_isnoneornil(L, index) ? NULL : mem_string(check_bytes(L, index));
}

/// The codings that the client takes, best first; brotli before gzip where it likes both equally.
static void choose_codings(const struct exchange *exchange, struct lookup_wanted *wanted)
{
    struct buf field;
    buf_init(&field, request_block_size(exchange->request));
    if (request_joined_field(exchange->request, BYTES("Accept-Encoding"), &field)) {
        int br = accept_encoding_quality(buf_bytes(&field), BYTES("br"));
        int gzip = accept_encoding_quality(buf_bytes(&field), BYTES("gzip"));
        int plain = accept_encoding_quality(buf_bytes(&field), BYTES("identity"));
        br = br < plain ? 0 : br;
        gzip = gzip < plain ? 0 : gzip;
        if (br > 0 && br >= gzip) {
            wanted->codings[wanted->coding_count++] = FILE_BR;
        }
        if (gzip > 0) {
            wanted->codings[wanted->coding_count++] = FILE_GZIP;
        }
        if (br > 0 && br < gzip) {
            wanted->codings[wanted->coding_count++] = FILE_BR;
        }
    }
    buf_reset(&field);
}

static void stop_waiting(struct task *task, void *arg)
{
    struct file_wait *wait = arg;
    (void)task;
    wait->task = NULL;
}

/// The coroutine of the task has the response box on its stack, so the scope is there while the
/// task waits.
static void on_looked(struct lookup *lookup)
{
    struct file_wait *wait = CONTAINER_OF(lookup, struct file_wait, lookup);
    struct task *task = wait->task;
    if (task != NULL) {
        wake(task, answer(wait, lookup));
    }
    drop(wait);
}

static int answer(const struct file_wait *wait, struct lookup *lookup)
{
    struct exchange *exchange = wait->scope->exchange;
    if (exchange == NULL || exchange->is_aborted || exchange->response.state != RESPONSE_FRESH) {
        return -ECANCELED;
    }
    if (lookup->found.failure != 0) {
        return lookup->found.failure;
    }
    const struct lookup_wanted *wanted = &lookup->wanted;
    struct file_answer answer = {
        .name = bytes_from_string(lookup->found.is_index ? wanted->index : wanted->path),
        .has_codings = wait->has_codings,
    };
    if (wait->download_name != NULL) {
        answer.download_name = bytes_from_string(wait->download_name);
    }
    if (wait->cache_control != NULL) {
        answer.cache_control = bytes_from_string(wait->cache_control);
    }
    return file_answer_send(exchange, lookup, &answer);
}

/// The results are made in the main coroutine: see `task_wake_with`.
static void wake(struct task *task, int failure)
{
    lua_State *L = task->parts->L;
    if (failure == 0) {
        lua_pushboolean(L, 1);
        task_wake_with(task, 1);
    } else {
        task_wake_with(task, push_failure(L, failure));
    }
}

static int push_failure(lua_State *L, int failure)
{
    DCHECK(failure < 0);
    switch (failure) {
    case -ECANCELED:
    case -EALREADY:
        return box_push_closed(L);
    case -ENOENT:
        return box_push_failure(L, "there is no such file", "ENOENT");
    case -EISDIR:
        return box_push_failure(L, "it is a folder", "EISDIR");
    case -EMFILE:
    case -ENFILE:
        return box_push_failure(L, "too many files are open", "EMFILE");
    default:
        return box_push_failure(L, error_text(failure), "EIO");
    }
}

static void drop(struct file_wait *wait)
{
    lookup_deinit(&wait->lookup);
    mem_free(wait->download_name);
    mem_free(wait->cache_control);
    mem_free(wait);
}
