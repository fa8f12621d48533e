// SPDX-License-Identifier: MIT
#include "script/channel_box.h"

#include "hub/local_hub.h"
#include "hub/replica.h"
#include "script/box.h"
#include "script/parts.h"
#include "script/stack.h"
#include "script/state.h"

// The memory of a box is one pointer, to the replica of the channel.

// The registry keeps the weak table replica -> box under the address of this.
static const char boxes_key;

struct replica *check_channel(lua_State *L, int index)
{
    struct replica **box = check_box(L, index, BOX_CHANNEL);
    luaL_argcheck(L, *box != NULL, index,
                  "a channel that is still there expected"); // not so in a finalizer at the end
    return *box;
}

void channel_box_register(lua_State *L)
{
    state_push_weak_table(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &boxes_key);
}

bool channel_box_push(lua_State *L, const struct replica *replica)
{
    STACK_BEGIN(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &boxes_key);
    bool is_there = lua_rawgetp(L, -1, replica) == LUA_TUSERDATA;
    lua_remove(L, -2);
    if (!is_there) {
        lua_pop(L, 1);
    }
    DCHECK_STACK(L, is_there);
    return is_there;
}

/// Born empty, so that nothing is lost when memory runs out.
int push_new_channel_box(lua_State *L, struct bytes name, struct group *group,
                         struct replica **made)
{
    struct local_hub *local = parts_of(L)->options->local_hub;
    struct replica **box = lua_newuserdatauv(L, sizeof(struct replica *), 0);
    *box = NULL;
    box_set_type(L, BOX_CHANNEL); // [.., box]
    struct replica *replica = local_hub_find(local, name);
    if (replica == NULL) {
        int failure = local_hub_make(local, name, group, &replica);
        if (failure != 0) {
            return failure;
        }
    }
    replica_hold(replica);
    *box = replica;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &boxes_key);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, replica);
    lua_pop(L, 1);
    *made = replica;
    return 0;
}
