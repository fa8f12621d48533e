// SPDX-License-Identifier: MIT
//
// Each function starts a step and parks its task. A save is a userdata that is to be closed, and a
// member of its task, which may be cancelled before it has the userdata. A save that is closed
// while a step runs goes, with its draft, when the step has ended.
#include "script/lib_save.h"

#include "base/check.h"
#include "base/error.h"
#include "files/save.h"
#include "net/offload.h"
#include "script/application.h"
#include "script/box.h"
#include "script/lib_request.h"
#include "script/obstacle.h"
#include "script/parts.h"
#include "script/scope.h"
#include "script/task.h"

#include <errno.h>

static const char type_name[] = "Save";

struct save_box {
    struct save *save;         // NULL once it is closed
    struct task *task;         // that waits for a step; NULL for none
    struct task_member member; // of the task that has opened it
};

static int l_save_open(lua_State *L);
static int l_save_write(lua_State *L);
static int l_save_finish(lua_State *L);
static int l_save_close(lua_State *L);
static void close_save(struct save_box *box);
static void on_task_end(struct task_member *member);
static void check_waits(lua_State *L);
static struct save_box *check_save(lua_State *L);
static struct save_box *push_box(lua_State *L);
static int wait_for_step(lua_State *L, struct save_box *box);
static int push_result(lua_State *L, int status, lua_KContext context);
static void stop_waiting(struct task *task, void *arg);
static void on_step(struct save *save);
static int push_failure(lua_State *L, int failure);

const luaL_Reg lib_save_functions[] = {{"save_open", l_save_open},
                                       {"save_write", l_save_write},
                                       {"save_finish", l_save_finish},
                                       {"save_close", l_save_close},
                                       {NULL, NULL}};

/// save_open(request, path, replaces) -> save; nil, message, code. A relative path is meant as seen
/// from the script of the route.
static int l_save_open(lua_State *L)
{
    const struct scope *scope = check_request_scope(L, 1);
    struct bytes path = check_bytes(L, 2);
    luaL_argcheck(L, path.len > 0 && memchr(path.at, '\0', path.len) == NULL, 2,
                  "a path is not empty and has no NUL");
    check_waits(L);
    if (offload_check() != 0) {
        return box_push_failure(L, "the system starts no thread that could write it", "EAGAIN");
    }
    bool is_beside = scope->route->folder != NULL && path.at[0] != '/';
    bool replaces = lua_toboolean(L, 3);
    lua_pushstring(L, is_beside ? scope->route->folder : "");
    lua_pushvalue(L, 2);
    lua_concat(L, 2);
    lua_replace(L, 2);
    lua_settop(L, 2);
    struct save_box *box = push_box(L);
    lua_replace(L, 1); // [box, path]
    box->save = save_new(parts_of(L)->options->loop, lua_tostring(L, 2), replaces);
    box->save->on_step = on_step;
    box->save->user = box;
    box->member.on_task_end = on_task_end;
    task_member_join(&box->member, task_current(L));
    save_begin(box->save);
    return wait_for_step(L, box);
}

/// save_write(save, piece) -> save; nil, message, code
static int l_save_write(lua_State *L)
{
    struct save_box *box = check_save(L);
    struct bytes piece = check_bytes(L, 2);
    check_waits(L);
    save_write(box->save, piece);
    return wait_for_step(L, box);
}

/// save_finish(save) -> save; nil, message, code
static int l_save_finish(lua_State *L)
{
    struct save_box *box = check_save(L);
    check_waits(L);
    save_finish(box->save);
    return wait_for_step(L, box);
}

static int l_save_close(lua_State *L)
{
    close_save(luaL_checkudata(L, 1, type_name));
    return 0;
}

/// Idempotent.
static void close_save(struct save_box *box)
{
    struct save *save = box->save;
    task_member_leave(&box->member);
    box->save = NULL;
    if (save != NULL) {
        save_free(save);
    }
}

static void on_task_end(struct task_member *member)
{
    close_save(CONTAINER_OF(member, struct save_box, member));
}

static void check_waits(lua_State *L)
{
    if (!task_can_park(L)) {
        raise_obstacle(L, "part:save can only wait inside a handler, timer, task or callback");
    }
}

/// A step that has failed has ended the save: the Lua half goes on with none.
static struct save_box *check_save(lua_State *L)
{
    struct save_box *box = luaL_checkudata(L, 1, type_name);
    luaL_argcheck(L, box->save != NULL && !save_is_running(box->save) && box->save->failure == 0, 1,
                  "a save that is open expected");
    return box;
}

static struct save_box *push_box(lua_State *L)
{
    struct save_box *box = lua_newuserdatauv(L, sizeof(struct save_box), 0);
    *box = (struct save_box){0};
    if (luaL_newmetatable(L, type_name)) {
        lua_pushliteral(L, "protected");
        lua_setfield(L, -2, "__metatable");
        lua_pushcfunction(L, l_save_close);
        lua_setfield(L, -2, "__close");
        lua_pushcfunction(L, l_save_close);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return box;
}

/// The userdata is at index 1, which keeps it while the task waits.
static int wait_for_step(lua_State *L, struct save_box *box)
{
    box->task = task_current(L);
    return task_park_then(L, stop_waiting, box, push_result, 0);
}

static int push_result(lua_State *L, int status, lua_KContext context)
{
    const struct save_box *box = lua_touserdata(L, 1);
    (void)status;
    (void)context;
    if (box->save == NULL) {
        return box_push_closed(L);
    }
    if (box->save->failure != 0) {
        return push_failure(L, box->save->failure);
    }
    lua_pushvalue(L, 1);
    return 1;
}

static void stop_waiting(struct task *task, void *arg)
{
    struct save_box *box = arg;
    (void)task;
    box->task = NULL;
}

static void on_step(struct save *save)
{
    struct save_box *box = save->user;
    struct task *task = box->task;
    box->task = NULL;
    if (task != NULL) {
        task_wake(task, 0);
    }
}

static int push_failure(lua_State *L, int failure)
{
    DCHECK(failure < 0);
    switch (failure) {
    case -EEXIST:
        return box_push_failure(L, "there is a file of this name already", "EEXIST");
    case -ENOENT:
    case -ENOTDIR:
        return box_push_failure(L, "there is no such folder", "ENOENT");
    case -EACCES:
    case -EPERM:
    case -EROFS:
        return box_push_failure(L, "the server may not write there", "EACCES");
    case -ENOSPC:
    case -EDQUOT:
        return box_push_failure(L, "the disk is full", "ENOSPC");
    case -EFBIG:
        return box_push_failure(L, "the system allows no file that large", "EFBIG");
    case -EMFILE:
    case -ENFILE:
        return box_push_failure(L, "too many files are open", "EMFILE");
    default:
        return box_push_failure(L, error_text(failure), "EIO");
    }
}
