// SPDX-License-Identifier: MIT
//
// Properties such as `headers`, `query` and `cookies` are tables that are made when a script first
// asks for them (`push_made_or_raise`) and are kept with the box. Nothing is copied before: until
// then the bytes of the head lie in the request, which is in the box.
#include "script/lib_request.h"

#include "base/check.h"
#include "http/exchange.h"
#include "http/origin.h"
#include "http/request.h"
#include "net/socket_address.h"
#include "script/application.h"
#include "script/json_decode.h"
#include "script/parts.h"
#include "script/scope.h"
#include "script/stack.h"
#include "script/state.h"
#include "wire/url.h"

/// The user values of a request box.
enum { SLOT_BODY = 1, SLOT_MADE, SLOT_RESPONSE, SLOT_COUNT = SLOT_RESPONSE };

struct request_box {
    uint64_t number;
    struct scope *scope; // kept alive by SLOT_RESPONSE
    uint32_t seed;
    struct request request; // the last member: the request's block follows it in memory
};

typedef void (*make_fn)(lua_State *L, const struct request *request);

static bool find_last_event_id(const struct request *request, struct bytes *id, bool *is_encoded);
static const struct request *check_request(lua_State *L);
static int push_bytes(lua_State *L, struct bytes bytes);
static int push_made_or_raise(lua_State *L, const char *name, make_fn make);
static void push_params(lua_State *L, const struct route_match *match, bool is_raw);
static void make_query(lua_State *L, const struct request *request);
static void make_headers(lua_State *L, const struct request *request);
static void make_cookies(lua_State *L, const struct request *request);
static void add_cookies(lua_State *L, struct bytes rest);
static void make_params(lua_State *L, const struct request *request);
static void make_state(lua_State *L, const struct request *request);
static void make_last_event_id(lua_State *L, const struct request *request);
static void make_ip(lua_State *L, const struct request *request);
static void make_scheme(lua_State *L, const struct request *request);
static void make_host(lua_State *L, const struct request *request);
static bool read_origin(lua_State *L, const struct request *request, struct origin *origin);
static int push_made_or_nil_or_raise(lua_State *L, const char *name, make_fn make);
static void set_header(lua_State *L, struct bytes name, struct bytes value);
static int l_header_index(lua_State *L);
static int l_text(lua_State *L);
static int l_json(lua_State *L);
static int l_query_values(lua_State *L);
static int l_accepts(lua_State *L);
static int p_method(lua_State *L);
static int p_target(lua_State *L);
static int p_path(lua_State *L);
static int p_query(lua_State *L);
static int p_params(lua_State *L);
static int p_headers(lua_State *L);
static int p_cookies(lua_State *L);
static int p_ip(lua_State *L);
static int p_scheme(lua_State *L);
static int p_host(lua_State *L);
static int p_id(lua_State *L);
static int p_http_version(lua_State *L);
static int p_last_event_id(lua_State *L);
static int p_state(lua_State *L);

static const luaL_Reg methods[] = {
    {"text", l_text},       {"json", l_json}, {"query_values", l_query_values},
    {"accepts", l_accepts}, {NULL, NULL},
};

static const struct box_property properties[] = {
    {"method", p_method},
    {"target", p_target},
    {"path", p_path},
    {"query", p_query},
    {"params", p_params},
    {"headers", p_headers},
    {"cookies", p_cookies},
    {"ip", p_ip},
    {"scheme", p_scheme},
    {"host", p_host},
    {"id", p_id},
    {"http_version", p_http_version},
    {"last_event_id", p_last_event_id},
    {"state", p_state},
    {NULL, NULL},
};

const struct box_class lib_request_class = {"Request", methods, properties, NULL};

/// Pushes the parameters before the request moves, because they point into it.
void lib_request_push_new(lua_State *L, struct exchange *exchange, const struct route_match *match)
{
    const struct request *request = exchange->request;
    STACK_BEGIN(L);
    DCHECK(lua_touserdata(L, -1) == exchange->holder); // the response box
    size_t size = offsetof(struct request_box, request) + request_size(request);
    struct request_box *box = lua_newuserdatauv(L, size, SLOT_COUNT);
    box->number = request->number;
    box->scope = exchange->holder;
    box->seed = exchange_seed(exchange);
    lua_pushvalue(L, -2);
    lua_setiuservalue(L, -2, SLOT_RESPONSE);
    if (match->param_count > 0) {
        lua_newtable(L);
        push_params(L, match, box->scope->route->options.takes_raw_path);
        lua_setfield(L, -2, "params");
        lua_setiuservalue(L, -2, SLOT_MADE);
    }
    if (!buf_is_empty(&request->body.content)) {
        push_bytes(L, buf_bytes(&request->body.content));
        lua_setiuservalue(L, -2, SLOT_BODY);
        state_add_body(box->scope->parts->state, request->body.counted);
    }
    buf_reset(&exchange->request->body.content); // a body without bytes may hold memory, too
    exchange_move_request(exchange, &box->request);
    box_set_type(L, BOX_REQUEST);
    DCHECK_STACK(L, 1);
    DCHECK(exchange->request == &box->request);
}

bool lib_request_push_last_event_id(lua_State *L, const struct request *request)
{
    struct bytes id;
    bool is_encoded = false;
    if (!find_last_event_id(request, &id, &is_encoded)) {
        return false;
    }
    if (is_encoded) {
        box_push_decoded(L, id, true);
    } else {
        push_bytes(L, id);
    }
    return true;
}

bool lib_request_has_last_event_id(lua_State *L, int index)
{
    const struct request_box *box = lua_touserdata(L, index);
    DCHECK(box != NULL);
    struct bytes id;
    bool is_encoded;
    return find_last_event_id(&box->request, &id, &is_encoded);
}

/// Looks in the header field and then in the query, where the id is percent-encoded. The npm
/// packages reconnecting-eventsource and event-source-polyfill name it `lastEventId` there.
static bool find_last_event_id(const struct request *request, struct bytes *id, bool *is_encoded)
{
    struct bytes rest = request->target.query;
    struct bytes name;
    *is_encoded = false;
    if (request_field(request, BYTES("last-event-id"), id)) {
        return true;
    }
    *is_encoded = true;
    while (url_next_pair(&rest, &name, id)) {
        if (bytes_equal(name, BYTES("last_event_id")) || bytes_equal(name, BYTES("lastEventId"))) {
            return true;
        }
    }
    return false;
}

struct scope *check_request_scope(lua_State *L, int index)
{
    const struct request_box *box = check_box(L, index, BOX_REQUEST);
    return box->scope;
}

static const struct request *check_request(lua_State *L)
{
    const struct request_box *box = check_box(L, 1, BOX_REQUEST);
    return &box->request;
}

static int push_bytes(lua_State *L, struct bytes bytes)
{
    lua_pushlstring(L, bytes.at, bytes.len);
    return 1;
}

/// Pushes the value `name`, made on first use and kept with the box (at index 1).
static int push_made_or_raise(lua_State *L, const char *name, make_fn make)
{
    const struct request *request = check_request(L);
    if (lua_getiuservalue(L, 1, SLOT_MADE) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, SLOT_MADE);
    }
    if (lua_getfield(L, -1, name) == LUA_TNIL) {
        lua_pop(L, 1);
        DCHECK(lua_istable(L, -1));
        make(L, request);                                // [made, value]
        DCHECK(lua_istable(L, -2) && !lua_isnil(L, -1)); // nil would not be kept
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, name);
    }
    return 1;
}

/// As `push_made_or_raise`, for a value that may be missing: false stands for it in the table.
static int push_made_or_nil_or_raise(lua_State *L, const char *name, make_fn make)
{
    push_made_or_raise(L, name, make);
    if (!lua_toboolean(L, -1)) {
        lua_pushnil(L);
    }
    return 1;
}

static void push_params(lua_State *L, const struct route_match *match, bool is_raw)
{
    STACK_BEGIN(L);
    lua_createtable(L, 0, (int)match->param_count);
    for (size_t i = 0; i < match->param_count; i++) {
        push_bytes(L, match->params[i].name);
        if (is_raw) {
            push_bytes(L, match->params[i].value);
        } else {
            box_push_decoded(L, match->params[i].value, false);
        }
        lua_rawset(L, -3);
    }
    DCHECK_STACK(L, 1);
}

static void make_params(lua_State *L, const struct request *request)
{
    (void)request;
    lua_newtable(L);
}

/// A table for whatever scripts want to note about the request.
static void make_state(lua_State *L, const struct request *request)
{
    (void)request;
    lua_newtable(L);
}

/// Of a name that comes more than once this table has the last value; `query_values` returns all of
/// them.
static void make_query(lua_State *L, const struct request *request)
{
    struct bytes rest = request->target.query;
    struct bytes name;
    struct bytes value;
    lua_newtable(L);
    while (url_next_pair(&rest, &name, &value)) {
        box_push_decoded(L, name, true);
        box_push_decoded(L, value, true);
        lua_rawset(L, -3);
    }
}

/// Keys are lower case; the metatable makes look-ups blind to case (RFC 9110, section 5.1).
static void make_headers(lua_State *L, const struct request *request)
{
    lua_createtable(L, 0, (int)request->field_count);
    for (size_t i = 0; i < request->field_count; i++) {
        struct request_field field = request_field_at(request, i);
        set_header(L, field.name, field.value);
    }
    if (luaL_newmetatable(L, "Headers")) {
        lua_pushcfunction(L, l_header_index);
        lua_setfield(L, -2, "__index");
    }
    lua_setmetatable(L, -2);
}

/// [headers] -> [headers], with the field added, or joined to the one that is there.
static void set_header(lua_State *L, struct bytes name, struct bytes value)
{
    STACK_BEGIN(L);
    DCHECK(lua_istable(L, -1) && name.len > 0);
    luaL_Buffer buffer;
    char *room = luaL_buffinitsize(L, &buffer, name.len);
    for (size_t i = 0; i < name.len; i++) {
        char byte = name.at[i];
        room[i] = byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
    }
    luaL_pushresultsize(&buffer, name.len); // [headers, name]
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) == LUA_TNIL) { // [headers, name, old]
        lua_pop(L, 1);
        push_bytes(L, value);
    } else {
        push_bytes(L, request_separator(name));
        push_bytes(L, value);
        lua_concat(L, 3);
    }
    lua_rawset(L, -3);
    DCHECK_STACK(L, 0);
}

static int l_header_index(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE); // a script can get hold of this function
    if (lua_type(L, 2) != LUA_TSTRING) {
        return 0;
    }
    lua_getglobal(L, "string");
    lua_getfield(L, -1, "lower");
    lua_pushvalue(L, 2);
    lua_call(L, 1, 1);
    lua_rawget(L, 1);
    return 1;
}

/// RFC 6265, section 5.4: `name=value` pairs, separated by semicolons. Of a name that comes twice
/// the first value counts, because browsers send the one with the most specific path first.
static void make_cookies(lua_State *L, const struct request *request)
{
    lua_newtable(L);
    for (size_t i = 0; i < request->field_count; i++) {
        struct request_field field = request_field_at(request, i);
        if (bytes_equal_nocase(field.name, BYTES("cookie"))) {
            add_cookies(L, field.value);
        }
    }
}

/// Adds the cookies of `rest`, one value of a Cookie field, to the table on top.
/// [cookies] -> [cookies]
static void add_cookies(lua_State *L, struct bytes rest)
{
    STACK_BEGIN(L);
    while (rest.len > 0) {
        const char *end = memchr(rest.at, ';', rest.len);
        struct bytes pair = bytes_of(rest.at, end == NULL ? rest.len : (size_t)(end - rest.at));
        rest = bytes_skip(rest, pair.len + (end == NULL ? 0 : 1));
        const char *equals = memchr(pair.at, '=', pair.len);
        if (equals == NULL) {
            continue;
        }
        struct bytes name = bytes_trim(bytes_of(pair.at, (size_t)(equals - pair.at)));
        struct bytes value = bytes_trim(bytes_skip(pair, (size_t)(equals - pair.at) + 1));
        if (value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"') {
            value = bytes_of(value.at + 1, value.len - 2);
        }
        push_bytes(L, name);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) == LUA_TNIL) { // [cookies, name, nil]
            lua_pop(L, 1);
            push_bytes(L, value);
            lua_rawset(L, -3);
        } else {
            lua_pop(L, 2);
        }
        DCHECK_STACK(L, 0);
    }
}

/// False stands for none, because nil would not be kept.
static void make_last_event_id(lua_State *L, const struct request *request)
{
    if (!lib_request_push_last_event_id(L, request)) {
        lua_pushboolean(L, 0);
    }
}

/// The client's address as text. False stands for none, once the peer has left; so it does for
/// scheme and host.
static void make_ip(lua_State *L, const struct request *request)
{
    struct origin origin;
    char host[PEER_HOST_BYTES_MAX];
    if (!read_origin(L, request, &origin)) {
        lua_pushboolean(L, 0);
    } else {
        push_bytes(L, bytes_of(host, origin_client(&origin, host)));
    }
}

static void make_scheme(lua_State *L, const struct request *request)
{
    struct origin origin;
    if (!read_origin(L, request, &origin)) {
        lua_pushboolean(L, 0);
    } else {
        lua_pushstring(L, origin_is_https(&origin) ? "https" : "http");
    }
}

static void make_host(lua_State *L, const struct request *request)
{
    struct origin origin;
    struct bytes host = BYTES("");
    if (read_origin(L, request, &origin)) {
        host = origin_host(&origin);
    }
    if (host.len == 0) {
        lua_pushboolean(L, 0);
    } else {
        push_bytes(L, host);
    }
}

/// False once the exchange is over: the peer's address has gone with it.
static bool read_origin(lua_State *L, const struct request *request, struct origin *origin)
{
    const struct request_box *box = lua_touserdata(L, 1);
    if (box->scope->exchange == NULL) {
        return false;
    }
    exchange_origin(box->scope->exchange, request, origin);
    return true;
}

/// request:text() -> string. The body; empty when there was none.
static int l_text(lua_State *L)
{
    if (check_request_scope(L, 1)->route->options.streams_body) {
        return luaL_error(L, "the body of this route is streamed: read it by request:chunks()");
    }
    if (lua_getiuservalue(L, 1, SLOT_BODY) != LUA_TSTRING) {
        lua_pushliteral(L, "");
    }
    return 1;
}

/// request:json() -> value; nil, message, "EJSON". A long body is decoded in slices.
static int l_json(lua_State *L)
{
    l_text(L);
    return json_decode_or_raise(L);
}

/// request:query_values(name) -> array of strings, in the order of the query.
static int l_query_values(lua_State *L)
{
    const struct request *request = check_request(L);
    luaL_checkstring(L, 2);
    struct bytes rest = request->target.query;
    struct bytes name;
    struct bytes value;
    lua_Integer count = 0;
    lua_settop(L, 2);
    lua_newtable(L); // [box, wanted, values]
    while (url_next_pair(&rest, &name, &value)) {
        box_push_decoded(L, name, true);
        if (lua_rawequal(L, -1, 2)) {
            box_push_decoded(L, value, true);
            lua_rawseti(L, 3, ++count);
        }
        lua_settop(L, 3);
    }
    return 1;
}

/// request:accepts(type, ...) -> the one that the client likes best, the first of equals; nil for
/// none.
static int l_accepts(lua_State *L)
{
    const struct request *request = check_request(L);
    int best = 0;
    int best_quality = 0;
    for (int i = 2; i <= lua_gettop(L); i++) {
        int quality = request_quality(request, check_bytes(L, i));
        if (quality > best_quality) {
            best = i;
            best_quality = quality;
        }
    }
    if (best == 0) {
        lua_pushnil(L);
    } else {
        lua_pushvalue(L, best);
    }
    return 1;
}

static int p_method(lua_State *L)
{
    return push_bytes(L, check_request(L)->method);
}

static int p_target(lua_State *L)
{
    return push_bytes(L, check_request(L)->target_text);
}

/// Routes compare decoded paths. A middleware that compares this one sees what routes see: `/%61`
/// and `/a` are one route, and one path.
static int p_path(lua_State *L)
{
    struct bytes path = check_request(L)->target.path;
    if (memchr(path.at, '%', path.len) == NULL) {
        return push_bytes(L, path);
    }
    luaL_Buffer buffer;
    char *room = luaL_buffinitsize(L, &buffer, path.len);
    luaL_pushresultsize(&buffer, url_canonical_path(path, room));
    return 1;
}

static int p_query(lua_State *L)
{
    return push_made_or_raise(L, "query", make_query);
}

static int p_params(lua_State *L)
{
    return push_made_or_raise(L, "params", make_params);
}

static int p_headers(lua_State *L)
{
    return push_made_or_raise(L, "headers", make_headers);
}

static int p_cookies(lua_State *L)
{
    return push_made_or_raise(L, "cookies", make_cookies);
}

static int p_ip(lua_State *L)
{
    return push_made_or_nil_or_raise(L, "ip", make_ip);
}

static int p_scheme(lua_State *L)
{
    return push_made_or_nil_or_raise(L, "scheme", make_scheme);
}

static int p_host(lua_State *L)
{
    return push_made_or_nil_or_raise(L, "host", make_host);
}

static int p_id(lua_State *L)
{
    const struct request_box *box = check_box(L, 1, BOX_REQUEST);
    char id[EXCHANGE_ID_LEN_MAX];
    return push_bytes(L, bytes_of(id, exchange_id_format(box->seed, box->number, id)));
}

static int p_http_version(lua_State *L)
{
    lua_pushstring(L, check_request(L)->minor_version == 0 ? "1.0" : "1.1");
    return 1;
}

static int p_last_event_id(lua_State *L)
{
    return push_made_or_nil_or_raise(L, "last_event_id", make_last_event_id);
}

static int p_state(lua_State *L)
{
    return push_made_or_raise(L, "state", make_state);
}
