// SPDX-License-Identifier: MIT
#include "script/start_option.h"

#include "base/check.h"
#include "script/box.h"

void check_since_option(lua_State *L, int index, struct stream_start *start)
{
    int type = opt_field(L, index, "since");
    int is_whole = 0;
    lua_Integer count = type == LUA_TNUMBER ? lua_tointegerx(L, -1, &is_whole) : 0;
    bool is_count = is_whole && count <= 0;
    luaL_argcheck(L, type == LUA_TNIL || type == LUA_TSTRING || is_count, index,
                  "since: an id, \"earliest\", or -n for the newest n events expected");
    if (type == LUA_TSTRING) {
        start->since = check_bytes(L, lua_gettop(L));
        start->is_earliest = bytes_equal(start->since, BYTES("earliest"));
        start->since = start->is_earliest ? BYTES("") : start->since;
    }
    start->newest_count = 0 - (uint64_t)count;
}

struct stream_start check_start_options(lua_State *L, int index)
{
    struct stream_start start = {.last = BYTES("")};
    check_since_option(L, index, &start);
    int type = opt_field(L, index, "after");
    luaL_argcheck(L, type == LUA_TNIL || type == LUA_TSTRING, index,
                  "after: the id of an event expected");
    if (type == LUA_TSTRING) {
        start.last = check_bytes(L, lua_gettop(L));
    }
    return start;
}
