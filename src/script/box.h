// SPDX-License-Identifier: MIT
//
// Boxes: the Lua handles of C objects. A box is a full userdata, with one metatable for each type.
// The metatable's `__index` is one C function, which looks a name up among the type's methods and
// then among its properties. Its `__name` is how error messages call the type. `box_register` makes
// all metatables, once in a state.
#pragma once

#include "base/bytes.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct boxes;

/// The types of boxes.
enum box_type {
    BOX_REQUEST,
    BOX_RESPONSE,
    BOX_SSE,
    BOX_TIMER,
    BOX_CHANNEL,
    BOX_SHARED,
    BOX_EVENT,
    BOX_METRIC,
    BOX_TASK,
    BOX_SIGNAL,
    BOX_TYPE_COUNT
};

/// A property: pushes one value for the box at stack index 1.
typedef int (*box_property_fn)(lua_State *L);

struct box_property {
    const char *name;
    box_property_fn push;
};

/// What a type shows to scripts. Both arrays end with a NULL name.
struct box_class {
    const char *name; // "Sse"
    const luaL_Reg *methods;
    const struct box_property *properties;
    lua_CFunction collect; // `__gc`, with the box at index 1; NULL for none
};

/// The types of boxes of one state. `classes` has one entry for each, in the order of `enum
/// box_type`, and lives as long as the program. Owned by its generation.
struct boxes *boxes_new(const struct box_class *const *classes);
void boxes_free(struct boxes *boxes);

/// Makes the metatables of all types. Raises only when memory runs out.
void box_register(lua_State *L);

/// Gives the userdata on top of the stack its type.
void box_set_type(lua_State *L, enum box_type type);

/// Returns the userdata at `index`, which is of `type`; raises an argument error otherwise.
void *check_box(lua_State *L, int index, enum box_type type);

/// Whether the table at `index` is the metatable of a type.
bool box_is_metatable(lua_State *L, int index);

/// Pushes the method table of `type`, for methods that are written in Lua.
void box_push_methods(lua_State *L, enum box_type type);

/// Pushes `nil, "closed", "ECLOSED"`; returns 3.
int box_push_closed(lua_State *L);

/// Pushes `nil`, the message and the code; returns 3.
int box_push_failure(lua_State *L, const char *message, const char *code);

/// Pushes `text` percent-decoded (see `url_decode`).
void box_push_decoded(lua_State *L, struct bytes text, bool plus_is_space);

/// Returns the bytes of the string or number at `index`; raises for anything else. They are valid
/// until the C function returns.
struct bytes check_bytes(lua_State *L, int index);

/// Returns the duration in seconds at `index` in milliseconds; raises unless it is between 0 and
/// 1e9 seconds.
uint64_t check_duration_ms(lua_State *L, int index);

/// Does what `check_duration_ms` does, for the value on top of the stack, which is the option
/// `name` of argument `index`.
uint64_t check_duration_option_ms(lua_State *L, int index, const char *name);

/// Raises unless every key of the option table at `index` is among `names`, which ends with NULL.
/// There may be no table.
void check_options(lua_State *L, int index, const char *const *names);

/// Raises "unknown `what` 'key'" unless every key of the table at `index` is among `names`, which
/// ends with NULL.
void check_keys(lua_State *L, int index, const char *const *names, const char *what);

/// Pushes the field `name` of the option table at `index`, or nil when there is no table. Returns
/// its type. Reading a field may call code of the script.
int opt_field(lua_State *L, int index, const char *name);
