// SPDX-License-Identifier: MIT
//
// A reader is a userdata that owns what it was fed and has not given out. What is wrong with a body
// is noted in the scope of the request, so that a handler that raises it is answered for
// (failure.h).
#include "script/lib_multipart.h"

#include "base/buf.h"
#include "base/check.h"
#include "script/box.h"
#include "script/lib_request.h"
#include "script/obstacle.h"
#include "script/scope.h"
#include "script/task.h"
#include "wire/multipart.h"

enum { INPUT_BYTES_MAX = INT32_MAX }; // of a body that was read as a whole; a piece is far less

static const char type_name[] = "MultipartReader";

struct reader_box {
    struct multipart reader;
    struct buf input;
};

static int l_multipart_new(lua_State *L);
static int l_multipart_feed(lua_State *L);
static int l_multipart_next(lua_State *L);
static int l_multipart_fields(lua_State *L);
static int l_multipart_names(lua_State *L);
static int l_multipart_refuse(lua_State *L);
static int l_collect(lua_State *L);
static void push_name(lua_State *L, const struct multipart_name *name);
static int push_refusal(lua_State *L, struct scope *scope, const char *why, int status);

const luaL_Reg lib_multipart_functions[] = {{"multipart_new", l_multipart_new},
                                            {"multipart_feed", l_multipart_feed},
                                            {"multipart_next", l_multipart_next},
                                            {"multipart_fields", l_multipart_fields},
                                            {"multipart_names", l_multipart_names},
                                            {"multipart_refuse", l_multipart_refuse},
                                            {NULL, NULL}};

/// multipart_new(content_type, head_bytes) -> reader; nil where the type is not
/// multipart/form-data with a boundary
static int l_multipart_new(lua_State *L)
{
    struct bytes boundary;
    struct bytes type = check_bytes(L, 1);
    lua_Integer head_bytes = luaL_checkinteger(L, 2);
    luaL_argcheck(L, head_bytes > 0 && head_bytes < INT32_MAX, 2, "1 or more expected");
    if (!multipart_boundary(type, &boundary)) {
        return 0;
    }
    struct reader_box *box = lua_newuserdatauv(L, sizeof(struct reader_box), 0);
    multipart_init(&box->reader, boundary, (size_t)head_bytes);
    buf_init(&box->input, INPUT_BYTES_MAX);
    if (luaL_newmetatable(L, type_name)) {
        lua_pushliteral(L, "protected");
        lua_setfield(L, -2, "__metatable");
        lua_pushcfunction(L, l_collect);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return 1;
}

/// multipart_feed(reader, piece) -> true; nil, message, code
static int l_multipart_feed(lua_State *L)
{
    struct reader_box *box = luaL_checkudata(L, 1, type_name);
    if (!buf_append(&box->input, check_bytes(L, 2))) {
        return box_push_failure(L, "there is no memory for the body", "ENOMEM");
    }
    lua_pushboolean(L, 1);
    return 1;
}

/// multipart_next(reader, request) -> "more"; "head", fields; "data", piece; "part_end"; "end";
/// nil, message, code. What is pushed is made before it is taken, because making it may raise. A
/// finalizer that runs meanwhile cannot come here, since it cannot wait.
static int l_multipart_next(lua_State *L)
{
    static const char *const names[] = {
        [MULTIPART_MORE] = "more",         [MULTIPART_HEAD] = "head", [MULTIPART_DATA] = "data",
        [MULTIPART_PART_END] = "part_end", [MULTIPART_END] = "end",
    };
    struct reader_box *box = luaL_checkudata(L, 1, type_name);
    struct scope *scope = check_request_scope(L, 2);
    struct bytes piece = BYTES("");
    struct bytes rest = buf_bytes(&box->input);
    if (!task_can_park(L)) {
        return raise_obstacle(L, "a part can only be read inside a handler, timer, task or "
                                 "callback");
    }
    struct multipart reader = box->reader;
    enum multipart_news news = multipart_next(&reader, &rest, &piece);
    if (news == MULTIPART_BROKEN) {
        box->reader = reader;
        buf_reset(&box->input);
        return push_refusal(L, scope, box->reader.why, box->reader.is_too_large ? 413 : 400);
    }
    lua_pushstring(L, names[news]);
    bool has_piece = news == MULTIPART_HEAD || news == MULTIPART_DATA;
    if (has_piece) {
        lua_pushlstring(L, piece.at, piece.len);
    }
    box->reader = reader;
    buf_consume(&box->input, buf_len(&box->input) - rest.len);
    return has_piece ? 2 : 1;
}

/// multipart_fields(head) -> { name, value, name, value, ... }. `head` is of `multipart_next`.
static int l_multipart_fields(lua_State *L)
{
    struct bytes head = check_bytes(L, 1);
    struct bytes name;
    struct bytes value;
    lua_newtable(L);
    for (lua_Integer count = 0; multipart_field(&head, &name, &value); count += 2) {
        lua_pushlstring(L, name.at, name.len);
        lua_rawseti(L, -2, count + 1);
        lua_pushlstring(L, value.at, value.len);
        lua_rawseti(L, -2, count + 2);
    }
    return 1;
}

/// multipart_names(disposition) -> name, filename or nil; nil where it has no name
static int l_multipart_names(lua_State *L)
{
    struct multipart_name name;
    struct multipart_name filename;
    if (!multipart_disposition(check_bytes(L, 1), &name, &filename) || !name.is_given) {
        return 0;
    }
    push_name(L, &name);
    if (filename.is_given) {
        push_name(L, &filename);
    } else {
        lua_pushnil(L);
    }
    return 2;
}

static void push_name(lua_State *L, const struct multipart_name *name)
{
    luaL_Buffer buffer;
    char *room = luaL_buffinitsize(L, &buffer, name->text.len);
    luaL_pushresultsize(&buffer, multipart_decode_name(name, room));
}

/// multipart_refuse(request, "type" | "cut" | "name" | "parts" | "part_bytes") -> nil, message,
/// code
static int l_multipart_refuse(lua_State *L)
{
    static const char *const kinds[] = {"type", "cut", "name", "parts", "part_bytes", NULL};
    static const struct {
        const char *why;
        int status;
    } refusals[] = {
        {"the body is not multipart/form-data with a boundary", 415},
        {"the body ended within a part (RFC 2046, 5.1.1)", 400},
        {"a part has no name (RFC 7578, 4.2)", 400},
        {"the body has more parts than this route takes", 413},
        {"a part is larger than this route takes", 413},
    };
    struct scope *scope = check_request_scope(L, 1);
    int kind = luaL_checkoption(L, 2, NULL, kinds);
    return push_refusal(L, scope, refusals[kind].why, refusals[kind].status);
}

static int push_refusal(lua_State *L, struct scope *scope, const char *why, int status)
{
    DCHECK(status >= 400 && status <= 499);
    scope->refusal.why = why;
    scope->refusal.status = (uint16_t)status;
    return box_push_failure(L, why,
                            status == 413   ? "EMSGSIZE"
                            : status == 415 ? "ETYPE"
                                            : "EBADMSG");
}

static int l_collect(lua_State *L)
{
    struct reader_box *box = lua_touserdata(L, 1);
    buf_reset(&box->input);
    return 0;
}
