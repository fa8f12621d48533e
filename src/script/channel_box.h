// SPDX-License-Identifier: MIT
//
// The boxes of channels. A box holds its channel until the box is collected. There is one box for
// each channel, so that two handles of one channel are equal: a weak table finds it.
#pragma once

#include "base/bytes.h"
#include "base/check.h"

#include <lua.h>
#include <stdbool.h>

struct group;
struct replica;

/// Returns the channel of the box at `index`; raises for anything else.
struct replica *check_channel(lua_State *L, int index);

/// Makes the table of boxes. Fails only when memory runs out.
void channel_box_register(lua_State *L);

/// Pushes the box of the channel if there is one.
bool channel_box_push(lua_State *L, const struct replica *replica);

/// Pushes a new box, for the channel `name`, which is made if it is not there. Returns as
/// `local_hub_make`. Raises only when memory runs out.
MUST_USE int push_new_channel_box(lua_State *L, struct bytes name, struct group *group,
                                  struct replica **made);
