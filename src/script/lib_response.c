// SPDX-License-Identifier: MIT
//
// Each method looks whether the exchange is still there, checks its arguments, and calls the
// exchange. Only `write` may wait: it sends its piece, and then parks the task while more is
// pending than the limit `stream_high_bytes`. `send` and `json` end the response.
#include "script/lib_response.h"

#include "base/check.h"
#include "base/error.h"
#include "http/exchange.h"
#include "script/application.h"
#include "script/compressed.h"
#include "script/json_encode.h"
#include "script/lib_sse.h"
#include "script/listeners.h"
#include "script/scope.h"
#include "script/task.h"

#include <errno.h>

static struct scope *check_scope(lua_State *L);
static bool is_closed(const struct scope *scope);
static int return_self(lua_State *L);
static void check_field(lua_State *L, int index, int refusal);
static void check_fresh(lua_State *L, const struct scope *scope);
static void set_status_or_raise(lua_State *L, struct scope *scope, int index);
static void set_headers_or_raise(lua_State *L, struct scope *scope, int index);
static struct bytes opt_content(lua_State *L, int index);
static int push_result(lua_State *L, int failure);
static int write_piece_or_raise(lua_State *L, struct scope *scope, struct bytes piece);
static int l_keep_headers(lua_State *L);
static int l_forget_content(lua_State *L);
static int l_status(lua_State *L);
static int l_header(lua_State *L);
static int l_add_header(lua_State *L);
static int l_type(lua_State *L);
static int l_send(lua_State *L);
static int l_json(lua_State *L);
static int l_send_json(lua_State *L);
static int l_write_head(lua_State *L);
static int l_write(lua_State *L);
static int l_finish(lua_State *L);
static int p_headers_sent(lua_State *L);
static int p_completed(lua_State *L);

static const luaL_Reg methods[] = {
    {"status", l_status},  {"header", l_header},      {"add_header", l_add_header},
    {"type", l_type},      {"send", l_send},          {"write_head", l_write_head},
    {"write", l_write},    {"finish", l_finish},      {"json", l_json},
    {"on", l_response_on}, {"once", l_response_once}, {"off", l_response_off},
    {NULL, NULL},
};

static const struct box_property properties[] = {
    {"headers_sent", p_headers_sent},
    {"completed", p_completed},
    {"sse", p_response_sse},
    {NULL, NULL},
};

const luaL_Reg lib_response_functions[] = {
    {"keep_headers", l_keep_headers},
    {"forget_content", l_forget_content},
    {NULL, NULL},
};

const struct box_class lib_response_class = {"Response", methods, properties, NULL};

static struct scope *check_scope(lua_State *L)
{
    return check_box(L, 1, BOX_RESPONSE);
}

static bool is_closed(const struct scope *scope)
{
    return scope->exchange == NULL || scope->exchange->is_aborted;
}

static int return_self(lua_State *L)
{
    DCHECK(lua_gettop(L) >= 1);
    lua_settop(L, 1);
    return 1;
}

static void check_field(lua_State *L, int index, int refusal)
{
    if (refusal == RESPONSE_HEAD_SENT) {
        luaL_error(L, "the head is already sent");
    } else if (refusal == -ENOMEM) {
        luaL_error(L, "there is no memory for the header");
    } else if (refusal != 0) {
        luaL_argerror(L, index, error_text(refusal));
    }
}

static void check_fresh(lua_State *L, const struct scope *scope)
{
    DCHECK(!is_closed(scope));
    if (scope->exchange->response.state != RESPONSE_FRESH) {
        luaL_error(L, "the head is already sent");
    }
}

/// keep_headers(response). Called when the middlewares are through and the handler begins: the
/// headers that are set now stay if the handler fails.
static int l_keep_headers(lua_State *L)
{
    const struct scope *scope = check_scope(L);
    if (!is_closed(scope) && scope->exchange->response.state == RESPONSE_FRESH) {
        response_keep_fields(&scope->exchange->response);
    }
    return 0;
}

/// forget_content(response). Takes away the headers that describe content which is not sent.
static int l_forget_content(lua_State *L)
{
    const struct scope *scope = check_scope(L);
    if (!is_closed(scope) && scope->exchange->response.state == RESPONSE_FRESH) {
        response_forget_content(&scope->exchange->response);
    }
    return 0;
}

/// response:status(code) -> response; response:status() -> code
static int l_status(lua_State *L)
{
    struct scope *scope = check_scope(L);
    if (lua_gettop(L) == 1) {
        lua_pushinteger(L, scope->exchange == NULL ? 0 : scope->exchange->response.status);
        return 1;
    }
    set_status_or_raise(L, scope, 2);
    return return_self(L);
}

static void set_status_or_raise(lua_State *L, struct scope *scope, int index)
{
    lua_Integer status = luaL_checkinteger(L, index);
    luaL_argcheck(L, status >= 200 && status <= 599, index,
                  "a status between 200 and 599 expected");
    if (!is_closed(scope)) {
        check_fresh(L, scope);
        scope->exchange->response.status = (uint16_t)status;
    }
}

/// response:header(name, value) -> response; response:header(name) -> value or nil
static int l_header(lua_State *L)
{
    struct scope *scope = check_scope(L);
    struct bytes name = check_bytes(L, 2);
    if (lua_gettop(L) == 2) {
        struct bytes value;
        if (is_closed(scope) || !response_field(&scope->exchange->response, name, &value)) {
            lua_pushnil(L);
            return 1;
        }
        lua_pushlstring(L, value.at, value.len);
        return 1;
    }
    struct bytes value = check_bytes(L, 3);
    if (!is_closed(scope)) {
        int refusal = response_set_field(&scope->exchange->response, name, value);
        check_field(L, refusal == RESPONSE_BAD_VALUE ? 3 : 2, refusal);
    }
    return return_self(L);
}

/// response:add_header(name, value) -> response. Headers of the same name stay.
static int l_add_header(lua_State *L)
{
    struct scope *scope = check_scope(L);
    struct bytes name = check_bytes(L, 2);
    struct bytes value = check_bytes(L, 3);
    if (!is_closed(scope)) {
        int refusal = response_add_field(&scope->exchange->response, name, value);
        check_field(L, refusal == RESPONSE_BAD_VALUE ? 3 : 2, refusal);
    }
    return return_self(L);
}

/// response:type(mime) -> response
static int l_type(lua_State *L)
{
    struct scope *scope = check_scope(L);
    struct bytes type = check_bytes(L, 2);
    if (!is_closed(scope)) {
        check_field(L, 2,
                    response_set_field(&scope->exchange->response, BYTES("Content-Type"), type));
    }
    return return_self(L);
}

/// response:send(body) -> true; nil, "closed", "ECLOSED"
static int l_send(lua_State *L)
{
    struct scope *scope = check_scope(L);
    struct bytes content = opt_content(L, 2);
    if (is_closed(scope)) {
        return box_push_closed(L);
    }
    if (scope->exchange->response.state != RESPONSE_FRESH) {
        return luaL_error(L, "the response is already sent");
    }
    if (content.len > 0) {
        scope->exchange->response.is_text = true;
    }
    if (content.len >= COMPRESS_BYTES_MIN && content.len <= COMPRESS_BYTES_MAX &&
        scope->route->options.compresses) {
        enum content_coding coding = compress_choose(scope->exchange);
        if (coding != CODING_PLAIN) {
            return compressed_send(L, scope, content, coding);
        }
    }
    return push_result(L, exchange_send(scope->exchange, content));
}

/// response:json(value) -> true; nil, "closed", "ECLOSED". A large value is encoded in slices.
static int l_json(lua_State *L)
{
    check_scope(L);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    return json_encode_or_raise(L, 2, l_send_json);
}

/// [response, value, text]
static int l_send_json(lua_State *L)
{
    struct scope *scope = check_scope(L);
    if (is_closed(scope)) {
        return box_push_closed(L);
    }
    struct response *response = &scope->exchange->response;
    struct bytes type;
    if (response->state == RESPONSE_FRESH &&
        !response_field(response, BYTES("Content-Type"), &type)) {
        int refusal =
            response_set_field(response, BYTES("Content-Type"), BYTES("application/json"));
        check_field(L, 2, refusal);
    }
    DCHECK(lua_gettop(L) == 3 && lua_type(L, 3) == LUA_TSTRING);
    lua_replace(L, 2); // [response, text]
    return l_send(L);
}

static struct bytes opt_content(lua_State *L, int index)
{
    if (lua_isnoneornil(L, index)) {
        return BYTES("");
    }
    luaL_argcheck(L, !lua_istable(L, index), index, "a string expected; send tables with json()");
    return check_bytes(L, index);
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

/// response:write_head(status, headers) -> response. A value may be an array; each item is then a
/// header of its own.
static int l_write_head(lua_State *L)
{
    struct scope *scope = check_scope(L);
    if (is_closed(scope)) {
        return return_self(L);
    }
    check_fresh(L, scope);
    set_status_or_raise(L, scope, 2);
    if (!lua_isnoneornil(L, 3)) {
        set_headers_or_raise(L, scope, 3);
    }
    IGNORE(exchange_begin(scope->exchange)); // it is fresh
    return return_self(L);
}

static void set_headers_or_raise(lua_State *L, struct scope *scope, int index)
{
    struct response *response = &scope->exchange->response;
    luaL_checktype(L, index, LUA_TTABLE);
    lua_pushnil(L);
    while (lua_next(L, index) != 0) { // [.., name, value]
        luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING, index, "header names are strings");
        struct bytes name = check_bytes(L, -2);
        if (!lua_istable(L, -1)) {
            check_field(L, index, response_set_field(response, name, check_bytes(L, -1)));
            lua_pop(L, 1);
            continue;
        }
        response_remove_field(response, name);
        for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
            check_field(L, index, response_add_field(response, name, check_bytes(L, -1)));
            lua_pop(L, 1);
        }
        lua_pop(L, 2);
    }
}

/// response:write(chunk) -> true; nil, "closed", "ECLOSED". Sends the head first if it is not out.
/// Waits while the peer is slow.
static int l_write(lua_State *L)
{
    struct scope *scope = check_scope(L);
    struct bytes piece = check_bytes(L, 2);
    if (is_closed(scope) || scope->exchange->response.state == RESPONSE_ENDED) {
        return box_push_closed(L);
    }
    return write_piece_or_raise(L, scope, piece);
}

static int write_piece_or_raise(lua_State *L, struct scope *scope, struct bytes piece)
{
    struct exchange *exchange = scope->exchange;
    DCHECK(!is_closed(scope) && exchange->response.state != RESPONSE_ENDED);
    DEBUG_CALL(scope_check(scope));
    if (scope->stream != NULL) {
        return luaL_error(L, "an event stream is open: use response.sse");
    }
    if (exchange->response.state == RESPONSE_FRESH) {
        IGNORE(exchange_begin(exchange)); // it is fresh
    }
    int failure = exchange_write(exchange, piece);
    if (failure == -ENOBUFS && exchange_pending_bytes(exchange) > 0) {
        exchange_abort(exchange, END_SLOW);
    } else if (failure == -ENOBUFS) {
        return box_push_failure(L, "the chunk is larger than stream_max_bytes", "EMSGSIZE");
    }
    if (failure == 0 && exchange_is_over(exchange) && task_can_park(L)) {
        return scope_park_until_room(L, scope);
    }
    return push_result(L, failure);
}

/// response:finish([chunk]) -> true; nil, "closed", "ECLOSED"
static int l_finish(lua_State *L)
{
    struct scope *scope = check_scope(L);
    struct bytes piece = opt_content(L, 2);
    if (is_closed(scope) || scope->exchange->response.state == RESPONSE_ENDED) {
        return box_push_closed(L);
    }
    if (scope->stream != NULL) {
        return luaL_error(L, "an event stream is open: use response.sse");
    }
    if (scope->exchange->response.state == RESPONSE_FRESH) {
        return push_result(L, exchange_send(scope->exchange, piece));
    }
    int failure = exchange_write(scope->exchange, piece);
    if (failure == -ENOBUFS) {
        return box_push_failure(L, "the chunk is larger than stream_max_bytes", "EMSGSIZE");
    }
    return push_result(L, failure == 0 ? exchange_finish(scope->exchange) : failure);
}

static int p_headers_sent(lua_State *L)
{
    struct scope *scope = check_scope(L);
    lua_pushboolean(L,
                    scope->exchange == NULL || scope->exchange->response.state != RESPONSE_FRESH);
    return 1;
}

static int p_completed(lua_State *L)
{
    struct scope *scope = check_scope(L);
    lua_pushboolean(L,
                    scope->exchange == NULL || scope->exchange->response.state == RESPONSE_ENDED);
    return 1;
}
