// SPDX-License-Identifier: MIT
//
// The options of channels and of groups of channels: what `lunesse.channel` and
// `lunesse.channel_group` take at argument 2. A call for a channel or a group that is there changes
// what it names and no more. While scripts load, such changes are postponed, because other scripts
// use the channel and the load may yet fail.
#pragma once

#include "script/box.h"
#include "script/call.h"

#include <stdbool.h>

struct group;
struct journal_bounds;
struct parts;
struct replica;

/// The names of all options, for `check_options`.
extern const char *const channel_option_names[];
extern const char *const group_option_names[];

/// Checks all options of a channel. Those that are bounds go into `bounds`. Raises for the first
/// that is wrong.
void check_channel_options(lua_State *L, struct journal_bounds *bounds);

/// Returns the group that the options of a channel name, or NULL.
struct group *check_group(lua_State *L);

/// Checks the options of a group. Those that are there go into `limits`.
void check_group_options(lua_State *L, struct group *limits);

/// Applies the options to a channel. An option that the call does not name stays as it was.
void apply_channel_options_or_raise(lua_State *L, struct replica *replica);

/// Applies the options to the group `name`, which exists. An option that the call does not name
/// stays as it was.
void apply_group_options_or_raise(lua_State *L, struct bytes name);

/// Postpones the options, those in `names`, until the load has succeeded. The stack is [name,
/// options, box]; for a group its name stands in place of the box.
void postpone_options_or_raise(lua_State *L, const char *const *names);

/// Applies what was postponed, once the load has succeeded.
enum call_outcome apply_postponed_options(struct parts *parts);
